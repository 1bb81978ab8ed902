import itertools
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from procgen_installed import needs_procgen

from goalcut.agents.gradient_log import GradientLogWriter
from goalcut.agents.parameters import flat_parameters
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.procgen_run import (
    ProcgenRun,
    ProcgenSettings,
    _new_learner,
    replay_procgen_training,
    train_procgen,
)

pytestmark = needs_procgen
TINY = ProcgenSettings(
    mode="easy",
    corner_size=3,
    ppo=PPOSettings(rollouts=2, num_envs=4, num_steps=4, epochs=1, minibatches=2, precision="float32"),
    checkpoint_every=1,
    save_every=1,
    measure_every=0,
    threads=1,
    game_threads=0,
)


class Stopped(Exception):
    pass


def test_a_training_that_was_killed_goes_on_to_the_very_same_parameters(tmp_path: Path) -> None:
    whole, killed = (ProcgenRun.create(tmp_path / name, TINY) for name in ("whole", "killed"))
    train_procgen(whole)

    def stop(record) -> None:
        if record["rollout"] == 1:
            raise Stopped

    with pytest.raises(Stopped):
        train_procgen(killed, on_rollout=stop)
    assert not killed.trained
    train_procgen(ProcgenRun(tmp_path / "killed"))
    assert killed.trained
    assert whole.checkpoints == killed.checkpoints == [0, 1, 2]
    for time in whole.checkpoints:
        assert torch.equal(whole.parameters_after(time), killed.parameters_after(time))
    assert not torch.equal(whole.parameters_after(0), whole.parameters_after(2))
    assert whole.gradient_log().rows().shape == (2, 626_256)
    assert [record["env_steps"] for record in whole.progress()] == [0, 16, 32]


def test_the_defaults_are_those_of_the_published_agents() -> None:
    settings = ProcgenSettings()
    assert settings.ppo.rollouts * settings.ppo.env_steps_per_rollout == pytest.approx(200e6, rel=1e-3)
    assert len(flat_parameters(settings.new_network())) == 626_256
    assert len(flat_parameters(replace(settings, scale=4).new_network())) == 3_653_136


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mode": "extreme"}, "mode is 'extreme'"),
        ({"cheese": "middle"}, "cheese is 'middle'"),
        ({"corner_size": 25}, "corner_size is 25: in mode 'hard' give 1 to 24"),
        ({"scale": 0}, "scale is 0"),
        ({"reward": 0.0}, "reward is 0.0"),
        ({"record": "all"}, "record is 'all'"),
        ({"threads": 0}, "threads is 0"),
        ({"measure_levels": 1}, "measure_levels is 1"),
        (
            {"start_level": 2**31 - 200_000},
            r"start_level \+ num_levels is 2147383648: held-out levels come after",
        ),
    ],
)
def test_wrong_settings_are_refused_by_name_and_value(wrong, message) -> None:
    with pytest.raises(ValueError, match=message):
        ProcgenSettings(**wrong)


def test_without_procgen_no_run_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "procgen", None)
    with pytest.raises(ValueError, match=r"pip install 'goalcut\[procgen\]'"):
        ProcgenRun.create(tmp_path / "run", TINY)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("chosen", [{}, {"num_levels": 0}, {"start_level": 7, "num_levels": 300}])
def test_no_level_is_in_two_splits(chosen) -> None:
    splits = [ProcgenSettings(**chosen).seeds(split) for split in ("train", "test", "tune")]
    assert splits[0].start == chosen.get("start_level", 0)
    assert len(splits[0]) == (chosen.get("num_levels", 100_000) or 2**30)
    for earlier, later in itertools.pairwise(splits):
        assert earlier.stop <= later.start
    assert splits[-1].stop < 2**31


def test_training_and_measures_keep_to_their_splits(tmp_path: Path) -> None:
    settings = replace(TINY, num_levels=5, start_level=40, record="none")
    run = ProcgenRun.create(tmp_path / "run", settings)
    env = _new_learner(settings).env
    drawn = set()
    for _ in range(12):
        env.reset()
        drawn |= set(env.level.tolist())
    assert drawn == set(settings.seeds("train"))
    for split, seed in (("test", 0), ("tune", 0), ("tune", 3)):
        behaviour = run.behaviour(2, split=split, seed=seed)
        seen = {state.level_seed for graph in behaviour.graphs.values() for state in graph.states}
        first = settings.seeds(split).start + 100_000 * seed
        assert seen <= set(range(first, first + 200))
        assert behaviour.graphs["training"].levels.size == settings.world.size == 15
    with pytest.raises(
        ValueError, match="levels and seed are 2 and 10: give at most 100000 levels, and a seed"
    ):
        run.behaviour(2, split="test", seed=10)


def test_a_replay_gives_the_rows_that_training_recorded(tmp_path: Path) -> None:
    run = ProcgenRun.create(tmp_path / "run", TINY)
    train_procgen(run)
    shapes = {name: tuple(p.shape) for name, p in run.settings.new_network().named_parameters()}
    replay_procgen_training(run.settings)(GradientLogWriter(tmp_path / "replayed", shapes))
    for file in ("rows.bin", "rows.index"):
        assert (tmp_path / "replayed" / file).read_bytes() == (run.gradients / file).read_bytes()
    with pytest.raises(ValueError, match="record is 'none'"):
        replay_procgen_training(replace(TINY, record="none"))
