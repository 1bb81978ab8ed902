"""What features mean and how many are independent, beside neurons and random rotations; modularity."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from goalcut.report.inputs import dig
from goalcut.report.style import finites

from .block import RANKS, Block, Rows


def features(figures: Mapping[str, Any]) -> list[Block]:
    told_by: Rows = {}
    independent: Rows = {}
    modularity: Rows = {}
    for layer, of in figures["layers"].items():
        for label, by in (of.get("selectivity") or {}).items():
            told_by[f"{layer}, {label}"] = {
                **{
                    said: dig(by, *path, "explained_strongest")
                    for said, path in (
                        ("features", ("features",)),
                        ("neurons", ("neurons",)),
                        ("random rotations", ("random_rotations",)),
                        ("shuffled labels", ("shuffled_labels", "features")),
                    )
                },
                "classes, features": dig(by, "features", "classes"),
                "classes, neurons": dig(by, "neurons", "classes"),
            }
        counted = dig(of, "independent", "given")
        for definition, said in RANKS.items():
            independent[f"{layer}, {of['units']} units, {said}"] = {
                which: dig(counted, which, definition) for which in ("trained", "untrained")
            }
    graphs = {layer: of.get("trained") for layer, of in (figures.get("weights") or {}).items()}
    graphs |= {f"all layers, {which}": of for which, of in (figures.get("graph") or {}).items()}
    for name, of in graphs.items():
        modularity[name] = {
            said: value
            for basis in ("features", "neurons")
            for said, value in (
                (basis, dig(of, basis, "modularity")),
                (f"{basis}, shuffled", _mean(dig(of, basis, "modularity_shuffled"))),
            )
        }
    caption = (
        "Share of the variance of the ten strongest units that a label explains (η²), and how many classes a unit "
        "tells apart (1 is a detector of one)"
    )
    through = (
        "Modularity of the strengths through a weight, and of the graph of all layers through their Jacobians"
    )
    return [
        Block(caption, told_by, "features", ("neurons", "random rotations", "shuffled labels"), 3),
        Block("Independent features by several definitions", independent, "trained", ("untrained",)),
        Block(through, modularity, "features", ("features, shuffled", "neurons"), 3),
    ]


def _mean(values: Any) -> float | None:
    known = [value for value in finites(values) if value is not None]
    return float(np.mean(known)) if known else None
