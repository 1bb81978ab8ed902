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
    goals = next(iter(variants.values()))["after"]
    after = [_after(variants, goal, untreated=goal == next(iter(goals))) for goal in goals]
    return [learned, *after, _blind(variants), _common(variants), *cuts]


def findings(results: dict[str, Any]) -> list[str]:
    """Of each variant and goal what is left of both after the treatment that parts them most."""
    told = []
    for name, variant in results["summary"]["variants"].items():
        for goal, after in variant["after"].items():
            treated = [treatment for treatment in after if treatment != "nothing"]
            best = max(treated, key=lambda of: after[of]["gap"]["over_seeds"]["iqm"][0])
            reached = " and ".join(f"{iqm(after[best][of])} of the {of}" for of in variant["after"])
            before = " and ".join(iqm(after["nothing"][of]) for of in variant["after"])
            told.append(
                f"{name}, {len(variant['seeds'])} seeds, {goal} removed: the two part most by {TREATMENTS[best]}; then "
                f"{reached} are reached ({before} before)."
            )
    return told


def _after(variants: dict[str, Any], goal: str, *, untreated: bool) -> Section:
    """A figure of each treatment; agents as trained are drawn for one goal, and are the other's turned round."""
    afters = {name: variant["after"][goal] for name, variant in variants.items()}
    goals = list(next(iter(variants.values()))["after"])
    (kept,) = (of for of in goals if of != goal)
    ahead = f"{kept} − {goal}"
    exhibits = []
    for treatment, told in TREATMENTS.items():
        if treatment == "nothing" and not untreated:
            continue
        rows = [
            Row(
                name,
                after[treatment]["seeds"],
                after[treatment]["gap"]["values"],
                dig(after[treatment]["gap"], "over_seeds", "iqm"),
                _COLOURS[treatment],
            )
            for name, after in afters.items()
            if treatment in after
        ]
        if rows:
            caption = f"How far reaching the {kept} is ahead of reaching the {goal}, after {told}; a point is a seed."
            exhibits.append(Exhibit(caption, [points(rows, ahead, marks=(0.0, 1.0))]))
    table = [
        (f"{name}: {TREATMENTS[treatment]}", [iqm(of[figure]) for figure in (*goals, "gap")])
        for name, after in afters.items()
        for treatment, of in after.items()
    ]
    caption = (
        "Probability to reach each, alone in the maze; interquartile means over seeds, with 95 % intervals."
    )
    tables = [Table(caption, ["variant, treatment", *goals, ahead], table, wide=True)]
    lead = "Filtering, routing and cutting compare by what agents do in the end, on levels that nothing was chosen on."
    return Section(f"after-{goal}", f"With the {goal} removed", lead, exhibits, tables)


def _blind(variants: dict[str, Any]) -> Section:
    returns = [
        (name, [iqm({"over_seeds": variant["measures"]["return"]})]) for name, variant in variants.items()
    ]
    caption = "What each schedule costs: the return of the trained agent, as a share of the most that its levels pay."
    tables = [Table(caption, ["variant", "return"], returns)]
    blind = [
        (
            f"{name}: {goal} unseen",
            [
                iqm(of["selectivity"]),
                *(iqm(of["retention"][measure]) for measure in variant["retained"]),
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
        retained = next(iter(variants.values()))["retained"]
        headings = ["variant, goal", "selectivity", *(f"retention of {name}" for name in retained)]
        tables.append(Table(caption, [*headings, "‖Δθ‖/‖θ−θ₀‖"], blind, wide=True))
    lead = "What a schedule costs, and what is left where a thing cannot be seen."
    return Section(
        "blind", "What schedules cost, and agents that are blind to one thing", lead, tables=tables
    )


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
