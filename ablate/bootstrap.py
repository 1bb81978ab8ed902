"""Bootstrap over units (levels or images): how far a mean would move had other ones been drawn."""

from collections.abc import Mapping

import torch
from torch import Tensor

Interval = tuple[float, float]


class Bootstrap:
    """Resamples of every measure's units, drawn once: all that is judged by them is compared on the same draws.

    Args:
        units: name of a measure → how many units it is taken on.
        paired: whether unit i is the same one in all measures of as many units; these then share their draws.
        resamples: how many.
        seed: of the draws.
    """

    def __init__(self, units: Mapping[str, int], *, paired: bool, resamples: int, seed: int):
        generator = torch.Generator().manual_seed(seed)
        self._weights: dict[str, Tensor] = {}
        shared: dict[int, Tensor] = {}
        for name, count in units.items():
            if not (paired and count in shared):
                drawn = torch.randint(count, (resamples, count), generator=generator)
                counts = torch.zeros(resamples, count).scatter_add_(1, drawn, torch.ones(drawn.shape))
                shared[count] = counts.double() / count
            self._weights[name] = shared[count]

    def means(self, name: str, values: Tensor) -> Tensor:
        """The mean of a measure's values (units,), then that of every resample, (1 + resamples,)."""
        return torch.cat([values.mean()[None], self._weights[name] @ values])


def interval(means: Tensor) -> Interval:
    """The 95 % interval of what `Bootstrap.means` gave, or of anything computed from it entry by entry."""
    low, high = means[1:].quantile(torch.tensor([0.025, 0.975], dtype=means.dtype)).tolist()
    return low, high
