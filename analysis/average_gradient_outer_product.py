"""Average gradient outer product of a layer's inputs: M = E[∇_h f ∇_h fᵀ] (Radhakrishnan et al., arXiv 2212.13881).

A layer z = W h passes gradients back as ∇_h f = Wᵀ ∇_z f. Hence M = Wᵀ N W with N = E[∇_z f ∇_z fᵀ], (m, m), which is
all that is kept here, in float64, with the mean n = E[∇_z f] for the centred N − n nᵀ. A function with several outputs
has one N_j per output; their sum is that of the whole Jacobian, E[Jᵀ J]. A convolution is the same linear map at every
position, from a patch of its input to its output channels: averages then run over inputs and positions
(Beaglehole et al., arXiv 2309.00570).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .subject import Subject
from .subject_checks import check_finite, check_still, forward

Functions = Mapping[str, Callable[[Any, Mapping[str, Tensor]], Tensor]]
"""Name → f: what the network gives and the targets of these inputs to (N, J), each row of its own input alone."""

LARGEST_INPUT = 4096
"""Second moments of a layer's inputs are taken up to this width: 128 MiB in float64."""


@dataclass(frozen=True, eq=False)
class LayerMoments:
    """Moments of one linear map's gradients and inputs; all arrays float64.

    Attributes:
        weight: W, (m, d); a convolution's as (channels, patch).
        initial: the same before training.
        second: name of f → N_j, (J, m, m).
        mean: name of f → n_j, (J, m).
        channels: name of f → average gradient outer product of the input's channels, summed over outputs, (C, C), of
            a convolution; empty for others.
        input_second: E[h hᵀ], (d, d); None where d is above `LARGEST_INPUT`.
        input_mean: E[h], (d,).
        inputs: how many.
        positions: of each input; 1 but for convolutions.
        fed_by: the module whose output is h; None where none is, as at the network's input.
    """

    weight: np.ndarray
    initial: np.ndarray
    second: Mapping[str, np.ndarray]
    mean: Mapping[str, np.ndarray]
    channels: Mapping[str, np.ndarray]
    input_second: np.ndarray | None
    input_mean: np.ndarray
    inputs: int
    positions: int
    fed_by: str | None

    def gradient_moment(self, f: str, output: int | None = None, *, centred: bool = False) -> np.ndarray:
        """N of one output, or summed over all, (m, m)."""
        N, n = self.second[f], self.mean[f]
        if output is not None:
            N, n = N[output : output + 1], n[output : output + 1]
        return N.sum(0) - n.T @ n if centred else N.sum(0)


def layer_moments(
    subject: Subject,
    layers: Sequence[str],
    functions: Functions,
    *,
    batch_size: int = 256,
    on_step: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, LayerMoments]:
    """Moments of these layers: one forward pass per batch, one backward pass per output of each function.

    Args:
        subject: network in evaluation mode and inputs, on any device.
        layers: names of modules, `nn.Linear` or `nn.Conv2d`.
        functions: what gradients are of.
        batch_size: inputs at a time.
        on_step: called with the inputs done and all of them.

    Raises:
        ValueError: a layer does not exist, is of another kind or is not called once, the network refuses the inputs,
            or something is not finite.
    """
    check_still(subject.network)
    modules = {name: _supported(name, subject.layer(name)) for name in layers}
    sums = {name: _Sums(module) for name, module in modules.items()}
    fed_by = _fed_by(subject, modules)
    done = 0
    for batch in subject.batches(batch_size):
        seen = _Seen(modules)
        inputs = batch.inputs.detach().clone()
        with seen, torch.enable_grad():
            given = forward(replace(batch, inputs=inputs.requires_grad_()))
            for name in modules:
                seen.called_once(name)
            for name, (h, z) in seen.of.items():
                check_finite(f"activations of layer {name!r}", z)
                sums[name].add_inputs(h.detach())
            values = {name: f(given, batch.targets) for name, f in functions.items()}
        for f, of in values.items():
            for output in range(of.shape[1]):
                gradients = torch.autograd.grad(
                    of[:, output].sum(),
                    [z for _, z in seen.of.values()],
                    retain_graph=True,
                    allow_unused=True,
                )
                for (name, (h, z)), g in zip(seen.of.items(), gradients, strict=True):
                    g = torch.zeros_like(z) if g is None else g
                    check_finite(f"the gradient of {f!r} at layer {name!r}", g)
                    sums[name].add_gradient(f, output, of.shape[1], h, z, g)
        done += len(batch)
        on_step(done, len(subject))
    return {
        name: sums[name].moments(
            _flat_weight(modules[name]), _flat_weight(_initial(subject, name)), fed_by[name]
        )
        for name in layers
    }


def _supported(name: str, module: nn.Module) -> nn.Linear | nn.Conv2d:
    if not isinstance(module, nn.Linear | nn.Conv2d):
        raise ValueError(f"layer {name!r} is a {type(module).__name__}: give one that is Linear or Conv2d")
    if isinstance(module, nn.Conv2d) and module.groups != 1:
        raise ValueError(f"layer {name!r} has {module.groups} groups: give a convolution of one group")
    return module


def _initial(subject: Subject, name: str) -> nn.Linear | nn.Conv2d:
    modules = dict(subject.untrained.named_modules())
    if name not in modules:
        raise ValueError(
            f"layer is {name!r}: the untrained network has none of this name, give the same architecture"
        )
    return _supported(name, modules[name])


def _flat_weight(module: nn.Linear | nn.Conv2d) -> np.ndarray:
    return module.weight.detach().flatten(1).double().cpu().numpy()


