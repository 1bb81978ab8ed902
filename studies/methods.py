"""Question 5: which way of finding directions is best, all through the same harness?

Temporal SVD of every kind of row, gradients of the measures themselves, Hessian eigenvectors, random and coordinate
subspaces, rewinding, whole modules, sparse masks, and vectors and subspaces of activations: selectivity against length
and side effects.
"""

from ..agents.run import PRESETS
from .methods_judging import JudgeMethods
from .methods_summary import summarise_methods
from .study import Study

METHODS = Study(
    name="methods",
    question="Which way of finding directions removes one goal and keeps the other at the least cost?",
    variants={"default": PRESETS["default"], "random-start": PRESETS["random-start"]},
    seeds="36-40",
    # Cuts beside their controls are the study `cut`; here methods are each other's controls.
    ablate=None,
    judging=JudgeMethods(),
    judging_version=2,
    judging_seconds=690.0,
    summarise=summarise_methods,
)
