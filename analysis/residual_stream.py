"""Channels of a causal transformer's residual stream: from after its first block to after its last, token to token.

J_{t,s} = ∂r_last[t] / ∂r_first[s], a block of width × width per sequence, late token t and early token s = t − apart;
it is zero for s > t. Same token (apart 0) and each distance are summed apart, as in `jacobian_spectrum`. Blocks are
found as the model's list of as many modules as its configuration has hidden layers, which every causal model of
`transformers` has. Where a row per late direction costs too much, rows are taken along fixed random orthonormal
directions of the late stream: no rank is then above their number.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .control_networks import permuted_weights
from .directions import Directions
from .effective_rank import effective_ranks
from .jacobian_spectrum import JacobianSpectrum, JacobianSums, descending_eigen, spectra_agree
from .lens import Findings, OnStep

LONGEST = 1024
"""Tokens of the longest context."""


@dataclass(frozen=True)
class ResidualSettings:
    """Settings of the channels of a residual stream.

    Attributes:
        first: block after which the early stream is taken, from 0.
        last: block after which the late one is; default the last.
        apart: how many tokens the early one lies before the late one; 0 is the same token.
        late_tokens: late tokens drawn per sequence.
        rows: random late directions that rows are taken along; default every one.
        sequences: at a time.
        precision: `float64`, or `float32` for models that take too much memory.
        directions: at most so many right singular vectors, of the same token, become directions.
        tolerance: singular values above this share of the largest count for the numerical rank.
        shown: singular values that the figures keep.
        seed: of every draw.
    """

    first: int = 0
    last: int | None = None
    apart: tuple[int, ...] = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    late_tokens: int = 2
    rows: int | None = None
    sequences: int = 4
    precision: str = "float64"
    directions: int = 20
    tolerance: float = 1e-6
    shown: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("first", 0),
            ("late_tokens", 1),
            ("sequences", 1),
            ("directions", 1),
            ("shown", 1),
            ("seed", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}")
        if self.rows is not None and self.rows < 1:
            raise ValueError(f"rows is {self.rows}: give at least 1, or leave it out for all")
        if self.last is not None and self.last <= self.first:
            raise ValueError(f"last is {self.last}: give a block after first, which is {self.first}")
        if not self.apart or min(self.apart) < 0 or len(set(self.apart)) < len(self.apart):
            raise ValueError(f"apart is {self.apart}: give different distances of at least 0 tokens")
        if self.precision not in ("float32", "float64"):
            raise ValueError(f"precision is {self.precision!r}: give 'float64' or 'float32'")
        if not 1e-8 <= self.tolerance < 1:
            raise ValueError(f"tolerance is {self.tolerance}: give 1e-8 to 1")


def residual_channels(
    model: nn.Module,
    tokens: Tensor,
    settings: ResidualSettings | None = None,
    *,
    controls: Mapping[str, nn.Module] | None = None,
    on_step: OnStep = lambda what, done, of: None,
) -> Findings:
    """Channels of a model's residual stream, beside those of the same model with permuted weights.

    Args:
        model: causal, of `transformers`, with its configuration at `.config`.
        tokens: (sequences, context) whole numbers, context up to 1,024.
        settings: default `ResidualSettings()`.
        controls: further models to hold it against, such as the untrained one of `causal_models`.
        on_step: told of each step as it begins.

    Returns:
        Findings. Directions: right singular vectors of the same token, in the space of the block that the early stream
        is taken after. Figures: per model (`trained`, `permuted`, and those of `controls`) and distance in tokens:
        singular values, ranks, energy E‖J‖², `shared_late_space`, and `covariance` of the late stream, over every token
        that late ones are drawn from: its ranks, and its `agreement` with E[J Jᵀ]; along the same rows.

    Raises:
        ValueError: tokens are of a wrong shape or range, the context is too long, there is no such block, or the
            model is not causal.
    """
    settings = settings or ResidualSettings()
    check_tokens(model, tokens)
    name, _ = _block(model, settings.first)
    _check_causal(model, settings, tokens)
    models = {"trained": model, "permuted": permuted_weights(model, seed=settings.seed), **(controls or {})}
    figures: dict[str, Any] = {"context": tokens.shape[1], "sequences": len(tokens), "models": {}}
    spectra: dict[str, dict[int, JacobianSpectrum]] = {}
    for which, one in models.items():
        spectra[which], covariance = _stacked(
            one,
            tokens,
            settings,
            on_step=lambda done, of, which=which: on_step(f"residual stream, {which}", done, of),
        )
        late = effective_ranks(np.sqrt(descending_eigen(covariance)[0]), tolerance=settings.tolerance)
        figures["models"][which] = {
            str(apart): {
                "singular_values": spectrum.singular_values[: settings.shown].tolist(),
                "energy": float(np.trace(spectrum.right)),
                "ranks": spectrum.ranks(tolerance=settings.tolerance),
                "shared_late_space": spectrum.shared_late_space(),
                "covariance": {"ranks": late, "agreement": spectra_agree(spectrum.left, covariance)},
                "blocks": spectrum.blocks,
            }
            for apart, spectrum in spectra[which].items()
        }
    same = spectra["trained"].get(0)
    if same is None:
        return Findings(figures)
    values = same.singular_values
    kept = min(settings.directions, int((values > settings.tolerance * values[0]).sum()))
    found = Directions(
        vectors=same.right_vectors[:kept].copy(),
        singular_values=values[:kept],
        profiles=np.zeros((0, kept)),
        space=name,
        source={"lens": "channels", "first": settings.first, "last": settings.last, "apart": 0},
    )
    return Findings(figures, {name: found})


def residual_spectra(
    model: nn.Module,
    tokens: Tensor,
    settings: ResidualSettings,
    *,
    on_step: Callable[[int, int], None] = lambda done, of: None,
) -> dict[int, JacobianSpectrum]:
    """Spectra of the stacked J_{t, t − apart}, per distance; distances that the context has no room for are left out.

    Args:
        model: causal.
        tokens: (sequences, context).
        settings: which blocks, distances and rows.
        on_step: told of the backward passes done, and of all.

    Raises:
        ValueError: there is no such block, tokens do not fit, or a Jacobian is not finite.
    """
    return _stacked(model, tokens, settings, on_step=on_step)[0]


def _stacked(
    model: nn.Module, tokens: Tensor, settings: ResidualSettings, *, on_step: Callable[[int, int], None]
) -> tuple[dict[int, JacobianSpectrum], np.ndarray]:
    """Spectra per distance, and the covariance of the late stream along the rows, (rows, rows)."""
    check_tokens(model, tokens)
    model = deepcopy(model).to(getattr(torch, settings.precision)).eval().requires_grad_(False)
    _, early = _block(model, settings.first)
    _, late = _block(model, -1 if settings.last is None else settings.last)
    if early is late:
        raise ValueError(f"first is {settings.first}, the last block: give an earlier one")
    generator = torch.Generator().manual_seed(settings.seed)
    device = next(model.parameters()).device
    apart = [distance for distance in settings.apart if distance < tokens.shape[1]]
    if not apart:
        raise ValueError(
            f"apart is {settings.apart}: the context has {tokens.shape[1]} tokens, give shorter distances"
        )
    sums: dict[int, JacobianSums] = {}
    seen: list[Tensor] = []
    pushes: Tensor | None = None
    done = 0
    for part in tokens.split(settings.sequences):
        first, last = _streams(model, early, late, part.to(device))
        width = first.shape[2]
        if pushes is None:
            pushes = _late_directions(width, settings.rows, generator).to(last)
        seen.append((last.detach()[:, max(apart) :].flatten(0, 1) @ pushes.T).double())
        sequence = torch.arange(len(part), device=device)
        # Late tokens are drawn where every distance has its early one.
        room = tokens.shape[1] - max(apart)
        for _ in range(settings.late_tokens):
            t = max(apart) + torch.randint(room, (len(part),), generator=generator).to(device)
            rows = []
            for push in pushes:
                pushed = torch.zeros_like(last)
                pushed[sequence, t] = push
                (row,) = torch.autograd.grad(last, first, pushed, retain_graph=True)
                rows.append(torch.stack([row[sequence, t - distance] for distance in apart]))
                done += 1
                on_step(done, len(pushes) * settings.late_tokens * -(-len(tokens) // settings.sequences))
            J = torch.stack(rows, 2)  # (distances, sequences, rows, width)
            for distance, blocks in zip(apart, J, strict=True):
                if distance not in sums:
                    sums[distance] = JacobianSums(len(pushes), width, seed=settings.seed, device=device)
                sums[distance].add(blocks)
    late = torch.cat(seen)
    late = late - late.mean(0)
    covariance = (late.T @ late / len(late)).cpu().numpy()
    return {distance: one.spectrum() for distance, one in sums.items()}, covariance


def _streams(model: nn.Module, early: nn.Module, late: nn.Module, tokens: Tensor) -> tuple[Tensor, Tensor]:
    kept: dict[str, Tensor] = {}

    def leaf(module: nn.Module, arguments: object, given: Any) -> Any:
        kept["early"] = _stream(given).detach().clone().requires_grad_()
        return (kept["early"], *given[1:]) if isinstance(given, tuple) else kept["early"]

    def end(module: nn.Module, arguments: object, given: Any) -> None:
        kept["late"] = _stream(given)

    handles = [early.register_forward_hook(leaf), late.register_forward_hook(end)]
    try:
        with torch.enable_grad():
            model(input_ids=tokens, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return kept["early"], kept["late"]


def _stream(given: Any) -> Tensor:
    return given[0] if isinstance(given, tuple) else given


def _block(model: nn.Module, index: int) -> tuple[str, nn.Module]:
    count = int(getattr(getattr(model, "config", None), "num_hidden_layers", 0))
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            if not -count <= index < count:
                raise ValueError(f"block is {index}: the model has {count}, from 0 to {count - 1}")
            return f"{name}.{index % count}", module[index]
    raise ValueError(f"no list of blocks in {type(model).__name__}: give a causal model of transformers")


def _check_causal(model: nn.Module, settings: ResidualSettings, tokens: Tensor) -> None:
    """Refuse a model in which a token changes what comes before it: its Jacobians are not those of one direction."""
    _, late = _block(model, -1 if settings.last is None else settings.last)
    _, early = _block(model, settings.first)
    device = next(model.parameters()).device
    one = tokens[:1].to(device)
    other = one.clone()
    other[0, -1] = one[0, 0] if one[0, 0] != one[0, -1] else (one[0, -1] + (1 if one[0, -1] == 0 else -1))
    seen = [_streams(model, early, late, some)[1].detach()[:, :-1].double() for some in (one, other)]
    if (seen[0] - seen[1]).abs().max() > 1e-3 * seen[0].abs().max().clamp_min(1e-30):
        raise ValueError(
            f"{type(model).__name__} is not causal: the last token changes the stream of those before it; give a "
            "causal language model"
        )


def _late_directions(width: int, rows: int | None, generator: torch.Generator) -> Tensor:
    if rows is None or rows >= width:
        return torch.eye(width, dtype=torch.float64)
    drawn = torch.randn(width, rows, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(drawn)[0].T


def check_tokens(model: nn.Module, tokens: Tensor) -> None:
    """Refuse tokens that the model does not take.

    Raises:
        ValueError: they are of a wrong shape or range, or the context is too long.
    """
    if (
        tokens.ndim != 2
        or tokens.is_floating_point()
        or not 2 <= tokens.shape[1] <= LONGEST
        or not len(tokens)
    ):
        raise ValueError(
            f"tokens are whole numbers (sequences, 2 to {LONGEST}), got {tokens.dtype} {tuple(tokens.shape)}"
        )
    config = getattr(model, "config", None)
    for limit, value in (("vocab_size", int(tokens.max()) + 1), ("max_position_embeddings", tokens.shape[1])):
        most = getattr(config, limit, None)
        if most is not None and value > most:
            raise ValueError(f"tokens need a {limit} of {value}: the model has {most}; shorten or map them")
    if int(tokens.min()) < 0:
        raise ValueError(f"tokens go down to {int(tokens.min())}: give numbers of at least 0")
