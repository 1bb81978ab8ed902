"""Lens `curvature`: how broad is the basin around a network's parameters, and along which directions is it steep?

Hessian and Gauss–Newton matrix of the subject's mean loss on some of its inputs. A maze policy is held against
itself: its loss is KL(π_θ* ‖ π) + ½ (V − V_θ*)², whose Hessian at θ* is the policy's Fisher information plus that of
the value's error, exactly; θ* is its minimum by construction. The loss of PPO has no minimum there, and its
Gauss–Newton matrix is indefinite. Of another loss the figures under `minimum` say whether θ is one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch

from .curvature_products import CurvatureProducts
from .directions import Directions
from .hutchinson import traces_and_norms
from .jacobian_gram import SHARES, jacobian_gram, rank_beside_null
from .lanczos_eigenpairs import Eigenpairs, eigenpairs
from .learning_coefficient import SGLDSettings, learning_coefficient, losses_of, n_beta_of, of_quadratic
from .lens import Findings, OnStep
from .output_hessian import OutputForm, fisher_form, identity_form, loss_form
from .parameter_measure import leading_measures
from .spectral_density import SpectralDensity, spectral_density
from .subject import Subject
from .subject_checks import check_activations, check_subject

_RANKS = (1, 2, 5, 10, 20)
_DECADES = np.arange(-8.0, 1.01, 0.5)
"""log10 of |λ| over the largest, edges of the bins of the spectrum."""


@dataclass(frozen=True)
class CurvatureSettings:
    """What the lens `curvature` computes.

    Attributes:
        inputs: how many of the subject's inputs, drawn at random; all, where it has no more.
        eigenpairs: leading ones of each matrix; also the directions to keep.
        bottom: eigenpairs from the Hessian's lower end; 0 is none.
        directions: whose eigenvectors become directions, `gauss_newton` or `hessian`.
        tolerance: residual over the largest eigenvalue at which an eigenpair counts as converged.
        restarts: of Lanczos, after which it gives what it has.
        probes: of the spectral densities.
        steps: Lanczos steps of each probe.
        trace_probes: random vectors for traces and Frobenius norms.
        rank_inputs: inputs whose rows of the Jacobian are held at once, for ranks beside their null.
        measured: leading eigenvectors of which it is told what they measure.
        chains: of the learning coefficient; 0 leaves it out.
        burn_in: steps of each chain that are not counted.
        draws: steps of each chain that are.
        localization: γ in units of nβ λ_1.
        step_size: ε in units of 1 / (nβ λ_1 + γ), below 4.
        sgld_batch: inputs of a step.
        batch_size: inputs at a time in all else.
        seed: of everything random.
    """

    inputs: int = 1000
    eigenpairs: int = 20
    bottom: int = 5
    directions: Literal["gauss_newton", "hessian"] = "gauss_newton"
    tolerance: float = 1e-3
    restarts: int = 5
    probes: int = 4
    steps: int = 40
    trace_probes: int = 10
    rank_inputs: int = 64
    measured: int = 5
    chains: int = 4
    burn_in: int = 300
    draws: int = 300
    localization: float = 0.01
    step_size: float = 0.5
    sgld_batch: int = 256
    batch_size: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            *(("inputs", 3), ("eigenpairs", 1), ("bottom", 0), ("restarts", 1), ("probes", 2), ("steps", 2)),
            *(("trace_probes", 2), ("rank_inputs", 1), ("measured", 0), ("chains", 0), ("burn_in", 0)),
            *(("draws", 10), ("sgld_batch", 1), ("batch_size", 1), ("seed", 0)),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        if self.chains == 1:
            raise ValueError("chains is 1: give at least 2, whose spread is the error, or 0 for none")
        if self.directions not in ("gauss_newton", "hessian"):
            raise ValueError(f"directions is {self.directions!r}: give 'gauss_newton' or 'hessian'")
        for name, most in (("tolerance", 1.0), ("step_size", 4.0), ("localization", float("inf"))):
            if not 0 < getattr(self, name) < most:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number above 0 and below {most:g}")


def curvature(
    subject: Subject,
    settings: CurvatureSettings | None = None,
    *,
    on_step: OnStep = lambda what, done, of: None,
) -> Findings:
    """The curvature of a subject's mean loss at its network's parameters.

    Args:
        subject: trained and untrained network, inputs and loss.
        settings: what to compute; default `CurvatureSettings()`.
        on_step: told of the progress; of is 0 where the end is not known.

    Returns:
        Figures: `minimum` (is θ one?), `hessian` and `gauss_newton` (eigenpairs with residuals, trace, norm),
        `difference` ‖H − G‖, `forms` (the loss's bilinear form of the outputs against the identity), `spectrum`
        (ranks, effective dimensions and log volumes by floor, with their errors; rough at floors below
        `resolved_above`), `rank` (exact on few inputs, beside null and untrained network), `learning_coefficient`
        beside what a quadratic bowl gives, and `measures` of leading eigenvectors beside that of a random
        direction. Directions: `parameters` → leading eigenvectors.

    Raises:
        ValueError: the subject or a setting does not fit, in one line.
    """
    settings = settings or CurvatureSettings()
    check_subject(subject)
    check_activations(subject, batch=settings.batch_size)
    seeds = np.random.SeedSequence(settings.seed).spawn(6)
    subject = _drawn(subject, settings.inputs, np.random.default_rng(seeds[0]))
    products = CurvatureProducts(subject, batch_size=settings.batch_size)
    forms = {"loss": loss_form(subject), "identity": identity_form(subject)}
    if "logits" in subject.outputs:
        forms["fisher"] = fisher_form(subject)
    matrices = {"hessian": products.hessian} | {
        name: partial(products.gauss_newton, form=forms[name]) for name in ("loss", "identity")
    }
    found = _eigenpairs(products, matrices, settings, np.random.default_rng(seeds[1]), on_step)
    largest = float(found["loss"].values[0])
    if not largest > 0:
        raise ValueError(
            "the loss does not depend on the parameters here, or bends downwards only: its Gauss–Newton matrix has no "
            "positive eigenvalue, give another loss"
        )
    traces, norms = traces_and_norms(
        matrices,
        products.size,
        differences={"difference": ("hessian", "loss"), "of_forms": ("loss", "identity")},
        probes=settings.trace_probes,
        rng=np.random.default_rng(seeds[2]),
        on_step=lambda done, of: on_step("traces and norms", done, of),
    )
    before = CurvatureProducts(subject.at(subject.untrained), batch_size=settings.batch_size)
    spectra = {
        name: spectral_density(
            product,
            products.size,
            probes=settings.probes,
            steps=settings.steps,
            rng=np.random.default_rng(seeds[3]),
            on_step=lambda done, of, name=name: on_step(f"spectral density, {name}", done, of),
        )
        for name, product in {
            "hessian": matrices["hessian"],
            "loss": matrices["loss"],
            "loss_untrained": partial(before.gauss_newton, form=forms["loss"]),
        }.items()
    }
    matrix_figures = {
        name: {"trace": vars(traces[name]), "norm": vars(norms[name]), "top": found[name].figures()}
        for name in matrices
    }
    if "bottom" in found:
        matrix_figures["hessian"]["bottom"] = found["bottom"].figures()
    difference = norms["difference"].value / norms["hessian"].value
    trace = {name: traces[name].value for name in ("loss", "identity")}
    figures = {
        "parameters": products.size,
        "inputs": len(subject),
        "minimum": _minimum(products, found, difference),
        "hessian": matrix_figures.pop("hessian"),
        "gauss_newton": matrix_figures,
        "difference": {"norm": vars(norms["difference"]), "share": difference},
        "forms": _forms(found["loss"], found["identity"], products.size, trace),
        "spectrum": {
            # The untrained network's is of another scale: its spectrum is told over its own largest.
            name: _spectrum(of, largest if name != "loss_untrained" else max(float(of.nodes.max()), 1e-300))
            for name, of in spectra.items()
        },
        "rank": _ranks(subject, forms, settings, np.random.default_rng(seeds[4]), on_step),
        "learning_coefficient": _coefficient(subject, spectra["loss"], largest, settings, on_step),
    }
    if settings.measured:
        figures |= leading_measures(
            products,
            found["loss"],
            settings.measured,
            forms.get("fisher", forms["identity"]),
            rng=np.random.default_rng(seeds[5]),
            on_step=on_step,
        )
    kept = found["loss" if settings.directions == "gauss_newton" else "hessian"]
    return Findings(figures, {"parameters": _directions(kept, products, settings, subject)})


def gauss_newton_directions(
    subject: Subject, count: int, settings: CurvatureSettings | None = None
) -> Directions:
    """The leading eigenvectors of the loss's Gauss–Newton matrix alone, which is most of what cuts need of this lens.

    Args:
        subject: trained network, inputs and loss.
        count: so many.
        settings: inputs, tolerance, restarts and seed are taken of them.
    """
    settings = replace(settings or CurvatureSettings(), eigenpairs=count, bottom=0, directions="gauss_newton")
    check_subject(subject)
    seeds = np.random.SeedSequence(settings.seed).spawn(2)
    subject = _drawn(subject, settings.inputs, np.random.default_rng(seeds[0]))
    products = CurvatureProducts(subject, batch_size=settings.batch_size)
    matrices = {"loss": partial(products.gauss_newton, form=loss_form(subject))}
    rng = np.random.default_rng(seeds[1])
    found = _eigenpairs(products, matrices, settings, rng, lambda what, done, of: None)
    return _directions(found["loss"], products, settings, subject)


def _drawn(subject: Subject, inputs: int, rng: np.random.Generator) -> Subject:
    if inputs >= len(subject):
        return subject
    chosen = np.sort(rng.choice(len(subject), inputs, replace=False))
    return subject.of(torch.from_numpy(chosen).to(subject.inputs.device))


def _eigenpairs(
    products: CurvatureProducts,
    matrices: dict[str, Callable[[np.ndarray], np.ndarray]],
    settings: CurvatureSettings,
    rng: np.random.Generator,
    on_step: OnStep,
) -> dict[str, Eigenpairs]:
    wanted: list[tuple[str, str, int, Literal["top", "bottom"]]] = [
        (name, name, settings.eigenpairs, "top") for name in matrices
    ]
    if settings.bottom:
        wanted.append(("bottom", "hessian", settings.bottom, "bottom"))
    found = {}
    for name, matrix, k, end in wanted:
        found[name] = eigenpairs(
            matrices[matrix],
            products.size,
            min(k, products.size),
            end=end,
            tolerance=settings.tolerance,
            most_restarts=settings.restarts,
            rng=rng,
            on_step=lambda done, name=name: on_step(f"eigenpairs, {name}", done, 0),
        )
        if name != "bottom" and not len(found[name].values):
            raise ValueError(
                f"restarts is {settings.restarts}: no eigenpair of {name} converged, give more or a larger tolerance"
            )
    return found


def _minimum(products: CurvatureProducts, found: dict[str, Eigenpairs], difference: float) -> dict[str, Any]:
    """What tells whether θ is a minimum, so that nobody applies a theorem where it is none."""
    loss, g = products.loss(), products.gradient()
    square = float(g @ g)
    bent = float(g @ products.hessian(g))
    top = float(found["hessian"].values[0])
    bottom = found["bottom"].values if "bottom" in found else np.zeros(0)
    lowest = float(bottom[0]) if len(bottom) else None
    return {
        "loss": loss,
        "gradient_norm": float(np.sqrt(square)),
        # Of the best step along the gradient, in the quadratic model: a lower bound of what is still to be had.
        "decrease_along_gradient": square**2 / (2 * bent) if bent > 0 else None,
        "lowest_over_highest": None if lowest is None else lowest / top,
        "difference_share": difference,
        "zero_by_construction": bool(loss < 1e-7),
        "is_one": bool(
            (square**2 <= 2 * max(bent, 0.0) * 0.01 * loss or loss < 1e-7)
            and (lowest is None or lowest > -0.01 * top)
            and difference < 0.1
        ),
    }


def _forms(loss: Eigenpairs, identity: Eigenpairs, size: int, trace: dict[str, float]) -> dict[str, Any]:
    """The difference that the output Hessian makes to leading eigenvectors, beside random subspaces."""
    overlap = (loss.vectors @ identity.vectors.T) ** 2
    ranks = [k for k in _RANKS if k <= min(overlap.shape)]
    return {
        "overlap": {str(k): float(overlap[:k, :k].sum() / k) for k in ranks},
        "chance": {str(k): k / size for k in ranks},
        "trace_over_identity": trace["loss"] / trace["identity"],
        "top_share_of_trace": float(loss.values[0] / trace["loss"]),
        "top_share_of_trace_identity": float(identity.values[0] / trace["identity"]),
    }


def _spectrum(of: SpectralDensity, largest: float) -> dict[str, Any]:
    floors = [share * largest for share in (*SHARES, 1e-5)]
    edges = largest * 10**_DECADES

    def counts(sign: float) -> list[float]:
        return [
            of.sum_of(lambda nodes, a=a, b=b: ((sign * nodes >= a) & (sign * nodes < b)).astype(float))[0]
            for a, b in pairwise(edges)
        ]

    # Where a probe has no node of its own between here and zero, it tells eigenvalues no more apart.
    apart = np.where(np.abs(of.nodes) > 1e-6 * largest, np.abs(of.nodes), np.inf).min(1)
    return {
        "trace": list(of.trace()),
        "resolved_above": float(apart.max()) if np.isfinite(apart).all() else None,
        "floors": floors,
        "floors_over_largest": [*SHARES, 1e-5],
        "rank": [list(of.count_above(floor)) for floor in floors],
        "effective_dimension": [list(of.effective_dimension(floor)) for floor in floors],
        "log_volume": [list(of.log_volume(floor)) for floor in floors],
        "log_volume_share": [list(of.log_volume_share(floor)) for floor in floors],
        "bins": {"log10_over_largest": _DECADES.tolist(), "positive": counts(1.0), "negative": counts(-1.0)},
    }


def _ranks(
    subject: Subject,
    forms: dict[str, OutputForm],
    settings: CurvatureSettings,
    rng: np.random.Generator,
    on_step: OnStep,
) -> dict[str, Any]:
    few = _drawn(subject, settings.rank_inputs, rng)
    parameters = sum(tensor.numel() for tensor in subject.network.parameters())
    asked = {
        "loss": (few, forms["loss"]),
        "identity": (few, forms["identity"]),
        "loss_untrained": (few.at(few.untrained), forms["loss"]),
    }
    figures = {}
    for name, (of, form) in asked.items():
        K = jacobian_gram(
            of, form, on_step=lambda done, all_, name=name: on_step(f"ranks, {name}", done, all_)
        )
        figures[name] = rank_beside_null(K, parameters, rng)
    return {"inputs": len(few), **figures}


def _coefficient(
    subject: Subject, spectrum: SpectralDensity, largest: float, settings: CurvatureSettings, on_step: OnStep
) -> dict[str, Any] | None:
    if not settings.chains:
        return None
    sgld = SGLDSettings.in_units_of(
        largest,
        len(subject),
        localization=settings.localization,
        step_size=settings.step_size,
        chains=settings.chains,
        burn_in=settings.burn_in,
        draws=settings.draws,
        batch_size=settings.sgld_batch,
        seed=settings.seed,
    )
    losses, theta = losses_of(subject)
    found = learning_coefficient(
        losses, theta, len(subject), sgld, on_step=lambda done, of: on_step("learning coefficient", done, of)
    )
    n_beta = n_beta_of(len(subject))
    value, error = spectrum.sum_of(lambda nodes: of_quadratic(np.maximum(nodes, 0.0), n_beta, sgld))
    return {
        **found.figures(),
        # What the Gauss–Newton matrix alone gives under the same localisation and step.
        "quadratic": value,
        "quadratic_standard_error": error,
        "half_of_parameters": sum(tensor.numel() for tensor in subject.network.parameters()) / 2,
    }


def _directions(
    pairs: Eigenpairs, products: CurvatureProducts, settings: CurvatureSettings, subject: Subject
) -> Directions:
    return Directions(
        vectors=pairs.vectors.astype(np.float32),
        singular_values=pairs.values.copy(),
        profiles=np.zeros((0, len(pairs.values))),
        space="parameters",
        layout=products.layout,
        source={
            "lens": "curvature",
            "matrix": settings.directions,
            "inputs": len(subject),
            "converged": pairs.converged.tolist(),
            "subject": dict(subject.source),
        },
    )
