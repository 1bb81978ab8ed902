from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goalcut.agents.files import RunConflictError
from goalcut.agents.ppo import PPO, PPOSettings
from goalcut.agents.precision import resolved_precision
from goalcut.agents.run import Run, TrainSettings
from goalcut.envs.cheese_maze import CheeseMaze
from goalcut.envs.generator import make_levels

SETTINGS = TrainSettings(ppo=PPOSettings(rollouts=2, num_envs=4, num_steps=4, minibatches=2))


def test_auto_is_what_this_processor_has_instructions_for() -> None:
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    quick = "avx512_bf16" in flags or "amx_bf16" in flags or "amx_tile" in flags
    assert resolved_precision("auto", torch.device("cpu")) == ("bfloat16" if quick else "float32")
    for given in ("bfloat16", "float32"):
        assert resolved_precision(given, torch.device("cpu")) == given  # pyright: ignore


def test_a_run_keeps_the_precision_that_auto_meant_when_it_began(tmp_path: Path) -> None:
    here = resolved_precision("auto", torch.device("cpu"))
    other = "float32" if here == "bfloat16" else "bfloat16"
    run = Run.create(tmp_path / "here", SETTINGS)
    assert run.settings.ppo.precision == here
    # A run of another machine, taken up with the default settings, goes on as it began.
    moved = Run.create(tmp_path / "moved", replace(SETTINGS, ppo=replace(SETTINGS.ppo, precision=other)))
    assert Run.create(moved.directory, SETTINGS).settings.ppo.precision == other
    with pytest.raises(RunConflictError, match=f"ppo.precision is '{other}' there, '{here}' here"):
        Run.create(moved.directory, replace(SETTINGS, ppo=replace(SETTINGS.ppo, precision=here)))


def test_auto_learns_as_what_it_stands_for() -> None:
    thetas = []
    for precision in ("auto", resolved_precision("auto", torch.device("cpu"))):
        settings = replace(SETTINGS.ppo, precision=precision)
        env = CheeseMaze(make_levels(SETTINGS.world, 8, seed=0), 4, seed=0)
        ppo = PPO(settings, SETTINGS.new_network(), env, seed=0)
        rollout, _ = ppo.collect()
        ppo.learn(rollout)
        thetas.append(torch.cat([p.detach().reshape(-1) for p in ppo.network.parameters()]))
    assert torch.equal(*thetas)
