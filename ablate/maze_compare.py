"""The comparison of all methods on one trained maze agent."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from ..agents.rollout_run import REPORT_LEVEL_SEED
from ..agents.run import Run
from ..agents.sampled_behaviour import behaviour_of_world
from ..analysis.directions import Directions
from ..analysis.subject import subject_of
from ..envs.generator import Split
from .ablation import TUNING, TUNING_BATCHES
from .compare import Comparison
from .judge import Judge
from .maze_goals import CHOOSING_SEED, KEEP_NAVIGATION, MazeBehaviour, maze_goals, tuning_batches
from .maze_methods import maze_methods
from .method_settings import MethodSettings
from .side_effects import SideEffects


@dataclass(frozen=True)
class CompareSettings:
    """How methods are compared.

    Attributes:
        levels: of each kind that every change is judged on.
        split: that these are of; `tune` for choosing recipes, `test` for reporting them.
        level_seed: of them.
        tuning_levels: of each kind, of the split `tune`, that doses are tuned on, some 20 of them per step.
        choosing_levels: others of that split, that the choice within a budget is made on.
        inputs: states of training levels that side effects and activations are taken over.
        keep_navigation: weight, in tuning, of what is lost of finding the way.
        methods: how far their ladders reach.
    """

    levels: int = 400
    split: Split = "test"
    level_seed: int = REPORT_LEVEL_SEED
    tuning_levels: int = 400
    choosing_levels: int = 120
    inputs: int = 2000
    keep_navigation: float = KEEP_NAVIGATION
    methods: MethodSettings = field(default_factory=MethodSettings)

    def __post_init__(self) -> None:
        for name, least in (("levels", 2), ("tuning_levels", 2 * TUNING_BATCHES), ("choosing_levels", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        if self.split == "tune" and self.level_seed <= CHOOSING_SEED:
            raise ValueError(
                f"level_seed is {self.level_seed} of split 'tune', whose first seeds are tuned and chosen on: "
                f"give one above {CHOOSING_SEED}"
            )


class MazeComparison(Comparison):
    """All methods on one maze agent: `MazeComparison(run, {"temporal SVD": found}).all_rows(journal)`.

    Args:
        run: a trained run with its checkpoints.
        lenses: name → what a lens gave for it, in parameter space or a layer's, strongest first.
        settings: how.

    Attributes:
        methods: what is compared.
    """

    def __init__(self, run: Run, lenses: Mapping[str, Directions], settings: CompareSettings | None = None):
        settings = CompareSettings() if settings is None else settings
        self.run, self.lenses, self.settings = run, dict(lenses), settings
        self._theta_0, self._theta = run.parameters_after(0), run.parameters_after()
        for name, found in lenses.items():
            if found.space == "parameters" and found.vectors.shape[1] != len(self._theta):
                raise ValueError(
                    f"directions of {name!r} have {found.vectors.shape[1]} entries, the network has "
                    f"{len(self._theta)} parameters: give a lens's directions of this network"
                )
        tuners = [self._judge(size, "tune", seed) for size, seed in tuning_batches(settings.tuning_levels)]
        subject = subject_of(run, inputs=settings.inputs)
        super().__init__(
            self._judge(settings.levels, settings.split, settings.level_seed),
            self._judge(settings.choosing_levels, "tune", CHOOSING_SEED),
            SideEffects(subject),
        )
        self.methods = maze_methods(run, tuners, subject, self.lenses, settings.methods)

    def fingerprint(self) -> int:
        """A checksum of all that the rows follow from, for a journal: settings, parameters, directions."""
        checksum = zlib.crc32(json.dumps([asdict(self.settings), list(self.lenses), TUNING]).encode())
        for found in self.lenses.values():
            for array in (found.vectors, found.singular_values, found.profiles):
                checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
            checksum = zlib.crc32(found.space.encode(), checksum)
        for theta in (self._theta_0, self._theta):
            checksum = zlib.crc32(theta.numpy().data, checksum)
        return checksum

    def _judge(self, levels: int, split: Split, seed: int) -> Judge:
        world, limit = self.run.settings.world, self.run.settings.time_limit
        behaviour = behaviour_of_world(world, levels, seed=seed, split=split, time_limit=limit)
        goals = maze_goals(world, self.settings.keep_navigation)
        return Judge(self.run.network(), MazeBehaviour(behaviour), self._theta_0, self._theta, goals=goals)
