"""The exact spectrum of a Gauss–Newton matrix on few inputs, through the Gram matrix of its rows.

G = RᵀR with R = B^{1/2} J / √N, (N M, P), has the nonzero eigenvalues of K = R Rᵀ, (N M, N M). Of so few rows all
eigenvalues are exact to rounding, so that a numerical rank can be counted, and counted again for its null: Gaussian
rows of the same norms in unrelated directions (`matched_noise_spectrum`). A low rank says something only where the
null's is higher.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from ..agents.linear import plain_linear
from .null_spectra import matched_noise_spectrum
from .output_hessian import OutputForm
from .subject import Subject

SHARES = (1e-1, 1e-2, 1e-3, 1e-4)


def jacobian_gram(
    subject: Subject, form: OutputForm, *, on_step: Callable[[int, int], None] = lambda done, of: None
) -> np.ndarray:
    """K = R Rᵀ over all inputs of the subject, (N M, N M) float64; R is held, N M P numbers in the network's precision.

    Args:
        subject: few inputs.
        form: B.
        on_step: called with the inputs done and all of them.
    """
    parameters = {
        name: tensor.detach().requires_grad_() for name, tensor in subject.network.named_parameters()
    }
    leaves, rows = list(parameters.values()), None
    with plain_linear(), torch.enable_grad():
        for index in range(len(subject)):
            one = subject.of(slice(index, index + 1))
            F = form.read(functional_call(one.network, parameters, (one.inputs,)))
            root = form.root(F.detach(), one.targets)[0]
            J = torch.stack(
                [
                    _flat(torch.autograd.grad(f, leaves, retain_graph=True, materialize_grads=True))
                    for f in F[0]
                ]
            )
            if rows is None:
                rows = J.new_empty(len(subject), *J.shape)
            rows[index] = root @ J / len(subject) ** 0.5
            on_step(index + 1, len(subject))
    assert rows is not None
    R = rows.flatten(0, 1)
    return (R @ R.T).double().cpu().numpy()


def rank_beside_null(K: np.ndarray, parameters: int, rng: np.random.Generator) -> dict[str, Any]:
    """Eigenvalues above shares of the largest, and effective dimensions at them, beside rows of the same norms.

    Args:
        K: from `jacobian_gram`.
        parameters: P.
        rng: of the null's rows.

    Returns:
        `rows`, `largest`, `trace`; and by share of the largest eigenvalue `rank`, `rank_null`,
        `effective_dimension` Σ λ/(λ+ε) and `effective_dimension_null`, each null at its own largest.
    """
    values = np.maximum(np.linalg.eigvalsh(K)[::-1], 0.0)
    norms = np.sqrt(np.maximum(np.diagonal(K), 0.0))
    null = matched_noise_spectrum(norms[norms > 1e-6 * norms.max()], parameters, rng) ** 2
    return {
        "rows": len(K),
        "parameters": parameters,
        "largest": float(values[0]),
        "trace": float(values.sum()),
        "shares": list(SHARES),
        "rank": [int((values > share * values[0]).sum()) for share in SHARES],
        "rank_null": [int((null > share * null[0]).sum()) for share in SHARES],
        "effective_dimension": [float((values / (values + share * values[0])).sum()) for share in SHARES],
        "effective_dimension_null": [float((null / (null + share * null[0])).sum()) for share in SHARES],
    }


def _flat(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])
