"""Training as a run: PPO with recorder, checkpoints, exact measures and progress, resumable at any time."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..envs.cheese_maze import CheeseMaze
from ..envs.generator import make_levels
from ..envs.levels import Levels
from ..envs.world import World
from .allocator import keep_freed_memory
from .gradient_log import GradientSink, Training
from .learner import RolloutLearner
from .ppo import PPO
from .recorder import GradientRecorder
from .rollouts import OnRollout, collect_and_learn, replayed, train_rollouts
from .run import Run, TrainSettings

if TYPE_CHECKING:
    from .sb3_ppo import StableBaselines3PPO


def train(run: Run, *, on_rollout: OnRollout | None = None) -> None:
    """Train a run to its end, from its last saved state if it has one.

    Args:
        run: from `Run.create`.
        on_rollout: called with each rollout's record, as it also goes to progress.jsonl.

    Raises:
        GradientError: a gradient is not finite.
        RunFileError: a file to resume from is damaged.
        OSError: the disk is full; what was recorded stays whole.
    """
    if run.trained:
        return
    with run.locked():
        _train(run, on_rollout)


def replay_training(settings: TrainSettings) -> Training:
    """The training that `train` does of these settings, as often as wanted, its gradients going into a sink.

    Nothing is written, measured or resumed. With one thread, on one machine, every row is bit for bit what `train`
    records.

    Args:
        settings: of a run that records.

    Returns:
        A function of a sink; it leaves the number of torch's threads as it was.

    Raises:
        ValueError: the settings record nothing.
    """
    settings = settings.resolved()
    return replayed(
        settings,
        new_learner=lambda: _new_learner(settings),
        recorder_of=lambda ppo, sink: _recorder(settings, ppo, sink),
        one_rollout=lambda ppo, recorder: _one_rollout(settings, ppo, recorder),
    )


def _new_learner(settings: TrainSettings) -> RolloutLearner:
    """The learner before its first rollout, and the process made ready for it."""
    kind = _learner_named(settings.learner)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    keep_freed_memory()
    env_seed, ppo_seed = (int(word) for word in np.random.SeedSequence(settings.seed).generate_state(2))
    parts = [
        make_levels(settings.world, settings.num_levels, seed=settings.seed, split="train", distribution=name)
        for name in _distributions(settings.world)
    ]
    env = CheeseMaze(
        Levels.concatenate(parts),
        settings.ppo.num_envs,
        seed=env_seed,
        time_limit=settings.time_limit,
        device=settings.device,
    )
    if len(parts) > 1:
        _draw_levels_of(settings, env, 0)
        env.reset()
    router = settings.router()
    if router is not None:
        return PPO(settings.ppo, settings.new_network(), env, seed=ppo_seed, router=router)
    return kind(settings.ppo, settings.new_network(), env, seed=ppo_seed)


def _learner_named(name: str) -> "type[PPO] | type[StableBaselines3PPO]":
    if name == "goalcut":
        return PPO
    try:
        from .sb3_ppo import StableBaselines3PPO
    except ImportError as error:
        raise ValueError(
            f"learner is {name!r}, but stable_baselines3 cannot be imported ({error}): pip install 'goalcut[sb3]'"
        ) from error
    return StableBaselines3PPO


def _distributions(world: World) -> list[str]:
    """What the pool of training levels is made of, part by part."""
    return list(dict.fromkeys(phase.distribution for phase in world.phases))


def _draw_levels_of(settings: TrainSettings, env: CheeseMaze, rollouts_done: int) -> None:
    """Have new episodes drawn from the distribution whose turn it is."""
    share = rollouts_done / settings.ppo.rollouts
    phase = next(phase for phase in settings.world.phases if share < phase.until or phase.until >= 1)
    part = _distributions(settings.world).index(phase.distribution)
    env.draw_from(part * settings.num_levels, (part + 1) * settings.num_levels)


def _recorder(
    settings: TrainSettings, ppo: RolloutLearner, sink: Path | GradientSink, keep: int | None = None
) -> GradientRecorder:
    return GradientRecorder(
        ppo.network,
        ppo.optimizer,
        sink,
        per_update=settings.record == "update",
        keep=keep,
        about={"term_rows_every_rollouts": settings.record_terms_every},
    )


def _train(run: Run, on_rollout: OnRollout | None) -> None:
    settings = run.settings
    ppo = _new_learner(settings)
    train_rollouts(
        run,
        ppo,
        recorder_of=lambda keep: _recorder(settings, ppo, run.gradients, keep=keep),
        one_rollout=lambda recorder: _one_rollout(settings, ppo, recorder),
        on_rollout=on_rollout,
    )


def _one_rollout(
    settings: TrainSettings, ppo: RolloutLearner, recorder: GradientRecorder | None
) -> dict[str, Any]:
    assert isinstance(ppo.env, CheeseMaze)  # as _new_learner made it
    _draw_levels_of(settings, ppo.env, ppo.rollouts_done)
    every = settings.record_terms_every
    with_terms = bool(every) and ppo.rollouts_done % every == 0
    return collect_and_learn(ppo, recorder, record_terms=with_terms)
