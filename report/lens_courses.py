"""What lenses found through training: curves against time, and the same as small tables."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from .inputs import dig
from .page import Exhibit, Plot, Table
from .style import DIGIT_COLOURS, ENV_STEPS, GREY, INK, PAID, PALE, count, decimal, finite, finites, short

Saved = Mapping[str, Any]
"""The content of lenses/NAME.json."""


def course_exhibits(name: str, saved: Saved) -> list[Exhibit]:
    """Curves of what a lens found at several times; none where it was not asked."""
    found = saved.get("through_training")
    if not isinstance(found, dict):
        return []
    return {"ansatz": _ansatz, "curvature": _coefficient, "features": _features}[name](found)


def course_tables(name: str, saved: Saved) -> list[Table]:
    """The same as a table."""
    found = saved.get("through_training")
    if not isinstance(found, dict):
        return []
    return [
        {"ansatz": _ansatz_table, "curvature": _coefficient_table, "features": _features_table}[name](found)
    ]


def _axis(found: Saved) -> tuple[str, list[float | None]]:
    """Title and places of the times: env steps where they are known."""
    if found.get("env_steps"):
        return ENV_STEPS.title, [
            None if step is None else step / ENV_STEPS.unit for step in finites(found["env_steps"])
        ]
    return f"{found.get('time_unit')}s", finites(found.get("times"))


def _drawn(found: Saved, title: str, y: str) -> go.Figure:
    figure = go.Figure()
    figure.update_xaxes(title={"text": _axis(found)[0]})
    figure.update_yaxes(title={"text": y})
    figure.update_layout(title={"text": title})
    return figure


def _ansatz_rows(found: Saved) -> dict[str, list[dict[str, Any]]]:
    """Layer → rows of the first function, in time; layers in which it holds by construction are left out."""
    rows = [row for row in found.get("rows") or [] if isinstance(row, dict)]
    first = next((row.get("of") for row in rows), None)
    kept = [row for row in rows if row.get("of") == first and not row.get("identity_by_construction")]
    return {
        str(layer): [row for row in kept if row["layer"] == layer]
        for layer in dict.fromkeys(r["layer"] for r in kept)
    }


def _ansatz(found: Saved) -> list[Exhibit]:
    place = dict(zip(finites(found.get("times")), _axis(found)[1], strict=True))
    looks = (
        ("cosine_1", "W", {"color": INK, "width": 2.5}),
        ("same_spectrum_1", "random, same spectrum", {"color": GREY, "width": 2, "dash": "dash"}),
        ("initial_1", "W_0", {"color": GREY, "width": 2, "dash": "dot"}),
    )
    layers = _ansatz_rows(found)
    plots = _ansatz_panels(found, layers, place, looks, "cosine of WᵀW and M")
    if not plots:
        return []
    rises = [
        f"{layer} {decimal(rows[0].get('cosine_1'))} to {decimal(rows[-1].get('cosine_1'))}"
        for layer, rows in layers.items()
    ]
    of = next(iter(layers.values()))[0].get("of")
    caption = f"The ansatz through training, of {of}, from first to last: {', '.join(rises)}."
    key = [("ink", "W"), ("dash", "random of the same spectrum"), ("dot", "W_0")]
    more = (
        ("movement_1", "W − W_0", {"color": INK, "width": 2.5}),
        ("movement_same_spectrum_1", "random, same spectrum", {"color": GREY, "width": 2, "dash": "dash"}),
        ("centred_1", "W, gradients centred", {"color": PAID, "width": 2}),
        ("distance", "N from tight", {"color": GREY, "width": 2, "dash": "dot"}),
    )
    further = _ansatz_panels(found, layers, place, more, "cosine, or distance")
    said = (
        f"The same of the movement W − W_0, beside random matrices of its spectrum; of W with gradients of {of} "
        "centred; and how far N is from a tight frame (0)."
    )
    its_key = [
        ("ink", "W − W_0"),
        ("dash", "random of its spectrum"),
        ("paid", "W, gradients centred"),
        ("dot", "N from tight"),
    ]
    columns = min(3, len(plots))
    return [
        Exhibit(caption, plots, columns, key, linked=True),
        Exhibit(said, further, columns, its_key, linked=True),
    ]


def _ansatz_panels(
    found: Saved,
    layers: Mapping[str, list[dict[str, Any]]],
    place: Mapping[float | None, float | None],
    looks: tuple[tuple[str, str, dict[str, Any]], ...],
    y: str,
) -> list[Plot]:
    """A panel per layer, a line per figure of its rows."""
    plots = []
    for number, (layer, rows) in enumerate(layers.items()):
        figure = _drawn(found, layer, "" if number else y)
        at = [place.get(finite(row.get("time"))) for row in rows]
        for key, name, line in looks:
            figure.add_scatter(
                x=at, y=[finite(row.get(key)) for row in rows], mode="lines", name=name, line=line
            )
        figure.update_yaxes(range=[-0.03, 1.05])
        figure.update_layout(showlegend=False)
        plots.append(Plot(figure, 260))
    return plots


def _ansatz_table(found: Saved) -> Table:
    layers = _ansatz_rows(found)
    rows = [
        (
            str(of[0]["time"]),
            [f"{decimal(row.get('cosine_1'))} ({decimal(row.get('same_spectrum_1'))})" for row in of],
        )
        for of in zip(*layers.values(), strict=False)
    ]
    caption = "Cosine of WᵀW and M through training, in brackets that of random matrices of W's spectrum."
    return Table(caption, (str(found.get("time_unit")), *layers), rows)


def _numbers(found: Saved) -> dict[str, list[float | None]]:
    """Layer → participation ratio at every time."""
    return {
        str(layer): finites(dig(of, "given", "participation"))
        for layer, of in (found.get("layers") or {}).items()
    }


def _features(found: Saved) -> list[Exhibit]:
    x, at = _axis(found)
    reached, measured = finites(found.get("generalization")), found.get("measured")
    through, against = _drawn(found, "", "independent features"), _drawn(found, "", "independent features")
    for (layer, numbers), colour in zip(_numbers(found).items(), DIGIT_COLOURS * 10, strict=False):
        line = {"color": colour, "width": 2}
        through.add_scatter(x=at, y=numbers, mode="lines", name=layer, line=line)
        against.add_scatter(
            x=reached, y=numbers, mode="markers", name=layer, marker={"color": colour, "size": 7}
        )
    for figure in (through, against):
        figure.update_yaxes(rangemode="tozero")
    against.update_xaxes(title={"text": str(measured)})
    against.update_layout(showlegend=False)
    said = [
        f"{layer} {decimal(dig(of, 'given', 'participation'))}"
        for layer, of in (found.get("rank_correlation") or {}).items()
    ]
    caption = (
        f"Independent features (participation ratio) against {x}, and against generalization ({measured}); rank "
        f"correlation with it over these times: {', '.join(said)}."
    )
    return [Exhibit(caption, [Plot(through, 300), Plot(against, 300)], 2)]


def _features_table(found: Saved) -> Table:
    layers, reached = _numbers(found), finites(found.get("generalization"))
    rows = [
        (str(time), [decimal(reached[place]), *(decimal(of[place]) for of in layers.values())])
        for place, time in enumerate(found.get("times") or [])
    ]
    caption = (
        "Independent features of each layer through training, by participation ratio, beside generalization."
    )
    return Table(
        caption, (str(found.get("time_unit")), str(found.get("measured")), *layers), rows, frozenset((0,))
    )


def _coefficient(found: Saved) -> list[Exhibit]:
    rows, at = [row for row in found.get("rows") or [] if isinstance(row, dict)], _axis(found)[1]
    landscape, steps = str(found.get("landscape")), found.get("staircases")
    rising = _drawn(found, "", "learning coefficient")
    rising.add_scatter(
        x=at,
        y=[finite(row.get("value")) for row in rows],
        error_y={"array": [finite(row.get("standard_error")) for row in rows], "color": PALE},
        mode="lines+markers",
        line={"color": INK, "width": 2.5},
    )
    falling = _drawn(found, "", landscape)
    falling.add_scatter(
        x=at,
        y=[finite(row.get("loss")) for row in rows],
        mode="lines+markers",
        line={"color": PAID, "width": 2.5},
    )
    for figure in (rising, falling):
        figure.update_layout(showlegend=False)
    met = dig(steps, "met")
    turns = (
        f" Of {count(dig(met, 'turns'))} turns of profiles {count(dig(met, 'coinciding'))} stand at steps of the "
        f"coefficient, by chance {short(dig(met, 'coinciding_null'))}."
        if met
        else ""
    )
    caption = (
        f"Opposing staircases? The coefficient moves against the {landscape} in {decimal(dig(steps, 'opposing'))} of "
        f"the intervals, in {decimal(dig(steps, 'opposing_null'))} where its changes are shuffled (p = "
        f"{short(dig(steps, 'opposing_p'), 2)}); rank correlation of the changes "
        f"{decimal(dig(steps, 'correlation'))} (p = {short(dig(steps, 'correlation_p'), 2)}).{turns}"
    )
    return [Exhibit(caption, [Plot(rising, 300), Plot(falling, 300)], 2, linked=True)]


def _coefficient_table(found: Saved) -> Table:
    rows = [
        (
            str(row.get("time")),
            [
                f"{short(row.get('value'))} ± {short(row.get('standard_error'), 2)}",
                short(row.get("drift")),
                decimal(row.get("loss"), 3),
            ],
        )
        for row in found.get("rows") or []
    ]
    caption = (
        f"Learning coefficient through training beside the {found.get('landscape')}; drift is what the second half of "
        "the draws says more than the first."
    )
    return Table(
        caption, (str(found.get("time_unit")), "coefficient", "drift", "mean"), rows, frozenset((1,))
    )
