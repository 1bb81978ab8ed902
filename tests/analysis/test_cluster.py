"""Panels on real Dask workers: processes of their own, on loopback."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from goalcut.agents.gradient_log import GradientLog, GradientLogWriter, Row
from goalcut.analysis import UnitRows, cross_half_spectrum, directions, gram, temporal_svd
from goalcut.analysis.cluster import open_cluster
from goalcut.analysis.rows import FileRows, panels

ROOT = Path(__file__).parents[2]
PANEL_BYTES = 40_000  # a dozen panels of the rows below


@pytest.fixture(scope="module")
def cluster():
    with open_cluster("local", workers=2) as found:
        yield found


def stored(folder: Path, dtype: str, name: str = "rows.bin", seed: int = 0) -> FileRows:
    values = np.random.default_rng(seed).standard_normal((30, 2000)) * np.logspace(0, -2, 30)[:, None]
    values.astype(dtype).tofile(folder / name)
    return FileRows(folder / name, values.shape, dtype)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_cluster_gives_the_numbers_of_the_local_route(cluster, tmp_path, dtype):
    rows = stored(tmp_path, dtype)
    here = temporal_svd(rows, panel_bytes=PANEL_BYTES)
    there = temporal_svd(rows, panel_bytes=PANEL_BYTES, cluster=cluster)
    np.testing.assert_allclose(there.singular_values, here.singular_values, rtol=1e-10)
    np.testing.assert_allclose(there.profiles, here.profiles, atol=1e-10)
    np.testing.assert_allclose(
        directions(there, rows, range(5), panel_bytes=PANEL_BYTES, cluster=cluster).vectors,
        directions(here, rows, range(5), panel_bytes=PANEL_BYTES).vectors,
        atol=1e-10,
    )


def test_progress_comes_in_the_order_of_the_panels(cluster, tmp_path):
    rows, here, there = stored(tmp_path, "float32"), [], []
    gram(rows, panel_bytes=PANEL_BYTES, progress=lambda done, total: here.append((done, total)))
    gram(
        rows,
        panel_bytes=PANEL_BYTES,
        cluster=cluster,
        progress=lambda done, total: there.append((done, total)),
    )
    assert there == here
    assert len(there) > 10


def test_halves_cross_on_a_cluster_as_they_do_here(cluster, tmp_path):
    A, B = (stored(tmp_path, "float32", f"{name}.bin", seed) for seed, name in enumerate("AB"))
    settings = {"nulls": 5, "panel_bytes": PANEL_BYTES}
    here = cross_half_spectrum(A, B, rng=np.random.default_rng(0), **settings)
    there = cross_half_spectrum(A, B, rng=np.random.default_rng(0), cluster=cluster, **settings)
    np.testing.assert_allclose(there.eigenvalues, here.eigenvalues, atol=1e-10 * here.eigenvalues[0])


def test_workers_read_a_gradient_log_from_its_path(cluster, tmp_path):
    rng = np.random.default_rng(0)
    log = GradientLogWriter(tmp_path / "gradients", {"weight": (700,)})
    for number in range(12):
        for half in "AB":
            log.append(Row(rng.standard_normal(700, dtype=np.float32), number, 100 * number, half=half))
    log.close()
    rows = GradientLog(tmp_path / "gradients").rows()
    here = gram(rows, panel_bytes=9_000)
    np.testing.assert_allclose(gram(rows, panel_bytes=9_000, cluster=cluster), here, rtol=1e-10)
    unit = UnitRows(rows)
    np.testing.assert_allclose(np.diag(gram(unit, panel_bytes=9_000, cluster=cluster)), 1, rtol=1e-6)


@pytest.mark.parametrize("parameters", [300, 40_000], ids=["with each panel", "once to each worker"])
def test_rows_in_memory_are_sent(cluster, parameters):
    rows = np.random.default_rng(0).standard_normal((7, parameters))
    K = gram(rows, panel_bytes=parameters * 20, cluster=cluster)
    np.testing.assert_allclose(K, gram(rows, panel_bytes=parameters * 20), rtol=1e-10, atol=1e-10)


def test_memory_mapped_rows_are_refused_with_the_way_to_send_them(cluster, tmp_path):
    mapped = np.memmap(stored(tmp_path, "float32").path, dtype=np.float32, mode="r", shape=(30, 2000))
    with pytest.raises(ValueError, match=r"give FileRows\(path, shape, dtype\)"):
        gram(mapped, cluster=cluster)


def test_a_file_that_workers_do_not_see_is_named(cluster, tmp_path):
    rows = stored(tmp_path, "float32")
    rows.path.rename(tmp_path / "elsewhere.bin")
    with pytest.raises(FileNotFoundError, match=r"does not see .*rows\.bin; put the file where all workers"):
        gram(rows, cluster=cluster)


def test_a_value_that_is_not_finite_is_named_by_its_worker(cluster, tmp_path):
    values = np.ones((4, 900), dtype=np.float32)
    values[2, 777] = np.nan
    values.tofile(tmp_path / "rows.bin")
    with pytest.raises(ValueError, match="row 2 holds nan at parameter 777"):
        gram(FileRows(tmp_path / "rows.bin", values.shape, "float32"), panel_bytes=2_000, cluster=cluster)


class AnnouncedRows(FileRows):
    """Leaves a file for each panel read; the first worker to read panel `held` waits there until it is killed."""

    def __init__(self, rows: FileRows, folder: Path, held: int):
        super().__init__(rows.path, rows.shape, rows.dtype)
        self.folder, self.held = folder, held

    def panel(self, start: int, stop: int) -> np.ndarray:
        (self.folder / f"{start}.{os.getpid()}.{time.monotonic_ns()}.read").touch()
        if start == self.held:
            with contextlib.suppress(FileExistsError):
                with (self.folder / "waiting").open("x") as file:
                    file.write(str(os.getpid()))
                time.sleep(120)
                raise TimeoutError("nobody killed this worker")
        return super().panel(start, stop)


def until(met, seconds: float = 60.0):
    """What `met` gives, once it is true."""
    for _ in range(int(seconds / 0.02)):
        found = met()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("what the test waits for did not happen")


@contextlib.contextmanager
def scheduler_with_workers(folder: Path, workers: int):
    """Address of a scheduler with worker processes that have no nanny: the killed ones stay dead."""
    place, log = folder / "scheduler.json", (folder / "dask.log").open("w")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def start(*command: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", *command], env=environment, cwd=folder, stdout=log, stderr=log
        )

    processes = [
        start(
            "distributed.cli.dask_scheduler",
            *("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(place)),
        )
    ]
    try:
        until(place.exists)
        address = until(lambda: json.loads(place.read_text() or "{}").get("address"))
        worker = ("distributed.cli.dask_worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard")
        processes += [start(*worker) for _ in range(workers)]
        yield address
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
        log.close()


def test_a_worker_killed_midway_costs_only_its_panel(tmp_path):
    stored_rows = stored(tmp_path, "float64")
    borders = list(panels(stored_rows, PANEL_BYTES, held=2))
    held = borders[len(borders) // 2][0]
    rows = AnnouncedRows(stored_rows, tmp_path, held)
    killed = []

    def kill_who_waits(done: int, total: int) -> None:
        if done == held:  # all panels before it are summed, and it is at work
            waiting = tmp_path / "waiting"
            pid = int(until(lambda: waiting.exists() and waiting.read_text()))
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    with (
        scheduler_with_workers(tmp_path, 2) as address,
        open_cluster(address) as cluster,
    ):
        until(lambda: len(cluster._workers()) == 2)
        K = gram(rows, panel_bytes=PANEL_BYTES, cluster=cluster, progress=kill_who_waits)
        assert len(cluster._workers()) == 1

    np.testing.assert_allclose(K, gram(stored_rows, panel_bytes=PANEL_BYTES), rtol=1e-10, atol=1e-10)
    read = [tuple(map(int, path.name.split(".")[:2])) for path in tmp_path.glob("*.read")]
    times = Counter(start for start, _ in read)
    assert times == {start: 2 if start == held else 1 for start, _ in borders}
    assert {pid for _, pid in read} > set(killed)
    assert len({pid for start, pid in read if start == held}) == 2


def test_a_cluster_that_loses_its_last_worker_says_so(tmp_path):
    rows = AnnouncedRows(stored(tmp_path, "float32"), tmp_path, held=0)
    waiting = tmp_path / "waiting"
    with scheduler_with_workers(tmp_path, 1) as address, open_cluster(address) as cluster:
        cluster._timeout = 0.3
        kill = f'until test -s "{waiting}"; do sleep 0.05; done; kill -9 $(cat "{waiting}")'
        with (
            subprocess.Popen(["sh", "-c", kill]) as killer,
            pytest.raises(ConnectionError, match=r"no workers for 0\.3 s; start workers"),
        ):
            gram(rows, panel_bytes=PANEL_BYTES, cluster=cluster)
        assert killer.returncode == 0


def test_a_scheduler_without_workers_is_named(tmp_path):
    with (
        scheduler_with_workers(tmp_path, 0) as address,
        pytest.raises(ConnectionError, match=f"{address}: .*start workers"),
        open_cluster(address, timeout=0.5),
    ):
        pass


def test_a_scheduler_that_does_not_answer_is_named():
    with (
        pytest.raises(ConnectionError, match=r"no scheduler answers at tcp://127\.0\.0\.1:1 within 0\.5 s"),
        open_cluster("tcp://127.0.0.1:1", timeout=0.5),
    ):
        pass


@pytest.mark.parametrize(
    "address", ["", "Local", "tcp://", "tcp://host", "10.0.0.1:8786", "http://host:1", "tcp://host:1/x"]
)
def test_an_address_that_is_none_is_refused_with_an_example(address):
    with (
        pytest.raises(ValueError, match=f"the cluster is '{address}'; give local, or"),
        open_cluster(address),
    ):
        pass


@pytest.mark.parametrize("bad", [{"workers": 0}, {"threads": 0}, {"timeout": 0.0}])
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))), open_cluster("local", **bad):
        pass


def test_workers_are_not_counted_for_a_scheduler_that_has_its_own():
    with (
        pytest.raises(ValueError, match="workers is 3, but tcp://host:1 has its own"),
        open_cluster("tcp://host:1", workers=3),
    ):
        pass


@pytest.mark.parametrize("package", ["dask.system", "distributed"])
def test_without_dask_the_extra_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=r"pip install 'goalcut\[dask\]'"), open_cluster("local"):
        pass
