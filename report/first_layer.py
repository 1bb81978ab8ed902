"""What a direction does to a classifier's first layer, as an image.

The first layer's part of a direction is a matrix with one row per unit and one column per pixel. Its leading right
singular vector is the image that the units share most: adding the direction to θ makes them see more of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse.linalg
from safetensors import SafetensorError, safe_open

from ..agents.files import RunFileError
from ..envs.digits import PIXELS
from .digit_inputs import DigitInputs

MIXTURE, RANDOM = "random mixture", "random direction"
_SHOWN = 12
_FILTERS_PER_ROW = 4


@dataclass(frozen=True)
class LayerPicture:
    """The first layer's part of one direction.

    Attributes:
        name: whose it is.
        image: (height, width), its sign such that the largest entry is positive; NaN between filters.
        share: of the part's squared length in this image; None where the image shows all of it.
        in_layer: share of the direction's squared length in the first layer.
        moved: share of the length of θ − θ_0 that lies along the direction; None where θ is not known.
    """

    name: str
    image: np.ndarray
    share: float | None
    in_layer: float
    moved: float | None


def layer_pictures(inputs: DigitInputs) -> list[LayerPicture]:
    """The strongest directions, then what they are to be held against; empty where there are none.

    These are θ − θ_0 itself, a random mixture of all directions, and a random direction.

    Raises:
        RunFileError: the file of directions is cut off or damaged.
    """
    name, (start, stop, shape) = next(iter(inputs.layout.items()))
    path = inputs.run.directory / "analysis" / "directions.safetensors"
    if not path.exists() or not name.endswith("weight"):
        return []
    moved = (
        inputs.run.parameters_after().numpy() - inputs.run.parameters_after(0).numpy()
        if inputs.run.trained
        else None
    )
    rng, pictures = np.random.default_rng(0), []
    mixture = np.zeros(inputs.parameters)
    try:
        for number, vector in enumerate(_vectors(path), start=1):
            if vector.shape != mixture.shape:
                return []
            mixture += rng.standard_normal() * vector
            if number <= _SHOWN:
                pictures.append(_picture(f"direction {number}", vector, moved, slice(start, stop), shape))
    except (SafetensorError, OSError) as error:
        raise RunFileError(f"{path} is cut off or damaged ({error}); make it anew") from None
    beside = {"θ − θ₀": moved, MIXTURE: mixture, RANDOM: rng.standard_normal(len(mixture))}
    for called, vector in beside.items():
        if vector is not None:
            along = None if vector is moved else moved
            pictures.append(_picture(called, vector, along, slice(start, stop), shape))
    return pictures


def _vectors(path: object) -> Iterator[np.ndarray]:
    """The directions one at a time: all of them are hundreds of megabytes."""
    with safe_open(path, framework="numpy") as file:
        if "vectors" not in file.keys():  # noqa: SIM118, not a dict
            return
        vectors = file.get_slice("vectors")
        for index in range(vectors.get_shape()[0]):
            yield np.asarray(vectors[index : index + 1], dtype=np.float64)[0]


def _picture(
    name: str, vector: np.ndarray, moved: np.ndarray | None, place: slice, shape: tuple[int, ...]
) -> LayerPicture:
    vector = vector / max(np.linalg.norm(vector), 1e-30)
    block = vector[place].reshape(shape[0], -1).astype(np.float64)
    in_layer = float((block**2).sum())
    along = None if moved is None else float(abs(vector @ moved) / max(np.linalg.norm(moved), 1e-30))
    if block.shape[1] == PIXELS**2:
        image, share = leading_image(block)
        return LayerPicture(name, image.reshape(PIXELS, PIXELS), share, in_layer, along)
    return LayerPicture(name, filters(block.reshape(-1, *shape[-2:])), None, in_layer, along)


def leading_image(block: np.ndarray) -> tuple[np.ndarray, float]:
    """Leading right singular vector (pixels,) of a block (units, pixels), and its share of the block's energy."""
    energy = float((block**2).sum())
    if not energy:
        return np.zeros(block.shape[1]), 0.0
    if len(block) == 1:
        return block[0] / np.sqrt(energy), 1.0
    # One singular vector of many: Lanczos steps cost far less than all of them. A fixed start repeats it bit by bit.
    start = np.ones(min(block.shape))
    _, values, images = scipy.sparse.linalg.svds(block, k=1, v0=start)
    image = images[0]
    largest = image[np.abs(image).argmax()]
    return image * (1 if largest >= 0 else -1), float(values[0] ** 2 / energy)


def filters(kernels: np.ndarray) -> np.ndarray:
    """Kernels (n, h, w) side by side, a line of NaN between them."""
    n, height, width = kernels.shape
    columns = min(n, _FILTERS_PER_ROW)
    rows = -(-n // columns)
    image = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for number, kernel in enumerate(kernels):
        top, left = (number // columns) * (height + 1), (number % columns) * (width + 1)
        image[top : top + height, left : left + width] = kernel
    largest = image.flat[np.nanargmax(np.abs(image))]
    return image if largest >= 0 else -image
