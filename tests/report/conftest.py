"""Run directories to report on.

Of mazes a tiny real training with results of the later commands built by hand; of digits a tiny real run throughout.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from goalcut.ablate.digit_cuts import DigitAblateSettings, DigitAblation
from goalcut.ablate.table import save_table
from goalcut.ablate.tuned import TuneSettings
from goalcut.agents.classification import DigitSettings
from goalcut.agents.digit_run import DigitRun, train_digits
from goalcut.agents.files import save_tensors, write_json
from goalcut.agents.parameters import named_parameters_of, parameter_layout
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.settings_json import settings_to_json
from goalcut.agents.training import train
from goalcut.analysis.digit_analysis import DigitAnalyzeSettings, analyze_digits
from goalcut.analysis.directions import Directions
from goalcut.envs import CheeseInCorner

TINY = TrainSettings(
    world=CheeseInCorner(size=5, corner_size=2),
    ppo=PPOSettings(rollouts=3, num_envs=8, num_steps=8, epochs=1, minibatches=2, precision="float32"),
    network="mlp",
    num_levels=16,
    measure_every=1,
    measure_levels=8,
    threads=1,
)
MEASURES = [measure.name for measure in TINY.world.measures]
NASTY = "cut <b>&\"'</script>"


@pytest.fixture(scope="session")
def trained_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    threads = torch.get_num_threads()
    run = Run.create(tmp_path_factory.mktemp("runs") / "tiny", TINY)
    train(run)
    torch.set_num_threads(threads)
    return run.directory


@pytest.fixture(scope="session")
def full_directory(trained_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "full"
    shutil.copytree(trained_directory, directory)
    pretend_to_learn(Run(directory))
    add_results(Run(directory))
    return directory


@pytest.fixture(scope="session")
def digits_trained(few_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of 160 updates, as far as training goes."""
    threads = torch.get_num_threads()
    settings = DigitSettings(
        hidden=(16,),
        learning_rate=0.02,
        batch_size=8,
        measure_every=2,
        checkpoint_every=40,
        data_dir=few_digits,
        threads=1,
    )
    run = DigitRun.create(tmp_path_factory.mktemp("runs") / "digits", settings)
    train_digits(run)
    torch.set_num_threads(threads)
    return run.directory


