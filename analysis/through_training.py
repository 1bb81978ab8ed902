"""What three lenses find at several times of training: the ansatz, independent features, the learning coefficient.

The same inputs, levels and settings serve all times of a run, so that what differs is θ.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from ..agents.behaviour import network_policy
from ..agents.digit_run import DigitRun, held_out_behaviour
from ..agents.rollout_run import WATCH_LEVEL_SEED
from ..agents.run import Run
from .ansatz_lens import AnsatzSettings, ansatz_through_training
from .coefficient_through_training import (
    CoefficientSettings,
    coefficients_through_training,
    regret_losses,
    sampling_of,
    staircases,
)
from .curvature_lens import CurvatureSettings
from .directions import Directions
from .features_lens import FeaturesSettings, features_over_time
from .learning_coefficient import losses_of
from .lens import OnStep
from .profiles import change_points
from .subject import Subject, subject_of

THROUGH_TRAINING = ("ansatz", "curvature", "features")
"""The lenses that tell of training."""
_PROFILES = 10


@dataclass(frozen=True)
class Course:
    """The times of a run that a lens looks at.

    Attributes:
        run: a trained run.
        times: rollouts or updates, ascending, a checkpoint at each.
        inputs: how many inputs at each time, drawn as `subject_of` draws them.
        seed: of that draw.
        device: where network and inputs lie.
    """

    run: Run | DigitRun
    times: Sequence[int]
    inputs: int = 2000
    seed: int = 0
    device: str = "cpu"

    def subjects(self) -> Iterator[tuple[int, Subject]]:
        """Each time with its subject, made when it is its turn."""
        for time in self.times:
            yield (
                time,
                subject_of(self.run, inputs=self.inputs, seed=self.seed, time=time, device=self.device),
            )

    def about(self) -> dict[str, Any]:
        """`times`, their `time_unit`, and of mazes the env steps until then."""
        found: dict[str, Any] = {"times": list(self.times), "time_unit": self.run.time_unit}
        if isinstance(self.run, Run):
            per_rollout = self.run.settings.ppo.env_steps_per_rollout
            found["env_steps"] = [time * per_rollout for time in self.times]
        return found


def times_of(run: Run | DigitRun, count: int) -> list[int]:
    """So many training times of a run's checkpoints, from θ_0 to the end, as evenly as they allow.

    Raises:
        ValueError: `count` is below 4, or there are fewer checkpoints.
    """
    there = run.checkpoints
    if not 4 <= count <= len(there):
        raise ValueError(
            f"through_training is {count}: give 4 to {len(there)}, as many times as {run.directory} has checkpoints of"
        )
    places = np.linspace(there[0], there[-1], count)
    nearest = {int(np.abs(np.array(there) - place).argmin()) for place in places}
    # Where checkpoints lie unevenly two places may have the same nearest one.
    spare = [index for index in range(len(there)) if index not in nearest]
    return [there[index] for index in sorted([*nearest, *spare[: count - len(nearest)]])]


def look_through_training(
    course: Course,
    settings: AnsatzSettings | FeaturesSettings | CurvatureSettings,
    coefficient: CoefficientSettings | None = None,
    *,
    on_step: OnStep = lambda what, done, of: None,
) -> dict[str, Any]:
    """What a lens finds at each time, for `lenses/NAME.json`.

    Args:
        course: which run, at which times.
        settings: of the lens, which say which lens it is.
        coefficient: of the learning coefficient, for the lens `curvature`.
        on_step: told of the progress.

    Returns:
        `times`, `time_unit`, of mazes `env_steps`; and of `ansatz` the `rows` of its summary at each time; of
        `features` what `features_over_time` gives, and what `measured` generalization; of `curvature` the
        coefficient's `rows`, the `landscape` they are of, and `staircases`.

    Raises:
        ValueError: the settings are of a lens that does not tell of training, or do not fit the network.
    """
    match settings:
        case AnsatzSettings():
            found: dict[str, Any] = {
                "rows": ansatz_through_training(dict(course.subjects()), settings, on_step=on_step)
            }
        case FeaturesSettings():
            measured, reached = generalization(course)
            found = features_over_time(course.subjects(), settings, generalization=reached, on_step=on_step)
            found["measured"] = measured
        case CurvatureSettings():
            found = _coefficients(course, coefficient or CoefficientSettings(), on_step)
        case _:
            raise ValueError(
                f"settings are {type(settings).__name__}: {', '.join(THROUGH_TRAINING)} tell of training"
            )
    return course.about() | found


def generalization(course: Course, *, levels: int = 150) -> tuple[str, dict[int, float]]:
    """What the network does, at each time, on what it was not trained on.

    Of mazes the measure that stands for the paid goal, on levels of the tuning split; of digits the share of test
    images that are recognised.

    Returns:
        Name of the measure, and time → its mean.
    """
    run, reached = course.run, {}
    if isinstance(run, DigitRun):
        behaviour = held_out_behaviour(run.settings)
        for time in course.times:
            with torch.no_grad():
                reached[time] = float(torch.cat(list(behaviour.correct(run.network(time)).values())).mean())
        return "accuracy on test images", reached
    paid = run.settings.world.goals[1].measure
    behaviour = run.behaviour(levels, split="tune", seed=WATCH_LEVEL_SEED)
    for time in course.times:
        with torch.no_grad():
            reached[time] = float(behaviour.measure(network_policy(run.network(time)))[paid].mean())
    return paid, reached


def _coefficients(course: Course, settings: CoefficientSettings, on_step: OnStep) -> dict[str, Any]:
    """λ̂ of a maze's regret, or of a classifier's loss, at each time, and whether it rises where that falls."""
    run, subjects = course.run, dict(course.subjects())
    if isinstance(run, Run):
        network, world, limit = run.network(0).to(course.device), run.settings.world, run.settings.time_limit
        landscape = "regret on training levels"
        regret = regret_losses(world, network, settings.levels, seed=course.seed, time_limit=limit)
        samples = settings.levels
    else:
        landscape, regret = "loss on training inputs", None
        samples = len(next(iter(subjects.values())))
    sampling = sampling_of(
        {time: losses_of(subject) for time, subject in subjects.items()}, samples, settings, losses=regret
    )
    rows = coefficients_through_training(
        subjects, sampling, regret=regret, levels=settings.levels, on_step=on_step
    )
    found = staircases(
        rows, profile_turns=_profile_turns(run, course.times), rng=np.random.default_rng(settings.seed)
    )
    return {"landscape": landscape, "rows": rows, "staircases": found}


def _profile_turns(run: Run | DigitRun, times: Sequence[int]) -> list[np.ndarray]:
    """Where the strongest profiles of the temporal SVD turn, as places among the times; none where there is no SVD.

    A profile is taken as its mean over the rows since the time before.
    """
    path = run.directory / "analysis" / "directions.safetensors"
    if not path.exists():
        return []
    profiles = Directions.load(path).profiles[:, :_PROFILES]
    if len(profiles) != run.last_time:
        return []
    means = [profiles[start:stop].mean(0) for start, stop in pairwise(times)]
    return [change_points(profile) for profile in np.array([means[0], *means]).T]
