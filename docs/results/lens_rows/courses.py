"""What a lens found through the training of one run, as figures; `lens_tables` tells them over seeds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import scipy.stats

from goalcut.report.inputs import dig
from goalcut.report.style import finite, finites

from .block import Block, Rows

Course = Mapping[str, Any]
"""`through_training` of lenses/NAME.json."""
_MORE = {
    "M^½": "cosine_0.5",
    "(M^½)": "same_spectrum_0.5",
    "centred": "centred_1",
    "(centred)": "centred_same_spectrum_1",
    "W − W_0": "movement_1",
    "(W − W_0)": "movement_same_spectrum_1",
    "W − W_0, M^½": "movement_0.5",
    "(W − W_0, M^½)": "movement_same_spectrum_0.5",
    "singular vectors": "overlap",
    "(singular vectors)": "overlap_same_spectrum",
    "distance from tight": "distance",
    "effective rank": "effective_rank",
}
"""Column → what of a row of the ansatz it shows, in brackets its control."""


def ansatz(found: Course) -> list[Block]:
    """Per layer, of the first function, the cosine at each time beside its controls, and the rest; then which rise."""
    first = next((row["of"] for row in found["rows"]), "")
    kept = [row for row in found["rows"] if not row["identity_by_construction"]]
    rows = [row for row in kept if row["of"] == first]
    blocks: list[Block] = []
    rises: Rows = {}
    for layer in dict.fromkeys(row["layer"] for row in rows):
        of = [row for row in rows if row["layer"] == layer]
        told: Rows = {
            _time(found, row["time"]): {
                "W": row["cosine_1"],
                "same spectrum": row["same_spectrum_1"],
                "W_0": row["initial_1"],
            }
            for row in of
        }
        caption = f"Cosine of WᵀW with M in {layer}, of {first}, through training"
        blocks.append(Block(caption, told, "W", ("same spectrum", "W_0")))
        more: Rows = {
            _time(found, row["time"]): {said: row.get(name) for said, name in _MORE.items()} for row in of
        }
        caption = (
            f"More of it in {layer}, of {first}; in brackets random matrices of the same spectrum; distance and rank "
            "are of N"
        )
        blocks.append(Block(caption, more))
    for layer, f in dict.fromkeys((row["layer"], row["of"]) for row in kept):
        of = [row for row in kept if (row["layer"], row["of"]) == (layer, f)]
        cosines = [finite(row["cosine_1"]) for row in of]
        rises[f"{layer}, {f}"] = {
            "first": cosines[0],
            "last": cosines[-1],
            "same spectrum, last": of[-1]["same_spectrum_1"],
            "rank correlation with time": rank_correlation([row["time"] for row in of], cosines),
        }
    return [*blocks, Block("Does the cosine with M rise?", rises)]


def features(found: Course) -> list[Block]:
    """Independent features of each layer at each time beside generalization, and their rank correlations."""
    layers = {name: finites(dig(of, "given", "participation")) for name, of in found["layers"].items()}
    measured, reached = str(found["measured"]), finites(found["generalization"])
    rows: Rows = {
        _time(found, time): {measured: reached[place], **{name: of[place] for name, of in layers.items()}}
        for place, time in enumerate(found["times"])
    }
    held: Rows = {
        name: {
            "with generalization": rank_correlation(reached, of),
            "with time": rank_correlation(found["times"], of),
            "generalization with time": rank_correlation(found["times"], reached),
        }
        for name, of in layers.items()
    }
    return [
        Block(f"Independent features by participation ratio through training, beside {measured}", rows),
        Block("Their rank correlation over these times", held),
    ]


def curvature(found: Course) -> list[Block]:
    """The coefficient beside the loss at each time; then whether one rises where the other falls, beside chance."""
    landscape, steps = str(found["landscape"]), found["staircases"]
    rows: Rows = {
        _time(found, row["time"]): {
            "coefficient": row["value"],
            "standard error": row["standard_error"],
            landscape: row["loss"],
        }
        for row in found["rows"]
    }
    opposed: Rows = {
        "intervals in which one falls and the other rises": {
            "here": steps["opposing"],
            "by chance": steps["opposing_null"],
            "p": steps["opposing_p"],
        },
        "rank correlation of the changes, with its sign turned": {
            "here": None if finite(steps["correlation"]) is None else -steps["correlation"],
            "by chance": 0.0,
            "p": steps["correlation_p"],
        },
        "share of profiles' turns at steps of the coefficient": {
            "here": _share(dig(steps, "met", "coinciding"), dig(steps, "met", "turns")),
            "by chance": _share(dig(steps, "met", "coinciding_null"), dig(steps, "met", "turns")),
            "p": dig(steps, "met", "coinciding_p"),
        },
    }
    counts: Rows = {
        "steps of the coefficient": {"number": len(steps["steps"])},
        f"steps of the {landscape}": {"number": len(steps["loss_steps"])},
        "turns of profiles": {"number": dig(steps, "met", "turns")},
    }
    return [
        Block(f"Learning coefficient and {landscape} through training", rows, digits=None),
        Block(
            "Opposing staircases? Above: seeds beyond chance on average", opposed, "here", ("by chance",), 3
        ),
        Block("What is held against one another", counts, digits=None),
    ]


def rank_correlation(a: Sequence[float | None], b: Sequence[float | None]) -> float | None:
    """Spearman's, over what both know; None where one of them never changes."""
    known = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    if len({x for x, _ in known}) < 2 or len({y for _, y in known}) < 2:
        return None
    return float(scipy.stats.spearmanr(*zip(*known, strict=True)).statistic)


def _time(found: Course, time: Any) -> str:
    return f"{found['time_unit']} {time}"


def _share(part: Any, whole: Any) -> float | None:
    of, all_ = finite(part), finite(whole)
    return of / all_ if of is not None and all_ else None


COURSES: Mapping[str, Callable[[Course], list[Block]]] = {
    "ansatz": ansatz,
    "curvature": curvature,
    "features": features,
}
"""Name of a lens that tells of training → its course to blocks."""
