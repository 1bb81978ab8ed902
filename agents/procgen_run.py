"""A run of an agent in Procgen's maze: its settings, its run directory, and training as a run."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch

from ..envs.procgen_game import FRAME, NUM_PROCGEN_ACTIONS, TIME_LIMIT, import_procgen
from ..envs.procgen_levels import split_seeds
from ..envs.procgen_maze import Cheese, ProcgenMaze
from ..envs.procgen_state import WORLD_SIZES, Mode, check_mode
from ..envs.worlds import CheeseInCorner
from .allocator import keep_freed_memory
from .gradient_log import GradientSink, Training
from .networks import ActorCritic, build_network
from .ppo import PPO, PPOSettings
from .procgen_behaviour import ProcgenBehaviour, procgen_behaviour
from .recorder import GradientRecorder
from .rollout_run import HeldOut, RolloutRun
from .rollouts import OnRollout, collect_and_learn, replayed, train_rollouts
from .run_directory import check_device

# Levels looked through from each place of a split on: of other places they are others.
SEEDS_PER_PLACE = 100_000


def _published_ppo() -> PPOSettings:
    """What the published agents were trained with, 200M env steps."""
    return PPOSettings(
        rollouts=3052, num_envs=256, num_steps=256, learning_rate=5e-4, gamma=0.999, gae_lambda=0.95
    )


@dataclass(frozen=True)
class ProcgenSettings:
    """Everything needed to repeat a training in Procgen's maze.

    Attributes:
        mode: `easy` 15×15 cells, `hard` 25×25, `memory` 31×31 with a view of 8×8.
        cheese: `stock` where the game puts it, `corner` the top right cell, `region` in the k×k at the top right.
        corner_size: k, of training's region and of the measures.
        num_levels: training levels; 0 is no limit but that of 2³⁰, which leaves levels to be held out.
        start_level: the first of them.
        reward: what the cheese pays; the game's own is 10.
        scale: of the `impala` network: 1 has 626,256 parameters, 4 has 3,653,136.
        ppo: the learner's settings; the published ones by default.
        seed: seed of levels, initial parameters, actions and minibatches.
        record: a row of the gradient log per `rollout` or per `update`; or `none`.
        checkpoint_every: rollouts between checkpoints of the parameters.
        save_every: rollouts between the bundles that a killed run resumes from.
        measure_every: rollouts between exact measures; 0 is never.
        measure_levels: held-out levels of each kind, of split `tune`, that these measures use.
        device: where the network is, `cpu` or `cuda`; the game runs on the CPU.
        threads: CPU threads of torch; default all.
        game_threads: CPU threads of the game.
    """

    mode: Mode = "hard"
    cheese: Cheese = "region"
    corner_size: int = 5
    num_levels: int = 100_000
    start_level: int = 0
    reward: float = 1.0
    scale: int = 1
    ppo: PPOSettings = field(default_factory=_published_ppo)
    seed: int = 0
    record: Literal["rollout", "update", "none"] = "rollout"
    checkpoint_every: int = 25
    save_every: int = 10
    measure_every: int = 25
    measure_levels: int = 20
    device: str = "cpu"
    threads: int | None = None
    game_threads: int = 4

    def __post_init__(self) -> None:
        check_mode(self.mode)
        if self.cheese not in get_args(Cheese):
            raise ValueError(f"cheese is {self.cheese!r}: give one of {', '.join(get_args(Cheese))}")
        for name, least in (
            ("num_levels", 0),
            ("start_level", 0),
            ("scale", 1),
            ("seed", 0),
            ("checkpoint_every", 1),
            ("save_every", 1),
            ("measure_every", 0),
            ("measure_levels", 2),
            ("game_threads", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        if not 1 <= self.corner_size < WORLD_SIZES[self.mode]:
            raise ValueError(
                f"corner_size is {self.corner_size}: in mode {self.mode!r} give 1 to {WORLD_SIZES[self.mode] - 1}"
            )
        if not self.reward > 0:
            raise ValueError(f"reward is {self.reward}: give a number above 0")
        if self.record not in ("rollout", "update", "none"):
            raise ValueError(f"record is {self.record!r}: give 'rollout', 'update' or 'none'")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads is {self.threads}: give at least 1, or leave it out")
        check_device(self.device)
        self.seeds("train")

    @property
    def world(self) -> CheeseInCorner:
        """Whose goals and measures the run has."""
        return CheeseInCorner(size=WORLD_SIZES[self.mode], corner_size=self.corner_size)

    @property
    def horizon(self) -> int:
        """Steps per episode, the game's."""
        return TIME_LIMIT

    def seeds(self, split: Literal["train", "test", "tune"]) -> range:
        """Seeds of the levels of a split; none is in two of them."""
        return split_seeds(split, start_level=self.start_level, num_levels=self.num_levels)

    def new_network(self) -> ActorCritic:
        """The network at its initial parameters θ_0."""
        return build_network(
            "impala",
            (3, FRAME, FRAME),
            NUM_PROCGEN_ACTIONS,
            seed=self.seed,
            scale=self.scale,
            pixels=True,
        )

    def resolved(self, held: "ProcgenSettings | None" = None) -> "ProcgenSettings":
        """The same with `precision` definite: as `held` has it, or as the device does best."""
        return replace(self, ppo=self.ppo.resolved(self.device, None if held is None else held.ppo))


