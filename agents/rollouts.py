"""The loop that learners of rollouts are trained by: collect, learn, keep; it goes on from the last saved state."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from .behaviour import ExactBehaviour, network_policy
from .gradient_log import GradientSink, Training
from .learner import RolloutLearner
from .recorder import GradientRecorder
from .resuming import ProgressFile, resume, save_bundle
from .rollout_run import WATCH_LEVEL_SEED, RolloutRun, RolloutSettings
from .sampled_behaviour import SampledBehaviour

OnRollout = Callable[[dict[str, Any]], None]
L = TypeVar("L", bound=RolloutLearner)


def train_rollouts(
    run: RolloutRun[Any],
    learner: RolloutLearner,
    *,
    recorder_of: Callable[[int], GradientRecorder],
    one_rollout: Callable[[GradientRecorder | None], dict[str, Any]],
    on_rollout: OnRollout | None = None,
) -> None:
    """Train to the end, from the run's last saved state if it has one.

    Args:
        run: whose files are written, and whose settings say what is recorded, measured and kept, and when.
        learner: before its first rollout.
        recorder_of: what records its gradients, given how many rows of the log to keep.
        one_rollout: collects and learns from one, and returns its record.
        on_rollout: called with each rollout's record, as it goes to progress.jsonl.
    """
    settings = run.settings
    behaviour = None
    if settings.measure_every:
        behaviour = run.behaviour(
            settings.measure_levels, split="tune", seed=WATCH_LEVEL_SEED, device=settings.device
        )
    saved = resume(run, learner)
    recorder = None
    if settings.record != "none":
        recorder = recorder_of(saved["rows"])
        recorder.updates = learner.rollouts_done * settings.ppo.epochs * settings.ppo.minibatches
    progress = ProgressFile(run, saved["progress_bytes"])
    if learner.rollouts_done == 0:
        run.save_checkpoint(0, learner.network)
        record: dict[str, Any] = {"rollout": 0, "env_steps": 0, "seconds": 0.0, "recording_seconds": 0.0}
        progress.append(record | ({} if behaviour is None else _mean_measures(behaviour, learner)))
    try:
        while learner.rollouts_done < settings.ppo.rollouts:
            record = one_rollout(recorder)
            done = learner.rollouts_done
            last = done == settings.ppo.rollouts
            if behaviour is not None and (done % settings.measure_every == 0 or last):
                record |= _mean_measures(behaviour, learner)
            progress.append(record)
            # The checkpoint first: what a bundle resumes after must be there.
            if done % settings.checkpoint_every == 0 and not last:
                run.save_checkpoint(done, learner.network)
            if done % settings.save_every == 0 or last:
                if recorder is not None:
                    recorder.log.sync()
                save_bundle(run, learner, rows=recorder.log.rows if recorder else 0, progress=progress)
            if on_rollout is not None:
                on_rollout(record)
    finally:
        progress.close()
        if recorder is not None:
            recorder.close()
    run.save_checkpoint(learner.rollouts_done, learner.network)  # its file tells that training ended


def collect_and_learn(
    learner: RolloutLearner, recorder: GradientRecorder | None, *, record_terms: bool = False
) -> dict[str, Any]:
    """One rollout; its record."""
    began, recorded = time.perf_counter(), recorder.seconds if recorder else 0.0
    rollout, metrics = learner.collect()
    metrics |= learner.learn(rollout, recorder, record_terms=record_terms)
    return {
        "rollout": learner.rollouts_done,
        "env_steps": learner.env_steps,
        "seconds": time.perf_counter() - began,
        "recording_seconds": recorder.seconds - recorded if recorder else 0.0,
        **metrics,
    }


def replayed(
    settings: RolloutSettings,
    *,
    new_learner: Callable[[], L],
    recorder_of: Callable[[L, GradientSink], GradientRecorder],
    one_rollout: Callable[[L, GradientRecorder], object],
) -> Training:
    """The training of these settings, as often as wanted, its gradients going into a sink and nothing else anywhere.

    Args:
        settings: of a run that records.
        new_learner: the learner before its first rollout; it may set the number of torch's threads.
        recorder_of: what records a learner's gradients into a sink.
        one_rollout: collects and learns from one.

    Returns:
        A function of a sink; it leaves the number of torch's threads as it was.

    Raises:
        ValueError: the settings record nothing.
    """
    if settings.record == "none":
        raise ValueError("record is 'none': there is no gradient to replay; give 'rollout' or 'update'")

    def training(sink: GradientSink) -> None:
        threads = torch.get_num_threads()
        try:
            learner = new_learner()
            recorder = recorder_of(learner, sink)
            try:
                while learner.rollouts_done < settings.ppo.rollouts:
                    one_rollout(learner, recorder)
            finally:
                recorder.close()
        finally:
            torch.set_num_threads(threads)

    return training


def _mean_measures(behaviour: ExactBehaviour | SampledBehaviour, learner: RolloutLearner) -> dict[str, Any]:
    """What a record says of the measures: their means over levels."""
    with torch.no_grad():
        measured = behaviour.measure(network_policy(learner.network))
    return {"measures": {name: float(values.mean()) for name, values in measured.items()}}
