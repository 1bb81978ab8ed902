"""The sections of the study of robustness: on which side of the border each variant lies, then its cuts."""

from typing import Any

from ..studies.seeds import written
from . import study_cuts
from .inputs import dig
from .page import Exhibit, Section, Table
from .study_figures import Row, iqm, points
from .style import INK, PROXY

_FIGURES = {
    "proxy_first": "proxy first",
    "paid_first": "paid goal first",
    "gap": "difference",
    "untrained_gap": "difference, untrained",
    "kept": "left of the highest rise",
    "apart": "paid goal learned later, share of training",
}


def sections(results: dict[str, Any]) -> list[Section]:
    """In reading order: what was learned, the border, then the cuts over all variants and of each."""
    learned, *cuts = study_cuts.sections(results)
    return [learned, _border(results["summary"]["variants"]), *cuts]


def findings(results: dict[str, Any]) -> list[str]:
    """Which variants misgeneralize and which do not; where a goal was not learned; then the cuts of each."""
    variants = results["summary"]["variants"]
    sides: dict[str, list[str]] = {"the proxy": [], "the paid goal": [], "neither for certain": []}
    for name, variant in variants.items():
        _, low, high = dig(variant["border"]["gap"], "over_seeds", "iqm")
        side = "the proxy" if low > 0 else "the paid goal" if high < 0 else "neither for certain"
        sides[side].append(name)
    told = "; ".join(f"{side}: {', '.join(names)}" for side, names in sides.items() if names)
    found = [f"Which comes first where the goals part, by the interval over seeds: {told}."]
    for name, variant in variants.items():
        if variant["not_learned"]:
            of = " and of ".join(
                f"{goal} on {'seed' if len(seeds) == 1 else 'seeds'} {written(tuple(seeds))}"
                for goal, seeds in variant["not_learned"].items()
            )
            left = "their cuts are not told of" if variant["cuts"] else "no cut is told of"
            found.append(f"{name}: training hardly changed the measure of {of}; {left}.")
    return [*found, *study_cuts.findings(results)]


def _border(variants: dict[str, Any]) -> Section:
    exhibits = []
    for figure, colour, title, marks, caption in (
        ("gap", PROXY, "proxy first − paid goal first", (0.0,), "Which goal comes first where the two part"),
        (
            "kept",
            INK,
            "share of the highest rise",
            (0.0, 1.0),
            "What is left at the end of the proxy's highest rise in training",
        ),
    ):
        rows = [
            Row(
                name,
                variant["seeds"],
                variant["border"][figure]["values"],
                dig(variant["border"][figure], "over_seeds", "iqm"),
                colour,
            )
            for name, variant in variants.items()
        ]
        exhibits.append(Exhibit(f"{caption}; a point is a seed.", [points(rows, title, marks=marks)]))
    lines = [
        (name, [iqm(variant["border"][figure]) for figure in _FIGURES]) for name, variant in variants.items()
    ]
    caption = (
        "All but the last column on conflict levels, where both goals lie apart; interquartile means over seeds, with "
        "95 % intervals. The last: when the paid goal passes 0.7 of its highest rise, after the proxy does."
    )
    lead = (
        "Above 0 the agent misgeneralizes: it enters the corner region before it goes for the cheese. Beside it what "
        "an untrained agent does, as one goal may lie nearer than the other."
    )
    tables = [Table(caption, ["variant", *_FIGURES.values()], lines, wide=True)]
    return Section("border", "Is there anything to cut?", lead, exhibits, tables)
