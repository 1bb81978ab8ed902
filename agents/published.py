"""Agents of the published Procgen training code, taken over and given back: weights only.

The code is train-procgen-pytorch (github.com/joonleesky/train-procgen-pytorch, `common/model.py` and `policy.py`),
on which Langosco et al. 2022 (arXiv 2105.14111) and Turner et al. 2023 (arXiv 2310.08043) trained. Its network is
goalcut's `impala` under other names; it flattens features channel by channel where goalcut does so pixel by pixel,
so the columns of one matrix change their order.
"""

import pickle
from pathlib import Path

import torch
from torch import Tensor

from .files import RunFileError
from .networks import ActorCritic, build_network

_BLOCKS, _LAYERS_PER_BLOCK = 3, 4
# After three poolings of 64×64 pixels.
_SIDE = 8
_FEATURES = "trunk.14.weight"


def _published_names() -> dict[str, str]:
    modules = {"trunk.14": "embedder.fc", "actor": "fc_policy", "critic": "fc_value"}
    for block in range(_BLOCKS):
        first, theirs = block * _LAYERS_PER_BLOCK, f"embedder.block{block + 1}"
        modules[f"trunk.{first}"] = f"{theirs}.conv"
        for number in (1, 2):
            for conv in (1, 2):
                modules[f"trunk.{first + 1 + number}.conv_{conv}"] = f"{theirs}.res{number}.conv{conv}"
    return {f"{a}.{part}": f"{b}.{part}" for a, b in modules.items() for part in ("weight", "bias")}


# Parameter of goalcut's `impala` → its name in the published code.
PUBLISHED_NAMES = _published_names()


def load_published(path: Path) -> ActorCritic:
    """The network of a checkpoint of the published code (`model_*.pth`), a state dict or one under model_state_dict.

    Nothing in the file is executed: torch reads it with `weights_only`.

    Raises:
        RunFileError: it is missing or damaged, holds more than weights, or another network.
    """
    path = Path(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise RunFileError(f"{path} is missing") from None
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RunFileError(
            f"{path} is no file of weights alone, or damaged ({first}); it was not loaded"
        ) from None
    state = content.get("model_state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise RunFileError(f"{path} holds {type(content).__name__}, not a state dict of the published code")
    try:
        return from_published(state)
    except ValueError as error:
        raise RunFileError(f"{path}: {error}") from None


def from_published(state: dict[str, Tensor]) -> ActorCritic:
    """The network of a state dict with the published names; its scale and actions follow from the shapes.

    Raises:
        ValueError: a name is missing or too many, or a shape is not that of the network; it is named.
    """
    wanted = set(PUBLISHED_NAMES.values())
    for names, what in ((wanted - set(state), "lacks"), (set(state) - wanted, "has, unknown here,")):
        if names:
            raise ValueError(
                f"the state dict {what} {min(names)}: it is not of the published residual network (embedder.block1, "
                f"…, fc_policy, fc_value)"
            )
    strange = [
        name for name in sorted(wanted) if not isinstance(state[name], Tensor) or state[name].ndim == 0
    ]
    if strange:
        raise ValueError(f"{strange[0]} is no array of weights")
    channels, actions = len(state["embedder.block1.conv.weight"]), len(state["fc_policy.weight"])
    if channels < 16 or channels % 16:
        raise ValueError(f"embedder.block1.conv has {channels} channels: the published ones have 16 × scale")
    network = build_network("impala", (3, 64, 64), actions, seed=0, scale=channels // 16, pixels=True)
    values = {}
    for name, parameter in network.named_parameters():
        given = state[PUBLISHED_NAMES[name]]
        if given.shape != parameter.shape:
            raise ValueError(
                f"{PUBLISHED_NAMES[name]} is {tuple(given.shape)}, at scale {channels // 16} it is "
                f"{tuple(parameter.shape)}"
            )
        if not given.isfinite().all():
            raise ValueError(f"{PUBLISHED_NAMES[name]} is not finite")
        if name == _FEATURES:
            given = given.view(len(given), -1, _SIDE, _SIDE).permute(0, 2, 3, 1).flatten(1)
        values[name] = given.to(parameter.dtype)
    network.load_state_dict(values)
    return network


def to_published(network: ActorCritic) -> dict[str, Tensor]:
    """The state dict under the published names, copies, as the published code loads it.

    Raises:
        ValueError: the network is no `impala` on 64×64 pixels.
    """
    state = network.state_dict()
    if set(state) != set(PUBLISHED_NAMES) or state[_FEATURES].shape[1] % _SIDE**2:
        raise ValueError("only the network 'impala' on 64×64 pixels has a published counterpart")
    values = {PUBLISHED_NAMES[name]: tensor.contiguous().clone() for name, tensor in state.items()}
    features = state[_FEATURES]
    by_pixel = features.view(len(features), _SIDE, _SIDE, -1)
    values[PUBLISHED_NAMES[_FEATURES]] = by_pixel.permute(0, 3, 1, 2).flatten(1)
    return values
