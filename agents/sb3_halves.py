"""Parts that Stable-Baselines3's PPO takes from its user: our trunk, and minibatches in two halves.

Environments with an even number are half A and those with an odd number half B, for good (see `ppo.py`). The buffer
puts half A's samples first in each minibatch; the policy lets them pass through views of the parameters, so that one
`backward` of Stable-Baselines3's loss leaves the gradient of the whole, and on the views that of half A.
"""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor, nn
from torch.func import functional_call

from .networks import ActorCritic
from .recorder import GradientRecorder

_COLUMNS = ("observations", "actions", "values", "log_probs", "advantages", "returns")
Evaluated = tuple[Tensor, Tensor, Tensor]


class TrunkFeatures(BaseFeaturesExtractor):
    """The trunk of an `ActorCritic`, the module itself and no copy, as a features extractor.

    Args:
        observation_space: planes.
        network: whose trunk it is.
        reduced: whether it runs in bfloat16.
    """

    def __init__(self, observation_space: spaces.Space, network: ActorCritic, reduced: bool):
        super().__init__(observation_space, network.actor.in_features)
        self.trunk, self._reduced = network.trunk, reduced

    def forward(self, observations: Tensor) -> Tensor:
        """Planes (B, C, n, n) float32 to features (B, F) float32."""
        planes = observations.contiguous(memory_format=torch.channels_last)
        with torch.autocast(planes.device.type, torch.bfloat16, enabled=self._reduced):
            return self.trunk(planes).float()


class HalvesPolicy(ActorCriticPolicy):
    """Stable-Baselines3's policy, evaluating the two halves of a minibatch one after the other.

    Attributes:
        recorder: learns which gradient is half A's; None while nothing is recorded.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.recorder: GradientRecorder | None = None
        # In a tuple: a submodule that holds its owner would make every walk over modules endless.
        self._whole = (_Evaluation(self),)

    def evaluate_actions(self, obs: Any, actions: Tensor) -> Evaluated:
        """Values (B, 1), log probabilities (B,) and entropies (B,) of a minibatch, half A in front."""
        middle, whole = len(actions) // 2, self._whole[0]
        views: dict[str, Tensor] = {}
        if self.recorder is not None and torch.is_grad_enabled():
            of_parameter = self.recorder.half_a_views()
            views = {name: of_parameter[parameter] for name, parameter in whole.named_parameters()}
        # No tying: the policy holds its features extractor under three names, and each would be put back in turn.
        half_a = functional_call(whole, views, (obs[:middle], actions[:middle]), tie_weights=False)
        half_b = whole(obs[middle:], actions[middle:])
        values, log_probs, entropies = (torch.cat(pair) for pair in zip(half_a, half_b, strict=True))
        return values, log_probs, entropies

    def evaluate_whole(self, obs: Any, actions: Tensor) -> Evaluated:
        """The same of any samples, as Stable-Baselines3 evaluates them."""
        values, log_probs, entropies = super().evaluate_actions(obs, actions)
        assert entropies is not None  # categorical distributions have one
        return values, log_probs, entropies


class _Evaluation(nn.Module):
    """`evaluate_whole` as a forward pass, which is what `functional_call` calls."""

    def __init__(self, policy: HalvesPolicy):
        super().__init__()
        self.policy = policy

    def forward(self, obs: Tensor, actions: Tensor) -> Evaluated:
        return self.policy.evaluate_whole(obs, actions)


class HalvesRolloutBuffer(RolloutBuffer):
    """A rollout buffer whose minibatches hold as many samples of even as of odd environments, the even ones first.

    Attributes:
        generator: shuffles; Stable-Baselines3's buffer draws from NumPy's global generator.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        self.generator = torch.Generator()
        self._on_first: Callable[[RolloutBufferSamples], None] | None = None
        self._on_epoch: Callable[[], None] | None = None
        super().__init__(*args, **kwargs)

    def watch(self, on_first: Callable[[RolloutBufferSamples], None], on_epoch: Callable[[], None]) -> None:
        """Once: call `on_first` with the next minibatch given out, and `on_epoch` when that epoch is learned from."""
        self._on_first, self._on_epoch = on_first, on_epoch

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """The minibatches of one epoch."""
        samples = self.buffer_size * self.n_envs
        size = samples if batch_size is None else batch_size
        if not self.generator_ready:
            for name in _COLUMNS:
                setattr(self, name, self.swap_and_flatten(getattr(self, name)))
            self.generator_ready = True
        environment = np.arange(samples) // self.buffer_size  # flattened environment by environment
        halves = [self._shuffled(np.flatnonzero(environment % 2 == parity)) for parity in (0, 1)]
        for start in range(0, samples // 2, size // 2):
            minibatch = self._get_samples(
                np.concatenate([half[start : start + size // 2] for half in halves])
            )
            if self._on_first is not None:
                on_first, self._on_first = self._on_first, None
                on_first(minibatch)
            yield minibatch
        if self._on_epoch is not None:
            on_epoch, self._on_epoch = self._on_epoch, None
            on_epoch()

    def _shuffled(self, numbers: np.ndarray) -> np.ndarray:
        return numbers[torch.randperm(len(numbers), generator=self.generator).numpy()]
