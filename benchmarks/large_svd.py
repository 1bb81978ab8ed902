"""SVD of rows that need not fit in memory, beside numpy, scipy, scikit-learn and torch: time, memory, accuracy.

    python benchmarks/large_svd.py                   1,876 × 67,000 and × 669,706 float32 (5.0 GB in TMPDIR)
    python benchmarks/large_svd.py --no-slow-rivals  without scipy and numpy at the large size, which take minutes

Every case runs in a process of its own on the same file: 100 smooth profiles of falling strength, about half of them
below the noise, as gradient rows have it. Seconds count from the file, reading included, to all singular values,
profiles and 20 directions (ours), all three of full rank (numpy) or the 100 strongest (the others). Errors are against
our own route in float64, itself checked against numpy.linalg.svd in float64 at the small size: the largest relative
error of the 100 strongest σ, and the largest principal angle between the 20 strongest directions and the true ones, at
a gap of the spectrum. A case that would not fit in the memory at hand is not started: what it needs is what it
needed at the small size, scaled. The speed of the machine is that of a float32 matrix product in the same process.
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
import scipy.linalg
import torch
from temporal_svd import matmul_speed

from goalcut.analysis import directions, directions_along, gram, principal_angles, temporal_svd
from goalcut.analysis.rows import FileRows

SIGNALS, LEADING, DIRECTIONS = 100, 100, 20
MEMORY_CAP = 1_500  # MB that ours may allocate
RIVALS = {
    "torch": "torch.svd_lowrank",
    "sklearn": "sklearn randomized_svd",
    "scipy": "scipy svds",
    "numpy": "numpy.linalg.svd",
}
SLOW = ("scipy", "numpy")


class InFloat64:
    """float32 rows taken as float64: all that follows is float64 throughout."""

    dtype = np.dtype(np.float64)

    def __init__(self, rows: FileRows):
        self._rows, self.shape = rows, rows.shape

    def panel(self, start: int, stop: int) -> np.ndarray:
        """Parameters start…stop of every row, float64."""
        return self._rows.panel(start, stop).astype(np.float64)


def write_rows(path: Path, times: int, parameters: int) -> None:
    """Smooth profiles of falling strength, with a gap after the 20th, times fixed directions, plus noise."""
    rng = np.random.default_rng(0)
    U = rng.standard_normal((SIGNALS, parameters), dtype=np.float32)
    numbers = np.arange(SIGNALS, dtype=np.float32)
    strengths = np.where(numbers < DIRECTIONS, 1, 0.7) * 0.9**numbers
    V = np.cos(np.pi * numbers * np.linspace(0, 1, times, dtype=np.float32)[:, None]) * strengths
    V = V.astype(np.float32)
    with path.open("wb") as file:
        for start in range(0, times, 100):
            rows = V[start : start + 100] @ U
            rows += 0.1 * rng.standard_normal(rows.shape, dtype=np.float32)
            file.write(rows.tobytes())


def reference(rows: FileRows) -> tuple[np.ndarray, np.ndarray]:
    """σ (T,) and the strongest directions (20, P), float64. One pass: σ > 1e-3 σ_1 come to about ten digits."""
    eigenvalues, V = scipy.linalg.eigh(gram(InFloat64(rows)))
    found = directions_along(InFloat64(rows), V[:, : -DIRECTIONS - 1 : -1].copy())
    return np.sqrt(np.maximum(eigenvalues[::-1], 0)), found.vectors


def ours(rows: FileRows, seen: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """σ and directions by `temporal_svd`; notes when its Gram matrix was done."""

    def on_panel(done: int, total: int) -> None:
        seen["gram_done"] = time.perf_counter()

    svd = temporal_svd(rows, progress=on_panel)
    return svd.singular_values, directions(svd, rows, range(DIRECTIONS)).vectors


def rival(rows: FileRows, method: str) -> tuple[np.ndarray, np.ndarray]:
    """σ, descending, and the strongest directions, by the usual route of each library."""
    X = np.fromfile(rows.path, dtype=np.float32).reshape(rows.shape)
    if method == "torch":
        _, S, V = torch.svd_lowrank(torch.from_numpy(X), q=LEADING)
        return S.numpy(), V[:, :DIRECTIONS].T.numpy()
    if method == "sklearn":
        from sklearn.utils.extmath import randomized_svd

        _, S, Vt = randomized_svd(X, LEADING, random_state=0)
        return S, Vt[:DIRECTIONS]
    if method == "scipy":
        from scipy.sparse.linalg import svds

        _, S, Vt = svds(X, k=LEADING, v0=np.ones(min(X.shape), dtype=np.float32))
        return S[::-1], Vt[: -DIRECTIONS - 1 : -1]
    if method == "numpy64":
        X = X.astype(np.float64)
    _, S, Vt = np.linalg.svd(X, full_matrices=False)
    return S, Vt[:DIRECTIONS]


def measure(folder: Path, times: int, parameters: int, method: str) -> dict[str, float]:
    """One case, in this process."""
    torch.manual_seed(0)
    rows = FileRows(folder / f"{parameters}.bin", (times, parameters), "float32")
    if method == "reference":
        S, U = reference(rows)
        np.savez(folder / f"{parameters}.npz", S=S, U=U)
        return {}
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = MEMORY_CAP * 2**20 if method == "ours" else int(available() * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    speeds, seen, at_rest = [matmul_speed()], {}, peak_memory()
    started = time.perf_counter()
    S, U = ours(rows, seen) if method == "ours" else rival(rows, method)
    seconds = time.perf_counter() - started
    peak = peak_memory()
    speeds.append(matmul_speed())
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))

    true = np.load(folder / f"{parameters}.npz")
    errors = np.abs(S / true["S"][: len(S)] - 1)
    found = {
        "seconds": seconds,
        "peak": peak,
        "at_rest": at_rest,
        "values": len(S),
        "sigma": float(errors[:LEADING].max()),
        "sigma_all": float(errors.max()),
        "angle": float(principal_angles(true["U"], np.asarray(U, dtype=np.float64)).max()),
    }
    if seen:
        found["gram"] = seen["gram_done"] - started
        found["share"] = times**2 * parameters / 2 / float(np.mean(speeds)) / found["gram"]
    return found


def peak_memory() -> float:
    """GB that this process had resident at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def available() -> float:
    """GB of memory at hand, but for one to stay clear of the end."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) / 2**20 - 1
    raise RuntimeError("/proc/meminfo has no line MemAvailable: run this on Linux")


def run_case(folder: Path, times: int, parameters: int, method: str) -> dict[str, float] | None:
    """The case in a process of its own; None where that failed, its last words on stderr."""
    command = [sys.executable, __file__, "--case", str(folder), str(times), str(parameters), method]
    case = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return json.loads(case.stdout) if case.returncode == 0 else None


def line(name: str, case: dict[str, float], ours: dict[str, float]) -> str:
    return (
        f"  {name:<24} {case['seconds']:>7.1f} {case['seconds'] / ours['seconds']:>7.1f} {case['peak']:>8.2f} GB"
        f" {case['values']:>6,.0f} {case['sigma']:>9.1e} {case['angle']:>9.1e}"
    )


def compare(
    folder: Path, times: int, parameters: int, small: dict, skip: tuple[str, ...], scale: float
) -> dict:
    """Run and print all cases of one size; `small` holds those of the small size, a `scale`-th of this one."""
    size = times * parameters * 4
    print(f"\n{times:,} × {parameters:,} float32 rows, {size / 1e9:.2f} GB")
    print("                            seconds  × ours  peak RSS  values   σ error     angle", flush=True)
    write_rows(folder / f"{parameters}.bin", times, parameters)
    if run_case(folder, times, parameters, "reference") is None:
        sys.exit("the float64 reference failed; its error is above")
    found = {}
    for method in ("ours", *RIVALS):
        name = RIVALS.get(method, "temporal_svd (ours)")
        if method in small:
            beside = small[method]
            needs = beside["at_rest"] + (beside["peak"] - beside["at_rest"]) * scale
            seconds = beside["seconds"] * scale
            if method != "ours" and needs > available():
                print(f"  {name:<24} not run: needs about {needs:.0f} GB, {available():.0f} GB are free")
                continue
            if method in skip:
                print(f"  {name:<24} about {seconds:,.0f} s and {needs:.0f} GB: --slow-rivals runs it")
                continue
        case = run_case(folder, times, parameters, method)
        if case is None:
            print(f"  {name:<24} failed within {available():.0f} GB; its error is above", flush=True)
            if method == "ours":
                sys.exit(1)
            continue
        found[method] = case
        print(line(name, case, found["ours"]), flush=True)
    mine = found["ours"]
    print(
        f"  ours: Gram matrix {mine['gram']:.1f} s, {mine['share']:.2f} of the matmul speed; "
        f"largest error of all {mine['values']:,.0f} σ above the floor {mine['sigma_all']:.1e}"
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--slow-rivals",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="numpy and scipy at the large size as well (minutes), where the memory allows",
    )
    parser.add_argument("--times", type=int, default=1_876, help="rows")
    parser.add_argument("--parameters", type=int, nargs=2, default=(67_000, 669_706), help="small and large")
    parser.add_argument("--case", nargs=4, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.case:
        folder, times, parameters, method = settings.case
        print(json.dumps(measure(Path(folder), int(times), int(parameters), method)))
        return

    times, (few, many) = settings.times, settings.parameters
    if times < 2 * LEADING or few < 2 * LEADING:
        parser.error(
            f"{LEADING} values of {times} × {few} rows are no few of many; give {2 * LEADING} or more"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = compare(folder, times, few, {}, (), 1)
        check = run_case(folder, times, few, "numpy64")
        if check is None:
            sys.exit("numpy.linalg.svd in float64 failed; its error is above")
        print(
            f"  the reference beside numpy.linalg.svd in float64: σ error {check['sigma_all']:.1e}, "
            f"angle {check['angle']:.1e}"
        )
        (folder / f"{few}.bin").unlink()
        compare(folder, times, many, small, () if settings.slow_rivals else SLOW, many / few)


if __name__ == "__main__":
    main()
