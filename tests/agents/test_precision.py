from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goalcut.agents.files import RunConflictError
from goalcut.agents.ppo import PPO, PPOSettings
from goalcut.agents.precision import in_precision, resolved_precision
from goalcut.agents.run import Run, TrainSettings
from goalcut.envs.cheese_maze import CheeseMaze
from goalcut.envs.generator import make_levels
from goalcut.envs.planes import observations

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


def test_a_network_in_bfloat16_gives_its_outputs_in_float32_and_nearly_the_same_gradient() -> None:
    network, device = SETTINGS.new_network(), torch.device("cpu")
    planes = torch.from_numpy(observations(make_levels(SETTINGS.world, 8, seed=0))).float()
    found = {}
    for precision in ("float32", "bfloat16"):
        network.zero_grad()
        logits, values = in_precision(network, precision, device)(planes)
        assert logits.dtype == values.dtype == torch.float32
        (logits[:, 0].sum() + values.sum()).backward()
        found[precision] = torch.cat([p.grad.reshape(-1) for p in network.parameters() if p.grad is not None])
    assert not torch.equal(*found.values())
    assert float(torch.cosine_similarity(*found.values(), dim=0)) > 0.99
    assert in_precision(network, "float32", device) is network


def test_a_network_of_one_output_in_bfloat16_is_a_tensor_still() -> None:
    network = torch.nn.Linear(3, 2)
    out = in_precision(network, "bfloat16", torch.device("cpu"))(torch.ones(4, 3))
    assert (out.shape, out.dtype) == ((4, 2), torch.float32)
