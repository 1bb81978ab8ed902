"""summary.json: the headline figures of a run, one flat object per section."""

from typing import Any

from ..ablate.table import load_table
from ..agents.files import read_json, write_json
from ..agents.run import Run


def write_summary(run: Run) -> dict[str, Any]:
    """Gather the headline figures from whatever steps are done; returns what was written."""
    summary: dict[str, Any] = {"training": _training(run)}
    if (path := run.directory / "evaluation.json").exists():
        agents = read_json(path)["agents"]
        summary["measures"] = {
            name: {measure: value["mean"] for measure, value in agents[name].items()}
            for name in ("untrained", "trained", "uniform")
        }
    if (path := run.directory / "analysis" / "analysis.json").exists():
        analysis = read_json(path)
        summary["spectrum"] = {
            name: analysis[name] for name in ("rows", "parameters", "above_tenth", "null_above_tenth")
        }
        halves = analysis["cross_half"]
        summary["spectrum"]["signal_directions"] = None if halves is None else halves["signal_directions"]
        summary["timing"] = {
            "corner_passes_env_steps": analysis["behaviour"]["corner_passes_env_steps"],
            "cheese_retention_there": analysis["behaviour"]["cheese_retention_there"],
        }
    if (path := run.directory / "ablation" / "table.json").exists():
        fields = (
            "name selection removes control_of directions dose relative_norm measures retention selectivity"
        )
        summary["cuts"] = [
            {name: getattr(row, name) for name in fields.split()} for row in load_table(path)["rows"]
        ]
    write_json(run.path("summary.json"), summary)
    return summary


def _training(run: Run) -> dict[str, Any]:
    records = run.progress()
    seconds = sum(record["seconds"] for record in records)
    recording = sum(record["recording_seconds"] for record in records)
    env_steps = records[-1]["env_steps"] if records else 0
    return {
        "env_steps": env_steps,
        "seconds": seconds,
        "env_steps_per_second": env_steps / seconds if seconds else 0.0,
        "recording_share": recording / seconds if seconds else 0.0,
    }
