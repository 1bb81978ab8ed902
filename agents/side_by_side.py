"""Two computations at once, each on half of torch's CPU threads."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

_T = TypeVar("_T")
Both = Callable[[Callable[[], _T], Callable[[], _T]], tuple[_T, _T]]


@contextmanager
def side_by_side(device: torch.device) -> Iterator[Both]:
    """Within, a function that calls two functions and returns what they gave, in order.

    On a CPU with two threads or more they run at the same time, each with half of the threads: small tensors gain
    little from threads of their own, which wait for one another after every operation. Elsewhere one runs after the
    other. Each computes the same either way, whatever the other does.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads < 2:
        yield lambda first, second: (first(), second())
        return
    torch.set_num_threads(threads // 2)  # what a new thread begins with, too
    try:
        with ThreadPoolExecutor(1) as other:

            def both(first: Callable[[], _T], second: Callable[[], _T]) -> tuple[_T, _T]:
                waiting = other.submit(second)
                return first(), waiting.result()

            yield both
    finally:
        torch.set_num_threads(threads)
