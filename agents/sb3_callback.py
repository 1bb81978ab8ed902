"""Gradients of any Stable-Baselines3 agent on record, as it learns; needs the extra `goalcut[sb3]`."""

from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback

from .recorder import GradientRecorder


class RecordGradients(BaseCallback):
    """A callback that keeps the gradient log of `model.learn(…, callback=RecordGradients(directory))`.

    It attaches a `GradientRecorder` to the policy and its optimizer, and stamps rows with env steps. Learning is not
    changed by a bit. Rows are whole gradients, not halves: another's minibatches mix environments.

    Args:
        directory: where the gradient log goes; `GradientLog(directory)` reads it.
        per_update: one row per optimizer step; else one per rollout, the mean over its updates.

    Raises:
        ValueError: when learning begins: the policy has no optimizer of its own, as that of SAC.
        RunFileError: when learning begins: there is a log in the directory already.
        GradientError: a gradient is not finite.
    """

    def __init__(self, directory: Path | str, *, per_update: bool = False):
        super().__init__()
        self.directory, self.per_update = Path(directory), per_update
        self.recorder: GradientRecorder | None = None

    def _on_training_start(self) -> None:
        optimizer = getattr(self.model.policy, "optimizer", None)
        if optimizer is None:
            raise ValueError(
                f"the policy of {type(self.model).__name__} has no optimizer of its own: attach a GradientRecorder to "
                f"each of its networks and that network's optimizer"
            )
        before = self.recorder  # of an earlier `learn`, whose log goes on
        self.recorder = GradientRecorder(
            self.model.policy,
            optimizer,
            self.directory,
            per_update=self.per_update,
            keep=None if before is None else before.log.rows,
        )
        self.recorder.updates = 0 if before is None else before.updates
        self.recorder.env_steps = self.num_timesteps

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        # Updates on this rollout are still to come, those on the one before are done.
        self._end_row()
        assert self.recorder is not None
        self.recorder.env_steps = self.model.num_timesteps

    def _on_training_end(self) -> None:
        self._end_row()
        assert self.recorder is not None
        self.recorder.close()

    def _end_row(self) -> None:
        assert self.recorder is not None
        if not self.per_update:
            self.recorder.end_row(self.recorder.env_steps)
