"""Actor-critic networks: planes in, action logits and a value out."""

import math
from functools import partial
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn

from .blocked import convolve, in_blocks
from .linear import Linear, linear

NetworkName = Literal["mlp", "conv", "impala", "residual_mlp"]
NETWORKS: tuple[str, ...] = get_args(NetworkName)
HEADS = frozenset({"actor", "critic"})


class ActorCritic(nn.Module):
    """A trunk of features with an actor head and a critic head.

    `forward(observations (B, C, H, W), any dtype)` gives logits (B, actions) and values (B,), in float32.

    Attributes:
        largest_input: observations are divided by it: 1 for planes, 255 for pixels.
        heads_apart: whether each head is called as a module, as a hook on it needs; otherwise both are one product.
    """

    largest_input = 1
    heads_apart = False

    def __init__(self, trunk: nn.Module, features: int, num_actions: int):
        super().__init__()
        self.trunk = trunk
        self.actor = nn.Linear(features, num_actions)
        self.critic = nn.Linear(features, 1)

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, actions) and values (B,)."""
        features = self._features(observations)
        if self.heads_apart:
            return self.actor(features).float(), self.critic(features).float()[:, 0]
        heads = linear(features, *self._heads()).float()
        return heads[:, :-1], heads[:, -1]

    def routed(
        self, observations: Tensor, taught: Tensor, hold: bool = True
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same answers where features are parted, for every sample, into those it teaches and the rest.

        Args:
            observations: the samples.
            taught: which features each teaches; (B, F) bool.
            hold: whether logits and values have no derivative by the rest.

        Returns:
            Logits, values, and what the rest give to the logits and the value, (B, actions + 1), differentiable.
        """
        features, (weight, bias) = self._features(observations), self._heads()
        untaught = linear(features * ~taught, weight, torch.zeros_like(bias))
        heads = linear(features * taught, weight, bias) + (untaught.detach() if hold else untaught)
        heads = heads.float()
        return heads[:, :-1], heads[:, -1], untaught.float()

    def _features(self, observations: Tensor) -> Tensor:
        device = observations.device.type
        reduced = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if reduced else self.actor.weight.dtype
        x = observations.to(dtype)
        return self.trunk(x if self.largest_input == 1 else x / self.largest_input)

    def _heads(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of both heads in one product: alone, each is too narrow for the cores."""
        return (
            torch.cat([self.actor.weight, self.critic.weight]),
            torch.cat([self.actor.bias, self.critic.bias]),
        )


class FlattenPixels(nn.Module):
    """(B, C, H, W) to (B, H·W·C), pixel by pixel: of planes that lie as channels_last no byte moves."""

    def forward(self, x: Tensor) -> Tensor:
        """The features of every pixel in a row."""
        return x.permute(0, 2, 3, 1).flatten(1)


class ConvTrunk(nn.Sequential):
    """3×3 convolutions with rectifiers, then a layer of features over the pixels."""

    def __init__(self, channels: int, height: int, width: int):
        super().__init__(
            *(nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()),
            *(FlattenPixels(), Linear(16 * height * width, 128), nn.ReLU()),
        )

    def __getitem__(self, idx: slice | int) -> nn.Module:
        """A layer; of a slice the plain chain of its layers."""
        return nn.Sequential(*list(self)[idx]) if isinstance(idx, slice) else super().__getitem__(idx)

    def forward(self, input: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, 128)."""
        if not in_blocks(input):
            return super().forward(input)
        first, _, second, _, _, dense, _ = cast(tuple[Any, ...], tuple(self))
        planes = input.contiguous().to_mkldnn()
        planes = torch.relu(convolve(planes, first))
        planes = torch.relu(convolve(planes, second)).to_dense()
        # Out of their blocks planes lie channel by channel: it is quicker to have the weights lie so, too.
        by_pixel = dense.weight.to(planes.dtype).unflatten(1, (-1, planes.shape[1]))
        return torch.relu(linear(planes.flatten(1), by_pixel.mT.flatten(1), dense.bias))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside the identity (Espeholt et al. 2018, figure 3)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv_1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to the same shape."""
        return x + self.conv_2(torch.relu(self.conv_1(torch.relu(x))))


class ResidualLayer(nn.Module):
    """A ReLU layer beside the identity: x + relu(W x + b)."""

    def __init__(self, width: int):
        super().__init__()
        self.linear = Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) to the same shape."""
        return x + torch.relu(self.linear(x))


def build_network(
    name: NetworkName,
    observation_shape: tuple[int, int, int],
    num_actions: int,
    *,
    seed: int,
    scale: int = 1,
    pixels: bool = False,
) -> ActorCritic:
    """A freshly initialised network.

    `mlp`: 256, 256. `conv`: two 3×3 convolutions of 16 channels and 128 features, 169k parameters on 9×9 planes.
    `residual_mlp`: three layers of 128, the later two beside the identity, 98,693 parameters on 13×13 planes; the
    `relu:3x128` of jaxgmg (github.com/matomatical/jaxgmg). `impala`: the residual network of Espeholt et al. 2018
    (arXiv 1802.01561), 626,256 parameters on 64×64 RGB with 15 actions; `scale` multiplies its channels, 4 gives
    3,653,136. With `pixels` observations are bytes of 0…255, divided by 255. Weights are orthogonal, gain √2, 0.01 on
    the actor and 1 on the critic; biases are zero.

    Raises:
        ValueError: `name` is not one of these, or `scale` is not for it.
    """
    if name not in NETWORKS:
        raise ValueError(f"network is {name!r}: give one of {', '.join(NETWORKS)}")
    if scale < 1 or (scale > 1 and name != "impala"):
        raise ValueError(f"scale is {scale}: give 1, or with network 'impala' a larger number")
    builders = {
        "mlp": _mlp,
        "conv": _conv,
        "impala": partial(_impala, scale=scale),
        "residual_mlp": _residual_mlp,
    }
    with torch.random.fork_rng(devices=[]):  # modules draw a first initialisation from the global generator
        network = builders[name](observation_shape, num_actions)
    network.largest_input = 255 if pixels else 1
    generator = torch.Generator().manual_seed(seed)
    gains: dict[nn.Module, float] = {network.actor: 0.01, network.critic: 1.0}
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(module.weight, gains.get(module, math.sqrt(2)), generator=generator)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return network


def _mlp(shape: tuple[int, int, int], num_actions: int) -> ActorCritic:
    layers = [Linear(math.prod(shape), 256), nn.ReLU(), Linear(256, 256), nn.ReLU()]
    return ActorCritic(nn.Sequential(nn.Flatten(), *layers), 256, num_actions)


def _conv(shape: tuple[int, int, int], num_actions: int) -> ActorCritic:
    return ActorCritic(ConvTrunk(*shape), 128, num_actions)


def _impala(shape: tuple[int, int, int], num_actions: int, scale: int) -> ActorCritic:
    channels, height, width = shape
    layers: list[nn.Module] = []
    for width_out in (16 * scale, 32 * scale, 32 * scale):
        pool = nn.MaxPool2d(3, stride=2, padding=1)
        layers += [nn.Conv2d(channels, width_out, 3, padding=1), pool]
        layers += [ResidualBlock(width_out), ResidualBlock(width_out)]
        channels, height, width = width_out, (height + 1) // 2, (width + 1) // 2
    layers += [nn.ReLU(), FlattenPixels(), Linear(channels * height * width, 256), nn.ReLU()]
    return ActorCritic(nn.Sequential(*layers), 256, num_actions)


def _residual_mlp(shape: tuple[int, int, int], num_actions: int) -> ActorCritic:
    layers = [
        FlattenPixels(),
        Linear(math.prod(shape), 128),
        nn.ReLU(),
        ResidualLayer(128),
        ResidualLayer(128),
    ]
    return ActorCritic(nn.Sequential(*layers), 128, num_actions)
