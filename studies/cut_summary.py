"""What cuts and their controls leave, over seeds: every seed's figure, median and interquartile mean with intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..ablate.goal import LEAST_CHANGE
from .comparisons import compare_family
from .relation import rank_correlation
from .results import RunResult, by_variant, learned
from .statistics import bootstrap, each_and_over_seeds, over_seeds

NAVIGATION = "navigation"
_REWIND = "rewind"


def summarise_cuts(results: Sequence[RunResult], *, of_learned: bool = False) -> dict[str, Any]:
    """Per variant: measures, and the table of cuts over seeds; of several variants also what they say together.

    Args:
        results: of the runs.
        of_learned: no cuts of a seed that did not learn both goals, `not_learned`, nor of a variant most seeds of which
            did not: training changed a measure by less than `LEAST_CHANGE`, nothing is there to remove or to keep, and
            retention is a quotient of noise.
    """
    variants = {name: _variant(runs, of_learned) for name, runs in by_variant(results).items()}
    return {"variants": variants, "tuned": [tuned_over_variants(variants, side) for side in (0, 1)]}


def _variant(runs: Sequence[RunResult], of_learned: bool) -> dict[str, Any]:
    names, goals = list(runs[0].evaluation["measures"]), runs[0].run.settings.world.goals
    retained = [*runs[0].goals, *([NAVIGATION] if NAVIGATION in names else [])]
    not_learned = {goal.name: [run.seed for run in runs if not _learned(run, goal.measure)] for goal in goals}
    lacking = set().union(*not_learned.values()) if of_learned else set()
    kept = [run for run in runs if run.seed not in lacking]
    return {
        **learned(runs),
        "goal_names": [goal.name for goal in goals],
        "not_learned": {name: seeds for name, seeds in not_learned.items() if seeds},
        "retained": retained,
        "untrained": {name: over_seeds([run.measure(name, "untrained") for run in runs]) for name in names},
        "cuts": cuts_over_seeds(kept, retained) if 2 * len(kept) > len(runs) else [],
        "tuned_doses": _tuned_doses(runs),
    }


def _learned(run: RunResult, measure: str) -> bool:
    return abs(run.measure(measure) - run.measure(measure, "untrained")) >= LEAST_CHANGE


def tuned_over_variants(variants: Mapping[str, dict[str, Any]], side: int) -> dict[str, Any]:
    """The tuned cuts of one goal in several variants.

    Args:
        variants: as `summarise_cuts` has them.
        side: 0 of the proxy goal, 1 of the paid one.

    Returns:
        `ahead`: control → how much more selective the cut is than it, over the seeds of all variants, each variant a
        stratum of its own; `behind`: variant → how much more selective the cut of `first`, the first variant that has
        one, is on the same seeds, adjusted for all of them (Holm). Both empty of a single variant.
    """
    cuts = {
        name: cut
        for name, variant in variants.items()
        for cut in variant["cuts"]
        if cut["name"] == f"tuned: remove {variant['goal_names'][side]}"
    }
    if len(cuts) < 2:
        return {"first": None, "ahead": {}, "behind": {}}
    selectivity = {name: _by_seed(cut) for name, cut in cuts.items()}
    strata: dict[str, list[np.ndarray]] = {}
    for name, cut in cuts.items():
        ours = selectivity[name]
        for control in cut["controls"]:
            theirs = _by_seed(control)
            both = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
            if both:
                strata.setdefault(control["name"], []).append(np.array(both))
    first, *others = cuts
    shared = sorted(set.intersection(*map(set, selectivity.values())))
    compared = {}
    if len(shared) > 1:
        scores = {name: np.array([of[seed] for seed in shared]) for name, of in selectivity.items()}
        compared = compare_family(scores[first], {name: scores[name] for name in others})
    return {
        "first": first,
        "ahead": {
            name: {"variants": len(of), "seeds": sum(map(len, of)), "iqm": bootstrap(of).to_json()}
            for name, of in strata.items()
        },
        "behind": {name: one.to_json() for name, one in compared.items()},
    }


def _by_seed(entry: dict[str, Any]) -> dict[int, float]:
    return dict(zip(entry["seeds"], entry["selectivity"]["values"], strict=True))


def cuts_over_seeds(runs: Sequence[RunResult], retained: Sequence[str]) -> list[dict[str, Any]]:
    """Every cut with its controls, in the order of the table, each over the seeds that have it.

    Draws of one random control are averaged within a seed first, so that a seed counts once; rewinds are told apart by
    their place among the rewinds of their cut, as seeds rewind to other times.
    """
    tables = [_by_key(run.ablation["rows"]) for run in runs]
    keys = list(dict.fromkeys(key for table in tables for key in table))
    cuts: dict[str, dict[str, Any]] = {}
    for key in keys:
        there = [(run.seed, table[key]) for run, table in zip(runs, tables, strict=True) if key in table]
        entry = _entry(key, there, retained)
        cut, control = key
        if control is None:
            cuts[cut] = entry | {"controls": []}
        else:
            cuts[cut]["controls"].append(entry)
    for cut in cuts.values():
        cut["comparisons"] = _comparisons(cut)
    return list(cuts.values())


Key = tuple[str, str | None]


def _by_key(rows: Sequence[dict[str, Any]]) -> dict[Key, list[dict[str, Any]]]:
    """(cut, control) → its rows, several where a control has several draws; the control of a cut itself is None."""
    found: dict[Key, list[dict[str, Any]]] = {}
    rewinds: dict[str, int] = {}
    for row in rows:
        cut = row["control_of"]
        if cut is None:
            found.setdefault((row["name"], None), []).append(row)
            continue
        control = row["name"].removesuffix(f" | {cut}")
        if control.startswith(_REWIND):
            rewinds[cut] = rewinds.get(cut, 0) + 1
            further = "the end of its window" if cut.startswith("recipe") else "before the other goal"
            control = f"rewind to {'its time' if rewinds[cut] == 1 else further}"
        found.setdefault((cut, control), []).append(row)
    return found


def _entry(
    key: Key, there: Sequence[tuple[int, list[dict[str, Any]]]], retained: Sequence[str]
) -> dict[str, Any]:
    first = there[0][1][0]
    cut, control = key

    def figure(take: Any) -> dict[str, Any]:
        values = [float(np.mean([take(row) for row in rows])) for _, rows in there]
        return each_and_over_seeds(values)

    return {
        "name": cut if control is None else control,
        "selection": first["selection"],
        "removes": first["removes"],
        "seeds": [seed for seed, _ in there],
        "selectivity": figure(lambda row: row["selectivity"]),
        "relative_norm": figure(lambda row: row["relative_norm"]),
        "retention": {name: figure(lambda row, name=name: row["retention"][name]) for name in retained},
        # What is then done, beside what is left of it: of cuts alone, controls being many.
        "measures": {
            name: figure(lambda row, name=name: row["measures"][name])
            for name in (first["measures"] if control is None else ())
        },
    }


def headlines(cuts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of a variant's cuts those that stand beside all controls: the tuned ones and the recipes."""
    return [cut for cut in cuts if cut["name"].startswith(("tuned", "recipe"))]


