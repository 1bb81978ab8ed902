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

from ..agents.linear import plain_linear
from .curvature_products import CurvatureProducts
from .forward_mode import pushed_forward
from .output_hessian import OutputForm


def parameter_measure(
    products: CurvatureProducts, v: np.ndarray, form: OutputForm, *, extremes: int = 5
) -> dict[str, Any]:
    """What v measures, as JSON takes it.

    Args:
        products: network and inputs.
        v: direction in parameter space, (P,).
        form: which outputs, and what is told of them together.
        extremes: how many most and least active inputs.

    Returns:
        `strength`, E[uᵀ B u]; `outputs`, root mean square of each output's u; `output`, the largest of them, that
        `most` and `least` are of: inputs by number with their u and what they show; `labels`, by name the share of u's
        variance that the label explains, beside `labels_null` of shuffled inputs; and `image`: the gradient of that
        output's u in the input, at the most active one, with the shape of an input.
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
            {"input": i, "u": float(u[i]), **{name: int(of[i]) for name, of in subject.labels.items()}}
            for i in which
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
        "labels": {name: explained(values, of.cpu().numpy()) for name, of in subject.labels.items()},
        "labels_null": {name: explained(shuffled, of.cpu().numpy()) for name, of in subject.labels.items()},
        "image": input_gradient(products, v, form.read, most[0], output).tolist(),
    }


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
