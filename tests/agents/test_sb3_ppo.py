"""Stable-Baselines3's own PPO as a learner of runs: the same network, halves, files and resuming as ours."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stable_baselines3
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from goalcut.agents.gradient_log import GradientLog, GradientLogWriter
from goalcut.agents.networks import build_network
from goalcut.agents.parameters import flat_parameters
from goalcut.agents.ppo import PPOSettings
from goalcut.agents.recorder import GradientError, GradientRecorder
from goalcut.agents.run import Run, TrainSettings
from goalcut.agents.sb3_ppo import StableBaselines3PPO
from goalcut.agents.training import replay_training, train
from goalcut.envs import CheeseInCorner, CheeseMaze, make_levels

SMALL = TrainSettings(
    world=CheeseInCorner(size=5, corner_size=3),
    ppo=PPOSettings(rollouts=8, num_envs=16, num_steps=8, epochs=2, minibatches=2),
    network="mlp",
    num_levels=64,
    record_terms_every=3,
    save_every=2,
    measure_every=4,
    measure_levels=4,
    threads=1,
    learner="sb3",
)
CONV = replace(SMALL, network="conv")
UPDATES = replace(SMALL, record="update", ppo=replace(SMALL.ppo, precision="float32"), checkpoint_every=3)


def learner(**changes: Any) -> StableBaselines3PPO:
    settings = replace(SMALL.ppo, precision="float32", **changes)
    env = CheeseMaze(make_levels(SMALL.world, 64, seed=0), settings.num_envs, seed=0)
    return StableBaselines3PPO(settings, build_network("conv", (3, 5, 5), 4, seed=0), env, seed=0)


def trained(directory: Path, settings: TrainSettings = SMALL) -> Run:
    run = Run.create(directory, settings)
    train(run)
    return run


def contents(directory: Path) -> dict[str, Any]:
    """All that must be the same in two runs of one seed: everything but wall times."""
    files = sorted([*(directory / "checkpoints").glob("rollout-*"), *(directory / "gradients").iterdir()])
    records = [json.loads(line) for line in (directory / "progress.jsonl").read_text().splitlines()]
    for record in records:
        del record["seconds"], record["recording_seconds"]
    return {str(path.relative_to(directory)): path.read_bytes() for path in files} | {"progress": records}


def assert_same(first: Path, second: Path) -> None:
    one, other = contents(first), contents(second)
    assert list(one) == list(other)
    for name in one:
        assert one[name] == other[name], name


def test_training_begins_at_our_theta_0_with_our_names(tmp_path: Path) -> None:
    run, ours = trained(tmp_path / "sb3"), trained(tmp_path / "ours", replace(SMALL, learner="goalcut"))
    assert torch.equal(run.parameters_after(0), ours.parameters_after(0))
    assert run.checkpoints == ours.checkpoints
    log, our_log = run.gradient_log(), ours.gradient_log()
    assert log.layout == our_log.layout
    assert log.terms == our_log.terms
    fields = ["update", "env_steps", "averaged", "term", "half"]
    assert log.index[fields].tolist() == our_log.index[fields].tolist()
    assert [set(record) for record in run.progress()] == [set(record) for record in ours.progress()]


def test_the_network_is_the_policy_that_stable_baselines3_trains() -> None:
    ppo = learner()
    theta_0 = flat_parameters(ppo.network)
    for _ in range(2):
        ppo.learn(ppo.collect()[0])
    assert type(ppo.model) is stable_baselines3.PPO
    assert (flat_parameters(ppo.network) - theta_0).norm() > 1e-3
    assert {id(p) for p in ppo.network.parameters()} == {id(p) for p in ppo.model.policy.parameters()}
    planes = ppo.env.observations
    with torch.no_grad():
        logits, values = ppo.network(planes)
        distribution = ppo.model.policy.get_distribution(planes)
        theirs = ppo.model.policy.predict_values(planes)[:, 0]
    torch.testing.assert_close(logits.log_softmax(-1), distribution.distribution.logits)
    torch.testing.assert_close(values, theirs)


def test_minibatches_hold_as_many_samples_of_even_as_of_odd_environments_and_all_once() -> None:
    ppo = learner()
    ppo.collect()
    buffer = ppo.model.rollout_buffer
    buffer.values[:] = np.arange(8 * 16).reshape(8, 16)  # step * 16 + environment
    orders = []
    for _ in range(2):
        numbers = [minibatch.old_values.long() for minibatch in buffer.get(64)]
        assert [len(minibatch) for minibatch in numbers] == [64, 64]
        for minibatch in numbers:
            assert (minibatch[:32] % 2 == 0).all()
            assert (minibatch[32:] % 2 == 1).all()
        orders.append(torch.cat(numbers).tolist())
        assert sorted(orders[-1]) == list(range(128))
    assert orders[0] != orders[1]


def test_the_halves_and_their_sum_are_the_gradients_of_stable_baselines3s_loss(tmp_path: Path) -> None:
    """The loss written out once more, of each half's samples alone, through the stock policy's own evaluation."""
    ppo = learner(max_grad_norm=1e-3)
    ppo.collect()
    held, model = {}, ppo.model
    kept = ppo.model.rollout_buffer.generator.get_state()
    samples = next(model.rollout_buffer.get(64))
    model.rollout_buffer.generator.set_state(kept)
    advantages = (samples.advantages - samples.advantages.mean()) / (samples.advantages.std() + 1e-8)
    values, log_probs, entropy = ActorCriticPolicy.evaluate_actions(
        model.policy, samples.observations, samples.actions.long().flatten()
    )
    assert entropy is not None
    ratio = (log_probs - samples.old_log_prob).exp()
    per_sample = (
        -torch.minimum(advantages * ratio, advantages * ratio.clamp(0.8, 1.2))
        + 0.25 * (samples.returns - values[:, 0]).square()
        - 0.01 * entropy
    )
    for half, part in (("A", slice(0, 32)), ("B", slice(32, 64)), (None, slice(0, 64))):
        gradients = torch.autograd.grad(
            per_sample[part].sum() / 64, list(ppo.network.parameters()), retain_graph=True
        )
        held[half] = torch.cat([gradient.reshape(-1) for gradient in gradients]).numpy()
    recorder = GradientRecorder(ppo.network, ppo.optimizer, tmp_path, per_update=True)
    ppo.learn(None, recorder, record_terms=True)
    recorder.close()
    log = GradientLog(tmp_path)
    for half, gradient in held.items():
        row = log.rows(half=half).panel(0, log.parameters)[0]
        np.testing.assert_allclose(row, gradient, rtol=4e-3, atol=1e-3 * abs(gradient).max())
    assert np.corrcoef(held["A"], held["B"])[0, 1] < 0.99  # the halves are told apart
    clip = 1e-3 / np.linalg.norm(held[None])
    assert log.rows().records["clip"][0] == pytest.approx(clip, rel=1e-2)
    for half in ("A", "B"):
        parts = sum(
            log.rows(term, half).panel(0, log.parameters)[0] for term in ("policy", "value", "entropy")
        )
        np.testing.assert_allclose(parts, held[half], rtol=5e-3, atol=1e-3 * abs(held[half]).max())


@pytest.mark.parametrize("settings", [SMALL, CONV, UPDATES], ids=["mlp", "conv", "updates"])
@pytest.mark.parametrize("stop", [1, 2, 5])
def test_a_run_stopped_anywhere_resumes_to_the_same_end(
    tmp_path: Path, stop: int, settings: TrainSettings
) -> None:
    trained(tmp_path / "whole", settings)
    run = Run.create(tmp_path / "stopped", settings)

    def interrupt(record: dict) -> None:
        if record["rollout"] == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(run, on_rollout=interrupt)
    torch.rand(3)  # the global generators must not matter
    np.random.random(3)  # noqa: NPY002
    trained(tmp_path / "stopped", settings)
    assert_same(tmp_path / "whole", tmp_path / "stopped")


def test_recording_changes_no_bit_and_the_global_generators_are_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    recorded = trained(tmp_path / "a", CONV).parameters_after()
    unrecorded = trained(tmp_path / "b", replace(CONV, record="none")).parameters_after()
    other = trained(tmp_path / "c", replace(CONV, record="none", seed=1)).parameters_after()
    assert torch.equal(recorded, unrecorded)
    assert not torch.equal(recorded, other)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002


def test_a_replay_gives_the_rows_that_were_recorded(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    layout = {name: shape for name, (_, _, shape) in run.gradient_log().layout.items()}
    replay_training(run.settings)(GradientLogWriter(tmp_path / "replayed", layout))
    for file in ("rows.bin", "rows.index"):
        assert (tmp_path / "replayed" / file).read_bytes() == (run.gradients / file).read_bytes()


def test_the_learning_rate_falls_linearly_or_stays() -> None:
    for anneal, expected in ((True, [1e-3, 7.5e-4, 5e-4, 2.5e-4]), (False, [1e-3] * 4)):
        ppo = learner(rollouts=4, anneal=anneal)
        rates = [ppo.learn(ppo.collect()[0])["learning_rate"] for _ in range(4)]
        np.testing.assert_allclose(rates, expected)


def test_it_learns_a_small_maze_far_beyond_chance_as_ours_does() -> None:
    settings = PPOSettings(rollouts=40, num_envs=128, num_steps=16, minibatches=4)
    levels = make_levels(CheeseInCorner(size=5, corner_size=4, start="random"), 256, seed=0)
    env = CheeseMaze(levels, 128, seed=0, time_limit=16)
    ppo = StableBaselines3PPO(settings, build_network("conv", (3, 5, 5), 4, seed=0), env, seed=0)
    returns = []
    for _ in range(settings.rollouts):
        rollout, metrics = ppo.collect()
        ppo.learn(rollout)
        returns.append(metrics["episode_return"])
    assert np.mean(returns[:3]) < 0.35  # chance
    assert np.mean(returns[-3:]) > 0.6


@pytest.mark.parametrize(("record", "said"), [("none", "training diverged"), ("update", "not finite")])
def test_diverged_training_is_told_with_what_to_do(tmp_path: Path, record: Any, said: str) -> None:
    hot = replace(SMALL, record=record, ppo=replace(SMALL.ppo, learning_rate=1e30, precision="float32"))
    with pytest.raises(GradientError, match=f"{said}.*lower the learning rate"):
        trained(tmp_path / "run", hot)


def test_a_run_of_before_there_were_learners_is_one_of_ours(tmp_path: Path) -> None:
    Run.create(tmp_path / "run", replace(SMALL, learner="goalcut"))
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    del config["settings"]["learner"]
    path.write_text(json.dumps(config))
    assert Run(tmp_path / "run").settings.learner == "goalcut"


def test_an_unknown_learner_is_named_with_what_to_give() -> None:
    with pytest.raises(ValueError, match="learner is 'cleanrl': give 'goalcut' or 'sb3'"):
        replace(SMALL, learner="cleanrl")  # pyright: ignore[reportArgumentType]