def agents_with(
    variant: dict[str, Any], cuts: Sequence[dict[str, Any]]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Agent → measure → over seeds: the untrained agents, the trained ones, and these with each of some cuts."""
    return {"untrained": variant["untrained"], "trained": variant["measures"]} | {
        cut["name"]: {name: of["over_seeds"] for name, of in cut["measures"].items()} for cut in cuts
    }


def _comparisons(cut: dict[str, Any]) -> dict[str, Any]:
    """The cut's selectivity against each control's on the seeds that both have, adjusted for all of them."""
    ours = _by_seed(cut)
    seeds = set(ours)
    rivals = {control["name"]: _by_seed(control) for control in cut["controls"]}
    whole = {name: values for name, values in rivals.items() if set(values) == seeds}
    if len(seeds) < 2 or not whole:
        return {}
    order = sorted(seeds)
    found = compare_family(
        np.array([ours[seed] for seed in order]),
        {name: np.array([values[seed] for seed in order]) for name, values in whole.items()},
    )
    return {name: one.to_json() for name, one in found.items()}


def _tuned_doses(runs: Sequence[RunResult]) -> dict[str, Any]:
    """Of every seed: Spearman's ρ of a direction's time with its dose against the late goal − against the early one."""
    correlations = {}
    for run in runs:
        doses = [
            np.array(row["recipe"]["doses"]).reshape(len(row["recipe"]["doses"]), -1).mean(1)
            for row in run.ablation["rows"]
            if row["selection"] == "tuned" and "doses" in row["recipe"]
        ]
        centres = np.array(run.analysis["directions"]["centre_of_mass"])
        if len(doses) == 2 and all(len(dose) == len(centres) for dose in doses):
            correlations[str(run.seed)] = rank_correlation(centres, doses[1] - doses[0])
    return {"correlations": correlations, "over_seeds": over_seeds(list(correlations.values()))}
