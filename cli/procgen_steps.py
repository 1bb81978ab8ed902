"""The steps of a run in Procgen's maze: train, and evaluate exactly on held-out levels."""

import time
from pathlib import Path
from typing import Any

import torch

from ..ablate.bootstrap import Bootstrap, interval
from ..agents.behaviour import network_policy
from ..agents.files import write_json
from ..agents.procgen_behaviour import procgen_behaviour, uniform_actions
from ..agents.procgen_run import ProcgenRun, ProcgenSettings, train_procgen
from ..agents.run_directory import settings_to_json
from ..studies.stages import up_to_date
from .settings import EvaluateProcgenSettings
from .steps import console, progress


def train_procgen_step(directory: Path, settings: ProcgenSettings) -> ProcgenRun:
    """Train a run to its end."""
    run = ProcgenRun.create(directory, settings)
    if run.trained:
        console.print(f"{directory}: already trained", soft_wrap=True)
        return run
    done, began = 0, time.perf_counter()
    with progress("train", settings.ppo.rollouts) as advance:

        def on_rollout(record: dict[str, Any]) -> None:
            nonlocal done, began
            now = time.perf_counter()
            speed = settings.ppo.env_steps_per_rollout / (now - began)
            began = now
            advance(
                f"{speed:,.0f} env steps/s, return {record['episode_return']:.2f}", record["rollout"] - done
            )
            done = record["rollout"]

        train_procgen(run, on_rollout=on_rollout)
    return run


def evaluate_procgen_step(run: ProcgenRun, settings: EvaluateProcgenSettings) -> dict[str, Any] | None:
    """Measure the untrained, trained, uniform-random and best agents; evaluation.json. None if it is there already."""
    if up_to_date(run, "evaluation.json", settings):
        return None
    trained = run.settings
    behaviour = procgen_behaviour(
        settings.levels,
        mode=trained.mode,
        cheese=trained.cheese,
        corner_size=trained.corner_size,
        first_seed=settings.first_level,
        device=trained.device,
    )
    agents: dict[str, Any] = {"best": behaviour.best()}
    with torch.no_grad():
        agents["uniform"] = behaviour.measure(uniform_actions)
        for name, when in (("trained", None), ("untrained", 0)):
            network = run.network(when).to(trained.device)
            agents[name] = behaviour.measure(network_policy(network))
    result = {
        "levels": settings.levels,
        "first_level": settings.first_level,
        "exact": behaviour.exact,
        "behaviour": behaviour.told,
        "measures": {measure.name: measure.meaning for measure in behaviour.world.measures},
        "settings": settings_to_json(settings),
        "agents": {name: _summary(agents[name]) for name in ("untrained", "trained", "uniform", "best")},
    }
    write_json(run.path("evaluation.json"), result)
    return result


def _summary(measured: dict[str, torch.Tensor]) -> dict[str, dict[str, float]]:
    """Mean and 95 % interval over levels of each measure."""
    bootstrap = Bootstrap({k: len(v) for k, v in measured.items()}, paired=False, resamples=1000, seed=0)
    rows = {}
    for name, values in measured.items():
        low, high = interval(bootstrap.means(name, values.cpu().double()))
        rows[name] = {"mean": float(values.mean()), "low": low, "high": high}
    return rows
