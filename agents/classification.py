"""Training a classifier by gradient steps on minibatches of digits, its gradients in two halves.

Images with an even number are half A and those with an odd number half B, for good, so that no image is in both over
the epochs. Every minibatch holds as many of each, drawn at random without replacement; each half has a forward and a
backward pass of its own at the same parameters, and together they are the minibatch's gradient.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..envs.digits import Digits
from .classifiers import ClassifierName, build_classifier
from .optimizers import load_optimizer_tensors, optimizer_tensors
from .recorder import GradientError, GradientRecorder
from .run_directory import check_device


@dataclass(frozen=True)
class DigitSettings:
    """Everything needed to repeat the training of a classifier.

    Attributes:
        network: `mlp` or `cnn`.
        hidden: widths of its hidden layers.
        optimizer: `sgd` or `adam`.
        learning_rate: of the optimizer, constant.
        momentum: of `sgd`; 0 is none.
        batch_size: images per update, half of them half A.
        epochs: passes over the training images. 2 of 60,000 images at batch size 64 are 1,876 updates.
        seed: of the initial parameters and of the order of images.
        record: a row of the gradient log per `update`, or `none`.
        checkpoint_every: updates between checkpoints of the parameters.
        save_every: updates between the bundles that a killed training resumes from.
        measure_every: updates between measures of every digit's accuracy; 0 is never.
        measure_images: test images that these measures use, the first of every digit alike.
        data_dir: a folder with MNIST's four files or others of their format; default the packaged MNIST.
        device: `cpu`, `cuda`, or another torch device.
        threads: CPU threads; default all. One thread makes runs bit-identical on one machine.
    """

    network: ClassifierName = "mlp"
    hidden: tuple[int, ...] = (256, 128)
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    batch_size: int = 64
    epochs: int = 2
    seed: int = 0
    record: Literal["update", "none"] = "update"
    checkpoint_every: int = 20
    save_every: int = 200
    measure_every: int = 10
    measure_images: int = 10_000
    data_dir: Path | None = None
    device: str = "cpu"
    threads: int | None = None

    def __post_init__(self) -> None:
        if (
            self.data_dir is not None
        ):  # a string in config.json; absolute, for the run may be read from elsewhere
            object.__setattr__(self, "data_dir", Path(self.data_dir).absolute())
        for name, least in (
            ("batch_size", 2),
            ("epochs", 1),
            ("seed", 0),
            ("checkpoint_every", 1),
            ("save_every", 1),
            ("measure_every", 0),
            ("measure_images", 10),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        if self.batch_size % 2:
            raise ValueError(
                f"batch_size is {self.batch_size}: give an even number, half of a batch is half A"
            )
        if self.seed >= 2**63:
            raise ValueError(f"seed is {self.seed}: give a number below 2**63")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}: give a number above 0")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}: give a number from 0 up to below 1")
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(
                f"momentum is {self.momentum}, and {self.optimizer} has none of that kind: give momentum 0 with it"
            )
        for name, known in (
            ("network", ("mlp", "cnn")),
            ("optimizer", ("sgd", "adam")),
            ("record", ("update", "none")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}: give one of {', '.join(known)}")
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden is {self.hidden}: give widths of at least 1")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads is {self.threads}: give at least 1, or leave it out")
        check_device(self.device)

    def new_network(self) -> nn.Module:
        """The network at its initial parameters θ_0."""
        return build_classifier(self.network, self.hidden, seed=self.seed)

    def new_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """A fresh optimizer over the network's parameters."""
        if self.optimizer == "adam":
            return torch.optim.Adam(network.parameters(), lr=self.learning_rate)
        return torch.optim.SGD(network.parameters(), lr=self.learning_rate, momentum=self.momentum)

    def resolved(self, held: "DigitSettings | None" = None) -> "DigitSettings":
        """The same: nothing here depends on the machine."""
        return self

    def updates_of(self, images: int) -> int:
        """Updates of the whole training on so many images; the last batch of an epoch may be smaller."""
        return self.epochs * -(
            -images // self.batch_size
        )  # images // 2 of each half, batch_size // 2 at a time


