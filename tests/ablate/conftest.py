"""A small agent, really trained, that several files of tests look at and none changes."""

import pytest
import torch

from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import train
from goalcut.envs import CheeseInCorner

WORLD = CheeseInCorner(size=5, corner_size=3)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An agent that has learned to seek corner and cheese of 5×5 mazes."""
    settings = TrainSettings(
        world=WORLD,
        seed=1,
        ppo=PPOSettings(
            rollouts=40, num_envs=128, num_steps=16, minibatches=4, learning_rate=2.5e-3, precision="float32"
        ),
        network="mlp",
        num_levels=512,
        time_limit=20,
        record="none",
        checkpoint_every=10,
        measure_every=0,
        save_every=40,
        threads=1,
    )
    threads = torch.get_num_threads()
    run = Run.create(tmp_path_factory.mktemp("small") / "run", settings)
    train(run)
    torch.set_num_threads(threads)
    return run
