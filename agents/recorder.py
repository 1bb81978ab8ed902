"""Puts every gradient of any training on record: it attaches to a module and its optimizer, and needs no more."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .gradient_log import TOTAL, GradientLogWriter, GradientSink, Row

_P = ParamSpec("_P")


def _timed(
    method: Callable[Concatenate["GradientRecorder", _P], None],
) -> Callable[Concatenate["GradientRecorder", _P], None]:
    """Add a method's wall time to `seconds`, so that a run can say what recording cost."""

    @wraps(method)
    def timed(self: "GradientRecorder", *args: _P.args, **kwargs: _P.kwargs) -> None:
        began = time.perf_counter()
        method(self, *args, **kwargs)
        self.seconds += time.perf_counter() - began

    return timed


class GradientError(RuntimeError):
    """A gradient is not finite; the message says where and when."""


class GradientRecorder:
    """Records the pre-clip gradients of `module` as `optimizer` steps, averaged per row or one row per update.

    Hooks on the parameters see each gradient as `backward` leaves it, before anything clips it; a hook on the
    optimizer closes the update. Backward passes inside `half("A")` and `half("B")` are kept apart as well:

        recorder = GradientRecorder(network, optimizer, directory)
        with recorder.half("A"): loss_a.backward()
        with recorder.half("B"): loss_b.backward()
        clip_grad_norm_(...); optimizer.step()
        recorder.end_row(env_steps)          # only where rows are averaged

    A loop that computes gradients itself may write them into `gradient` and `half_a`: see `by_hand`.

    Args:
        module: any module; its trainable parameters are recorded, in the order of `named_parameters`.
        optimizer: whatever steps them.
        sink: a directory, where the gradient log goes; or what takes the rows instead of a log.
        per_update: one row per optimizer step; else one per `end_row`, the mean over the steps since the last.
        keep: rows to keep when a log in a directory is resumed.
        about: kept in the layout.json of a log in a directory.

    Attributes:
        log: the log, or the sink given.
        env_steps: what the next update's row is stamped with; the training loop sets it.
        updates: optimizer steps seen.
        gradient: of the update under way, flat (P,), in the order of `named_parameters`.
        half_a: half A's part of it, (P,).
        seconds: wall time spent on recording.
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: Optimizer,
        sink: Path | GradientSink,
        *,
        per_update: bool = False,
        keep: int | None = None,
        about: dict[str, str | int] | None = None,
    ):
        named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        self._names, self._parameters = [name for name, _ in named], [p for _, p in named]
        if isinstance(sink, Path):
            layout = {name: tuple(p.shape) for name, p in named}
            row_is = {"row": "one update" if per_update else "mean over the updates of one rollout"}
            sink = GradientLogWriter(sink, layout, about=row_is | (about or {}), keep=keep)
        elif keep is not None:
            raise ValueError(
                f"keep is {keep}, but only a log in a directory is resumed: give its path, or leave out keep"
            )
        self.log: GradientSink = sink
        self.per_update, self.env_steps, self.updates, self._last_update = per_update, 0, 0, 0
        device = self._parameters[0].device
        self.gradient = torch.zeros(sum(p.numel() for p in self._parameters), device=device)
        self._places, start = {}, 0
        for parameter in self._parameters:
            self._places[parameter] = self.gradient[start : start + parameter.numel()].view(parameter.shape)
            start += parameter.numel()
        self.half_a = torch.zeros_like(self.gradient)
        self._sum, self._sum_a = torch.zeros_like(self.gradient), torch.zeros_like(self.gradient)
        self._clip_sum, self._summed, self._halved = 0.0, 0, False
        self.seconds = 0.0
        self._optimizer = optimizer
        # Of the update under way: inside a half; anything seen; a half A seen.
        self._inside = self._seen = self._a_seen = False
        # Clipping scales all alike, so the smallest parameter tells its factor.
        self._smallest = min(self._parameters, key=lambda parameter: parameter.numel())
        self._hooks = [
            p.register_post_accumulate_grad_hook(self._see_after_backward) for p in self._parameters
        ]
        self._hooks.append(optimizer.register_step_pre_hook(self._close_update))

    @contextmanager
    def half(self, name: str) -> Iterator[None]:
        """Backward passes in here belong to half A or half B."""
        if name not in ("A", "B"):
            raise ValueError(f"half is {name!r}: give 'A' or 'B'")
        began = time.perf_counter()
        # The usual case, A first: what lies in the gradient after it is A's, with nothing to subtract.
        before = self.gradient.clone() if self._seen and name == "A" else None
        self.seconds += time.perf_counter() - began
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
        began = time.perf_counter()
        self._halved = True
        gradients = [p.grad for p in self._parameters]
        if all(gradient is not None for gradient in gradients):
            torch.cat(
                [gradient.reshape(-1) for gradient in gradients if gradient is not None], out=self.gradient
            )
        else:
            self._begin()
            for parameter in self._parameters:
                self._see(parameter)
        self._seen = True
        if name == "A":
            part = self.gradient if before is None else self.gradient - before
            if self._a_seen:
                self.half_a += part
            else:
                self.half_a.copy_(part)
            self._a_seen = True
        self.seconds += time.perf_counter() - began

    def by_hand(self) -> None:
        """From now on the training loop writes every update's gradient into `gradient` and half A's part into `half_a`.

        It calls `check` before the optimizer steps and `update` after or meanwhile; nothing is hooked any more.
        """
        while self._hooks:
            self._hooks.pop().remove()

    def check(self, norm: float) -> None:
        """Complain of a gradient whose norm is not finite, before the optimizer takes a step along it."""
        if not np.isfinite(norm):
            bad = [
                n
                for n, p in zip(self._names, self._parameters, strict=True)
                if not self._places[p].isfinite().all()
            ]
            raise GradientError(
                f"the gradient of {bad[0]} is not finite at update {self.updates}: lower the learning rate, which "
                f"is {self._lr:g} there, or check the rewards. The {self.log.rows} rows recorded so far are whole"
            )

    @_timed
    def update(self, clip: float) -> None:
        """Of the update under way all is written, halves and whole; clipping shortens it by this factor."""
        self._halved = True
        self._take(clip)

    def half_a_views(self) -> dict[Tensor, Tensor]:
        """Parameter → a view of it: of the next update, what goes back through the views is half A, the rest half B.

        For a `backward` of both halves at once that is another's to call: let half A's samples pass through the
        views (`torch.func.functional_call`), half B's through the parameters themselves. The gradient is the same.
        """
        if not self._a_seen:
            self.half_a.zero_()
        views, start = {}, 0
        for parameter in self._parameters:
            stop = start + parameter.numel()
            place = self.half_a[start:stop].view(parameter.shape)
            views[parameter] = parameter.view_as(parameter)
            views[parameter].register_hook(partial(self._see_half_a, place))
            start = stop
        return views

    @_timed
    def row_so_far(self, env_steps: int, term: str) -> None:
        """Append the mean over the updates since the last `end_row` as a row of its own name, and go on."""
        if self._summed:
            self._append(self._sum / self._summed, self._sum_a / self._summed, env_steps, term)

    @_timed
    def end_row(self, env_steps: int) -> None:
        """Close the row that averages the updates since the last call, if there were any."""
        if self._summed:
            self._append(self._sum / self._summed, self._sum_a / self._summed, env_steps)
            self._sum.zero_()
            self._sum_a.zero_()
        self._clip_sum, self._summed = 0.0, 0

    @_timed
    def record_terms(self, terms: dict[str, Tensor], env_steps: int, *, half: str = "") -> None:
        """One row per loss term, each by a backward pass of its own; the graph is kept for the real one."""
        for name, loss in terms.items():
            gradients = torch.autograd.grad(loss, self._parameters, retain_graph=True, materialize_grads=True)
            flat = torch.cat([gradient.reshape(-1) for gradient in gradients]).float().cpu().numpy()
            if not np.isfinite(flat).all():
                raise GradientError(f"the gradient of the term {name} is not finite at update {self.updates}")
            row = Row(flat, self.updates, env_steps, term=name, half=half, lr=self._lr)
            self.log.append(row)

    def close(self) -> None:
        """Detach from module and optimizer, and close the log or sink."""
        for hook in self._hooks:
            hook.remove()
        self.log.close()

    @property
    def _lr(self) -> float:
        return float(self._optimizer.param_groups[0]["lr"])

    @_timed
    def _see_half_a(self, place: Tensor, gradient: Tensor) -> None:
        place += gradient
        self._a_seen = self._halved = True

    def _see_after_backward(self, parameter: Tensor) -> None:
        if not self._inside:  # a half looks once, when it ends
            began = time.perf_counter()
            self._begin()
            self._see(parameter)
            self.seconds += time.perf_counter() - began

    def _begin(self) -> None:
        """A parameter without a gradient in this update counts as zero."""
        if not self._seen:
            self.gradient.zero_()
            self._seen = True

    def _see(self, parameter: Tensor) -> None:
        if parameter.grad is not None:
            self._places[parameter].copy_(parameter.grad)

    @_timed
    def _close_update(self, *_: object) -> None:
        self._begin()
        self.check(float(self.gradient.norm()))
        if not self._a_seen:
            self.half_a.zero_()
        self._take(self._clip_factor())
        self._seen = self._a_seen = False

    def _take(self, clip: float) -> None:
        self._clip_sum += clip
        self._summed += 1
        self._last_update, self.updates = self.updates, self.updates + 1
        if self.per_update:
            self._append(self.gradient, self.half_a, self.env_steps)
            self._clip_sum, self._summed = 0.0, 0
        else:
            self._sum += self.gradient
            self._sum_a += self.half_a

    def _clip_factor(self) -> float:
        """By how much what the optimizer steps along is shorter than what `backward` gave."""
        before, after = self._places[self._smallest].norm(), self._smallest.grad
        if after is None or float(before) == 0:  # the smallest tells nothing: take all
            before = self.gradient.norm()
            gradients = [p.grad for p in self._parameters if p.grad is not None]
            return float(torch.nn.utils.get_total_norm(gradients) / before) if float(before) else 1.0
        return float(after.norm() / before)

    def _append(self, gradient: Tensor, half_a: Tensor, env_steps: int, term: str = TOTAL) -> None:
        whole_norm = float(gradient.norm())
        parts = {"A": half_a, "B": gradient - half_a} if self._halved else {"": gradient}
        for half, part in parts.items():
            row = Row(
                part.cpu().numpy(),
                self._last_update,
                env_steps,
                averaged=self._summed,
                term=term,
                half=half,
                lr=self._lr,
                whole_norm=whole_norm,
                clip=self._clip_sum / self._summed,
            )
            self.log.append(row)
