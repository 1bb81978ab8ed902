"""The sections of the study of methods: what each way of finding a change reaches, and at which price."""

from typing import Any

from ..studies.methods_summary import NATS, NAVIGATION, NORM, NORMS, VALUES, WAYS
from .inputs import dig
from .page import Exhibit, Section, Table, anchor_of
from .study_cuts import learned
from .study_figures import TESTED, Line, Row, iqm, lines, points, tested
from .style import GREY, INK, PAID, PROXY, VIOLET, decimal

BUDGETS = {
    "norm": f"‖Δ‖ ≤ {NORM:g}",
    "norm and navigation": f"‖Δ‖ ≤ {NORM:g}, navigation ≥ {NAVIGATION:g}",
    "navigation": f"navigation ≥ {NAVIGATION:g}, any length",
}
RIVALS = ("random directions", "shrink θ − θ₀", "early stopping")
"""Drawn beside the leading methods whatever they reach."""
_LEADING = 6
_COLOURS = (INK, PROXY, PAID, VIOLET, "#3f8f6b", "#b4534b", "#8a5a14", "#c0559a", "#1793a3")


def sections(results: dict[str, Any]) -> list[Section]:
    """In reading order."""
    variants = results["summary"]["variants"]
    return [
        learned(results, variants),
        *(
            _goal(name, variant, goal, colour)
            for name, variant in variants.items()
            for goal, colour in zip(variant["goal_names"], (PROXY, PAID), strict=True)
        ),
    ]


def findings(results: dict[str, Any]) -> list[str]:
    """Of each variant and goal the method that reaches most, and the temporal SVD by time alone."""
    told = []
    for name, variant in results["summary"]["variants"].items():
        parts = []
        for goal, methods in variant["methods"].items():
            leader = ranked(methods, "norm")[0]
            best, steady = methods[leader]["within"]["norm"], ranked(methods, "norm and navigation")[0]
            held = methods[steady]["within"]["norm and navigation"]
            text = (
                f"removing {goal} within {BUDGETS['norm']}, {leader} reaches most, "
                f"{iqm(best['selectivity'])}, with {iqm(best['navigation'])} of navigation left; where "
                f"navigation must stay, {steady}, {iqm(held['selectivity'])}"
            )
            by_time = dig(methods, "temporal SVD, by time", "within", "norm")
            if by_time:
                text += f"; the temporal SVD by time alone {iqm(by_time['selectivity'])}"
            parts.append(text)
        told.append(f"{name}, {len(variant['seeds'])} seeds: {'. '.join(parts)}.")
    return told


def ranked(methods: dict[str, Any], budget: str) -> list[str]:
    """Methods by what they reach within a budget, the best first."""
    return sorted(
        methods,
        key=lambda name: methods[name]["within"][budget]["selectivity"]["over_seeds"]["iqm"][0],
        reverse=True,
    )


def _goal(name: str, variant: dict[str, Any], goal: str, colour: str) -> Section:
    methods = variant["methods"][goal]
    exhibits = [
        Exhibit(
            f"The most selective change of each method with {told}, chosen on tuning levels; a point is a seed on "
            "levels that nothing was chosen on. A seed where nothing is allowed counts as 0. Violet: edits of "
            "activations.",
            [
                points(
                    [
                        _row(method, methods[method], budget, variant["seeds"], colour)
                        for method in ranked(methods, budget)
                    ],
                    "selectivity",
                    marks=(0.0, 1.0),
                )
            ],
        )
        for budget, told in BUDGETS.items()
        if budget != "navigation"
    ]
    leading = ranked(methods, "norm")[:_LEADING]
    shown = list(dict.fromkeys([*leading, *(rival for rival in RIVALS if rival in methods)]))
    for of, budgets, title, log in (
        ("by_norm", NORMS, "‖Δθ‖ / ‖θ − θ₀‖ (or ‖Δh‖ / ‖h‖) at most", True),
        ("by_kl", NATS, "KL of the policy on training levels at most, nats", True),
        ("by_value_error", VALUES, "change of the value on training levels (root mean square) at most", True),
        ("by_navigation", WAYS, "navigation kept, at least", False),
    ):
        drawn = [
            Line(
                method,
                _COLOURS[place % len(_COLOURS)] if method not in RIVALS else GREY,
                variant["seeds"],
                [entry["values"] for entry in methods[method][of]],
            )
            for place, method in enumerate(shown)
        ]
        caption = f"The selectivity that can be reached as a function of {title}. Thick: median over seeds."
        exhibits.append(Exhibit(caption, [lines(drawn, budgets, (title, "selectivity"), log=log)]))
    return Section(
        anchor_of(name, goal),
        f"{name}: remove {goal}",
        "Every method makes a ladder of changes, from small to large. Which rung is taken is decided on tuning levels.",
        exhibits,
        [
            *(_table(methods, budget, told) for budget, told in BUDGETS.items()),
            *_layers(methods),
            *_moved_in(methods),
        ],
    )


