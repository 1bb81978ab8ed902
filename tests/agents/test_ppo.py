import numpy as np
import pytest
import torch

from goalcut.agents.networks import build_network
from goalcut.agents.parameters import flat_parameters
from goalcut.agents.ppo import PPO, PPOSettings, generalised_advantages
from goalcut.envs import CheeseInCorner, CheeseMaze, make_levels

SMALL = PPOSettings(rollouts=4, num_envs=16, num_steps=8, epochs=2, minibatches=2, precision="float32")


def learner(settings: PPOSettings = SMALL, seed: int = 0, time_limit: int | None = None) -> PPO:
    levels = make_levels(CheeseInCorner(size=5, corner_size=2), 64, seed=seed)
    env = CheeseMaze(levels, settings.num_envs, seed=seed, time_limit=time_limit)
    return PPO(settings, build_network("conv", (3, 5, 5), 4, seed=seed), env, seed=seed)


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
    rollout, _ = ppo.collect()
    number = torch.arange(8 * 16).view(8, 16)
    tagged = type(rollout)(rollout.observations, number, *([rollout.values] * 4))
    seen: dict[str, list[int]] = {"A": [], "B": []}
    for halves in ppo._minibatches(tagged):
        assert len(halves["A"][1]) == len(halves["B"][1]) == 32
        for half, samples in halves.items():
            seen[half] += samples[1].tolist()
    assert {sample % 16 % 2 for sample in seen["A"]} == {0}
    assert {sample % 16 % 2 for sample in seen["B"]} == {1}
    assert sorted(seen["A"] + seen["B"]) == sorted(list(range(128)) * 2)


def test_the_two_halves_make_the_gradient_of_the_whole_minibatch() -> None:
    ppo = learner()
    rollout, _ = ppo.collect()
    halves = next(iter(ppo._minibatches(rollout)))
    whole = [torch.cat(pair) for pair in zip(*halves.values(), strict=True)]

    def gradient(samples, size):
        ppo.network.zero_grad()
        terms, _ = ppo._losses(*samples, size)
        sum(terms.values()).backward()
        return torch.cat([p.grad.reshape(-1) for p in ppo.network.parameters()])

    together = gradient(whole, 64)
    parts = sum(gradient(samples, 64) for samples in halves.values())
    torch.testing.assert_close(parts, together, rtol=1e-4, atol=1e-7)


def test_the_surrogate_is_clipped_as_the_paper_says() -> None:
    ppo = learner()
    rollout, _ = ppo.collect()
    observations = rollout.observations[:, 0]
    logits, _ = ppo.network(observations.float())
    actions = torch.zeros(8, dtype=torch.int64)
    ratio = 2.0
    old = logits.log_softmax(-1)[:, 0].detach() - np.log(ratio)
    advantages = torch.tensor([1.0, -1.0] * 4)
    terms, _ = ppo._losses(observations, actions, old, advantages, torch.zeros(8), 8)
    expected = -np.mean([min(ratio, 1.2), min(-ratio, -1.2)] * 4)
    assert terms["policy"].item() == pytest.approx(expected, rel=1e-5)


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
