"""What tests of lenses share: a small trained run."""

import pytest

from goalcut.agents.ppo import PPOSettings
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.training import train
from goalcut.envs.worlds import CheeseInCorner


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two rollouts on 5×5 mazes, with the `conv` network."""
    settings = TrainSettings(
        world=CheeseInCorner(size=5, corner_size=2),
        ppo=PPOSettings(rollouts=2, num_envs=8, num_steps=8, minibatches=2),
        num_levels=64,
        measure_every=0,
        threads=1,
    )
    run = Run.create(tmp_path_factory.mktemp("lens") / "run", settings)
    train(run)
    return run
