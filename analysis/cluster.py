"""Panels on the workers of a Dask cluster: on this machine, or on all that a scheduler has.

A panel is one task. A worker opens the rows itself, from a path that all workers share, and sends back what it made of
the panel; nothing of the rows goes over the network. A worker that dies costs the panels it had not handed in: the
scheduler gives them to another. Results are used in the order of the panels, so sums round as they do here.
"""

import logging
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .over_panels import Work, one_panel
from .rows import Rows

if TYPE_CHECKING:
    from distributed import Client, Future

_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):\d{1,5}")
_PANELS_PER_THREAD = 2
"""Tasks out at a time: one at work, one in wait. More would only fill memory with results out of turn."""

_SENT_WITH_EACH_PANEL = 2**20
"""Bytes up to which the job goes with each panel, and so outlives every worker; above, once to each worker."""


@dataclass(frozen=True)
class _Job:
    """What all panels share."""

    work: Work
    rows: Sequence[Rows]
    constants: Sequence[np.ndarray]
    device: torch.device
    threads: int


class Cluster:
    """Workers that do panels. Made by `open_cluster`.

    Args:
        client: of the scheduler.
        threads: torch threads of one panel.
        timeout: seconds without any worker after which a computation is given up.
    """

    def __init__(self, client: "Client", *, threads: int, timeout: float):
        self._client, self._threads, self._timeout = client, threads, timeout

    def over_panels(
        self,
        work: Work,
        rows: Sequence[Rows],
        borders: Iterable[tuple[int, int]],
        constants: Sequence[np.ndarray],
        device: torch.device,
    ) -> Iterator[tuple[int, int, list[np.ndarray]]]:
        """(start, stop, parts of the work) for each border, in order.

        Rows that refer to a file are sent as its path; large rows in memory travel once to each worker, and are lost
        with the last one.

        Raises:
            ValueError: a value is not finite, or the rows cannot be sent.
            FileNotFoundError: the workers do not see the file of the rows.
            ConnectionError: the scheduler or all workers are gone, or a panel ended every worker that tried it.
        """
        job: Any = _Job(work, rows, constants, device, self._threads)
        if _bytes_sent(job) > _SENT_WITH_EACH_PANEL:
            job = self._answered(self._client.scatter, job, broadcast=True, hash=False)
        out: dict[tuple[int, int], Future] = {}
        done: dict[tuple[int, int], list[np.ndarray]] = {}
        order: deque[tuple[int, int]] = deque()  # of all panels that are out or done
        left = iter(borders)
        while True:
            room = _PANELS_PER_THREAD * max(1, sum(self._workers().values())) - len(order)
            for border in islice(left, max(0, room)):
                out[border] = self._answered(self._client.submit, _on_worker, job, *border, pure=False)
                order.append(border)
            if not order:
                return
            if out:
                self._collect(out, done)
            while order and order[0] in done:
                border = order.popleft()
                yield *border, done.pop(border)

    def _collect(
        self, out: "dict[tuple[int, int], Future]", done: dict[tuple[int, int], list[np.ndarray]]
    ) -> None:
        """Wait until one panel at least is done, and fetch what is: its worker may be gone a moment later."""
        from distributed import wait

        while True:
            try:
                with self._client.as_current():
                    self._answered(wait, list(out.values()), self._timeout, "FIRST_COMPLETED")
                break
            except TimeoutError:
                if not self._workers():
                    raise ConnectionError(
                        f"the cluster has had no workers for {self._timeout:g} s; start workers and run again"
                    ) from None
        # To dask a lost result is "done" as well, and would be waited for here.
        ended = [border for border, future in out.items() if future.status not in ("pending", "lost")]
        for border in ended:
            done[border] = self._answered(out.pop(border).result)

    def _workers(self) -> dict[str, int]:
        """Address of each worker → its threads."""
        return self._answered(self._client.nthreads)

    def _answered(self, call: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
        """The call's answer, or an error that says what to do."""
        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            return call(*arguments, **settings)
        except KilledWorker as error:
            raise ConnectionError(
                f"a panel ended every worker that tried it ({error}), most likely for want of memory: "
                "lower panel_bytes or give workers more"
            ) from error
        except (CancelledError, CommClosedError) as error:
            raise ConnectionError(
                f"the scheduler is gone, or the workers that held the task ({error}); start them and run again"
            ) from error
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"a worker does not see {error.filename}; put the file where all workers see it under this path"
            ) from error
        except ModuleNotFoundError as error:
            raise ConnectionError(
                f"the scheduler or a worker has no module {error.name}; install the same goalcut[dask] there"
            ) from error


