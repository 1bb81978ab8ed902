"""Products with a Jacobian by forward-mode differentiation, without torch's warning at their first use."""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch.func import jvp


def pushed_forward(function: Callable[[Any], Any], at: Any, tangent: Any) -> tuple[Any, Any]:
    """The function's value and J · tangent there; `at` and `tangent` are tensors, or alike dictionaries of them."""
    _load()
    found = jvp(function, (at,), (tangent,))
    return found[0], found[1]


@cache
def _load() -> None:
    """The first product of a process loads rules that torch 2.13 makes with what it has itself deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.script", category=DeprecationWarning)
        jvp(torch.sin, (torch.zeros(()),), (torch.ones(()),))
