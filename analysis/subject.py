"""What a lens looks at: a network, trained and untrained, and the inputs that it is looked at through.

Lenses that need no gradient log know nothing of mazes or digits: they take a subject.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..agents.digit_run import DigitRun
from ..agents.open_run import AnyRun
from ..agents.procgen_behaviour import ProcgenGraph
from ..agents.procgen_run import ProcgenRun
from ..agents.rollout_run import RolloutRun
from ..agents.run import Run
from ..envs.digits import load_digits
from ..envs.generator import make_levels
from ..envs.levels import ABSENT, MOVES
from ..envs.procgen_frames import level_states
from ..envs.state_graph import StateGraph
from ..envs.world import TRAINING

Targets = Mapping[str, Tensor]
_STATES_PER_LEVEL = 8
# Inputs of one forward pass; pictures take the most memory on their way through the network.
_FORWARD_BATCH = 2048


@dataclass(frozen=True, eq=False)
class Subject:
    """A network and data.

    Attributes:
        kind: `maze`, `procgen` or `digits`, or what else it is.
        network: trained, in evaluation mode, asking for no gradient.
        untrained: the same at its initial parameters.
        inputs: (N, …) float32.
        targets: name → (N, …), what `loss` compares outputs with.
        outputs: name of an output → how to take it from what the network gives, (N, m): `logits`, `value`.
        loss: what the network gives, and the targets of these inputs, to the loss of each input (N,).
        labels: name → (N,) int64, what an input shows, for asking which features tell it apart; −1 where it is not
            told.
        source: where inputs come from, JSON-able.
    """

    kind: str
    network: nn.Module
    untrained: nn.Module
    inputs: Tensor
    targets: Targets
    outputs: Mapping[str, Callable[[Any], Tensor]]
    loss: Callable[[Any, Targets], Tensor]
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def layers(self) -> dict[str, nn.Module]:
        """The modules with parameters of their own that a forward pass calls, by name, in the order of the calls."""
        called: dict[str, nn.Module] = {}

        def calling(name: str) -> Callable[..., None]:
            def hook(module: nn.Module, *_: object) -> None:
                called.setdefault(name, module)

            return hook

        hooks = [
            module.register_forward_hook(calling(name))
            for name, module in self.network.named_modules()
            if any(True for _ in module.parameters(recurse=False))
        ]
        try:
            with torch.no_grad():
                self.network(self.inputs[:1])
        finally:
            for hook in hooks:
                hook.remove()
        return called

    def layer(self, name: str) -> nn.Module:
        """A module of the network.

        Raises:
            ValueError: there is none of this name.
        """
        modules = dict(self.network.named_modules())
        if name not in modules or not name:
            known = ", ".join(module for module in modules if module)
            raise ValueError(f"layer is {name!r}: the network has {known}")
        return modules[name]

    def batches(self, size: int) -> Iterator["Subject"]:
        """The same with so many inputs at a time."""
        for start in range(0, len(self), size):
            yield self.of(slice(start, start + size))

    def of(self, which: slice | Tensor) -> "Subject":
        """The same with some of the inputs."""
        return replace(
            self,
            inputs=self.inputs[which],
            targets={name: values[which] for name, values in self.targets.items()},
            labels={name: values[which] for name, values in self.labels.items()},
        )

    def at(self, network: nn.Module) -> "Subject":
        """The same data with other parameters, those of another training time or of a control."""
        return replace(self, network=_still(network))


def subject_of(
    run: AnyRun, *, inputs: int = 2000, seed: int = 0, time: int | None = None, device: str = "cpu"
) -> Subject:
    """A run's network after so many rollouts or updates, and inputs as it was trained on, drawn at random.

    Args:
        run: a trained run.
        inputs: how many; fewer where there are no more.
        seed: of the draw, and of the levels of a maze.
        time: rollouts or updates; None is the end of training.
        device: where network and inputs lie.

    Raises:
        ProcgenMissingError: the run is in Procgen's maze, and Procgen is not installed.
        ValueError: `inputs` is below 2.
    """
    if inputs < 2:
        raise ValueError(f"inputs is {inputs}: give at least 2")
    if isinstance(run, DigitRun):
        made = _of_digits(run, inputs, seed, time)
    elif isinstance(run, ProcgenRun):
        made = _of_procgen(run, inputs, seed, time)
    else:
        made = _of_mazes(run, inputs, seed, time)
    return replace(
        made,
        network=made.network.to(device),
        untrained=made.untrained.to(device),
        inputs=made.inputs.to(device),
        targets={name: values.to(device) for name, values in made.targets.items()},
        labels={name: values.to(device) for name, values in made.labels.items()},
    )


def _of_digits(run: DigitRun, inputs: int, seed: int, time: int | None) -> Subject:
    digits = load_digits("train", run.settings.data_dir)
    generator = torch.Generator().manual_seed(seed)
    digits = digits.subset(torch.randperm(len(digits), generator=generator)[:inputs])
    labels = digits.labels.long()
    return Subject(
        kind="digits",
        network=_still(run.network(time)),
        untrained=_still(run.network(0)),
        inputs=digits.inputs(),
        targets={"label": labels},
        outputs={"logits": lambda given: given},
        loss=lambda given, targets: functional.cross_entropy(given, targets["label"], reduction="none"),
        labels={"digit": labels},
        source={"data": "training digits", "inputs": len(labels), "seed": seed},
    )


def _of_mazes(run: Run, inputs: int, seed: int, time: int | None) -> Subject:
    world, levels_wanted = run.settings.world, -(-inputs // _STATES_PER_LEVEL)
    levels = make_levels(world, levels_wanted, seed=seed, split="train", distribution=TRAINING)
    graph = StateGraph(levels)
    planes = torch.cat(list(graph.observations(8192)))
    chosen = _acted(graph, inputs, seed)
    corner = np.full(len(levels), world.size - 1)
    return _of_agent(run, planes[chosen], time, _maze_labels(graph, chosen, corner), seed, levels_wanted)


def _of_procgen(run: ProcgenRun, inputs: int, seed: int, time: int | None) -> Subject:
    settings, seeds = run.settings, run.settings.seeds("train")
    levels_wanted = min(-(-inputs // _STATES_PER_LEVEL), len(seeds))
    drawn = np.random.default_rng(seed).choice(len(seeds), levels_wanted, replace=False)
    states = level_states(
        seeds.start + np.sort(drawn),
        mode=settings.mode,
        cheese=settings.cheese,
        corner_size=settings.corner_size,
    )
    graph = ProcgenGraph(states, settings.corner_size)
    chosen = _acted(graph, inputs, seed)
    corner = np.array([(state.margin + 1) * state.size - state.margin - 1 for state in states])
    width = graph.real.shape[1]
    labels = _maze_labels(graph, chosen, corner) | {"gaze": chosen % width // (width // 2)}
    return _of_agent(run, graph.frames_of(chosen), time, labels, seed, levels_wanted)


def _acted(graph: StateGraph, inputs: int, seed: int) -> Tensor:
    """Some of the states where an agent acts, reachable and no episode over, numbered through all levels."""
    acted = torch.nonzero((graph.real & ~graph.over).view(-1))[:, 0]
    generator = torch.Generator().manual_seed(seed)
    return acted[torch.randperm(len(acted), generator=generator)[:inputs]].sort().values


def _of_agent(
    run: RolloutRun, seen: Tensor, time: int | None, labels: dict[str, Tensor], seed: int, levels: int
) -> Subject:
    inputs, network = seen.float(), _still(run.network(time))
    with torch.no_grad():
        given = [network(some) for some in inputs.split(_FORWARD_BATCH)]
        logits, values = (torch.cat(parts) for parts in zip(*given, strict=True))
    return Subject(
        kind=run.kind,
        network=network,
        untrained=_still(run.network(0)),
        inputs=inputs,
        targets={"policy": logits.softmax(-1), "value": values},
        outputs={"logits": lambda given: given[0], "value": lambda given: given[1][:, None]},
        loss=_imitation,
        labels=labels,
        source={"data": "states of training levels", "inputs": len(inputs), "seed": seed, "levels": levels},
    )


def _imitation(given: tuple[Tensor, Tensor], targets: Targets) -> Tensor:
    """KL(π_trained ‖ π) + ½ (V − V_trained)²: zero at the trained network, its Hessian there Fisher + Jᵀ_V J_V."""
    logits, values = given
    policy = targets["policy"]
    kl = (policy * (policy.clamp_min(1e-30).log() - logits.log_softmax(-1))).sum(-1)
    return kl + 0.5 * (values - targets["value"]) ** 2


def _maze_labels(graph: StateGraph, chosen: Tensor, corner: np.ndarray) -> dict[str, Tensor]:
    """Which walls are around the mouse (bits), and in which direction each thing and the corner lie from it.

    A direction is 3 (1 + sign of the rows down) + 1 + sign of the columns right: 4 is the mouse's own cell. Straight
    ones are directions of their own: a corner in the first row would else lie in one of two in all.
    `corner` is a cell of each level, (L,).
    """
    levels, width, size = graph.levels, graph.cell.shape[1], graph.levels.size
    level, cell = chosen // width, graph.cell.view(-1)[chosen]
    row, column = cell // size, cell % size
    bumps = graph.bumps[..., : len(MOVES)].reshape(-1, len(MOVES))
    labels = {"walls": (bumps[chosen] * 2 ** torch.arange(len(MOVES))).sum(-1)}
    targets = {"corner": torch.from_numpy(corner).long()[level]}
    targets |= {name: torch.from_numpy(cells).long()[level, 0] for name, cells in levels.places.items()}
    for name, there in targets.items():
        direction = 3 * torch.sign(there // size - row) + torch.sign(there % size - column) + 4
        labels[name] = torch.where(there == ABSENT, ABSENT, direction)
    return labels


def _still(network: nn.Module) -> nn.Module:
    return deepcopy(network).eval().requires_grad_(False)
