"""PPO's loss of some samples, and its derivative by what the network gave: one place for both, exact, without autograd.

Written out, the derivative costs a third of what autograd makes of so many small operations; tests hold it against
autograd's in float64.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class PPOLoss:
    """The loss of some samples of a minibatch, as terms that sum to it.

    Attributes:
        terms: name → weighted loss term, a number.
        by_logits: name → ∂ term / ∂ logits, (B, actions), of the terms that have one.
        by_values: ∂ value term / ∂ values, (B,).
        metrics: name → this part's share of a mean over the minibatch.
        by_untaught: ∂ quiet term / ∂ what untaught features give, (B, actions + 1), where there is such a term.
    """

    terms: dict[str, Tensor]
    by_logits: dict[str, Tensor]
    by_values: Tensor
    metrics: dict[str, Tensor]
    by_untaught: Tensor | None = None

    @torch.no_grad()
    def quietened(self, untaught: Tensor, size: int, coef: float) -> "PPOLoss":
        """The same with the term `quiet`: `coef` times half the square of what untaught features give, summed over
        logits and value, averaged over the minibatch.

        Args:
            untaught: (B, actions + 1), what they add to a sample's logits and value.
            size: samples that the loss is the mean over.
            coef: weight of the term.
        """
        slope = untaught * (coef / size)
        terms = self.terms | {"quiet": 0.5 * (untaught * slope).sum()}
        return replace(self, terms=terms, by_untaught=slope)

    def derivative(self) -> tuple[Tensor, ...]:
        """∂ loss / ∂ logits (B, actions), ∂ loss / ∂ values (B,), and with a quiet term ∂ loss / ∂ untaught."""
        found = (self.by_logits["policy"] + self.by_logits["entropy"], self.by_values)
        return found if self.by_untaught is None else (*found, self.by_untaught)

    def with_gradients_of_terms(
        self, logits: Tensor, values: Tensor, untaught: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Name → a number that depends on the network's outputs to first order as the term does, for autograd."""
        parts = {name: (logits * slope).sum() for name, slope in self.by_logits.items()}
        parts["value"] = (values * self.by_values).sum()
        if self.by_untaught is not None:
            assert untaught is not None
            parts["quiet"] = (untaught * self.by_untaught).sum()
        return {name: parts[name] for name in self.terms}


@torch.no_grad()
def ppo_loss(
    logits: Tensor,
    values: Tensor,
    actions: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    returns: Tensor,
    size: int,
    *,
    clip_coef: float,
    value_coef: float,
    entropy_coef: float,
) -> PPOLoss:
    """The loss of PPO (Schulman et al. 2017, arXiv 1707.06347, equations 7 and 9), per sample of a minibatch of `size`.

    Args:
        logits: (B, actions), of the network as it is.
        values: (B,), of the network as it is.
        actions: (B,), those taken.
        old_log_probs: (B,), log probability of each when it was taken.
        advantages: (B,), as the surrogate is to weigh them.
        returns: (B,), what the values are to be.
        size: samples that the loss is the mean over, B or more.
        clip_coef: ε of the clipped surrogate.
        value_coef: weight of half the squared error of the values.
        entropy_coef: weight of the entropy.
    """
    log_policy = logits.log_softmax(-1)
    policy = log_policy.exp()
    taken = actions[:, None]
    log_ratio = log_policy.gather(1, taken)[:, 0] - old_log_probs
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - clip_coef, 1 + clip_coef)
    gain, clipped_gain = ratio * advantages, clipped * advantages
    entropy = -(policy * log_policy).sum(-1)
    error = values - returns

    # ∂ ratio / ∂ logits = ratio (1[taken] − policy), where the surrogate is not the clipped one.
    slope = (gain * (gain <= clipped_gain) / size)[:, None]
    by_logits = {
        "policy": (policy * slope).scatter_add_(1, taken, -slope),
        # ∂ entropy / ∂ logits = −policy (log policy + entropy)
        "entropy": policy * (log_policy + entropy[:, None]) * (entropy_coef / size),
    }
    mean_entropy = entropy.sum() / size
    terms = {
        "policy": torch.minimum(gain, clipped_gain).sum() / -size,
        "value": error.dot(error) * (0.5 * value_coef / size),
        "entropy": -entropy_coef * mean_entropy,
    }
    metrics = {
        "entropy": mean_entropy,
        "clipped_share": (ratio != clipped).sum() / size,
        "approx_kl": ((ratio - 1) - log_ratio).sum() / size,  # Schulman's k3 estimator
    }
    return PPOLoss(terms, by_logits, error * (value_coef / size), metrics)
