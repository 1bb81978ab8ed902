"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347), with its gradients in two halves.

Environments with an even number are half A and those with an odd number half B, for good. Every minibatch holds as
many samples of each; each half has a forward and a backward pass of its own at the same parameters, so the halves
cost no extra pass, and together they are the minibatch's gradient. On a CPU both halves are computed at once, each on
half of the cores.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ..envs.batched import BatchedEnvironment
from ..envs.cheese_maze import Step
from .blocked import blocked_convolutions, blocks_pay
from .flat_gradients import FlatGradients
from .gradient_log import FIRST_EPOCH
from .networks import ActorCritic, ConvTrunk
from .optimizers import load_optimizer_tensors, optimizer_tensors, under
from .ppo_loss import ppo_loss
from .precision import Precision, resolved_precision
from .recorder import GradientError, GradientRecorder
from .routing import Router
from .side_by_side import Both, side_by_side


@dataclass(frozen=True)
class PPOSettings:
    """Settings of PPO.

    Attributes:
        rollouts: how many rollouts to train for; each is num_envs × num_steps env steps.
        num_envs: environments side by side; even, half of them are half A.
        num_steps: env steps per environment and rollout.
        epochs: passes over each rollout.
        minibatches: updates per epoch.
        learning_rate: Adam's, at the start.
        anneal: whether the learning rate falls linearly to zero over the rollouts.
        gamma: discount.
        gae_lambda: λ of generalised advantage estimation.
        clip_coef: ε of the clipped surrogate objective.
        entropy_coef: weight of the policy's entropy.
        value_coef: weight of the value loss.
        max_grad_norm: gradients are clipped to this norm.
        precision: `bfloat16` runs the network under autocast, weights staying float32; `auto` does so where the
            device has instructions for it, and is `float32` elsewhere.
    """

    rollouts: int = 240
    num_envs: int = 512
    num_steps: int = 32
    epochs: int = 3
    minibatches: int = 8
    learning_rate: float = 1e-3
    anneal: bool = True
    gamma: float = 0.95
    gae_lambda: float = 0.95
    clip_coef: float = 0.2
    entropy_coef: float = 0.01
    value_coef: float = 0.5
    max_grad_norm: float = 0.5
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        for name in ("rollouts", "num_envs", "num_steps", "epochs", "minibatches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 1")
        if self.num_envs % 2:
            raise ValueError(f"num_envs is {self.num_envs}: give an even number, half of them are half A")
        if self.num_envs * self.num_steps % (2 * self.minibatches):
            raise ValueError(
                f"minibatches is {self.minibatches}: num_envs × num_steps = {self.num_envs * self.num_steps} "
                f"transitions do not part into {self.minibatches} minibatches of two equal halves"
            )
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number from 0 to 1")
        for name in ("learning_rate", "clip_coef", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number above 0")
        if self.precision not in ("auto", "bfloat16", "float32"):
            raise ValueError(f"precision is {self.precision!r}: give 'auto', 'bfloat16' or 'float32'")

    def resolved(self, device: str, held: "PPOSettings | None") -> "PPOSettings":
        """The same with `precision` definite: as `held` has it, or as the device does best."""
        if self.precision != "auto":
            return self
        best = resolved_precision("auto", torch.device(device)) if held is None else held.precision
        return replace(self, precision=best)

    def logged_rows(self, record: str) -> int:
        """Rows of the whole gradient that a training logs: one per rollout, or with `update` one per update."""
        return self.rollouts * (self.epochs * self.minibatches if record == "update" else 1)

    @property
    def env_steps_per_rollout(self) -> int:
        """num_envs × num_steps."""
        return self.num_envs * self.num_steps


@dataclass(frozen=True)
class Rollout:
    """Transitions of one collection, (num_steps, num_envs, …)."""

    observations: Tensor  # uint8
    actions: Tensor
    log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor


@dataclass(frozen=True)
class _Samples:
    """Samples of a rollout, any of which are gathered at once; (S, …)."""

    stored: Tensor  # planes, each sample one run of bytes that lies as the network reads it
    by_pixel: bool  # (S, H, W, C) then, otherwise (S, C, H, W)
    actions: Tensor
    log_probs: Tensor
    advantages: Tensor
    returns: Tensor

    def planes(self, chosen: Tensor) -> Tensor:
        """(B, C, H, W) of these."""
        found = self.stored.flatten(1).index_select(0, chosen).view(-1, *self.stored.shape[1:])
        return found.permute(0, 3, 1, 2) if self.by_pixel else found


_Chosen = tuple[Tensor, Tensor]


def generalised_advantages(
    rewards: Tensor, values: Tensor, ended: Tensor, last_values: Tensor, gamma: float, gae_lambda: float
) -> Tensor:
    """Generalised advantage estimation (Schulman et al. 2016, arXiv 1506.02438, equations 11 and 16).

    Args:
        rewards: (T, N); where an episode was truncated, γ V(final observation) is already added.
        values: (T, N), V of the observation acted on.
        ended: (T, N) bool, the episode ended with this transition.
        last_values: (N,), V of the observation after the last transition.
        gamma: discount.
        gae_lambda: λ.

    Returns:
        Advantages (T, N).
    """
    going_on = 1.0 - ended.to(values.dtype)
    next_values = torch.cat([values[1:], last_values[None]])
    deltas = rewards + gamma * next_values * going_on - values
    advantages = torch.empty_like(values)
    running = torch.zeros_like(last_values)
    for t in range(len(rewards) - 1, -1, -1):
        running = deltas[t] + gamma * gae_lambda * going_on[t] * running
        advantages[t] = running
    return advantages


class PPO:
    """One learner on one batched environment.

    Args:
        settings: of PPO.
        network: the actor-critic to train.
        env: where it acts.
        seed: of actions and minibatches.
        router: says which features a sample teaches; None is all.

    Attributes:
        network: the actor-critic being trained.
        optimizer: Adam over it; attach a `GradientRecorder` to both.
        rollouts_done: rollouts collected and learned from so far.
    """

    def __init__(
        self,
        settings: PPOSettings,
        network: ActorCritic,
        env: BatchedEnvironment,
        *,
        seed: int,
        router: Router | None = None,
    ):
        if env.num_envs != settings.num_envs:
            raise ValueError(f"num_envs is {settings.num_envs}, but the environment has {env.num_envs}")
        self.settings, self.env, self.device, self._router = settings, env, env.device, router
        self.network = network.to(self.device).to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
        self.optimizer = torch.optim.Adam(
            network.parameters(), lr=settings.learning_rate, eps=1e-5, fused=True
        )
        self.rollouts_done = 0
        self._quiet_coef = 0.0 if router is None else router.routing.quiet_coef
        self._reduced = resolved_precision(settings.precision, self.device) == "bfloat16"
        self._generator = torch.Generator(self.device).manual_seed(seed)
        # How the network reads planes: pixel by pixel, or plane by plane.
        dtype = torch.bfloat16 if self._reduced else torch.float32
        plain = isinstance(network.trunk, ConvTrunk) and blocks_pay(dtype, self.device)
        self._format = torch.contiguous_format if plain else torch.channels_last

    @property
    def env_steps(self) -> int:
        """Env steps taken so far."""
        return self.rollouts_done * self.settings.env_steps_per_rollout

    def collect(self) -> tuple[Rollout, dict[str, float]]:
        """Act for `num_steps` in every environment; returns the rollout and its metrics."""
        cfg, env = self.settings, self.env
        shape = (cfg.num_steps, cfg.num_envs)
        observations = torch.empty(*shape, *env.observations.shape[1:], dtype=torch.uint8, device=self.device)
        actions = torch.empty(shape, dtype=torch.int64, device=self.device)
        log_probs, values = (torch.empty(shape, device=self.device) for _ in range(2))
        # An action is where a uniform number falls among the cumulated probabilities.
        uniform = torch.rand(*shape, 1, generator=self._generator, device=self.device)
        acting = deepcopy(self.network).bfloat16() if self._reduced else self.network
        steps: list[Step] = []
        # In float32 planes lie as channels_last, as for the updates.
        with torch.no_grad(), blocked_convolutions(self._reduced):
            for t in range(cfg.num_steps):
                observations[t] = env.observations
                logits, values[t] = acting(self._laid_out(observations[t]))
                log_policy = logits.log_softmax(-1)
                actions[t] = (log_policy.exp().cumsum(-1)[:, :-1] <= uniform[t]).sum(-1)
                log_probs[t] = log_policy.gather(1, actions[t][:, None])[:, 0]
                steps.append(env.step(actions[t]))
            last_values = acting(self._laid_out(env.observations))[1]
            rewards = torch.stack([step.rewards for step in steps])
            truncated = torch.stack([step.truncated for step in steps])
            ended = torch.stack([step.terminated for step in steps]) | truncated
            episodes, paid = float(ended.sum()), float(rewards.sum())
            # The time limit is no part of the task: bootstrap the values it cut off. Final observations come in the
            # order of `ended`, time by time.
            cut_off = torch.cat([step.final_observations for step in steps])[truncated[ended]]
            if len(cut_off):
                rewards[truncated] += cfg.gamma * acting(self._laid_out(cut_off))[1]
        advantages = generalised_advantages(rewards, values, ended, last_values, cfg.gamma, cfg.gae_lambda)
        rollout = Rollout(observations, actions, log_probs, values, advantages, advantages + values)
        self.rollouts_done += 1
        return rollout, {"episodes": episodes, "episode_return": paid / max(episodes, 1.0)}

    def learn(
        self, rollout: Rollout, recorder: GradientRecorder | None = None, *, record_terms: bool = False
    ) -> dict[str, float]:
        """Epochs of minibatch updates on one rollout; returns the mean losses.

        Args:
            rollout: what `collect` gave.
            recorder: marks the halves' backward passes for it, and ends its row.
            record_terms: have it also record each loss term alone, on the first minibatch.

        Raises:
            GradientError: a gradient or the parameters are not finite any more.
        """
        cfg = self.settings
        if cfg.anneal:
            progress = (self.rollouts_done - 1) / cfg.rollouts
            self.optimizer.param_groups[0]["lr"] = cfg.learning_rate * (1 - progress)
        if recorder is not None:
            recorder.env_steps = self.env_steps
        metrics: list[dict[str, Tensor]] = []
        gradients = FlatGradients(list(self.network.parameters()), recorder)
        updates = cfg.epochs * cfg.minibatches
        samples = self._samples(rollout)
        with side_by_side(self.device) as both:
            for update, chosen in enumerate(self._minibatches()):
                with_terms = recorder if record_terms and update == 0 else None
                metrics += self._half_gradients(samples, chosen, gradients, both, with_terms)
                factor = gradients.clip(cfg.max_grad_norm)
                self.optimizer.step()
                if recorder is not None:
                    recorder.update(factor)
                if recorder is not None and not recorder.per_update and update == cfg.minibatches - 1:
                    recorder.row_so_far(self.env_steps, FIRST_EPOCH)
        if recorder is not None and not recorder.per_update:
            recorder.end_row(self.env_steps)
        for name, parameter in self.network.named_parameters():
            if not parameter.isfinite().all():
                raise GradientError(
                    f"{name} is not finite after rollout {self.rollouts_done}: training diverged; lower the learning "
                    f"rate (learning_rate is {cfg.learning_rate:g}) or max_grad_norm (it is {cfg.max_grad_norm:g}). "
                    f"What was recorded is kept"
                )
        lr = self.optimizer.param_groups[0]["lr"]
        means = torch.stack([torch.stack(list(part.values())) for part in metrics]).sum(0) / updates
        return dict(zip(metrics[0], means.tolist(), strict=True)) | {"learning_rate": lr}

    def state(self) -> dict[str, Tensor]:
        """All that training changes, as tensors: parameters, Adam's moments, generators, environment."""
        state = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        state |= optimizer_tensors(self.optimizer)
        state |= {f"env.{name}": tensor for name, tensor in self.env.state().items()}
        return state | {
            "generator": self._generator.get_state(),
            "rollouts_done": torch.tensor(self.rollouts_done),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up a state that `state` gave; training goes on as if it had never stopped."""
        self.network.load_state_dict(under("network.", state))
        load_optimizer_tensors(self.optimizer, state)
        self.env.load_state(under("env.", state))
        self._generator.set_state(state["generator"].cpu())
        self.rollouts_done = int(state["rollouts_done"])

    def _half_gradients(
        self,
        samples: _Samples,
        halves: dict[str, _Chosen],
        gradients: FlatGradients,
        both: Both,
        recorder: GradientRecorder | None,
    ) -> list[dict[str, Tensor]]:
        """Each half's part of the minibatch's gradient goes into `gradients`; its part of the metrics is returned.

        With a recorder, which it is not for two threads to write to, one half after the other.
        """
        cfg = self.settings
        advantages = samples.advantages[torch.cat([chosen for chosen, _ in halves.values()])]
        centre, spread = advantages.mean(), advantages.std() + 1e-8

        def of(number: int, half: str) -> dict[str, Tensor]:
            chosen, drawn = halves[half]
            outputs = self._outputs(samples.planes(chosen), drawn)
            logits, values = outputs[:2]
            loss = ppo_loss(
                logits,
                values,
                samples.actions[chosen],
                samples.log_probs[chosen],
                (samples.advantages[chosen] - centre) / spread,
                samples.returns[chosen],
                len(advantages),
                clip_coef=cfg.clip_coef,
                value_coef=cfg.value_coef,
                entropy_coef=cfg.entropy_coef,
            )
            if self._quiet_coef:
                loss = loss.quietened(outputs[2], len(advantages), self._quiet_coef)
            if recorder is not None:
                recorder.record_terms(loss.with_gradients_of_terms(*outputs), self.env_steps, half=half)
            gradients.put(number, outputs, loss.derivative())
            return {f"{term}_loss": value for term, value in loss.terms.items()} | loss.metrics

        calls = [partial(of, number, half) for number, half in enumerate(halves)]
        if recorder is None and len(calls) == 2:
            return list(both(*calls))
        return [call() for call in calls]

    def _samples(self, rollout: Rollout) -> _Samples:
        """What a rollout holds, sample by sample: number t · num_envs + environment."""
        planes = self._laid_out(rollout.observations.flatten(0, 1))
        by_pixel = self._format == torch.channels_last
        rest = (rollout.actions, rollout.log_probs, rollout.advantages, rollout.returns)
        return _Samples(
            planes.permute(0, 2, 3, 1) if by_pixel else planes, by_pixel, *(part.flatten() for part in rest)
        )

    def _minibatches(self) -> Iterator[dict[str, _Chosen]]:
        """Per update: half name → the numbers of its samples, and what the router draws for each."""
        cfg = self.settings
        number = torch.arange(cfg.num_envs * cfg.num_steps, device=self.device).view(
            cfg.num_steps, cfg.num_envs
        )
        members = {"A": number[:, ::2].reshape(-1), "B": number[:, 1::2].reshape(-1)}
        how = {"generator": self._generator, "device": self.device}
        for _ in range(cfg.epochs):
            chunks = {
                half: own[torch.randperm(len(own), **how)].chunk(cfg.minibatches)
                for half, own in members.items()
            }
            for update in range(cfg.minibatches):
                yield {
                    half: (chunk[update], torch.rand(len(chunk[update]) if self._router else 0, **how))
                    for half, chunk in chunks.items()
                }

    def _laid_out(self, observations: Tensor) -> Tensor:
        return observations.contiguous(memory_format=self._format)

    def _outputs(self, observations: Tensor, drawn: Tensor) -> tuple[Tensor, ...]:
        """What is to be differentiated: logits, values, and what untaught features give, where they are kept quiet."""
        # Each weight is cast once: a cache would only be shared between halves that run at once.
        reduced = torch.autocast(self.device.type, torch.bfloat16, enabled=self._reduced, cache_enabled=False)
        with reduced, blocked_convolutions():
            planes, router = self._laid_out(observations), self._router
            if router is None:
                return self.network(planes)
            outputs = self.network.routed(planes, router.taught(observations, drawn), router.routing.hold)
            return outputs if self._quiet_coef else outputs[:2]
