"""Differences of activations over pairs of inputs: the vector that says something is there, and the subspace of it.

The cheese vector and the top right vector of Turner et al. (arXiv 2310.08043), of any pairs and any layer.
"""

from torch import Tensor, nn

from ..analysis.directions import Directions
from .activations import activations_at
from .contrast_pairs import Pairs
from .edits import as_rows, mean_activations
from .principal import principal_directions


def contrast_vector(network: nn.Module, layer: str, pairs: Pairs, *, per_channel: bool = False) -> Tensor:
    """Mean activation with the thing − mean activation without it, (d,).

    Args:
        network: trained.
        layer: a name of `named_modules`.
        pairs: inputs with and without.
        per_channel: of a convolution, the mean over positions too: d is C; else C · H · W.
    """
    given, without = (activations_at(network, [layer], inputs)[layer] for inputs in pairs)
    difference = given - without
    return mean_activations(difference, difference.shape[1] if per_channel else difference[0].numel())


def contrast_directions(
    network: nn.Module, layer: str, pairs: Pairs, *, per_channel: bool = False
) -> Directions:
    """Principal directions of the differences, not centred: the subspace in which a layer says that it is there."""
    given, without = (activations_at(network, [layer], inputs)[layer] for inputs in pairs)
    difference = given - without
    width = difference.shape[1] if per_channel else difference[0].numel()
    rows, _ = as_rows(difference, width)
    source = {"lens": "contrast", "pairs": len(difference), "per_channel": per_channel}
    return principal_directions(rows.reshape(-1, width), space=layer, source=source)