def _fed_by(subject: Subject, modules: Mapping[str, nn.Module]) -> dict[str, str | None]:
    """The module whose output each layer takes as it is."""
    outputs: dict[int, tuple[str, Tensor]] = {}
    found: dict[str, str | None] = {}

    def entering(layer: str, _: nn.Module, args: tuple[Tensor, ...]) -> None:
        name, tensor = outputs.get(id(args[0]), (None, None))
        found[layer] = name if tensor is args[0] else None

    def leaving(name: str, module: nn.Module, _: object, output: object) -> None:
        # The innermost module that gives a tensor comes first; one that works in place gives it anew.
        if isinstance(output, Tensor) and (id(output) not in outputs or not any(module.children())):
            outputs[id(output)] = (name, output)

    hooks = [module.register_forward_pre_hook(partial(entering, name)) for name, module in modules.items()]
    hooks += [
        module.register_forward_hook(partial(leaving, name))
        for name, module in subject.network.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            forward(subject.of(slice(0, 2)))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: found.get(name) for name in modules}


class _Seen:
    """Inputs and outputs of layers in one forward pass, in the graph."""

    def __init__(self, modules: Mapping[str, nn.Module]):
        self.of: dict[str, tuple[Tensor, Tensor]] = {}
        self._modules, self._calls, self._hooks = modules, dict.fromkeys(modules, 0), []

    def __enter__(self) -> "_Seen":
        for name, module in self._modules.items():
            self._hooks.append(module.register_forward_hook(partial(self._keep, name)))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _keep(self, name: str, _: nn.Module, args: tuple[Tensor, ...], z: Tensor) -> Tensor:
        self._calls[name] += 1
        self.of[name] = (args[0], z)
        return z.clone()  # what follows may work in place

    def called_once(self, name: str) -> None:
        if self._calls[name] != 1:
            raise ValueError(
                f"layer {name!r} is called {self._calls[name]} times in a forward pass: give one that is called once"
            )


class _Sums:
    """Sums of one layer over the batches."""

    def __init__(self, module: nn.Linear | nn.Conv2d):
        self.module, self.rows, self.inputs = module, 0, 0
        self.second: dict[str, Tensor] = {}
        self.mean: dict[str, Tensor] = {}
        self.channels: dict[str, Tensor] = {}
        self.channel_rows = 0
        self.input_second: Tensor | None = None
        self.input_mean: Tensor | None = None

    def add_inputs(self, h: Tensor) -> None:
        rows = self._patches(h)
        self.inputs += len(h)
        self.rows += len(rows)
        if isinstance(self.module, nn.Conv2d):
            self.channel_rows += h[:, 0].numel()
        total = rows.sum(0, dtype=torch.float64)
        self.input_mean = total if self.input_mean is None else self.input_mean + total
        if rows.shape[1] <= LARGEST_INPUT:
            product = (rows.T @ rows).double()
            self.input_second = product if self.input_second is None else self.input_second + product

    def add_gradient(self, f: str, output: int, outputs: int, h: Tensor, z: Tensor, g: Tensor) -> None:
        rows = g.transpose(0, 1).flatten(1).T if self._convolves else g.reshape(-1, g.shape[-1])
        m = rows.shape[1]
        if f not in self.second:
            self.second[f] = torch.zeros(outputs, m, m, dtype=torch.float64, device=g.device)
            self.mean[f] = torch.zeros(outputs, m, dtype=torch.float64, device=g.device)
        # Gradients of a loss near its minimum are tiny: their squares need the wider range.
        rows = rows.double()
        self.second[f][output] += rows.T @ rows
        self.mean[f][output] += rows.sum(0)
        if self._convolves:
            [back] = torch.autograd.grad(z, h, g, retain_graph=True)  # through this layer alone
            at = back.transpose(0, 1).flatten(1).double()
            self.channels[f] = self.channels.get(f, torch.zeros((), device=g.device)) + at @ at.T

    def moments(self, weight: np.ndarray, initial: np.ndarray, fed_by: str | None) -> LayerMoments:
        if initial.shape != weight.shape:
            raise ValueError(
                f"the untrained network's weight is {initial.shape}, the trained one's {weight.shape}: give the same "
                "architecture"
            )
        assert self.input_mean is not None

        def array(total: Tensor, rows: int) -> np.ndarray:
            return (total / rows).cpu().numpy()

        return LayerMoments(
            weight=weight,
            initial=initial,
            second={f: array(total, self.rows) for f, total in self.second.items()},
            mean={f: array(total, self.rows) for f, total in self.mean.items()},
            channels={f: array(total, self.channel_rows) for f, total in self.channels.items()},
            input_second=None if self.input_second is None else array(self.input_second, self.rows),
            input_mean=array(self.input_mean, self.rows),
            inputs=self.inputs,
            positions=self.rows // self.inputs,
            fed_by=fed_by,
        )

    @property
    def _convolves(self) -> bool:
        return isinstance(self.module, nn.Conv2d)

    def _patches(self, h: Tensor) -> Tensor:
        """What W multiplies, (rows, d)."""
        if not isinstance(self.module, nn.Conv2d):
            return h.reshape(-1, h.shape[-1])
        conv = self.module
        mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
        padded = nn.functional.pad(h, conv._reversed_padding_repeated_twice, mode=mode)
        patches = nn.functional.unfold(padded, conv.kernel_size, dilation=conv.dilation, stride=conv.stride)
        return patches.transpose(0, 1).flatten(1).T
