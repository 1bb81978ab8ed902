"""What the runs of the study of timing say together."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .comparisons import holm, sign_flip_p
from .crossing import LEVELS, crossings
from .relation import two_sided_p
from .results import RunResult, by_variant, learned
from .statistics import over_seeds

GRADIENTS = ("end", "path")


def summarise_timing(results: Sequence[RunResult]) -> dict[str, Any]:
    """Per variant: when the goals part, and the relation of a direction's time with what it carries, over seeds."""
    return {"variants": {name: _variant(runs) for name, runs in by_variant(results).items()}}


def _variant(runs: Sequence[RunResult]) -> dict[str, Any]:
    crossed = {str(run.seed): crossings(run) for run in runs}
    return {
        **learned(runs),
        "crossings": crossed,
        "over_seeds": {
            str(level): {
                name: over_seeds([of_run[str(level)][name] for of_run in crossed.values()])
                for name in ("proxy", "paid", "gap", "share", "paid_there")
            }
            for level in LEVELS
        },
        "left_out": {str(run.seed): run.judged["left_out"] for run in runs if "left_out" in run.judged},
        "relation": _relation([run for run in runs if "kinds" in run.judged]),
        "doses": _doses([run for run in runs if "doses" in run.judged]),
        "modules": _modules([run for run in runs if "modules" in run.judged]),
    }


def _relation(runs: Sequence[RunResult]) -> dict[str, Any]:
    """Kind of rows → gradient → correlations of the seeds, their figures, and tests over seeds adjusted together."""
    kinds = dict.fromkeys(kind for run in runs for kind in run.judged["kinds"])
    found: dict[str, Any] = {}
    for kind in kinds:
        there = [run for run in runs if kind in run.judged["kinds"]]
        of_kind = [run.judged["kinds"][kind] for run in there]
        found[kind] = {which: _one([of_run[which] for of_run in of_kind]) for which in GRADIENTS}
        for which, of_gradient in found[kind].items():
            of_gradient["seeds"] = [run.seed for run in there]
            # Every direction of every seed: its time, and its share of the proxy goal and of the paid one.
            of_gradient["directions"] = [
                np.column_stack([of["centre_of_mass"], of[which]["shares"]]).round(4).tolist()
                for of in of_kind
            ]
    flat = [found[kind][which] for kind in kinds for which in GRADIENTS]
    for entry, adjusted in zip(flat, holm([entry["p"] for entry in flat]), strict=True):
        entry["holm_p"] = adjusted
    return found


def _one(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Over seeds: p is of the mean under permuted time in every run, and asks whether these runs have a relation.

    A sign-flip test asks whether fresh seeds would, but of five seeds it cannot say so below 0.06.
    """
    correlations = [entry["correlation"] for entry in entries]
    nulls = {
        name: {
            "means": [entry["nulls"][name]["mean"] for entry in entries],
            "intervals": [entry["nulls"][name]["interval"] for entry in entries],
            "p_values": [entry["nulls"][name]["p"] for entry in entries],
            "passed": sum(entry["nulls"][name]["p"] <= 0.05 for entry in entries),
            # Two-sided: the mean over runs beside the means of one draw each.
            "p_over_seeds": two_sided_p(
                float(np.mean(correlations)),
                np.mean([entry["nulls"][name]["draws"] for entry in entries], axis=0),
            ),
        }
        for name in entries[0]["nulls"]
    }
    return {
        "correlations": correlations,
        "over_seeds": over_seeds(correlations),
        "p": nulls["permuted time"]["p_over_seeds"],
        "sign_flip_p": sign_flip_p(np.array(correlations)),
        "nulls": nulls,
    }


def _doses(runs: Sequence[RunResult]) -> dict[str, Any] | None:
    """The same of the doses that tuned cuts give each direction; None where no run has them."""
    return (
        {**_one([run.judged["doses"] for run in runs]), "seeds": [run.seed for run in runs]} if runs else None
    )


def _modules(runs: Sequence[RunResult]) -> dict[str, Any]:
    modules = dict.fromkeys(module for run in runs for module in run.judged["modules"])
    return {
        module: {
            which: {
                **_one([run.judged["modules"][module][which] for run in runs]),
                "seeds": [run.seed for run in runs],
                "share": [
                    over_seeds([run.judged["modules"][module][which]["share"][goal] for run in runs])
                    for goal in (0, 1)
                ],
            }
            for which in GRADIENTS
        }
        for module in modules
    }