def _row(name: str, method: dict[str, Any], budget: str, seeds: list[int], colour: str) -> Row:
    chosen = method["within"][budget]
    return Row(
        name,
        seeds,
        chosen["selectivity"]["values"],
        dig(chosen["selectivity"], "over_seeds", "iqm"),
        VIOLET if method["activations"] else GREY if name.startswith(("random", "shrink")) else colour,
        strong=name.startswith("temporal SVD"),
    )


def _table(methods: dict[str, Any], budget: str, told: str) -> Table:
    headings = [
        "method",
        "selectivity",
        "navigation",
        "‖Δ‖, relative",
        "KL, nats",
        "value error",
        "seeds with none",
        *(f"{name}, of the best against it" for name in TESTED),
    ]
    rows = []
    for name in ranked(methods, budget):
        chosen = methods[name]["within"][budget]
        behind = chosen["behind_the_best"]
        rows.append(
            (
                name,
                [
                    iqm(chosen["selectivity"]),
                    *_side_effects(chosen),
                    str(chosen["nothing_allowed"]),
                    *tested(behind),
                ],
            )
        )
    caption = f"{told}: interquartile mean of selectivity with its 95 % interval over seeds; the others are medians."
    return Table(caption, headings, rows, wide=True)


def _layers(methods: dict[str, Any]) -> list[Table]:
    """What edits of activations reach, by layer; none where none were made."""
    rows = [
        (
            f"{name}, {where}",
            [
                iqm(chosen["selectivity"]),
                *_side_effects(chosen),
            ],
        )
        for name, method in methods.items()
        for where, chosen in method["by_layer"].items()
    ]
    headings = ["edit, layer", "selectivity", "navigation", "‖Δh‖, relative", "KL, nats", "value error"]
    caption = (
        "Edits of activations by layer, at any length, the rung chosen on tuning levels; figures as above."
    )
    return [Table(caption, headings, rows, wide=True)] if rows else []


def _moved_in(methods: dict[str, Any]) -> list[Table]:
    """Which modules the parameters lie in that changes of few of them move; none where no method is such."""
    found = {
        name: there for name, method in methods.items() if (there := method["within"]["norm"].get("moved_in"))
    }
    headings = ["method", *dict.fromkeys(module for there in found.values() for module in there)]
    rows = [(name, [iqm(there[module]) for module in headings[1:]]) for name, there in found.items()]
    caption = f"{BUDGETS['norm']}: share of the parameters moved that lie in each module, over seeds."
    return [Table(caption, headings, rows)] if rows else []


def _side_effects(chosen: dict[str, Any]) -> list[str]:
    return [_middle(chosen, figure) for figure in ("navigation", "relative_norm", "kl", "value_error")]


def _middle(chosen: dict[str, Any], figure: str) -> str:
    found = dig(chosen[figure], "over_seeds", "median")
    return "–" if not found else decimal(found[0], 3 if figure in ("relative_norm", "kl") else 2)
