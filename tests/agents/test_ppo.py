import numpy as np
import pytest
import torch

from goalcut.agents.flat_gradients import FlatGradients
from goalcut.agents.networks import NetworkName, build_network
from goalcut.agents.parameters import flat_parameters
from goalcut.agents.ppo import PPO, PPOSettings, generalised_advantages
from goalcut.envs import CheeseInCorner, CheeseMaze, make_levels

SMALL = PPOSettings(rollouts=4, num_envs=16, num_steps=8, epochs=2, minibatches=2, precision="float32")


def learner(
    settings: PPOSettings = SMALL,
    seed: int = 0,
    time_limit: int | None = None,
    network: NetworkName = "conv",
) -> PPO:
    levels = make_levels(CheeseInCorner(size=5, corner_size=2), 64, seed=seed)
    env = CheeseMaze(levels, settings.num_envs, seed=seed, time_limit=time_limit)
    return PPO(settings, build_network(network, (3, 5, 5), 4, seed=seed), env, seed=seed)


def slow_advantages(rewards, values, ended, last, gamma, gae_lambda):
    """GAE from its definition: the λ-weighted sum of k-step advantages' deltas, in float64."""
    steps, envs = rewards.shape
    advantages = np.zeros((steps, envs))
    for env in range(envs):
        for t in range(steps):
            weight = 1.0
            for later in range(t, steps):
                following = last[env] if later == steps - 1 else values[later + 1, env]
                going_on = 0.0 if ended[later, env] else 1.0
                advantages[t, env] += weight * (
                    rewards[later, env] + gamma * following * going_on - values[later, env]
                )
                if ended[later, env]:
                    break
                weight *= gamma * gae_lambda
    return advantages


def test_advantages_agree_with_a_slow_float64_loop() -> None:
    rng = np.random.default_rng(0)
    rewards, values, last = rng.normal(size=(12, 5)), rng.normal(size=(12, 5)), rng.normal(size=5)
    ended = rng.random((12, 5)) < 0.2
    slow = slow_advantages(rewards, values, ended, last, 0.95, 0.9)
    fast = generalised_advantages(
        *(torch.from_numpy(array).float() for array in (rewards, values)),
        torch.from_numpy(ended),
        torch.from_numpy(last).float(),
        0.95,
        0.9,
    )
    np.testing.assert_allclose(fast.numpy(), slow, rtol=1e-5, atol=1e-6)


def test_a_time_out_bootstraps_the_value_and_the_cheese_does_not() -> None:
    levels = make_levels(CheeseInCorner(size=5, corner_size=4, start="random"), 64, seed=0)
    ppo = PPO(
        SMALL,
        build_network("conv", (3, 5, 5), 4, seed=0),
        CheeseMaze(levels, 16, seed=0, time_limit=3),
        seed=0,
    )
    with torch.no_grad():
        ppo.network.critic.bias.fill_(2.0)  # every state is worth about 2
        ppo.network.critic.weight.zero_()
    rollout, _ = ppo.collect()
    deltas_end = rollout.returns - rollout.values
    # With V constant, a step that times out has advantage γV − V; one that ends at the cheese 1 − V; and none has
    # the −V of an episode that ends unpaid.
    for advantage, expected in ((0.95 * 2.0 - 2.0, True), (1.0 - 2.0, True), (-2.0, False)):
        assert bool(torch.isclose(deltas_end, torch.tensor(advantage)).any()) is expected


def test_both_halves_have_a_sample_of_their_own_environments_in_every_minibatch() -> None:
    ppo = learner()
    seen: dict[str, list[int]] = {"A": [], "B": []}
    for halves in ppo._minibatches():
        assert len(halves["A"][0]) == len(halves["B"][0]) == 32
        for half, (chosen, _) in halves.items():
            seen[half] += chosen.tolist()
    assert {sample % 16 % 2 for sample in seen["A"]} == {0}
    assert {sample % 16 % 2 for sample in seen["B"]} == {1}
    assert sorted(seen["A"] + seen["B"]) == sorted(list(range(128)) * 2)


@pytest.mark.parametrize("network", ["conv", "residual_mlp"])
def test_samples_are_those_of_the_rollout_by_their_number(network: NetworkName) -> None:
    ppo = learner(network=network)
    rollout, _ = ppo.collect()
    chosen = torch.tensor([3, 17, 127])
    samples = ppo._samples(rollout)
    times, envs = chosen // 16, chosen % 16
    assert torch.equal(samples.planes(chosen), rollout.observations[times, envs])
    assert torch.equal(samples.returns[chosen], rollout.returns[times, envs])


def test_the_two_halves_make_the_gradient_of_the_whole_minibatch() -> None:
    ppo = learner()
    rollout, _ = ppo.collect()
    samples, halves = ppo._samples(rollout), next(iter(ppo._minibatches()))
    whole = {"whole": tuple(map(torch.cat, zip(*halves.values(), strict=True)))}
    gradients = FlatGradients(list(ppo.network.parameters()), None)

    def gradient(parts) -> np.ndarray:
        ppo._half_gradients(samples, parts, gradients, lambda first, second: (first(), second()), None)
        gradients.clip(1e9)
        return gradients._clipped.numpy().copy()

    parts = gradient(halves)
    gradients._second.zero_()
    np.testing.assert_allclose(parts, gradient(whole), rtol=1e-4, atol=1e-7)


def test_the_learning_rate_falls_linearly_to_zero() -> None:
    ppo = learner()
    rates = []
    for _ in range(4):
        rollout, _ = ppo.collect()
        rates.append(ppo.learn(rollout)["learning_rate"])
    np.testing.assert_allclose(rates, [1e-3, 7.5e-4, 5e-4, 2.5e-4])


def test_a_state_taken_up_again_goes_on_bit_for_bit() -> None:
    straight, resumed = learner(), learner(seed=0)
    for _ in range(2):
        straight.learn(straight.collect()[0])
    resumed.load_state({name: tensor.clone() for name, tensor in straight.state().items()})
    for ppo in (straight, resumed):
        for _ in range(2):
            ppo.learn(ppo.collect()[0])
    assert torch.equal(flat_parameters(straight.network), flat_parameters(resumed.network))
    for name, tensor in straight.state().items():
        assert torch.equal(tensor, resumed.state()[name]), name


def test_it_learns_a_small_maze_far_beyond_chance() -> None:
    settings = PPOSettings(rollouts=40, num_envs=128, num_steps=16, minibatches=4)
    levels = make_levels(CheeseInCorner(size=5, corner_size=4, start="random"), 256, seed=0)
    env = CheeseMaze(levels, 128, seed=0, time_limit=16)
    ppo = PPO(settings, build_network("conv", (3, 5, 5), 4, seed=0), env, seed=0)
    returns = []
    for _ in range(settings.rollouts):
        rollout, metrics = ppo.collect()
        ppo.learn(rollout)
        returns.append(metrics["episode_return"])
    assert np.mean(returns[:3]) < 0.35  # chance
    assert np.mean(returns[-3:]) > 0.6


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("num_envs", 7, "num_envs is 7: give an even number"),
        ("rollouts", 0, "rollouts is 0"),
        ("minibatches", 7, "minibatches is 7"),
        ("gamma", 1.5, "gamma is 1.5"),
        ("learning_rate", 0.0, "learning_rate is 0.0"),
        ("precision", "float16", "precision is 'float16'"),
    ],
)
def test_a_bad_setting_is_named_with_its_value(setting: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PPOSettings(**{setting: value})  # type: ignore[arg-type]
