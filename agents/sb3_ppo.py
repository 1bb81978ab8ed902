"""Stable-Baselines3's own PPO as a learner of runs, its gradients in two halves; needs the extra `goalcut[sb3]`.

Its rollouts, losses and updates are those of `stable_baselines3.PPO`, whose code is neither changed nor overridden:
what is ours goes in where Stable-Baselines3 lets users put their own (`sb3_halves.py`): the network, the environment,
and a rollout buffer whose minibatches hold as many samples of even as of odd environments, as ours do.

It differs from `ppo.py` in this: the heads run in float32 also where the trunk runs in bfloat16; actions and
minibatches come from other random streams; and Adam is not fused.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor
from torch.optim import Optimizer

from ..envs.cheese_maze import CheeseMaze
from ..envs.sb3_vec_env import MazeVecEnv
from .gradient_log import FIRST_EPOCH
from .networks import ActorCritic
from .optimizers import load_optimizer_tensors, optimizer_tensors, under
from .parameters import flat_parameters, set_parameters
from .ppo import PPOSettings
from .precision import resolved_precision
from .recorder import GradientError, GradientRecorder
from .sb3_halves import HalvesPolicy, HalvesRolloutBuffer, TrunkFeatures


class StableBaselines3PPO:
    """Stable-Baselines3's PPO on one batched environment, with the interface of our `PPO`.

    Attributes:
        model: the `stable_baselines3.PPO`.
        network: the actor-critic being trained; its parameters are the policy's own, by our names.
        optimizer: the policy's Adam; attach a `GradientRecorder` to both.
        rollouts_done: rollouts collected and learned from so far.
    """

    def __init__(self, settings: PPOSettings, network: ActorCritic, env: CheeseMaze, *, seed: int):
        if env.num_envs != settings.num_envs:
            raise ValueError(f"num_envs is {settings.num_envs}, but the environment has {env.num_envs}")
        self.settings, self.env, self.device, self.rollouts_done = settings, env, env.device, 0
        theta_0 = flat_parameters(network)
        self.network = network.to(self.device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        reduced = resolved_precision(settings.precision, self.device) == "bfloat16"
        with torch.random.fork_rng(devices=[]):  # the policy's first initialisation, which is not kept
            self.model = PPO(
                HalvesPolicy,
                MazeVecEnv(env),
                learning_rate=lambda _: self._learning_rate,
                n_steps=settings.num_steps,
                batch_size=settings.env_steps_per_rollout // settings.minibatches,
                n_epochs=settings.epochs,
                gamma=settings.gamma,
                gae_lambda=settings.gae_lambda,
                clip_range=settings.clip_coef,
                ent_coef=settings.entropy_coef,
                vf_coef=0.5 * settings.value_coef,  # ours weighs half the squared error
                max_grad_norm=settings.max_grad_norm,
                rollout_buffer_class=HalvesRolloutBuffer,
                policy_kwargs={
                    "net_arch": [],
                    "ortho_init": False,
                    "features_extractor_class": TrunkFeatures,
                    "features_extractor_kwargs": {"network": network, "reduced": reduced},
                },
                device=self.device,
            )
        policy, buffer = self.model.policy, self.model.rollout_buffer
        assert isinstance(policy, HalvesPolicy)
        assert isinstance(buffer, HalvesRolloutBuffer)
        self._policy, self._buffer = policy, buffer
        network.actor, network.critic = policy.action_net, policy.value_net  # pyright: ignore[reportAttributeAccessIssue]
        set_parameters(network, theta_0.to(self.device))
        self.optimizer: Optimizer = policy.optimizer
        actions, minibatches = (int(word) for word in np.random.SeedSequence(seed).generate_state(2))
        self._random_state = torch.Generator(self.device).manual_seed(actions).get_state()
        buffer.generator.manual_seed(minibatches)
        self.model.set_logger(Logger(folder=None, output_formats=[]))
        self._counts = _Counts()
        # `stable_baselines3.PPO.learn` begins with this, and then takes turns of `collect` and `learn` below.
        total = settings.rollouts * settings.env_steps_per_rollout
        self._callback = self.model._setup_learn(total, self._counts)[1]

    @property
    def env_steps(self) -> int:
        """Env steps taken so far."""
        return self.rollouts_done * self.settings.env_steps_per_rollout

    @property
    def _learning_rate(self) -> float:
        cfg = self.settings
        return cfg.learning_rate * (1 - max(self.rollouts_done - 1, 0) / cfg.rollouts * cfg.anneal)

    def collect(self) -> tuple[None, dict[str, float]]:
        """Act for `num_steps` in every environment; returns metrics, the rollout is in the model's buffer."""
        assert self.model.env is not None
        self._counts.paid = self._counts.episodes = 0.0
        with self._random_stream(), self._told_of_divergence():
            self.model.collect_rollouts(
                self.model.env, self._callback, self._buffer, n_rollout_steps=self.settings.num_steps
            )
        self.rollouts_done += 1
        paid, episodes = self._counts.paid, self._counts.episodes
        return None, {"episodes": episodes, "episode_return": paid / max(episodes, 1.0)}

    def learn(
        self, rollout: None, recorder: GradientRecorder | None = None, *, record_terms: bool = False
    ) -> dict[str, float]:
        """`stable_baselines3.PPO.train` on the rollout just collected; returns the mean losses.

        Args:
            rollout: nothing, as `collect` gave.
            recorder: is told which half of each minibatch is which, and its rows are ended.
            record_terms: have it also record each loss term alone, on the first minibatch.

        Raises:
            GradientError: a gradient or the parameters are not finite any more.
        """
        model = self.model
        if recorder is not None:
            recorder.env_steps = self.env_steps

        def first_minibatch(samples: RolloutBufferSamples) -> None:
            if recorder is not None and record_terms:
                self._record_terms(recorder, samples)

        def first_epoch_done() -> None:
            if recorder is not None and not recorder.per_update:
                recorder.row_so_far(self.env_steps, FIRST_EPOCH)

        self._buffer.watch(first_minibatch, first_epoch_done)
        self._policy.recorder = recorder
        try:
            model._update_current_progress_remaining(model.num_timesteps, model._total_timesteps)
            with self._told_of_divergence():
                model.train()
        finally:
            self._policy.recorder = None
        if recorder is not None and not recorder.per_update:
            recorder.end_row(self.env_steps)
        for name, parameter in self.network.named_parameters():
            if not parameter.isfinite().all():
                raise self._diverged(name)
        said = {name: float(value) for name, value in model.logger.name_to_value.items()}
        model.logger.dump()
        return {
            "policy_loss": said["train/policy_gradient_loss"],
            "value_loss": model.vf_coef * said["train/value_loss"],
            "entropy_loss": model.ent_coef * said["train/entropy_loss"],
            "entropy": -said["train/entropy_loss"],
            "clipped_share": said["train/clip_fraction"],
            "approx_kl": said["train/approx_kl"],  # of the last epoch alone
            "learning_rate": said["train/learning_rate"],
        }

    def state(self) -> dict[str, Tensor]:
        """All that training changes, as tensors: parameters, Adam's moments, random streams, environment."""
        state = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        state |= optimizer_tensors(self.optimizer)
        state |= {f"env.{name}": tensor for name, tensor in self.env.state().items()}
        starts = self.model._last_episode_starts
        assert starts is not None
        return state | {
            "actions_generator": self._random_state,
            "minibatch_generator": self._buffer.generator.get_state(),
            "episode_starts": torch.from_numpy(starts.copy()),
            "rollouts_done": torch.tensor(self.rollouts_done),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up a state that `state` gave; training goes on as if it had never stopped."""
        self.network.load_state_dict(under("network.", state))
        load_optimizer_tensors(self.optimizer, state)
        self.env.load_state(under("env.", state))
        self._random_state = state["actions_generator"].cpu()
        self._buffer.generator.set_state(state["minibatch_generator"].cpu())
        self.rollouts_done = int(state["rollouts_done"])
        model = self.model
        model._last_obs = self.env.observations.cpu().numpy().astype(np.int8)
        model._last_episode_starts = state["episode_starts"].cpu().numpy()
        model.num_timesteps = self.env_steps
        model._n_updates = self.rollouts_done * self.settings.epochs

    def _record_terms(self, recorder: GradientRecorder, samples: RolloutBufferSamples) -> None:
        """Each loss term's gradient of a minibatch, by the formulas of `stable_baselines3.PPO.train`."""
        model, size = self.model, len(samples.actions)
        advantages = (samples.advantages - samples.advantages.mean()) / (samples.advantages.std() + 1e-8)
        epsilon = self.settings.clip_coef
        for half, part in (("A", slice(None, size // 2)), ("B", slice(size // 2, None))):
            values, log_probs, entropy = self._policy.evaluate_whole(
                samples.observations[part], samples.actions[part].long().flatten()
            )
            ratio = (log_probs - samples.old_log_prob[part]).exp()
            surrogate = torch.minimum(
                advantages[part] * ratio, advantages[part] * ratio.clamp(1 - epsilon, 1 + epsilon)
            )
            terms = {
                "policy": -surrogate.sum() / size,
                "value": model.vf_coef * (samples.returns[part] - values.flatten()).square().sum() / size,
                "entropy": -model.ent_coef * entropy.sum() / size,
            }
            recorder.record_terms(terms, self.env_steps, half=half)

    def _diverged(self, what: str) -> GradientError:
        return GradientError(
            f"{what} is not finite after rollout {self.rollouts_done}: training diverged; lower the learning rate "
            f"(learning_rate is {self.settings.learning_rate:g}) or max_grad_norm "
            f"(it is {self.settings.max_grad_norm:g}). What was recorded is kept"
        )

    @contextmanager
    def _told_of_divergence(self) -> Iterator[None]:
        """Where logits are not finite, torch's distributions raise a ValueError that prints them all."""
        try:
            yield
        except ValueError as error:
            if "found invalid values" not in str(error):
                raise
            raise self._diverged("what the policy says") from error

    @contextmanager
    def _random_stream(self) -> Iterator[None]:
        """Lend torch's global generator, from which Stable-Baselines3 draws actions, this learner's state."""
        on_gpu = self.device.type == "cuda"
        with torch.random.fork_rng(devices=[self.device] if on_gpu else []):
            if on_gpu:
                torch.cuda.set_rng_state(self._random_state, self.device)
            else:
                torch.set_rng_state(self._random_state)
            yield
            self._random_state = torch.cuda.get_rng_state(self.device) if on_gpu else torch.get_rng_state()


class _Counts(BaseCallback):
    """Rewards and ended episodes of a rollout."""

    paid = episodes = 0.0

    def _on_step(self) -> bool:
        # Before Stable-Baselines3 adds bootstrapped values to the rewards.
        self.paid += float(self.locals["rewards"].sum())
        self.episodes += float(self.locals["dones"].sum())
        return True
