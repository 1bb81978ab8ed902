import numpy as np
import pytest
import torch
from torch import Tensor

from goalcut.agents.ppo_loss import PPOLoss, ppo_loss

COEFFICIENTS = {"clip_coef": 0.2, "value_coef": 0.5, "entropy_coef": 0.03}


def samples(count: int = 200) -> tuple[Tensor, ...]:
    """Logits, values, actions, log probabilities that have drifted, advantages of both signs, returns; float64."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    logits, actions = normal(count, 4), torch.randint(4, (count,), generator=generator)
    old = logits.log_softmax(-1).gather(1, actions[:, None])[:, 0] + 0.3 * normal(count)
    return logits, normal(count), actions, old, normal(count), normal(count)


def by_autograd(logits, values, actions, old, advantages, returns, size) -> dict[str, Tensor]:
    """The terms as the paper writes them."""
    log_policy = logits.log_softmax(-1)
    ratio = (log_policy[torch.arange(len(actions)), actions] - old).exp()
    surrogate = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
    entropy = -(log_policy.exp() * log_policy).sum(-1)
    return {
        "policy": -surrogate.sum() / size,
        "value": 0.5 * 0.5 * (values - returns).square().sum() / size,
        "entropy": -0.03 * entropy.sum() / size,
    }


def both(size: int = 300) -> tuple[dict[str, Tensor], PPOLoss, Tensor, Tensor]:
    logits, values, *rest = samples()
    logits.requires_grad_()
    values.requires_grad_()
    return (
        by_autograd(logits, values, *rest, size),
        ppo_loss(logits, values, *rest, size, **COEFFICIENTS),
        logits,
        values,
    )


def test_the_terms_are_those_of_the_paper() -> None:
    wanted, loss, _, _ = both()
    assert list(loss.terms) == list(wanted)
    for name, term in wanted.items():
        assert loss.terms[name].item() == pytest.approx(term.item(), rel=1e-12)


def test_the_derivative_is_autograds() -> None:
    wanted, loss, logits, values = both()
    expected = torch.autograd.grad(torch.stack(list(wanted.values())).sum(), (logits, values))
    for one, other in zip(loss.derivative(), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("term", ["policy", "value", "entropy"])
def test_the_derivative_of_every_term_is_autograds(term: str) -> None:
    wanted, loss, logits, values = both()
    stand_in = loss.with_gradients_of_terms(logits, values)
    assert list(stand_in) == list(wanted)
    how = {"materialize_grads": True, "allow_unused": True}
    found = torch.autograd.grad(stand_in[term], (logits, values), **how)
    for one, other in zip(found, torch.autograd.grad(wanted[term], (logits, values), **how), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-16)


def test_the_quiet_term_is_half_the_mean_square_and_its_derivative_autograds() -> None:
    untaught = torch.randn(
        200, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    ).requires_grad_()
    wanted, plain, logits, values = both()
    loss = plain.quietened(untaught, 300, 0.7)
    term = 0.7 * 0.5 * untaught.square().sum() / 300
    assert list(loss.terms) == [*wanted, "quiet"]
    assert loss.terms["quiet"].item() == pytest.approx(term.item(), rel=1e-12)
    (expected,) = torch.autograd.grad(term, untaught)
    torch.testing.assert_close(loss.derivative()[2], expected, rtol=1e-12, atol=1e-16)
    stand_in = loss.with_gradients_of_terms(logits, values, untaught)
    torch.testing.assert_close(torch.autograd.grad(stand_in["quiet"], untaught)[0], expected)
    assert all(map(torch.equal, loss.derivative()[:2], plain.derivative()))


def test_the_surrogate_is_clipped_on_the_side_where_it_would_gain() -> None:
    logits, ratio = torch.zeros(2, 4), 2.0
    old = logits.log_softmax(-1)[:, 0] - np.log(ratio)
    actions, advantages, zeros = torch.zeros(2, dtype=torch.int64), torch.tensor([1.0, -1.0]), torch.zeros(2)
    loss = ppo_loss(logits, zeros, actions, old, advantages, zeros, 2, **COEFFICIENTS)
    assert float(loss.terms["policy"]) == pytest.approx(-np.mean([1.2, -2.0]), rel=1e-6)
    # The clipped sample teaches nothing; the other its ratio times (policy − taken).
    assert loss.by_logits["policy"][0].tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(loss.by_logits["policy"][1], [0.75, -0.25, -0.25, -0.25], rtol=1e-6)


def test_the_metrics_are_those_of_a_policy_that_moved() -> None:
    logits, values, actions, old, advantages, returns = samples()
    loss = ppo_loss(logits, values, actions, old, advantages, returns, 200, **COEFFICIENTS)
    log_ratio = logits.log_softmax(-1)[torch.arange(200), actions] - old
    assert float(loss.metrics["entropy"]) == pytest.approx(
        float(torch.distributions.Categorical(logits=logits).entropy().mean()), rel=1e-12
    )
    outside = ((log_ratio.exp() - 1).abs() > 0.2).double().mean()
    assert 0 < float(loss.metrics["clipped_share"]) == pytest.approx(float(outside))
    kl = (log_ratio.exp() - 1 - log_ratio).mean()
    assert float(loss.metrics["approx_kl"]) == pytest.approx(float(kl), rel=1e-9)
