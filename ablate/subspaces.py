"""Directions that no one had to find: random ones, random groups of coordinates, the modules of a network.

A method that finds directions is worth something where it does better than these.
"""

import numpy as np
import torch
from torch import Tensor

from ..agents.parameters import entries_by_module
from ..analysis.directions import Directions, Layout


def random_directions(parameters: int, count: int, generator: torch.Generator) -> Directions:
    """`count` orthonormal directions, uniformly random in R^P."""
    drawn = torch.randn(parameters, count, generator=generator, dtype=torch.float64)
    vectors = torch.linalg.qr(drawn)[0].T
    return _plain(vectors, torch.ones(count), {"lens": "random directions", "count": count}, {})


def random_coordinates(moved: Tensor, groups: int, generator: torch.Generator) -> Directions:
    """What training moved, θ − θ_0 (P,), shared out among random groups of coordinates of equal size.

    Cutting direction k takes the parameters of group k, and no others, back to θ_0.

    Raises:
        ValueError: there are not so many parameters.
    """
    if not 1 <= groups <= len(moved):
        raise ValueError(f"groups is {groups}: give 1 to {len(moved)}, as many as there are parameters")
    group = torch.randperm(len(moved), generator=generator) % groups
    parts = torch.zeros(groups, len(moved)).scatter_(0, group[None], moved[None].float())
    return _pieces(parts, {"lens": "random coordinates", "groups": groups}, {})


def module_directions(moved: Tensor, layout: Layout) -> Directions:
    """What training moved in each module, strongest first: cutting one by a dose shrinks that module's θ − θ_0."""
    modules: dict[str, Tensor] = {}
    for module, inside in entries_by_module(layout).items():
        part = modules[module] = torch.zeros(len(moved))
        part[inside] = moved[inside].to(part)
    norms = {name: float(part.norm()) for name, part in modules.items()}
    order = sorted(norms, key=lambda name: -norms[name])
    parts = torch.stack([modules[name] for name in order])
    names = [name for name in order if norms[name] > 0]
    return _pieces(parts, {"lens": "modules", "modules": names}, layout)


def _pieces(parts: Tensor, source: dict, layout: Layout) -> Directions:
    norms = torch.linalg.vector_norm(parts, dim=1, dtype=torch.float64)
    some = norms > 0
    # In float32: of many groups there is no room for a second copy twice as large.
    return _plain(parts[some] / norms[some, None].float(), norms[some], source, layout)


def _plain(vectors: Tensor, strengths: Tensor, source: dict, layout: Layout) -> Directions:
    return Directions(
        vectors=vectors.float().numpy(),
        singular_values=strengths.double().numpy(),
        profiles=np.zeros((0, len(vectors))),
        layout=layout,
        source=source,
    )
