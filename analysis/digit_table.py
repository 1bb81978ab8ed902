"""The table of counts: networks, optimizers, batch sizes and seeds, each trained, logged and counted."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..agents.classification import DigitSettings
from ..agents.digit_run import DigitRun, held_out_behaviour, train_digits
from ..agents.files import RunFileError, read_json, write_json
from ..agents.settings_json import settings_to_json
from .cross_half import cross_half_of_product
from .gram import gram
from .log_spectra import whole_log
from .null_spectra import count_above
from .sampling import (
    centred_gram,
    residual_share,
    sampled_counts,
    singular_values_of_gram,
    unit_gram,
)

SHARES = (0.05, 0.1, 0.15)
_SAMPLED, _DRAWS, _RESIDUAL_SAMPLE = 400, 10, 300
_NETWORKS: dict[str, dict[str, Any]] = {
    "784-128-10": {"hidden": (128,)},
    "784-256-128-10": {"hidden": (256, 128)},
    "784-512-512-10": {"hidden": (512, 512)},
    "CNN": {"network": "cnn", "hidden": ()},
}
_OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD 0.01": {"learning_rate": 0.01, "momentum": 0.0},
    "SGD 0.1": {"learning_rate": 0.1, "momentum": 0.0},
    "SGD 0.01, momentum 0.9": {"learning_rate": 0.01, "momentum": 0.9},
    "Adam 0.001": {"optimizer": "adam", "learning_rate": 0.001, "momentum": 0.0},
}
_MAIN = "784-256-128-10", "SGD 0.01, momentum 0.9"
_BATCH_SIZES = (32, 128, 256)
_OF_MOST_SEEDS = ("784-128-10", "784-256-128-10")


@dataclass(frozen=True)
class Entry:
    """One line of the table: a setting and how many seeds it is trained with."""

    network: str
    optimizer: str
    settings: DigitSettings
    seeds: int


def entries(base: DigitSettings, seeds: int) -> list[Entry]:
    """The lines: every network with every optimizer, then the main one at other batch sizes.

    The two middle networks take all seeds; the others, and the batch sizes, half of them.
    """
    lines = [
        Entry(
            network,
            optimizer,
            replace(base, record="update", **shape, **({"optimizer": "sgd"} | how)),
            seeds if network in _OF_MOST_SEEDS else max(1, seeds // 2),
        )
        for network, shape in _NETWORKS.items()
        for optimizer, how in _OPTIMIZERS.items()
    ]
    main = next(line for line in lines if (line.network, line.optimizer) == _MAIN)
    for size in _BATCH_SIZES:
        settings = replace(main.settings, batch_size=size)
        lines.append(Entry(main.network, f"{main.optimizer}, batch {size}", settings, max(1, seeds // 2)))
    return lines


def fill_table(
    directory: Path, lines: list[Entry], *, on_row: Callable[[str], None] = lambda name: None
) -> list[dict[str, Any]]:
    """Train and count every line and seed that has no row yet; a row's gradients are removed once it is there.

    Args:
        directory: holds one run directory per row, each with its row.json.
        lines: from `entries`.
        on_row: called with each row's name when it is there.

    Returns:
        The rows, each {network, optimizer, seed, settings} and what `count_run` found.
    """
    rows = []
    for line in lines:
        for seed in range(line.seeds):
            settings = replace(line.settings, seed=seed, measure_every=0, checkpoint_every=10**9)
            name = f"{line.network} {line.optimizer} seed {seed}"
            folder = directory / "".join(c if c.isalnum() or c in ".-" else "_" for c in name)
            row = _kept(folder / "row.json", settings)
            if row is None:
                run = DigitRun.create(folder, settings)
                train_digits(run)
                row = {"network": line.network, "optimizer": line.optimizer, "seed": seed}
                row |= {"settings": settings_to_json(settings)} | count_run(run)
                write_json(folder / "row.json", row)
            shutil.rmtree(folder / "gradients", ignore_errors=True)
            rows.append(row)
            on_row(name)
    return rows


def count_run(run: DigitRun) -> dict[str, Any]:
    """The counts of one run's gradients, beside their nulls, and what may move them."""
    log = whole_log(run)
    half_a, half_b = log.rows(half="A"), log.rows(half="B")
    rng = np.random.default_rng(run.settings.seed)
    AB = gram(half_a, half_b)
    AA = gram(half_a)
    K = AA + AB + AB.T + gram(half_b)
    norms = np.sqrt(np.diag(K))
    tenth = max(1, len(K) // 10)
    cross = cross_half_of_product(AB, nulls=20, rng=rng)
    agreed = np.maximum(cross.eigenvalues, 0.0)
    result: dict[str, Any] = {
        "rows": len(K),
        "parameters": log.parameters,
        "accuracy": _accuracy(run),
        "norm_decay": float(norms[-tenth:].mean() / norms[:tenth].mean()),
        "signal_share": float(4 * np.trace(AB) / np.trace(K)),
        "signal_directions": cross.signal_directions,
        "negative_directions": cross.negative_directions,
        "noise_floor": float(cross.noise_floor / cross.eigenvalues[0]),
        "noise_free": [int(np.count_nonzero(agreed > share**2 * agreed[0])) for share in SHARES],
    }
    for name, matrix in (("raw", K), ("unit", unit_gram(K)), ("centred", centred_gram(K)), ("half", AA)):
        sampled = min(_SAMPLED, len(matrix))
        found = sampled_counts(matrix, sampled, _DRAWS, SHARES, parameters=log.parameters, rng=rng)
        values = singular_values_of_gram(matrix)
        result[name] = {
            "mean": found.counts.mean(0).tolist(),
            "sd": found.counts.std(0, ddof=1).tolist(),
            "null": found.null_counts.mean(0).tolist(),
            "whole": [count_above(values, share) for share in SHARES],
        }
    if len(K) > _RESIDUAL_SAMPLE:
        order = rng.permutation(len(K))
        others = order[_RESIDUAL_SAMPLE:]
        left = residual_share(K, order[:_RESIDUAL_SAMPLE], others)
        result["residual_300"] = float(left @ norms[others] ** 2 / (norms[others] ** 2).sum())
    return result


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table, one line per network and optimizer: mean over seeds, ± standard deviation over seeds."""
    names = [
        *("network", "optimizer", "seeds", "accuracy", "rows", "above 0.05", "**above 0.1**", "above 0.15"),
        *("sd of draws", "null", "unit rows", "centred", "half batch", "all rows", "noise-free"),
        *("signal directions", "negative ones", "norm decay", "residual of 300"),
    ]
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    keys = list(dict.fromkeys((row["network"], row["optimizer"]) for row in rows))
    for network, optimizer in keys:
        of = [row for row in rows if (row["network"], row["optimizer"]) == (network, optimizer)]

        def over(
            take: Callable[[dict[str, Any]], float], digits: int = 1, of: list[dict[str, Any]] = of
        ) -> str:
            values = np.array([take(row) for row in of])
            spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
            return f"{values.mean():.{digits}f}{spread}"

        cells = [
            network,
            optimizer,
            str(len(of)),
            over(lambda row: row["accuracy"], 3),
            f"{of[0]['rows']:,}",
            *(over(lambda row, i=i: row["raw"]["mean"][i]) for i in range(3)),
            f"{np.mean([row['raw']['sd'][1] for row in of]):.1f}",
            over(lambda row: row["raw"]["null"][1]),
            *(over(lambda row, kind=kind: row[kind]["mean"][1]) for kind in ("unit", "centred", "half")),
            over(lambda row: row["raw"]["whole"][1]),
            over(lambda row: row["noise_free"][1]),
            over(lambda row: row["signal_directions"]),
            over(lambda row: row["negative_directions"]) if "negative_directions" in of[0] else "–",
            over(lambda row: row["norm_decay"], 2),
            over(lambda row: row["residual_300"], 2) if all("residual_300" in row for row in of) else "–",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _accuracy(run: DigitRun) -> float:
    behaviour = held_out_behaviour(run.settings)
    called = behaviour.logits(run.network()).argmax(1)
    return float((called == behaviour.labels).double().mean())


def _kept(path: Path, settings: DigitSettings) -> dict[str, Any] | None:
    """A row that is there and of these settings."""
    if not path.exists():
        return None
    row = read_json(path)
    if row.get("settings") != settings_to_json(settings):
        raise RunFileError(f"{path} is of other settings: give another directory, or remove it")
    return row
