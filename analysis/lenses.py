"""The lenses that need no gradient log: the table of them, and looking at a run through one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..agents.open_run import AnyRun
from .ansatz_lens import AnsatzSettings, ansatz
from .channels_lens import ChannelsSettings, channels
from .curvature_lens import CurvatureSettings, curvature
from .features_lens import FeaturesSettings, features
from .lens import Findings, OnStep
from .rotation_lens import RotationSettings, rotation
from .subject import subject_of


@dataclass(frozen=True)
class Lens:
    """One lens.

    Attributes:
        claim: what it is on trial for, in a line.
        settings: its frozen dataclass.
        look: `(subject, settings, on_step=…)` to findings.
    """

    claim: str
    settings: type
    look: Callable[..., Findings]


LENSES: Mapping[str, Lens] = {
    "ansatz": Lens("WᵀW follows the average gradient outer product of its layer", AnsatzSettings, ansatz),
    "curvature": Lens("few directions of the loss are steep, the rest is flat", CurvatureSettings, curvature),
    "features": Lens(
        "orthogonal features of a layer mean more, and mix less, than neurons", FeaturesSettings, features
    ),
    "rotation": Lens("in the right basis layers act sparsely on each other", RotationSettings, rotation),
    "channels": Lens("an early layer acts on a late one through few channels", ChannelsSettings, channels),
}
"""Name → lens."""


def look(
    run: AnyRun,
    name: str,
    settings: Any = None,
    *,
    inputs: int = 2000,
    seed: int = 0,
    time: int | None = None,
    device: str = "cpu",
    on_step: OnStep = lambda what, done, of: None,
) -> Findings:
    """What a lens finds in a run's network.

    Args:
        run: a trained run.
        name: of `LENSES`.
        settings: of the lens; default its own.
        inputs: how many the lens looks through, drawn as `subject_of` draws them.
        seed: of that draw.
        time: rollouts or updates; None is the end of training.
        device: where network and inputs lie.
        on_step: told of the progress.

    Raises:
        ProcgenMissingError: the run is in Procgen's maze, and Procgen is not installed.
        ValueError: there is no such lens, or the settings are another one's or do not fit the network.
    """
    if name not in LENSES:
        raise ValueError(f"lens is {name!r}: give one of {', '.join(LENSES)}")
    lens = LENSES[name]
    settings = lens.settings() if settings is None else settings
    if not isinstance(settings, lens.settings):
        raise ValueError(f"settings of {name} are {type(settings).__name__}: give {lens.settings.__name__}")
    subject = subject_of(run, inputs=inputs, seed=seed, time=time, device=device)
    return lens.look(subject, settings, on_step=on_step)
