from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from goalcut.agents.gradient_log import GradientLog
from goalcut.agents.networks import build_network
from goalcut.agents.parameters import flat_parameters
from goalcut.agents.ppo import PPO, PPOSettings
from goalcut.agents.recorder import GradientRecorder
from goalcut.agents.side_by_side import side_by_side
from goalcut.envs import CheeseInCorner, CheeseMaze, make_levels

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_two_computations_share_the_threads_and_give_them_back(threads: int) -> None:
    torch.set_num_threads(threads)
    with side_by_side(CPU) as both:
        counts = both(torch.get_num_threads, torch.get_num_threads)
    assert counts == (max(1, threads // 2),) * 2
    assert torch.get_num_threads() == threads


def test_what_the_second_computation_raises_is_raised() -> None:
    def fails() -> None:
        raise ValueError("the second")

    torch.set_num_threads(2)
    with pytest.raises(ValueError, match="the second"), side_by_side(CPU) as both:
        both(lambda: None, fails)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_halves_learned_at_once_give_the_bits_of_one_after_the_other(tmp_path: Path, precision: str) -> None:
    settings = PPOSettings(rollouts=2, num_envs=16, num_steps=8, epochs=2, minibatches=2)
    settings = replace(settings, precision=precision)
    levels = make_levels(CheeseInCorner(size=5, corner_size=2), 64, seed=0)
    thetas, rows = [], []
    for threads in (1, 2):
        torch.set_num_threads(1)
        ppo = PPO(
            settings, build_network("conv", (3, 5, 5), 4, seed=0), CheeseMaze(levels, 16, seed=0), seed=0
        )
        recorder = GradientRecorder(ppo.network, ppo.optimizer, tmp_path / str(threads), per_update=True)
        rollout, _ = ppo.collect()
        torch.set_num_threads(threads)
        ppo.learn(rollout, recorder, record_terms=True)
        recorder.close()
        thetas.append(flat_parameters(ppo.network))
        rows.append(torch.from_numpy(GradientLog(tmp_path / str(threads)).memmap().copy()))
    assert torch.equal(*thetas)
    assert torch.equal(*rows)
