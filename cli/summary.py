"""summary.json: the headline figures of a run, one flat object per section."""

from typing import Any

from ..ablate.table import load_table
from ..agents.files import read_json, write_json
from ..agents.run_directory import RunDirectory

_CUT_FIELDS = "name selection removes control_of directions dose relative_norm measures retention selectivity"


def write_summary(run: RunDirectory[Any]) -> dict[str, Any]:
    """Gather the headline figures from whatever steps are done; returns what was written."""
    summary: dict[str, Any] = {"training": _training(run)}
    if (path := run.directory / "evaluation.json").exists():
        agents = read_json(path)["agents"]
        summary["measures"] = {
            name: {measure: value["mean"] for measure, value in measured.items()}
            for name, measured in agents.items()
            if name != "best"
        }
    if (path := run.directory / "analysis" / "analysis.json").exists():
        analysis = read_json(path)
        summary["spectrum"] = _spectrum(analysis)
        if "behaviour" in analysis:
            names = ("proxy_passes_env_steps", "paid_retention_there")
            summary["timing"] = {name: analysis["behaviour"][name] for name in names}
        if "counts" in analysis:
            summary["counts"] = _counts(analysis["counts"])
            summary["residual"] = _residual(analysis["residual"]["samples"])
    if (path := run.directory / "ablation" / "table.json").exists():
        rows = load_table(path)["rows"]
        summary["cuts"] = [{name: getattr(row, name) for name in _CUT_FIELDS.split()} for row in rows]
    write_json(run.path("summary.json"), summary)
    return summary


def _training(run: RunDirectory[Any]) -> dict[str, Any]:
    """What was trained, and how fast: in env steps, or in images."""
    records = run.progress()
    seconds = sum(record["seconds"] for record in records)
    recording = sum(record["recording_seconds"] for record in records)
    unit = "images" if records and "images" in records[-1] else "env_steps"
    done = records[-1][unit] if records else 0
    return {
        unit: done,
        "seconds": seconds,
        f"{unit}_per_second": done / seconds if seconds else 0.0,
        "recording_share": recording / seconds if seconds else 0.0,
    }


def _spectrum(analysis: dict[str, Any]) -> dict[str, Any]:
    halves = analysis["cross_half"]
    names = ("rows", "parameters", "above_tenth", "null_above_tenth")
    found = {name: analysis[name] for name in names}
    return found | {"signal_directions": None if halves is None else halves["signal_directions"]}


def _counts(counts: dict[str, Any]) -> dict[str, Any]:
    """Singular values above a tenth: of samples (mean and standard deviation over draws), of noise, of all rows."""
    tenth = counts["thresholds"].index(0.1)
    result: dict[str, Any] = {"sampled": counts["sampled"], "draws": counts["draws"]}
    for kind in ("raw", "unit", "centred"):
        for name in ("mean", "sd", "null_mean", "whole"):
            result[f"{kind}_{name}"] = counts[kind][name][tenth]
    return result


def _residual(samples: dict[str, Any]) -> dict[str, Any]:
    """What samples of each size leave of the other rows: all of it, and without noise where that is known."""
    free = samples.get("signal_mean", [None] * len(samples["sampled"]))
    return {
        f"of_{size}": {"share": share, "noise_free": signal}
        for size, share, signal in zip(samples["sampled"], samples["mean"], free, strict=True)
    }
