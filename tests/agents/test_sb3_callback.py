"""Anybody's Stable-Baselines3 agent on anybody's environment, its gradients on record."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, PPO, SAC
from stable_baselines3.common.policies import ActorCriticPolicy

from goalcut.agents import GradientLog, flat_parameters
from goalcut.agents.files import RunFileError
from goalcut.agents.sb3_callback import RecordGradients
from goalcut.analysis import temporal_svd

UNCLIPPED = 1e9
LEARNING_RATE = 0.01


class Flicker(gymnasium.Env[np.ndarray, np.int64]):
    """Frames as an Atari agent sees them: four of 84×84, of noise; the third action pays."""

    observation_space = spaces.Box(0, 255, (84, 84, 4), np.uint8)
    action_space = spaces.Discrete(6)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.left = 5
        return self.frames(), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        return self.frames(), float(action == 2), False, self.left == 0, {}

    def frames(self) -> np.ndarray:
        return self.np_random.integers(256, size=(84, 84, 4), dtype=np.uint8)


def learner(kind: Any, policy: str, env: Any, **settings: Any) -> Any:
    """Plain gradient descent: what a step moves tells the gradient that was stepped along."""
    # With a seed, Stable-Baselines3 seeds the global generators, from which it draws.
    descent = {"optimizer_class": torch.optim.SGD}
    return kind(
        policy, env, learning_rate=LEARNING_RATE, policy_kwargs=descent, seed=0, device="cpu", **settings
    )


def moves(model: Any) -> list[torch.Tensor]:
    """Filled with θ before the first and after each optimizer step."""
    policy: ActorCriticPolicy = model.policy
    seen = [flat_parameters(policy)]
    policy.optimizer.register_step_post_hook(lambda *_: seen.append(flat_parameters(policy)))
    return seen


def assert_rows_are_moves(directory: Path, thetas: list[torch.Tensor]) -> GradientLog:
    log = GradientLog(directory)
    rows = log.rows().panel(0, log.parameters)
    stepped = -torch.stack(thetas).double().diff(dim=0).numpy() / LEARNING_RATE
    assert rows.shape == stepped.shape
    for row, step in zip(rows, stepped, strict=True):
        # θ is rounded to 6e-8, which is 1e-5 over the learning rate, and a row to three digits.
        np.testing.assert_allclose(row, step, rtol=2e-3, atol=2e-5)
        assert abs(step).max() > 0.01
    return log


def test_every_row_is_the_gradient_that_an_agent_on_cartpole_stepped_along(tmp_path: Path) -> None:
    model = learner(PPO, "MlpPolicy", "CartPole-v1", n_steps=64, n_epochs=2, max_grad_norm=UNCLIPPED)
    thetas = moves(model)
    model.learn(256, callback=RecordGradients(tmp_path, per_update=True))
    log = assert_rows_are_moves(tmp_path, thetas)
    assert log.rows().records["env_steps"].tolist() == [64, 64, 128, 128, 192, 192, 256, 256]
    assert log.rows().records["clip"] == pytest.approx(1.0, rel=1e-3)
    assert len(temporal_svd(log.rows())) == 8


def test_every_row_is_the_gradient_that_a_network_of_atari_size_stepped_along(tmp_path: Path) -> None:
    model = learner(PPO, "CnnPolicy", Flicker(), n_steps=8, batch_size=8, n_epochs=2, max_grad_norm=UNCLIPPED)
    thetas = moves(model)
    model.learn(16, callback=RecordGradients(tmp_path, per_update=True))
    log = assert_rows_are_moves(tmp_path, thetas)
    assert log.parameters > 1_680_000
    assert "features_extractor.cnn.0.weight" in log.layout
    assert len(temporal_svd(log.rows())) == 4


def test_a_row_of_a_rollout_is_the_mean_over_its_updates_before_clipping(tmp_path: Path) -> None:
    for name, per_update in (("updates", True), ("rollouts", False)):
        model = learner(PPO, "MlpPolicy", "CartPole-v1", n_steps=64, batch_size=32, max_grad_norm=0.01)
        model.learn(192, callback=RecordGradients(tmp_path / name, per_update=per_update))
    updates, rollouts = (GradientLog(tmp_path / name) for name in ("updates", "rollouts"))
    rows = updates.rows().panel(0, updates.parameters).reshape(3, 20, -1)
    means = rollouts.rows().panel(0, rollouts.parameters)
    np.testing.assert_allclose(means, rows.mean(1), rtol=5e-3, atol=1e-4 * abs(rows).max())
    assert rollouts.rows().records["env_steps"].tolist() == [64, 128, 192]
    assert rollouts.rows().records["averaged"].tolist() == [20, 20, 20]
    assert (updates.rows().records["clip"] < 0.5).all()
    assert (updates.rows().records["norm"] > 0.02).all()


def test_recording_changes_no_bit_of_another_algorithms_learning(tmp_path: Path) -> None:
    ends = []
    for callback in (RecordGradients(tmp_path), None):
        model = learner(A2C, "MlpPolicy", "CartPole-v1")
        model.learn(50, callback=callback)
        ends.append(flat_parameters(model.policy))
    assert torch.equal(*ends)
    assert len(GradientLog(tmp_path)) == 10


def test_learning_on_goes_on_with_the_log(tmp_path: Path) -> None:
    model, callback = learner(A2C, "MlpPolicy", "CartPole-v1"), RecordGradients(tmp_path)
    model.learn(20, callback=callback)
    model.learn(20, callback=callback, reset_num_timesteps=False)
    log = GradientLog(tmp_path)
    assert log.rows().records["env_steps"].tolist() == [5, 10, 15, 20, 25, 30, 35, 40]
    assert log.rows().records["update"].tolist() == list(range(8))
    with pytest.raises(RunFileError, match="already holds a gradient log"):
        model.learn(20, callback=RecordGradients(tmp_path))


def test_an_algorithm_with_an_optimizer_per_network_is_told_what_to_do(tmp_path: Path) -> None:
    model = SAC("MlpPolicy", "Pendulum-v1", buffer_size=10, seed=0, device="cpu")
    with pytest.raises(ValueError, match="policy of SAC has no optimizer of its own: attach a Gradient"):
        model.learn(1, callback=RecordGradients(tmp_path))