class Classification:
    """One classifier on one set of training images.

    Attributes:
        network: the classifier being trained.
        optimizer: over it; attach a `GradientRecorder` to both.
        updates_done: updates so far.
    """

    def __init__(self, settings: DigitSettings, digits: Digits):
        self.settings, device = settings, torch.device(settings.device)
        self.network = settings.new_network().to(device)
        self.optimizer = settings.new_optimizer(self.network)
        self.updates_done = 0
        self._inputs, self._labels = digits.inputs().to(device), digits.labels.to(device)
        self._epoch, self._orders = -1, dict.fromkeys("AB", torch.empty(0, dtype=torch.int64))

    @property
    def updates(self) -> int:
        """Updates of the whole training."""
        return self.settings.updates_of(len(self._labels))

    @property
    def updates_per_epoch(self) -> int:
        """Batches that an epoch's images make."""
        return self.settings.updates_of(len(self._labels)) // self.settings.epochs

    @property
    def images_seen(self) -> int:
        """Images trained on so far, every pass counted."""
        epoch, batch = divmod(self.updates_done, self.updates_per_epoch)
        return epoch * len(self._labels) + batch * self.settings.batch_size

    def update(self, recorder: GradientRecorder | None = None) -> float:
        """One step on the next minibatch; returns its loss.

        Raises:
            GradientError: the loss or a gradient is not finite.
        """
        halves = self._next_batch()
        size = sum(len(half) for half in halves.values())
        self.optimizer.zero_grad()
        if recorder is not None:
            recorder.env_steps = self.images_seen + size
        total = 0.0
        for name, half in halves.items():
            logits = self.network(self._inputs[half])
            loss = functional.cross_entropy(logits, self._labels[half], reduction="sum") / size
            with recorder.half(name) if recorder is not None else nullcontext():
                loss.backward()
            total += float(loss.detach())
        if not np.isfinite(total):
            raise GradientError(
                f"the loss is {total} at update {self.updates_done}: training diverged; lower the learning rate "
                f"(learning_rate is {self.optimizer.param_groups[0]['lr']:g}). What was recorded is kept"
            )
        self.optimizer.step()
        self.updates_done += 1
        return total

    def state(self) -> dict[str, Tensor]:
        """All that training changes, as tensors. The order of images follows from seed and epoch."""
        state = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        state |= optimizer_tensors(self.optimizer)
        return state | {"updates_done": torch.tensor(self.updates_done)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up a state that `state` gave; training goes on as if it had never stopped."""
        network = {n.removeprefix("network."): t for n, t in state.items() if n.startswith("network.")}
        self.network.load_state_dict(network)
        load_optimizer_tensors(self.optimizer, state)
        self.updates_done = int(state["updates_done"])

    def _next_batch(self) -> dict[str, Tensor]:
        """Half name → numbers of its images in the next minibatch; an empty half is left out."""
        epoch, batch = divmod(self.updates_done, self.updates_per_epoch)
        if (
            epoch != self._epoch
        ):  # an epoch's order follows from the seed, so a resumed training needs no more
            word = np.random.SeedSequence([self.settings.seed, epoch]).generate_state(1, np.uint64)[0]
            generator = torch.Generator().manual_seed(int(word >> np.uint64(1)))
            numbers = torch.arange(len(self._labels))
            members = {"A": numbers[::2], "B": numbers[1::2]}
            self._orders = {
                half: of[torch.randperm(len(of), generator=generator)].to(self._labels.device)
                for half, of in members.items()
            }
            self._epoch = epoch
        half_size = self.settings.batch_size // 2
        chosen = {half: order[batch * half_size :][:half_size] for half, order in self._orders.items()}
        return {half: images for half, images in chosen.items() if len(images)}
