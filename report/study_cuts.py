"""The sections of studies that cut: what every cut and control leaves, over seeds."""

from typing import Any

from ..studies.cut_summary import agents_with, headlines
from .inputs import dig
from .page import Exhibit, Section, Table, anchor_of
from .study_figures import TESTED, Cloud, Row, learning_curves, points, scatter, spread, tested
from .style import GREY, INK, PAID, PROXY, VIOLET, decimal


def sections(results: dict[str, Any]) -> list[Section]:
    """In reading order."""
    variants = results["summary"]["variants"]
    found = [learned(results, variants)]
    if len(variants) > 1:
        found.append(_across(variants, results["summary"]["tuned"]))
    return found + [
        _cuts(name, variant, side) for name, variant in variants.items() for side in (0, 1) if variant["cuts"]
    ]


def findings(results: dict[str, Any]) -> list[str]:
    """Of each variant the best cuts in one sentence: tuned, and with nothing tuned."""
    told = []
    for name, variant in results["summary"]["variants"].items():
        parts = []
        for goal in variant["goal_names"]:
            tuned, untuned = (best(variant, goal, tuned=kind) for kind in (True, False))
            if tuned is None or untuned is None:
                continue
            ways = dig(tuned["retention"], "navigation", "over_seeds", "median")
            way = f", with {decimal(ways[0])} of navigation left" if ways else ""
            parts.append(
                f"removing {goal}, tuned doses reach a median selectivity of {_median(tuned)}{way}, and the best cut "
                f"with nothing tuned ({untuned['name'].partition(':')[0]}, best in hindsight) {_median(untuned)}"
            )
        if parts:
            seeds = len(variant["seeds"])
            told.append(f"{name}, {seeds} {'seed' if seeds == 1 else 'seeds'}: {'; '.join(parts)}.")
    return told


def _median(cut: dict[str, Any]) -> str:
    return spread(cut["selectivity"]["over_seeds"]["median"])


def best(variant: dict[str, Any], goal: str, *, tuned: bool) -> dict[str, Any] | None:
    """The cut of a goal with the highest interquartile mean of selectivity, tuned or with nothing tuned."""
    cuts = [
        cut for cut in variant["cuts"] if cut["removes"] == goal and (cut["selection"] == "tuned") == tuned
    ]
    return max(cuts, key=lambda cut: cut["selectivity"]["over_seeds"]["iqm"][0], default=None)


def learned(results: dict[str, Any], variants: dict[str, Any]) -> Section:
    """When each goal was learned, and what the trained agents do."""
    plots = [
        learning_curves(results["curves"][name], variant["goals"], name) for name, variant in variants.items()
    ]
    caption = (
        "Retention of each goal while training: 0 is the untrained agent, 1 the trained one. A thin line is a seed, "
        "the thick one their median."
    )
    tables = []
    for name, variant in variants.items():
        rows = [
            (
                measure,
                [
                    spread(dig(found, "median")),
                    spread(dig(found, "iqm")),
                    ", ".join(decimal(value) for value in variant["measure_values"][measure]),
                ],
            )
            for measure, found in variant["measures"].items()
        ]
        tables.append(
            Table(
                f"{name}: exact measures of the trained agents, seeds {_list(variant['seeds'])}.",
                ["measure", "median", "interquartile mean", "every seed"],
                rows,
            )
        )
    return Section("curves", "What was learned", "", [Exhibit(caption, plots, 2)], tables)


def _across(variants: dict[str, Any], tuned_together: list[dict[str, Any]]) -> Section:
    exhibits, tables = [], []
    for side, colour in ((0, PROXY), (1, PAID)):
        for tuned, told in ((True, "doses tuned on behaviour"), (False, "the best cut with nothing tuned")):
            rows = []
            for name, variant in variants.items():
                cut = best(variant, variant["goal_names"][side], tuned=tuned)
                if cut is not None:
                    rows.append(_row(name if tuned else f"{name}: {cut['name']}", cut, colour))
            if rows:
                caption = f"Removing {_goal_over(variants, side)}, {told}: selectivity of every seed."
                exhibits.append(Exhibit(caption, [points(rows, "selectivity", marks=(0.0, 1.0))]))
    for side, together in enumerate(tuned_together):
        goal = _goal_over(variants, side)
        if together["ahead"]:
            caption = (
                f"Removing {goal}: how much more selective the tuned cut is than its controls, interquartile mean over "
                "the seeds of all variants that have the control, each a stratum of the bootstrap."
            )
            rows = [
                (name, [str(of["variants"]), str(of["seeds"]), spread(of["iqm"])])
                for name, of in together["ahead"].items()
            ]
            tables.append(Table(caption, ["control", "variants", "seeds", "the cut is ahead by"], rows))
        if together["behind"]:
            caption = (
                f"Removing {goal}: selectivity of the tuned cut of {together['first']} against other variants' on "
                "the same seeds; effect size and a sign-flip test, adjusted for all of them."
            )
            rows = [(name, tested(of)) for name, of in together["behind"].items()]
            tables.append(Table(caption, ["variant", *TESTED], rows))
    lead = "Each row is a variant. The best cut with nothing tuned is the best of several, in hindsight."
    return Section("variants", "Over all variants", lead, exhibits, tables)


