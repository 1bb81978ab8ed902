"""The sections of the study of stars: what each schedule makes possible, and whether the goals are one thing."""

from typing import Any

from ..studies.stars_summary import TREATMENTS
from . import study_cuts
from .inputs import dig
from .page import Exhibit, Section, Table
from .study_figures import Row, iqm, points
from .style import GREY, INK, PAID, PROXY, VIOLET

_COLOURS = {"nothing": GREY, "tuned": PAID, "own features": VIOLET, "early stopping": INK, "blind": PROXY}


def sections(results: dict[str, Any]) -> list[Section]:
    """In reading order: what is left after removal, one thing or two, then the cuts of every variant."""
    variants = results["summary"]["variants"]
    learned, *cuts = study_cuts.sections(results)
    return [learned, _after(variants), _common(variants), *cuts]


def findings(results: dict[str, Any]) -> list[str]:
    """Of each variant what is left of star and cheese after the treatment that parts them most."""
    told = []
    for name, variant in results["summary"]["variants"].items():
        after = variant["after"]
        best = max(after, key=lambda of: after[of]["gap"]["over_seeds"]["iqm"][0])
        told.append(
            f"{name}, {len(variant['seeds'])} seeds: star and cheese part most by {TREATMENTS[best]}; then "
            f"{iqm(after[best]['star'])} of the stars and {iqm(after[best]['cheese'])} of the cheese are reached "
            f"({iqm(after['nothing']['star'])} and {iqm(after['nothing']['cheese'])} before)."
        )
    return told


def _after(variants: dict[str, Any]) -> Section:
    exhibits, tables = [], []
    for treatment, told in TREATMENTS.items():
        rows = [
            Row(
                name,
                variant["after"][treatment]["seeds"],
                variant["after"][treatment]["gap"]["values"],
                dig(variant["after"][treatment]["gap"], "over_seeds", "iqm"),
                _COLOURS[treatment],
            )
            for name, variant in variants.items()
            if treatment in variant["after"]
        ]
        if rows:
            caption = f"Cheese reached − stars reached, each alone in the maze, of {told}; a point is a seed."
            exhibits.append(Exhibit(caption, [points(rows, "cheese − star", marks=(0.0, 1.0))]))
    table = [
        (
            f"{name}: {TREATMENTS[treatment]}",
            [iqm(after[figure]) for figure in ("star", "cheese", "gap")],
        )
        for name, variant in variants.items()
        for treatment, after in variant["after"].items()
    ]
    caption = (
        "Probability to reach each, alone in the maze; interquartile means over seeds, with 95 % intervals."
    )
    tables.append(Table(caption, ["variant, treatment", "star", "cheese", "cheese − star"], table, wide=True))
    returns = [
        (name, [iqm({"over_seeds": variant["measures"]["return"]})]) for name, variant in variants.items()
    ]
    caption = "What each schedule costs: the return of the trained agent, as a share of the most that its levels pay."
    tables.append(Table(caption, ["variant", "return"], returns))
    blind = [
        (
            f"{name}: {goal} unseen",
            [
                iqm(of["selectivity"]),
                *(iqm(kept) for kept in of["retention"].values()),
                iqm(of["relative_norm"]),
            ],
        )
        for name, variant in variants.items()
        for goal, of in variant["blind"].items()
    ]
    if blind:
        caption = (
            "The agent that cannot see one thing, its planes' weights in the first layer at 0: what it still finds it "
            "finds on its way. A cut that takes the seeking and nothing else would be as selective; more is avoiding."
        )
        retained = next(of for variant in variants.values() for of in variant["blind"].values())["retention"]
        headings = ["variant, goal", "selectivity", *(f"retention of {name}" for name in retained)]
        tables.append(Table(caption, [*headings, "‖Δθ‖/‖θ−θ₀‖"], blind, wide=True))
    lead = "Filtering, routing and cutting compare by what agents do in the end, on levels that nothing was chosen on."
    return Section("after", "With the star removed", lead, exhibits, tables)


def _common(variants: dict[str, Any]) -> Section:
    there = {name: variant["common"] for name, variant in variants.items() if variant["common"]}
    transfer = [
        (
            f"{name}: {goal} removed",
            [iqm(of[figure]) for figure in ("removed", "other", "navigation", "relative_norm")],
        )
        for name, common in there.items()
        for goal, of in common["transfer"].items()
    ]
    angles = [
        (
            f"{name}: {kind}",
            [
                iqm(degrees[0]),
                iqm(degrees[len(degrees) // 2]),
                iqm(dig(common, "gradients", "cosines", kind, "all")),
            ],
        )
        for name, common in there.items()
        for kind, degrees in common["gradients"]["angles"].items()
    ]
    layers = [
        (f"{name}: {layer}", [iqm(of[kind]) for kind in ("star and cheese", "one thing, other mazes")])
        for name, common in there.items()
        for layer, of in common["activations"].get("layers", {}).items()
    ]
    tables = [
        Table(
            "Transfer: retention after doses were tuned to remove one goal and to keep nothing but navigation. If the "
            "two were one thing, the other would go as well.",
            ["variant", "the goal removed", "the other", "navigation", "‖Δθ‖/‖θ−θ₀‖"],
            transfer,
            wide=True,
        ),
        Table(
            "Principal angles, in degrees, between the spans of 8 gradients of each measure, and the cosine of their "
            "means; each beside one measure on two draws of levels, and random subspaces.",
            ["variant", "smallest angle", "middle angle", "cosine of means"],
            angles,
            wide=True,
        ),
        Table(
            "Cosine, by layer, of what a star adds to the activations and what a cheese does, beside one thing's on "
            "other mazes.",
            ["variant", "star and cheese", "one thing, other mazes"],
            layers,
            wide=True,
        ),
    ]
    lead = "Gradients, activations, and whether a cut of one takes the other along."
    return Section("common", "One thing or two?", lead, tables=tables)