def _bytes_sent(job: _Job) -> int:
    # Rows that cannot be sent say so here; inside dask their words would be lost.
    import cloudpickle

    buffers = []
    return len(cloudpickle.dumps(job, protocol=5, buffer_callback=buffers.append)) + sum(
        buffer.raw().nbytes for buffer in buffers
    )


def _on_worker(job: _Job, start: int, stop: int) -> list[np.ndarray]:
    torch.set_num_threads(job.threads)
    return one_panel(job.work, job.rows, start, stop, job.constants, job.device)


def check_address(address: str, setting: str = "the cluster") -> None:
    """Refuse what is no cluster's address.

    Args:
        address: what was given.
        setting: by what name.

    Raises:
        ValueError: with what to give instead.
    """
    if address != "local" and not _ADDRESS.fullmatch(address):
        raise ValueError(
            f"{setting} is {address!r}; give local, or a scheduler as tcp://host:port, for instance tcp://10.0.0.1:8786"
        )


@contextmanager
def open_cluster(
    address: str, *, workers: int | None = None, threads: int = 1, timeout: float = 30.0
) -> Iterator[Cluster]:
    """A cluster to give to `gram`, `temporal_svd`, `directions`; closed with the block.

    Args:
        address: "local" starts worker processes on this machine; "tcp://host:port" or "tls://host:port" is a
            scheduler that runs, which stays.
        workers: processes of a local cluster; None is one for each `threads` cores.
        threads: torch threads of one panel.
        timeout: seconds to wait for the scheduler and for a first worker.

    Raises:
        ValueError: dask is not installed, or a setting is out of range.
        ConnectionError: no scheduler answers, or it has no workers.
    """
    check_address(address)
    if threads < 1 or (workers is not None and workers < 1) or not timeout > 0:
        raise ValueError(
            f"workers and threads are at least 1 and timeout above 0; got {workers}, {threads}, {timeout}"
        )
    if workers is not None and address != "local":
        raise ValueError(f"workers is {workers}, but {address} has its own; leave workers out, or give local")
    try:
        from dask.system import CPU_COUNT
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the cluster {address!r} needs dask and distributed, and {error.name} is not installed: "
            "pip install 'goalcut[dask]'"
        ) from error
    with ExitStack() as stack:
        target = address
        if address == "local":
            target = stack.enter_context(
                LocalCluster(
                    n_workers=workers or max(1, CPU_COUNT // threads),
                    threads_per_worker=1,
                    memory_limit=0,  # panel_bytes bounds it; dask's own limit would stop workers at its guess
                    host="127.0.0.1",
                    silence_logs=logging.CRITICAL,  # what fails in a worker is raised here
                    dashboard_address=None,  # pyright: ignore[reportArgumentType]
                    # Its HTTP server takes any free port: the default one may be another cluster's.
                    scheduler_kwargs={"dashboard_address": ":0"},
                )
            )
        try:
            client = stack.enter_context(Client(target, timeout=timeout, set_as_default=False))
            client.wait_for_workers(1, timeout=timeout)
        except TimeoutError as error:
            raise ConnectionError(f"{address}: {error}; start workers, or raise timeout") from error
        except OSError as error:
            raise ConnectionError(
                f"no scheduler answers at {address} within {timeout:g} s ({error}); start one with `dask scheduler`"
            ) from error
        yield Cluster(client, threads=threads, timeout=timeout)


@contextmanager
def optional_cluster(address: str | None) -> Iterator[Cluster | None]:
    """`open_cluster`, or None where no address is given."""
    if address is None:
        yield None
    else:
        with open_cluster(address) as cluster:
            yield cluster
