"""How sparse layers act in each basis, and how far bases that were fitted apart agree."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from goalcut.report.inputs import dig
from goalcut.report.style import finite

from .block import Block, Rows

_ORDERS = ("forward", "backward")


def rotation(figures: Mapping[str, Any]) -> list[Block]:
    losses: Rows = {
        name: {"held-out loss": dig(of, "held_out"), "fitted on": dig(of, "fitted_on")}
        for name, of in figures["bases"].items()
    }
    gains: Rows = {
        name: {
            "joint fit": of["fitted"],
            "neurons": of["neurons"],
            "random": of["random"],
            "share below neurons": of["below_neurons"],
        }
        for name, of in figures["controls"].items()
    }
    matched: Rows = {
        f"{layer}, from before and from after": {
            "matched": of["matched_from_random_starts"],
            "chance": dig(of, "chance", "mean"),
        }
        for layer, of in figures["apart"].items()
    }
    last = figures["last_layer"]
    matched[f"{last['output']}, with the identity"] = {
        "matched": last["matched_with_identity"],
        "chance": dig(last, "chance", "mean"),
    }
    best = min((finite(of["loss"]) or np.inf for of in figures.get("joint") or []), default=None)
    starts: Rows = {}
    for layer, chance in (figures.get("chance") or {}).items():
        others = {
            f"started from {of['start']}": None if of["loss"] == best else dig(of, "matched_with_best", layer)
            for of in figures.get("joint") or []
        }
        others |= {f"fitted {order}": dig(figures, order, "matched_with_joint", layer) for order in _ORDERS}
        others["neurons"] = dig(figures, "matched_with_joint", "neurons", layer)
        for said, matched_with in others.items():
            starts[f"{layer}, {said}"] = {"matched": matched_with, "chance": dig(chance, "mean")}
    one: Rows = {
        said: {
            "on that input": dig(figures, "one_input", name, "there"),
            "on held-out inputs": dig(figures, "one_input", name, "held_out"),
        }
        for name, said in (
            *(("fitted_to_one", "fitted to one input"), ("fitted_to_many", "fitted to many")),
            ("neurons", "neurons"),
        )
    }
    toy: Rows = {
        f"{of['features']} features, {of['hidden']} dimensions, {of['sparsity']:g} of them zero": {
            name: of[name] for name in ("kept", "found", "matched", "chance")
        }
        for of in figures.get("toy") or []
    }
    lower = f"Sparsity loss ({dig(figures, 'loss', 'name')}; lower is sparser)"
    return [
        Block(f"{lower} of each basis", losses, digits=3),
        Block(f"{lower} on held-out inputs, of each network", gains, digits=3),
        Block("Matched cosine of bases fitted apart, from random starts", matched, "matched", ("chance",)),
        Block("Matched cosine of the best joint fit with others", starts, "matched", ("chance",)),
        Block(f"{lower} of bases fitted to one input and to many", one, digits=3),
        Block("Rotations of toy autoencoders whose features are known, one fit of each", toy, once=True),
    ]