@pytest.fixture(scope="session")
def digits_full(digits_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with an analysis, an evaluation and a few cuts."""
    directory = tmp_path_factory.mktemp("runs") / "digits full"
    shutil.copytree(digits_trained, directory)
    run = DigitRun(directory)
    analyze = DigitAnalyzeSettings(
        directions=24,
        sampled=60,
        draws=3,
        residual_samples=(20, 40),
        nulls=5,
        turning=8,
        permutations=50,
        window=9,
    )
    result, found = analyze_digits(run, analyze)
    found.save(run.path("analysis", "directions.safetensors"))
    write_json(run.path("analysis", "analysis.json"), result | {"settings": settings_to_json(analyze)})
    add_digit_cuts(run, found)
    return directory


def add_digit_cuts(run: DigitRun, found: Directions) -> None:
    """Every kind of cut of a classifier, each tuned for two steps only, and what the classifiers do uncut."""
    settings = DigitAblateSettings(
        tune=TuneSettings(steps=2),
        count=2,
        strongest=8,
        draws=1,
        doses=(0.0, 1.0),
        singles=3,
        headline_digits=(1,),
        images=100,
        tuning_images=80,
    )
    ablation = DigitAblation(run, found, settings)
    judge = ablation.judge
    rows, curves, headline = ablation.rows()
    agents = {"untrained": judge.untrained, "trained": judge.trained, "uniform": judge.uniform}
    means = {name: {m: float(v.mean()) for m, v in measured.items()} for name, measured in agents.items()}
    about = {"images": 100, "headline": headline, "settings": settings_to_json(settings)}
    save_table(run.path("ablation", "table.json"), rows, curves, about | means)
    of_each = {name: judge.summary(measured) for name, measured in agents.items()}
    of_each["chance"] = of_each.pop("uniform")
    write_json(run.path("evaluation.json"), {"images": 100, "split": "test", "agents": of_each})


def pretend_to_learn(run: Run) -> None:
    """Three tiny rollouts teach nothing: write learning curves that move."""
    records = run.progress()
    for record, share in zip(records, (0.0, 0.8, 0.9, 1.0), strict=True):
        record["measures"] = dict.fromkeys(MEASURES, share) | {"cheese_from_corner": 0.4 + 0.4 * share**4}
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (run.directory / "progress.jsonl").write_text(lines)


def add_results(run: Run, count: int = 12, levels: int = 20) -> None:
    """What evaluate, analyze and ablate write, with made-up numbers of the right shape."""
    rng = np.random.default_rng(0)
    means = {
        "untrained": dict(zip(MEASURES, (0.13, 0.09, 0.24, 0.39, 0.02, 0.24), strict=True)),
        "trained": dict(zip(MEASURES, (0.83, 0.53, 0.42, 0.82, 0.85, 0.9), strict=True)),
        "uniform": dict(zip(MEASURES, (0.12, 0.1, 0.22, 0.4, 0.03, 0.25), strict=True)),
        "best": dict.fromkeys(MEASURES, 1.0),
    }
    agents = {
        agent: {name: {"mean": m, "low": m - 0.02, "high": min(1.0, m + 0.02)} for name, m in values.items()}
        for agent, values in means.items()
    }
    write_json(
        run.path("evaluation.json"), {"levels": levels, "level_seed": 0, "split": "test", "agents": agents}
    )
    _add_analysis(run, rng, count)
    _add_ablation(run, rng, means, levels)


def _add_analysis(run: Run, rng: np.random.Generator, count: int) -> None:
    env_steps = [float(record["env_steps"]) for record in run.progress() if record["rollout"]]
    times = len(env_steps)
    network = run.settings.new_network()
    modules = sorted({name.rpartition(".")[0] for name in parameter_layout(network)})
    place = (np.arange(times) + 0.5) / times
    centres = rng.uniform(0.05, 0.95, count)
    profiles = np.exp(-(((place[:, None] - centres) / 0.12) ** 2)) * rng.choice([-1, 1], count)
    profiles /= np.linalg.norm(profiles, axis=0)
    shares = rng.dirichlet(np.ones(len(modules)), count).T
    values = 30 * 0.97 ** np.arange(max(times, count))
    spectrum = {
        "singular_values": values.tolist(),
        "above_tenth": int((values > 3).sum()),
        "null_singular_values": (0.95 * values[0] * 0.999 ** np.arange(len(values))).tolist(),
        "null_above_tenth": len(values),
    }
    split = env_steps[max(1, times // 3)]
    eigenvalues, null_top = 100 * 0.6 ** np.arange(times) - 0.5, rng.uniform(1, 2, 20)
    analysis = {
        "rows": times,
        "parameters": sum(p.numel() for p in network.parameters()),
        "row": "mean over the updates of one rollout",
        "env_steps": env_steps,
        **spectrum,
        "floor": 3e-4,
        "below_floor": 0,
        "unit": spectrum,
        "cross_half": {
            "eigenvalues": eigenvalues.tolist(),
            "null_top": null_top.tolist(),
            "signal_directions": int((eigenvalues > null_top.max()).sum()),
            "noise_floor": -0.5,
        },
        "terms": {"policy": spectrum, "value": spectrum, "entropy": spectrum},
        "applied": spectrum,
        "directions": {
            "count": count,
            "centre_of_mass": ((place[:, None] * profiles**2).sum(0)).tolist(),
            "early_share": (profiles[: times // 3] ** 2).sum(0).tolist(),
            "late_share": (profiles[times // 3 :] ** 2).sum(0).tolist(),
            "split_env_steps": split,
            "change_points": [[env_steps[int(place)]] for place in rng.integers(times, size=count)],
            "module_shares": {name: share.tolist() for name, share in zip(modules, shares, strict=True)},
        },
        "behaviour": {
            "proxy_passes_env_steps": split,
            "paid_retention_there": 0.14,
            "change_points": {name: [split] for name in MEASURES},
        },
    }
    write_json(run.path("analysis", "analysis.json"), analysis)
    tensors = {"profiles": profiles, "singular_values": values[:count]}
    save_file(tensors, run.path("analysis", "directions.safetensors"))


def _add_ablation(
    run: Run, rng: np.random.Generator, means: dict[str, dict[str, float]], levels: int
) -> None:
    layout = parameter_layout(run.settings.new_network())
    middle = run.parameters_after(run.checkpoints[len(run.checkpoints) // 2])
    cuts = [
        (NASTY, "profile", "corner", 0.4, 0.8),
        ("latest 5: remove cheese", "profile", "cheese", 0.6, 0.5),
        ("tuned: remove corner", "tuned", "corner", 0.02, 0.92),
        ("tuned: remove cheese", "tuned", "cheese", 0.91, -0.1),
    ]
    rows, curves = [], []
    for number, (name, selection, removes, corner, cheese) in enumerate(cuts):
        file = f"ablation/cut-{number}.safetensors"
        save_tensors(run.path(*file.split("/")), named_parameters_of(middle, layout))
        rows.append(_row(name, selection, removes, None, corner, cheese, means, file))
        doses = [0.0, 0.5, 1.0]
        curves.append(_curve(name, selection, removes, None, doses, corner, cheese))
        for draw in range(6):
            kept = 1 - abs(rng.normal(0, 0.08, 2))
            control = f"random directions | {name}"
            rows.append(_row(control, "control", removes, name, kept[0], kept[1], means, None))
            if draw < 2:
                curves.append(_curve(control, "control", removes, name, doses, kept[0], kept[1]))
    table = {
        "levels": levels,
        "tuning_levels": 10,
        **{agent: means[agent] for agent in ("untrained", "trained", "uniform")},
        "rows": rows,
        "dose_response": curves,
        "headline": [name for name, *_ in cuts],
    }
    write_json(run.path("ablation", "table.json"), table)


def _row(name, selection, removes, control_of, corner, cheese, means, file):
    retention = dict.fromkeys(MEASURES, 0.9) | {"corner_reach": corner, "cheese_from_corner": cheese}
    low, high = means["untrained"], means["trained"]
    measures = {m: low[m] + r * (high[m] - low[m]) for m, r in retention.items()}
    selectivity = (cheese - corner) if removes == "corner" else (corner - cheese)
    return {
        "name": name,
        "selection": selection,
        "removes": removes,
        "control_of": control_of,
        "directions": 5,
        "dose": 1.0,
        "relative_norm": 0.0412345,
        "measures": measures,
        "intervals": {m: [v - 0.03, v + 0.03] for m, v in measures.items()},
        "retention": retention,
        "retention_intervals": {m: [v - 0.04, v + 0.04] for m, v in retention.items()},
        "selectivity": selectivity,
        "selectivity_interval": [selectivity - 0.05, selectivity + 0.05],
        "recipe": {"by": "time"},
        "parameters_file": file,
    }


def _curve(name, selection, removes, control_of, doses, corner, cheese):
    return {
        "name": name,
        "removes": removes,
        "selection": selection,
        "control": control_of is not None,
        "control_of": control_of,
        "doses": doses,
        "relative_norm": [0.04 * dose for dose in doses],
        "retention": {
            "corner_reach": [1 + dose * (corner - 1) for dose in doses],
            "cheese_from_corner": [1 + dose * (cheese - 1) for dose in doses],
        },
    }
