"""What a direction v of parameter space measures: how each input's outputs move along it, ∇_θ f(x) · v.

Over the data the mean of uᵀ B u, u = J v, is vᵀ G v: of an eigenvector of the Gauss–Newton matrix, its eigenvalue. The
inputs with the largest u are those it is about; the gradient of u in the input says which pixels or planes it reads.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, grad
from torch.nn import functional

from ..agents.linear import plain_linear
from .curvature_products import CurvatureProducts
from .forward_mode import pushed_forward
from .lanczos_eigenpairs import Eigenpairs
from .lens import OnStep
from .output_hessian import OutputForm

PICTURED = 3
"""Inputs at either end of a measure that are kept as pictures, and leading eigenvectors that they are kept of."""

LARGEST_PICTURE = 32
"""Cells a side of a picture that is kept; of a larger one means over blocks are."""


def parameter_measure(
    products: CurvatureProducts, v: np.ndarray, form: OutputForm, *, extremes: int = 5, pictured: int = 0
) -> dict[str, Any]:
    """What v measures, as JSON takes it.

    Args:
        products: network and inputs.
        v: direction in parameter space, (P,).
        form: which outputs, and what is told of them together.
        extremes: how many most and least active inputs.
        pictured: of how many of each the input itself is kept.

    Returns:
        `strength`, E[uᵀ B u]; `outputs`, root mean square of each output's u; `output`, the largest of them, that
        `most` and `least` are of: inputs by number with their u and what they show, some with the `picture` to draw;
        `u` of every input, to four digits; `labels`, by name the share of u's variance that the label explains, beside
        `labels_null` of shuffled inputs; and `image`: the gradient of that output's u in the input, at the most active
        one, as a picture of an input.
    """
    subject = products.subject
    U = products.outputs_along(v, form)
    strengths = []
    with torch.no_grad():
        for batch, tangents in zip(
            subject.batches(products.batch_size), U.split(products.batch_size), strict=True
        ):
            F = form.read(batch.network(batch.inputs))
            strengths.append((tangents * form.apply(F, tangents, batch.targets)).sum(1))
    rms = U.double().square().mean(0).sqrt()
    output = int(rms.argmax())
    u = U[:, output]
    order = u.abs().argsort(descending=True).tolist()
    most, least = order[:extremes], order[::-1][:extremes]

    def told(which: list[int]) -> list[dict[str, Any]]:
        return [
            {
                "input": i,
                "u": float(u[i]),
                **{name: int(of[i]) for name, of in subject.labels.items()},
                **({"picture": picture(subject.inputs[i].cpu(), digits=2)} if place < pictured else {}),
            }
            for place, i in enumerate(which)
        ]

    values = u.double().cpu().numpy()
    # One fixed shuffle: what labels of so many values explain of as many inputs by chance.
    shuffled = np.random.default_rng(0).permutation(values)
    return {
        "strength": float(torch.cat(strengths).double().mean()),
        "outputs": rms.tolist(),
        "output": output,
        "most": told(most),
        "least": told(least),
        "u": [float(f"{value:.4g}") for value in u.tolist()],
        "labels": {name: explained(values, of.cpu().numpy()) for name, of in subject.labels.items()},
        "labels_null": {name: explained(shuffled, of.cpu().numpy()) for name, of in subject.labels.items()},
        "image": picture(torch.from_numpy(input_gradient(products, v, form.read, most[0], output))),
    }


def leading_measures(
    products: CurvatureProducts,
    pairs: Eigenpairs,
    count: int,
    form: OutputForm,
    *,
    rng: np.random.Generator,
    on_step: OnStep = lambda what, done, of: None,
) -> dict[str, Any]:
    """`measures` of leading eigenvectors, some with pictures, and `measure_random` of a random direction.

    Args:
        products: network and inputs.
        pairs: eigenvalues and eigenvectors.
        count: of how many.
        form: as `parameter_measure` takes it.
        rng: of the random direction.
        on_step: told of the eigenvectors done.
    """
    measures, leading = [], pairs.vectors[:count]
    for done, (value, v) in enumerate(zip(pairs.values, leading, strict=False)):
        on_step("what eigenvectors measure", done, len(leading))
        pictured = PICTURED if done < PICTURED else 0
        measures.append(
            {"eigenvalue": float(value), **parameter_measure(products, v, form, pictured=pictured)}
        )
    z = rng.standard_normal(products.size)
    at_random = parameter_measure(products, z / np.linalg.norm(z), form, pictured=PICTURED)
    return {"measures": measures, "measure_random": at_random}


def picture(values: Tensor, *, digits: int = 4) -> Any:
    """An input, or a gradient in one, as nested lists of so many significant digits, small enough to draw.

    Args:
        values: (planes, height, width), or of any other shape, which is kept.
        digits: significant ones.
    """
    if values.ndim == 3 and max(values.shape[1:]) > LARGEST_PICTURE:
        values = functional.adaptive_avg_pool2d(values.double(), LARGEST_PICTURE)

    def written(part: Any) -> Any:
        if isinstance(part, list):
            return [written(one) for one in part]
        rounded = float(f"{part:.{digits}g}")
        return int(rounded) if rounded == int(rounded) else rounded

    return written(values.double().tolist())


def input_gradient(
    products: CurvatureProducts, v: np.ndarray, read: Callable[[Any], Tensor], index: int, output: int
) -> np.ndarray:
    """∇_x [∇_θ f(x) · v] of one output at one input, with the input's shape."""
    one = products.subject.of(slice(index, index + 1))
    tangents = products.named(v)

    def moved(inputs: Tensor) -> Tensor:
        def outputs(parameters: dict[str, Tensor]) -> Tensor:
            return read(functional_call(one.network, parameters, (inputs,)))

        return pushed_forward(outputs, products.parameters, tangents)[1][0, output]

    with plain_linear():
        return grad(moved)(one.inputs)[0].double().cpu().numpy()


def explained(values: np.ndarray, labels: np.ndarray) -> float:
    """Share of the variance of values (N,) that lies between labels (N,), correlation ratio η²; 0 where none varies."""
    told = labels >= 0
    values, labels = values[told], labels[told]
    total = ((values - values.mean()) ** 2).sum() if len(values) else 0.0
    if not total > 0:
        return 0.0
    between = 0.0
    for label in np.unique(labels):
        some = values[labels == label]
        between += len(some) * (some.mean() - values.mean()) ** 2
    return float(between / total)
