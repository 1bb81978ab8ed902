"""Local learning coefficient by stochastic gradient Langevin dynamics (Lau et al., arXiv 2308.12108).

λ(w*) says how fast the volume of parameters near w* with a loss below L(w*) + ε shrinks, as ε^λ: d/2 in a quadratic
bowl of d directions, less where the minimum is degenerate (Watanabe 2009). With w drawn from the tempered posterior
∝ exp(−nβ L_n(w) − ½ γ ‖w − w*‖²),

    λ̂ = nβ (E[L_n(w)] − L_n(w*)),   β = 1 / log n.

Draws are those of w ← w − (ε/2) (nβ ∇L_m(w) + γ (w − w*)) + N(0, ε) (Welling & Teh 2011), on minibatches m; the loss
of w* is taken on the same minibatch, which takes its noise out. In a quadratic bowl with eigenvalues h all is known,
the bias of localisation and step included: `of_quadratic`. The estimate says something of degeneracy only beside that.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from ..agents.parameters import flat_parameters, named_parameters_of, parameter_layout
from .subject import Subject

Losses = Callable[[Tensor, Tensor], Tensor]
"""θ (P,) and the numbers of some samples (m,) to the loss of each (m,)."""


def n_beta_of(samples: int) -> float:
    """nβ at the inverse temperature β = 1 / log n, where the learning coefficient is defined."""
    return samples / math.log(samples)


@dataclass(frozen=True)
class SGLDSettings:
    """How the posterior around w* is sampled.

    Attributes:
        chains: independent ones, all from w*.
        burn_in: steps of each that are not counted.
        draws: steps of each that are.
        batch_size: samples of a step; all of them, where there are no more.
        localization: γ.
        step_size: ε. Stable below 4 / (nβ h_max + γ); the excess of a direction is too large by 1 / (1 − ε a / 4),
            a = nβ h + γ.
        seed: of batches and noise.
    """

    chains: int = 4
    burn_in: int = 300
    draws: int = 300
    batch_size: int = 256
    localization: float = 100.0
    step_size: float = 1e-4
    seed: int = 0

    @classmethod
    def in_units_of(
        cls, largest: float, samples: int, *, localization: float, step_size: float, **others: int
    ) -> "SGLDSettings":
        """Settings whose γ and ε are told in units that the landscape gives.

        Args:
            largest: λ_1, the largest eigenvalue of the mean loss's Hessian.
            samples: n, at β = 1 / log n.
            localization: γ / (nβ λ_1).
            step_size: ε (nβ λ_1 + γ).
            others: the other settings, as they are.
        """
        steep = n_beta_of(samples) * largest
        gamma = localization * steep
        return cls(localization=gamma, step_size=step_size / (steep + gamma), **others)

    def __post_init__(self) -> None:
        for name, least in (("chains", 2), ("burn_in", 0), ("draws", 10), ("batch_size", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        if not 0 < self.step_size < math.inf:
            raise ValueError(f"step_size is {self.step_size}: give a number above 0")
        if not 0 <= self.localization < math.inf:
            raise ValueError(f"localization is {self.localization}: give a number that is not below 0")


@dataclass(frozen=True, eq=False)
class LearningCoefficient:
    """An estimate of λ(w*).

    Attributes:
        value: λ̂, mean over chains.
        standard_error: over chains.
        chains: λ̂ of each.
        drift: λ̂ of the second half of the draws less that of the first; far from 0 the chains have not settled.
        loss: L_n(w*).
        samples: n.
        inverse_temperature: β.
        settings: of the sampling.
    """

    value: float
    standard_error: float
    chains: np.ndarray
    drift: float
    loss: float
    samples: int
    inverse_temperature: float
    settings: SGLDSettings

    def figures(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "value": self.value,
            "standard_error": self.standard_error,
            "chains": self.chains.tolist(),
            "drift": self.drift,
            "loss": self.loss,
            "samples": self.samples,
            "inverse_temperature": self.inverse_temperature,
            "localization": self.settings.localization,
            "step_size": self.settings.step_size,
            "steps": [self.settings.burn_in, self.settings.draws],
        }


def learning_coefficient(
    losses: Losses,
    theta: Tensor,
    samples: int,
    settings: SGLDSettings | None = None,
    *,
    inverse_temperature: float | None = None,
    on_step: Callable[[int, int], None] = lambda done, of: None,
) -> LearningCoefficient:
    """λ̂ at θ.

    Args:
        losses: of samples, differentiable in θ.
        theta: w*, (P,).
        samples: n.
        settings: of the sampling.
        inverse_temperature: β; default 1 / log n.
        on_step: called with the steps done and all of them.

    Raises:
        ValueError: a chain ran away, or there are fewer than 3 samples.
    """
    settings = settings or SGLDSettings()
    if samples < 3:
        raise ValueError(f"samples is {samples}: give at least 3")
    n_beta = samples * (1 / math.log(samples) if inverse_temperature is None else inverse_temperature)
    batch, device = min(settings.batch_size, samples), theta.device
    with torch.no_grad():
        numbers = torch.arange(samples, device=device)
        at_start = torch.cat([losses(theta, some) for some in numbers.split(max(batch, 256))])
    steps, gamma, epsilon = settings.burn_in + settings.draws, settings.localization, settings.step_size
    excess = np.zeros((settings.chains, settings.draws))
    # On the CPU, so that a GPU draws the same.
    generator = torch.Generator().manual_seed(settings.seed)
    for chain in range(settings.chains):
        w = theta.clone()
        for step in range(steps):
            w.requires_grad_()
            some = (
                torch.randperm(samples, generator=generator)[:batch].to(device)
                if batch < samples
                else numbers
            )
            loss = (losses(w, some) - at_start[some]).mean()
            [slope] = torch.autograd.grad(loss, w)
            if not torch.isfinite(loss):
                raise ValueError(
                    f"step_size is {epsilon}: the chain ran away at step {step}, give a smaller one"
                )
            if step >= settings.burn_in:
                excess[chain, step - settings.burn_in] = float(loss.detach())
            noise = torch.randn(w.shape, generator=generator, dtype=w.dtype).to(device)
            with torch.no_grad():
                w = w - epsilon / 2 * (n_beta * slope + gamma * (w - theta)) + math.sqrt(epsilon) * noise
            on_step(chain * steps + step + 1, settings.chains * steps)
    chains = n_beta * excess.mean(1)
    half = settings.draws // 2
    return LearningCoefficient(
        value=float(chains.mean()),
        standard_error=float(chains.std(ddof=1) / math.sqrt(len(chains))),
        chains=chains,
        drift=float(n_beta * (excess[:, half:].mean() - excess[:, :half].mean())),
        loss=float(at_start.mean()),
        samples=samples,
        inverse_temperature=n_beta / samples,
        settings=settings,
    )


def of_quadratic(values: np.ndarray, n_beta: float, settings: SGLDSettings) -> np.ndarray:
    """What each direction of a quadratic bowl adds to λ̂ after long sampling: ½ nβ h / (a (1 − ε a / 4)), a = nβ h + γ.

    Without localisation and with small steps ½ each. Directions too steep for the step add infinity.

    Args:
        values: eigenvalues h of the Hessian, not negative, of any shape.
        n_beta: nβ.
        settings: γ and ε.
    """
    steep = n_beta * values + settings.localization
    room = 1 - settings.step_size * steep / 4
    with np.errstate(divide="ignore"):
        return np.where(room > 0, 0.5 * n_beta * values / (steep * np.maximum(room, 1e-300)), np.inf)


def losses_of(subject: Subject) -> tuple[Losses, Tensor]:
    """A subject's loss of some inputs as a function of θ, and θ of its network."""
    layout = parameter_layout(subject.network)

    def losses(theta: Tensor, some: Tensor) -> Tensor:
        batch = subject.of(some)
        given = functional_call(batch.network, named_parameters_of(theta, layout), (batch.inputs,))
        return batch.loss(given, batch.targets)

    return losses, flat_parameters(subject.network)
