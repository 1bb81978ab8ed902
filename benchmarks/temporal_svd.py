"""Temporal SVD of a gradient log beside numpy.linalg.svd: seconds, resident memory, share of the machine's speed.

    python benchmarks/temporal_svd.py            240 × 169,000 float16 rows
    python benchmarks/temporal_svd.py --large    5,760 × 169,000 as well, 1.9 GB on disk, under a memory cap

Every case runs in a process of its own on the same file, low rank plus noise. The speed of the machine is that of a
float32 matrix product measured in the same process before and after; a Gram matrix needs T² P multiply-adds at half of
the work of a full product. Other programs on the machine make all figures worse; the ratios less so.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from goalcut.agents.linear import times_transposed
from goalcut.analysis import directions, temporal_svd

PARAMETERS = 169_000
SIGNALS = 30
MEMORY_CAP = 1_500  # MB that the process may allocate, for the large case


def write_rows(path: Path, times: int) -> None:
    """Smooth profiles times fixed directions plus noise, float16, appended as a run would."""
    rng = np.random.default_rng(0)
    U = rng.standard_normal((SIGNALS, PARAMETERS), dtype=np.float32)
    t = np.linspace(0, 1, times, dtype=np.float32)[:, None]
    V = np.cos(np.pi * np.arange(SIGNALS, dtype=np.float32) * t) * 2.0 ** -np.arange(
        SIGNALS, dtype=np.float32
    )
    with path.open("wb") as file:
        for start in range(0, times, 240):
            rows = V[start : start + 240] @ U
            rows += 0.1 * rng.standard_normal(rows.shape, dtype=np.float32)
            file.write(rows.astype(np.float16).tobytes())


def matmul_speed() -> float:
    """Multiply-adds per second of a float32 product by the way that ours takes, the best of three."""
    A = torch.ones(3000, 3000)
    times_transposed(A, A)
    best = np.inf
    for _ in range(3):
        started = time.perf_counter()
        times_transposed(A, A)
        best = min(best, time.perf_counter() - started)
    return len(A) ** 3 / best


def measure(path: Path, times: int, method: str) -> dict[str, float]:
    """One case, in this process."""
    if times > 1000:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_CAP * 2**20, MEMORY_CAP * 2**20))
    rows = np.memmap(path, dtype=np.float16, mode="r", shape=(times, PARAMETERS))
    speeds = [matmul_speed()]
    gram_done = started = time.perf_counter()
    if method == "numpy":
        np.linalg.svd(rows.astype(np.float32), full_matrices=False)
    else:

        def on_panel(done: int, total: int) -> None:
            nonlocal gram_done
            gram_done = time.perf_counter()

        svd = temporal_svd(rows, progress=on_panel)
        if method == "directions":
            directions(svd, rows, range(40))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    speeds.append(matmul_speed())
    work = times**2 * PARAMETERS / 2 / float(np.mean(speeds))
    gram_seconds = gram_done - started
    return {
        "seconds": seconds,
        "gram": gram_seconds,
        "peak": peak,
        "share": work / gram_seconds if gram_seconds else 0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--large",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="5,760 rows as well (takes a minute or two)",
    )
    parser.add_argument("--case", nargs=3, metavar=("FILE", "TIMES", "METHOD"), help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.case:
        path, times, method = settings.case
        print(json.dumps(measure(Path(path), int(times), method)))
        return

    names = {"temporal_svd": "temporal_svd", "directions": "  + 40 directions", "numpy": "numpy.linalg.svd"}
    cases = [(240, "temporal_svd"), (240, "directions"), (240, "numpy")]
    if settings.large:
        cases.append((5760, "temporal_svd"))
    print("rows                method            seconds  of which Gram  of matmul speed  peak RSS  × numpy")
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for times, method in cases:
            path = Path(folder) / f"{times}.bin"
            if not path.exists():
                write_rows(path, times)
            command = [sys.executable, __file__, "--case", str(path), str(times), method]
            found[times, method] = json.loads(
                subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
            )
        for (times, method), case in found.items():
            beside = found.get((times, "numpy"))
            print(
                f"{times:>5,} × {PARAMETERS:,}   {names[method]:<17} {case['seconds']:>7.2f}"
                + (f"  {case['gram']:>11.2f} s  {case['share']:>15.2f}" if case["gram"] else " " * 32)
                + f"  {case['peak']:>5,.0f} MB"
                + (f"  {beside['seconds'] / case['seconds']:>7.1f}" if beside else "")
            )


if __name__ == "__main__":
    main()