def _goal_over(variants: dict[str, Any], side: int) -> str:
    """The goal's name, where all variants have the same."""
    names = {variant["goal_names"][side] for variant in variants.values()}
    return names.pop() if len(names) == 1 else f"the {('proxy', 'paid')[side]} goal"


def _cuts(name: str, variant: dict[str, Any], side: int) -> Section:
    goal, colour = variant["goal_names"][side], (PROXY, PAID)[side]
    cuts = [cut for cut in variant["cuts"] if cut["removes"] == goal]
    exhibits = [
        Exhibit(
            f"Removing {goal} and keeping the other goal: selectivity of every cut and seed; diamonds are "
            "interquartile means with 95 % intervals.",
            [points([_row(cut["name"], cut, colour) for cut in cuts], "selectivity", marks=(0.0, 1.0))],
        )
    ]
    shown = headlines(cuts)
    clouds = [
        Cloud(
            "controls",
            GREY,
            [place for cut in shown for one in cut["controls"] for place in _places(one, variant, side)],
        ),
        *(
            Cloud(cut["name"], (colour, INK, VIOLET)[i % 3], _places(cut, variant, side))
            for i, cut in enumerate(shown)
        ),
    ]
    caption = (
        "What each tuned cut and recipe leaves of both goals in every seed, beside all their controls; a clean cut is "
        "top left. Values beyond −0.5 and 1.5 are drawn at the edge."
    )
    axes = tuple(f"retention of {variant['goals'][place]}" for place in (side, 1 - side))
    exhibits.append(Exhibit(caption, [scatter(clouds, (axes[0], axes[1]))]))
    for cut in shown:
        if cut["controls"]:
            rows = [_row(cut["name"], cut, colour, strong=True)]
            rows += [_row(control["name"], control, GREY) for control in cut["controls"]]
            exhibits.append(
                Exhibit(
                    f"{cut['name']}, beside its controls.", [points(rows, "selectivity", marks=(0.0, 1.0))]
                )
            )
    rows = [line for cut in cuts for line in _lines(cut, variant["retained"])]
    headings = ["cut or control", "seeds", "selectivity, median", "interquartile mean"]
    headings += [f"retention of {measure}" for measure in variant["retained"]] + ["‖Δθ‖/‖θ−θ₀‖", *TESTED]
    caption = (
        "Medians and interquartile means over seeds, with 95 % intervals; retention and norm are medians. Difference, "
        "effect size (Cliff's δ, −1 to 1) and p (sign-flip test, adjusted within its cut) are of the cut's selectivity "
        "against this control's on the same seeds."
    )
    lead = (
        f"{variant['goals'][side]} stands for the goal to remove, {variant['goals'][1 - side]} for the one to keep; "
        "navigation should stay."
    )
    return Section(
        anchor_of(name, goal),
        f"{name}: remove {goal}",
        lead,
        exhibits,
        [Table(caption, headings, rows, wide=True), _then(variant, cuts, variant["goals"][1 - side])],
    )


def _then(variant: dict[str, Any], cuts: list[dict[str, Any]], kept: str) -> Table:
    """What agents do with each cut, beside what they did before and what training added."""
    measures = list(variant["measures"])
    rows = [
        (name, [decimal((dig(found[of], "median") or [None])[0]) for of in measures])
        for name, found in agents_with(variant, cuts).items()
    ]
    caption = (
        f"Every exact measure, medians over seeds. Selectivity asks of {kept} alone; what else the agent can still do, "
        "from other starts and on other levels, stands here."
    )
    return Table(caption, ["agent", *measures], rows, wide=True)


def _lines(cut: dict[str, Any], retained: list[str]) -> list[tuple[str, list[str]]]:
    compared = cut["comparisons"]
    controls = [
        (f"· {one['name']}", _cells(one, retained, compared.get(one["name"]))) for one in cut["controls"]
    ]
    return [(cut["name"], _cells(cut, retained, None)), *controls]


def _cells(entry: dict[str, Any], retained: list[str], compared: dict[str, Any] | None) -> list[str]:
    selectivity = entry["selectivity"]["over_seeds"]
    return [
        str(len(entry["seeds"])),
        spread(dig(selectivity, "median")),
        spread(dig(selectivity, "iqm")),
        *(spread(dig(entry["retention"][name], "over_seeds", "median")) for name in retained),
        decimal((dig(entry, "relative_norm", "over_seeds", "median") or [None])[0], 3),
        *tested(compared),
    ]


def _places(entry: dict[str, Any], variant: dict[str, Any], side: int) -> list[tuple[int, float, float, str]]:
    """Of each seed: retention of the goal to remove, of the one to keep, and what else there is to say."""
    removed, kept = (entry["retention"][variant["goals"][place]]["values"] for place in (side, 1 - side))
    ways = entry["retention"].get("navigation", {"values": [None] * len(removed)})["values"]
    told = [f"{entry['name']}; navigation {decimal(way)}" for way in ways]
    return list(zip(entry["seeds"], removed, kept, told, strict=True))


def _row(name: str, entry: dict[str, Any], colour: str, *, strong: bool = False) -> Row:
    selectivity = entry["selectivity"]
    return Row(
        name,
        entry["seeds"],
        selectivity["values"],
        dig(selectivity, "over_seeds", "iqm"),
        colour,
        strong=strong,
    )


def _list(seeds: list[int]) -> str:
    return ", ".join(map(str, seeds))
