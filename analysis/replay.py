"""The temporal SVD of a gradient matrix nobody stores: train twice, and keep only sums.

Training is deterministic. Pass one keeps the inner products of the gradients (T × T) and a checksum of each; pass two
trains again, checks that every gradient is the same to the last bit, and sums up the directions as they go by. Memory
is O(k P) and what pass one holds, the disk holds nothing, and the price is a second training.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..agents.gradient_log import TOTAL, Training
from .directions import Directions, Layout
from .first_pass import SKETCH_WIDTH, WINDOW_BYTES, FirstPass, RowProducts
from .second_pass import SecondPass
from .temporal_svd import TemporalSVD

_EXTRA = 10


@dataclass(frozen=True)
class ReplayCost:
    """What a replay took.

    Attributes:
        first_seconds: wall time of pass one, its training and the products included.
        second_seconds: wall time of pass two.
        first_sink_seconds: of these, what pass one did with the rows while the training waited.
        second_sink_seconds: likewise of pass two.
        first_bytes: most memory for rows, or sketches and their table, in pass one.
        second_bytes: memory for sums and waiting rows in pass two.
    """

    first_seconds: float
    second_seconds: float
    first_sink_seconds: float
    second_sink_seconds: float
    first_bytes: int
    second_bytes: int


@dataclass(frozen=True, eq=False)
class Replay:
    """Directions of a training whose gradients were never stored.

    Attributes:
        directions: orthonormal, the strongest first; from a sketch their singular values are lower bounds.
        svd: of pass one, all singular values and profiles; from a sketch they are approximate.
        products: of pass one; `products.cross` gives the cross-half spectrum.
        cost: seconds and bytes of both passes.
    """

    directions: Directions
    svd: TemporalSVD
    products: RowProducts
    cost: ReplayCost


def replay_directions(
    training: Training,
    *,
    layout: Layout,
    count: int,
    times: int | None = None,
    extra: int | None = None,
    term: str = TOTAL,
    window_bytes: int = WINDOW_BYTES,
    width: int = SKETCH_WIDTH,
    seed: int = 0,
    source: Mapping[str, Any] | None = None,
) -> Replay:
    """The strongest directions of a training, by training twice.

    Args:
        training: trains anew each time it is called, all rows going into the sink it is given.
        layout: name → (start, stop, shape) of the flat parameter vector, as `parameter_layout` gives it.
        count: how many directions; fewer come back where fewer lie above the floor.
        times: rows to come, if known; see `FirstPass`.
        extra: further profiles that pass two carries along, and that directions from a sketch improve by; None is
            10 with a sketch and 0 without.
        term: of the rows to take.
        window_bytes: memory for rows in pass one; beyond it they are sketched.
        width: of the sketch.
        seed: draws the sketch.
        source: where the rows came from, JSON-able; how the directions were found is added.

    Raises:
        ReplayError: the second training is not the first one to the last bit.
        ValueError: a setting is out of range, or the training gives no rows of the term or none but zeros.
    """
    if count < 1 or (extra is not None and extra < 0):
        raise ValueError(f"count is at least 1 and extra at least 0; got {count} and {extra}")
    parameters = max((stop for _, stop, _ in layout.values()), default=0)
    began = time.perf_counter()
    first = FirstPass(parameters, times=times, term=term, window_bytes=window_bytes, width=width, seed=seed)
    training(first)
    products = first.products()
    first_sink_seconds, first_bytes = first.seconds, first.held_bytes
    del first  # with the rows it holds
    svd = products.temporal_svd()
    if not len(svd):
        raise ValueError(f"all rows of the term {term!r} are zero: there are no directions")
    sketched = products.sketch_width is not None
    carried = count + ((_EXTRA if sketched else 0) if extra is None else extra)

    between = time.perf_counter()
    second = SecondPass(products, svd.profiles[:, :carried])
    training(second)
    how = {"lens": "temporal SVD by replay", "term": term, "sketch_width": products.sketch_width}
    found = second.directions(count, layout=layout, source=how | dict(source or {}))
    cost = ReplayCost(
        first_seconds=between - began,
        second_seconds=time.perf_counter() - between,
        first_sink_seconds=first_sink_seconds,
        second_sink_seconds=second.seconds,
        first_bytes=first_bytes,
        second_bytes=second.held_bytes,
    )
    return Replay(directions=found, svd=svd, products=products, cost=cost)
