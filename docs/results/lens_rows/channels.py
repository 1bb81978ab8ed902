"""Effective ranks of the Jacobian between layers, its agreement with the covariance, and cell offsets."""

from collections.abc import Mapping
from typing import Any

from goalcut.report.inputs import dig

from .block import RANKS, Block, Rows


def channels(figures: Mapping[str, Any]) -> list[Block]:
    sides = {
        "stacked": ("ranks", "stacked"),
        "per input": ("ranks", "per_input"),
        "late, JJᵀ": ("ranks", "late"),
        "late covariance": ("covariance", "ranks"),
    }
    rows: Rows = {
        f"{side}, {name}": {said: dig(of, *path, definition) for definition, said in RANKS.items()}
        for side, path in sides.items()
        for name, of in figures["networks"].items()
    }
    offsets: dict[str, Rows] = {}
    for name, of in figures["networks"].items():
        for pair, table in (of.get("offsets") or {}).items():
            for one in table:
                if not one["energy"]:
                    continue
                down, right = one["offset"]
                row = offsets.setdefault(pair, {}).setdefault(
                    f"{_signed(down)} rows, {_signed(right)} columns", {}
                )
                row[f"energy, {name}"] = one["energy"]
                row[f"early, {name}"] = dig(one, "early", "participation")
    agreement: Rows = {
        name: {
            "cosine": dig(of, "covariance", "agreement", "cosine"),
            "chance": dig(of, "covariance", "agreement", "cosine_chance"),
            "late space shared by half of the early nodes": dig(of, "shared_late_space", "other_half"),
            "chance there": dig(of, "shared_late_space", "chance"),
        }
        for name, of in figures["networks"].items()
    }
    between = f"from {figures['early']} to {figures['late']}"
    return [
        Block(f"Effective rank {between}, by six definitions", rows, digits=1),
        Block("E[JJᵀ] and the covariance of late activations", agreement, "cosine", ("chance",)),
        *(
            Block(
                f"Per cell offset, {pair}: share of the energy, and participation ratio of early channels", of
            )
            for pair, of in offsets.items()
        ),
    ]


def _signed(cells: int) -> str:
    return f"{cells:+d}".replace("-", "−") if cells else "0"