class ProcgenRun(RolloutRun[ProcgenSettings]):
    """The files of one run in Procgen's maze; training time is counted in rollouts."""

    kind: ClassVar[str] = "procgen"
    settings_type: ClassVar[type] = ProcgenSettings

    @classmethod
    def facts(cls, settings: ProcgenSettings) -> dict[str, Any]:
        """Which Procgen it is; without one no run is begun."""
        return {"procgen": import_procgen().__version__.strip()}

    def behaviour(self, levels: int, *, split: HeldOut, seed: int, device: str = "cpu") -> ProcgenBehaviour:
        """The exact measures on levels of this split, from a place in it that the seed says.

        Raises:
            ProcgenMissingError: Procgen is not installed.
            ValueError: the split has no such place, or not as many levels from there on.
        """
        settings, seeds = self.settings, self.settings.seeds(split)
        if not 0 <= seed < len(seeds) // SEEDS_PER_PLACE or levels > SEEDS_PER_PLACE:
            raise ValueError(
                f"levels and seed are {levels} and {seed}: give at most {SEEDS_PER_PLACE} levels, and a seed below "
                f"{len(seeds) // SEEDS_PER_PLACE}"
            )
        return procgen_behaviour(
            levels,
            mode=settings.mode,
            cheese=settings.cheese,
            corner_size=settings.corner_size,
            first_seed=seeds[seed * SEEDS_PER_PLACE],
            device=device,
        )


def train_procgen(run: ProcgenRun, *, on_rollout: OnRollout | None = None) -> None:
    """Train an agent to its end, from its last saved state if it has one.

    Args:
        run: from `ProcgenRun.create`.
        on_rollout: called with each rollout's record, as it goes to progress.jsonl.

    Raises:
        ProcgenMissingError: Procgen is not installed.
        GradientError: the loss or a gradient is not finite.
        RunFileError: a file to resume from is damaged.
        OSError: the disk is full; what was recorded stays whole.
    """
    if run.trained:
        return
    with run.locked():
        _train(run, on_rollout)


def replay_procgen_training(settings: ProcgenSettings) -> Training:
    """The training that `train_procgen` does of these settings, its gradients going into a sink; see `replayed`.

    Raises:
        ValueError: the settings record nothing.
    """
    settings = settings.resolved()
    return replayed(
        settings,
        new_learner=lambda: _new_learner(settings),
        recorder_of=lambda ppo, sink: _recorder(settings, ppo, sink),
        one_rollout=collect_and_learn,
    )


def _train(run: ProcgenRun, on_rollout: OnRollout | None) -> None:
    settings = run.settings
    ppo = _new_learner(settings)
    train_rollouts(
        run,
        ppo,
        recorder_of=lambda keep: _recorder(settings, ppo, run.gradients, keep=keep),
        one_rollout=lambda recorder: collect_and_learn(ppo, recorder),
        on_rollout=on_rollout,
    )


def _recorder(
    settings: ProcgenSettings, ppo: PPO, sink: Path | GradientSink, keep: int | None = None
) -> GradientRecorder:
    per_update = settings.record == "update"
    return GradientRecorder(ppo.network, ppo.optimizer, sink, per_update=per_update, keep=keep)


def _new_learner(settings: ProcgenSettings) -> PPO:
    """The learner before its first rollout, and the process made ready for it."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    keep_freed_memory()
    env_seed, ppo_seed = (int(word) for word in np.random.SeedSequence(settings.seed).generate_state(2))
    env = ProcgenMaze(
        settings.ppo.num_envs,
        seed=env_seed,
        mode=settings.mode,
        num_levels=len(settings.seeds("train")),
        start_level=settings.start_level,
        cheese=settings.cheese,
        corner_size=settings.corner_size,
        reward=settings.reward,
        threads=settings.game_threads,
        device=settings.device,
    )
    return PPO(settings.ppo, settings.new_network(), env, seed=ppo_seed)
