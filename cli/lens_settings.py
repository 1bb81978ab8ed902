"""What `goalcut lens` takes: a dataclass per lens, and one for the comparison of all of them."""

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from ..ablate.lens_compare import LensCompareSettings
from ..agents.run_directory import check_device
from ..analysis.ansatz_lens import AnsatzSettings
from ..analysis.channels_lens import ChannelsSettings
from ..analysis.coefficient_through_training import CoefficientSettings
from ..analysis.curvature_lens import CurvatureSettings
from ..analysis.features_lens import FeaturesSettings
from ..analysis.rotation_lens import RotationSettings
from .settings import OnAgent


@dataclass(frozen=True)
class LensCommand(OnAgent):
    """Look at a trained network through a lens, whose own settings are a field of the lens's name.

    Attributes:
        inputs: training inputs that the lens looks through; fewer where there are no more.
        input_seed: of the draw of inputs.
        time: look at θ after so many rollouts (mazes) or updates (digits); default the end of training.
        device: where network and inputs lie, `cpu` or `cuda`.
    """

    inputs: int = 2000
    input_seed: int = 0
    time: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_device(self.device)
        for name, least in (("inputs", 2), ("input_seed", 0), ("time", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}: give at least {least}")


@dataclass(frozen=True)
class TrainingLensCommand(LensCommand):
    """A lens that can look at several times of training as well.

    Attributes:
        through_training: also look at so many times, evenly spread over the run's checkpoints; 0 is none.
    """

    through_training: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.through_training and self.through_training < 4:
            raise ValueError(
                f"through_training is {self.through_training}: give at least 4 times, or 0 for none"
            )


@dataclass(frozen=True)
class AnsatzCommand(TrainingLensCommand):
    """Is WᵀW of each layer proportional to its average gradient outer product, and does that say anything about W?

    Beside each cosine those of random matrices of W's spectrum and of W_0. Writes lenses/ansatz.json and the leading
    eigenvectors of each layer's average gradient outer product. Example: `goalcut lens ansatz runs/demo`. With
    `--through-training 12` also the cosines at so many times.

    Attributes:
        ansatz: settings of the lens.
    """

    ansatz: AnsatzSettings = field(default_factory=AnsatzSettings)


@dataclass(frozen=True)
class CurvatureCommand(TrainingLensCommand):
    """How steep is the loss around θ, along how many directions, and is θ a minimum at all?

    Eigenpairs, spectrum and ranks of the Hessian and the Gauss–Newton matrix, and the learning coefficient. A maze
    agent's loss is KL and value error against itself. Writes lenses/curvature.json and leading eigenvectors in
    parameter space. Example: `goalcut lens curvature runs/demo --curvature.eigenpairs 40`. With `--through-training 12`
    also the learning coefficient of the regret of mazes, or of the loss of digits, at so many times.

    Attributes:
        curvature: settings of the lens.
        coefficient: of the learning coefficient through training.
    """

    curvature: CurvatureSettings = field(default_factory=CurvatureSettings)
    coefficient: CoefficientSettings = field(default_factory=CoefficientSettings)


@dataclass(frozen=True)
class FeaturesCommand(TrainingLensCommand):
    """Do the orthogonal features of each layer mean more than its neurons, and mix less with those of the next?

    Beside random rotations, shuffled labels and the untrained network. Writes lenses/features.json and the features of
    each layer. Example: `goalcut lens features runs/demo`. With `--through-training 12` also the number of independent
    features at so many times, beside how well the network does on what it was not trained on.

    Attributes:
        features: settings of the lens.
    """

    features: FeaturesSettings = field(default_factory=FeaturesSettings)


@dataclass(frozen=True)
class RotationCommand(LensCommand):
    """Is there a basis of each hidden layer in which layers act sparsely on one another?

    Beside neurons, random rotations, PCA, ICA and features, on held-out inputs, and on untrained networks. Writes
    lenses/rotation.json and the rows of each rotation. Example: `goalcut lens rotation runs/demo --rotation.loss l1`.

    Attributes:
        rotation: settings of the lens.
    """

    rotation: RotationSettings = field(default_factory=RotationSettings)


@dataclass(frozen=True)
class ChannelsCommand(LensCommand):
    """Through how many channels does an early layer act on a late one?

    Beside the untrained network and the trained one with its weights permuted. Writes lenses/channels.json and leading
    right singular vectors of the stacked Jacobian. Example: `goalcut lens channels runs/demo`.

    Attributes:
        channels: settings of the lens.
    """

    channels: ChannelsSettings = field(default_factory=ChannelsSettings)


@dataclass(frozen=True)
class LensCompareCommand(OnAgent):
    """Cut the leading directions of every lens that has been run, beside temporal SVD, random subspaces and units.

    Writes lenses/compare.json: what each cut removes, keeps and breaks against its length, and the angles between the
    lenses' subspaces. A killed comparison goes on with the same command. Example: `goalcut lens compare runs/demo`.

    Attributes:
        compare: which cuts, judged how.
    """

    compare: Annotated[LensCompareSettings, tyro.conf.arg(name="")] = field(
        default_factory=LensCompareSettings
    )


LENS_COMMANDS: dict[str, type] = {
    "ansatz": AnsatzCommand,
    "curvature": CurvatureCommand,
    "features": FeaturesCommand,
    "rotation": RotationCommand,
    "channels": ChannelsCommand,
    "compare": LensCompareCommand,
}
"""Second word of `goalcut lens` → what it takes."""
