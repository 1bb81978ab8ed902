"""The methods that are compared on a maze agent: every way of finding what to change that goalcut knows."""

from collections.abc import Mapping, Sequence

from ..agents.run import Run
from ..analysis.directions import Directions
from ..analysis.subject import Subject
from .activation_methods import activation_lens_methods, activation_methods
from .judge import Judge
from .method import Method
from .method_settings import MethodSettings
from .parameter_methods import gradient_methods, lens_methods, plain_methods, sparse_methods, time_methods


def maze_methods(
    run: Run,
    judges: Sequence[Judge],
    subject: Subject,
    lenses: Mapping[str, Directions],
    settings: MethodSettings,
) -> list[Method]:
    """All of them, those in parameters first.

    Args:
        run: a trained run with its checkpoints.
        judges: of tuning units; measures are differentiated and doses tuned on them.
        subject: of the run: its inputs are what activations are taken over.
        lenses: name → what a lens gave, in parameter space or a layer's, strongest first.
        settings: how far ladders reach.
    """
    judge = judges[0]
    methods = []
    for name, found in lenses.items():
        if found.space == "parameters":
            methods += lens_methods(judges, name, found, settings)
        else:
            methods += activation_lens_methods(subject, name, found, settings)
    methods += [*gradient_methods(judges, settings), *plain_methods(judges, settings)]
    methods += [*time_methods(run, judge, settings), *sparse_methods(judges, settings)]
    for layer in settings.layers or ("trunk", *subject.layers):
        methods += activation_methods(run, judges, subject, layer, settings)
    return methods
