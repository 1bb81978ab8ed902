"""Training as a run: PPO with recorder, checkpoints, exact measures and progress, resumable at any time."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..envs.cheese_maze import CheeseMaze
from ..envs.generator import make_levels
from .allocator import keep_freed_memory
from .behaviour import ExactBehaviour, network_policy
from .files import RunFileError, load_tensors, save_tensors
from .ppo import PPO
from .recorder import GradientRecorder
from .run import Run

# The levels that every run is reported on, and (of another split) tuned on.
REPORT_LEVEL_SEED = 0
OnRollout = Callable[[dict[str, Any]], None]


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


def _train(run: Run, on_rollout: OnRollout | None) -> None:
    settings = run.settings
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    keep_freed_memory()
    env_seed, ppo_seed = (int(word) for word in np.random.SeedSequence(settings.seed).generate_state(2))
    levels = make_levels(settings.world, settings.num_levels, seed=settings.seed, split="train")
    env = CheeseMaze(
        levels, settings.ppo.num_envs, seed=env_seed, time_limit=settings.time_limit, device=settings.device
    )
    ppo = PPO(settings.ppo, settings.new_network(), env, seed=ppo_seed)
    measured = None
    if settings.measure_every:
        measured = ExactBehaviour.of_world(
            settings.world,
            settings.measure_levels,
            seed=REPORT_LEVEL_SEED,
            split="test",
            time_limit=settings.time_limit,
            device=settings.device,
        )
    saved = _resume(run, ppo)
    recorder = None
    if settings.record != "none":
        recorder = GradientRecorder(
            ppo.network,
            ppo.optimizer,
            run.gradients,
            per_update=settings.record == "update",
            keep=saved["rows"],
            about={"term_rows_every_rollouts": settings.record_terms_every},
        )
        recorder.updates = ppo.rollouts_done * settings.ppo.epochs * settings.ppo.minibatches
    progress = _ProgressFile(run, saved["progress_bytes"])
    if ppo.rollouts_done == 0:
        run.save_checkpoint(0, ppo.network)
        record: dict[str, Any] = {"rollout": 0, "env_steps": 0, "seconds": 0.0, "recording_seconds": 0.0}
        progress.append(record | _measures(measured, ppo))
    try:
        while ppo.rollouts_done < settings.ppo.rollouts:
            record = _one_rollout(ppo, recorder, settings.record_terms_every)
            done = ppo.rollouts_done
            last = done == settings.ppo.rollouts
            if settings.measure_every and (done % settings.measure_every == 0 or last):
                record |= _measures(measured, ppo)
            progress.append(record)
            # The checkpoint first: what a bundle resumes after must be there.
            if done % settings.checkpoint_every == 0 and not last:
                run.save_checkpoint(done, ppo.network)
            if done % settings.save_every == 0 or last:
                if recorder is not None:
                    recorder.log.sync()
                state = ppo.state()
                place = {"rows": recorder.log.rows if recorder else 0, "progress_bytes": progress.bytes}
                save_tensors(_bundle(run), state, {name: str(value) for name, value in place.items()})
            if on_rollout is not None:
                on_rollout(record)
    finally:
        progress.close()
        if recorder is not None:
            recorder.close()
    run.save_checkpoint(ppo.rollouts_done, ppo.network)  # its file tells that training ended


def _one_rollout(ppo: PPO, recorder: GradientRecorder | None, terms_every: int) -> dict[str, Any]:
    began, recorded = time.perf_counter(), recorder.seconds if recorder else 0.0
    rollout, metrics = ppo.collect()
    with_terms = bool(terms_every) and (ppo.rollouts_done - 1) % terms_every == 0
    metrics |= ppo.learn(rollout, recorder, record_terms=with_terms)
    return {
        "rollout": ppo.rollouts_done,
        "env_steps": ppo.env_steps,
        "seconds": time.perf_counter() - began,
        "recording_seconds": recorder.seconds - recorded if recorder else 0.0,
        **metrics,
    }


def _measures(behaviour: ExactBehaviour | None, ppo: PPO) -> dict[str, Any]:
    if behaviour is None:
        return {}
    with torch.no_grad():
        measured = behaviour.measure(network_policy(ppo.network))
    return {"measures": {name: float(values.mean()) for name, values in measured.items()}}


def _bundle(run: Run) -> Path:
    return run.path("checkpoints", "resume.safetensors")


def _resume(run: Run, ppo: PPO) -> dict[str, int]:
    """Bring the learner to the run's last saved state; how many log rows and progress bytes belong to it."""
    if not _bundle(run).exists():
        learned = max((record["rollout"] for record in run.progress()), default=0)
        if (
            learned > run.settings.save_every
        ):  # there was a bundle: starting anew would wipe what was recorded
            raise RunFileError(
                f"{_bundle(run)} is missing, though {learned} rollouts are recorded: restore it, or train in another "
                f"directory"
            )
        return {"rows": 0, "progress_bytes": 0}
    state, place = load_tensors(_bundle(run))
    try:
        ppo.load_state(state)
        return {name: int(place[name]) for name in ("rows", "progress_bytes")}
    except (KeyError, ValueError, RuntimeError) as error:
        raise RunFileError(
            f"{_bundle(run)} does not fit this run ({error}); remove it to train anew"
        ) from None


class _ProgressFile:
    """progress.jsonl: one line per rollout, appended whole; what lies beyond `keep` bytes is dropped."""

    def __init__(self, run: Run, keep: int):
        path = run.path("progress.jsonl")
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        if os.fstat(self._file).st_size < keep:
            raise RunFileError(f"{path} is shorter than when the run was saved; restore it")
        os.ftruncate(self._file, keep)
        os.lseek(self._file, 0, os.SEEK_END)
        self.bytes = keep

    def append(self, record: dict[str, Any]) -> None:
        line = (json.dumps(record, allow_nan=False) + "\n").encode()
        written = os.write(self._file, line)
        if written != len(line):
            raise OSError(28, "No space left on device while writing progress.jsonl; free space and resume")
        self.bytes += written

    def close(self) -> None:
        os.close(self._file)
