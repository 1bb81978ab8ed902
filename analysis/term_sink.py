"""What both passes of a replay share: a sink of the rows of one term, with its time."""

import time
from abc import ABC, abstractmethod

from ..agents.gradient_log import Row


class TermSink(ABC):
    """Takes the rows of one term as a recorder gives them, and lets all others go by.

    Attributes:
        term: of the rows that are taken.
        rows: how many were taken, halves counted singly.
        seconds: wall time spent on them.
    """

    def __init__(self, term: str):
        self.term, self.rows, self.seconds = term, 0, 0.0

    def append(self, row: Row) -> None:
        """Take one row, if it is of this term."""
        if row.term != self.term:
            return
        began = time.perf_counter()
        self._take(row)
        self.rows += 1
        self.seconds += time.perf_counter() - began

    @abstractmethod
    def _take(self, row: Row) -> None: ...

    def sync(self) -> None:  # noqa: B027, nothing to override
        """Nothing here is to survive a crash: a replay begins anew."""

    def close(self) -> None:  # noqa: B027, nothing to override
        """Nothing to close: what was taken stays until it is asked for."""
