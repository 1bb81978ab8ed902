"""What else each lens found, as tables of the report: below the headline ones of `lens_tables`, and alike."""

from collections.abc import Callable, Mapping
from typing import Any

from .inputs import dig
from .page import Table
from .style import count, decimal, finite, finites, short

Figures = Mapping[str, Any]


def detail_tables(name: str, saved: Mapping[str, Any]) -> list[Table]:
    """The tables below a lens's headline one; none where its file holds none of it."""
    tables = [table(dict(saved.get("figures") or {})) for table in _TABLES.get(name, ())]
    return [table for table in tables if table.rows]


def _ansatz(figures: Figures) -> Table:
    """Each layer and function: centred, movement, singular vectors, the frame, and the range over outputs."""
    rows = []
    for layer, of in (figures.get("layers") or {}).items():
        for f, found in (of.get("functions") or {}).items():
            summed = found.get("summed")
            if not summed:
                rows.append((f"{layer}, {f}", ["gradient zero", *["–"] * 8]))
                continue
            centred, moved = dig(summed, "ansatz", "centred"), dig(summed, "movement", "uncentred", "1")
            k, overlap = _overlap(summed)
            frame = dig(summed, "frame", "uncentred")
            each = [
                dig(one, "ansatz", "uncentred", "1", "cosine") for one in found.get("outputs") or [] if one
            ]
            rows.append(
                (
                    f"{layer}, {f}",
                    [
                        f"{decimal(dig(centred, '1', 'cosine'))} ({decimal(dig(centred, '1', 'same_spectrum'))})",
                        f"{decimal(dig(centred, '0.5', 'cosine'))} "
                        f"({decimal(dig(centred, '0.5', 'same_spectrum'))})",
                        _span(each),
                        f"{decimal(dig(moved, 'cosine'))} ({decimal(dig(moved, 'same_spectrum'))})",
                        f"{decimal(dig(overlap, 'overlap'))} ({decimal(dig(overlap, 'same_spectrum'))})",
                        count(k),
                        f"{short(dig(frame, 'lower'), 2)} to {short(dig(frame, 'upper'), 2)}",
                        short(dig(frame, "condition_number"), 2),
                        short(dig(frame, "isotropic_condition_number"), 2),
                    ],
                )
            )
    caption = (
        "More of the ansatz, in brackets random matrices of the same spectrum: gradients centred, each output by "
        "itself, the movement W − W_0, the leading k right singular vectors of W against eigenvectors of M; and "
        "the frame bounds of N with their ratio, beside that of as many isotropic vectors."
    )
    headings = (
        *(
            "layer, gradient of",
            "centred, M",
            "centred, M^½",
            "each output, M",
            "W − W_0, M",
            "singular vectors",
            "k",
        ),
        *("frame bounds", "ratio", "isotropic"),
    )
    return Table(caption, headings, rows, quiet=frozenset((5, 8)))


def _left(figures: Figures) -> Table:
    """The mirror image for left singular vectors."""
    rows = []
    for layer, of in (figures.get("layers") or {}).items():
        left = of.get("left")
        sides = {"pre-activations, E[zzᵀ]": dig(left, "outputs", "uncentred")}
        sides |= {f"gradients of {f}, N": found for f, found in (dig(left, "gradients") or {}).items()}
        for against, found in sides.items():
            if not found:
                continue
            cells = [
                decimal(dig(found, p, which))
                for p in ("1", "0.5")
                for which in ("cosine", "same_spectrum", "initial")
            ]
            rows.append((f"{layer}, {against}", cells))
    caption = (
        "The mirror image, for left singular vectors: cosine of WWᵀ with the second moment of pre-activations, an "
        "identity where the layer's inputs are a tight frame, and with that of their gradients, which is none."
    )
    headings = (
        *("layer, WWᵀ against", "W, power 1", "same spectrum", "W_0"),
        *("W, power ½", "same spectrum", "W_0"),
    )
    return Table(caption, headings, rows, quiet=frozenset((1, 2, 4, 5)))


def _spectrum(figures: Figures) -> Table:
    """Trace, rank, effective dimension and log volume at every floor, beside the untrained network."""
    spectrum = figures.get("spectrum")
    names = ("rank", "effective_dimension", "log_volume", "log_volume_share")
    rows = []
    for matrix, said in (
        ("hessian", "Hessian"),
        ("loss", "Gauss–Newton"),
        ("loss_untrained", "Gauss–Newton, untrained"),
    ):
        of = dig(spectrum, matrix)
        for place, share in enumerate(finites(dig(of, "floors_over_largest"))):
            cells = [_with_error(_at(dig(of, name), place)) for name in names]
            rows.append((f"{said}, ε = {short(share)} λ_1", [_with_error(dig(of, "trace")), *cells]))
    caption = (
        "Of the whole spectrum, with standard errors over probes: trace; how many eigenvalues exceed ε; effective "
        "dimension Σ λ/(λ+ε); log volume −½ Σ log λ over those above ε, and of the basin over a ball of precision "
        "ε, −½ Σ log(1 + λ/ε). The untrained network's ε is a share of its own λ_1."
    )
    headings = (
        "matrix, floor",
        "trace",
        "above ε",
        "effective dimension",
        "log volume",
        "log volume over a ball",
    )
    return Table(caption, headings, rows)


def _eigenpairs(figures: Figures) -> Table:
    """Residuals and convergence of the eigenpairs."""
    rows = []
    for said, path in (
        ("Hessian, top", ("hessian", "top")),
        ("Hessian, bottom", ("hessian", "bottom")),
        ("Gauss–Newton, top", ("gauss_newton", "loss", "top")),
        ("Gauss–Newton with the identity, top", ("gauss_newton", "identity", "top")),
    ):
        of = dig(figures, *path)
        values, residuals = (
            [v for v in finites(dig(of, name)) if v is not None] for name in ("values", "residuals")
        )
        if not values:
            continue
        converged = [bool(one) for one in dig(of, "converged") or []]
        cells = [
            f"{short(values[0])} to {short(values[-1])}",
            f"{sum(converged)} of {count(dig(of, 'asked') or len(converged))}",
            short(max(residuals, default=None), 2),
        ]
        rows.append((said, cells))
    caption = (
        "Eigenpairs: how many converged, and the largest residual ‖Av − λv‖ over the largest eigenvalue."
    )
    return Table(caption, ("matrix", "eigenvalues", "converged", "largest residual"), rows)


def _graph(figures: Figures) -> Table:
    """Modularity of the graph of all layers, and that the function stayed the same."""
    rows = []
    for which, graph in (figures.get("graph") or {}).items():
        for basis in ("features", "neurons"):
            of = dig(graph, basis)
            chance = [value for value in finites(dig(of, "modularity_shuffled")) if value is not None]
            cells = [
                decimal(dig(of, "modularity"), 3),
                decimal(sum(chance) / len(chance), 3) if chance else "–",
                count(dig(of, "modules")),
                f"{count(dig(of, 'effective_edges'))} of {count(dig(of, 'edges'))}",
            ]
            rows.append((f"{which}, {basis}", cells))
    changed = short(dig(figures, "function", "largest"), 1)
    caption = (
        "Modularity of the graph of all layers, through the Jacobians between them. Written in features, the "
        f"network computes the same: no value of any layer changes by more than {changed} of the largest."
    )
    headings = ("network, basis", "modularity", "shuffled", "modules", "effective edges")
    return Table(caption, headings, rows, quiet=frozenset((1,)))


def _starts(figures: Figures) -> Table:
    """The joint fits by start, and the basis of the outputs."""
    rows = [
        (
            f"start {one.get('start')}, determinant {'+1' if one.get('determinant') == 1 else '−1'}",
            [
                decimal(one.get("loss_before"), 3),
                decimal(one.get("loss"), 3),
                _mean(one.get("matched_with_best")),
                _mean({layer: dig(of, "mean") for layer, of in (figures.get("chance") or {}).items()}),
            ],
        )
        for one in figures.get("joint") or []
    ]
    last = figures.get("last_layer")
    if last:
        cells = ["–", decimal(dig(last, "loss"), 3), decimal(dig(last, "matched_with_identity"))]
        rows.append(
            (
                f"basis of {last.get('output')}, with the identity",
                [*cells, decimal(dig(last, "chance", "mean"))],
            )
        )
    changed = short(dig(figures, "function", "largest"), 1)
    caption = (
        "Restarts of the joint fit, their loss where they were fitted, and how far each basis is that of the best "
        f"one (matched cosine); last the outputs' own basis, fitted too. The function changes by {changed} of the "
        "largest value."
    )
    return Table(
        caption, ("fit", "loss before", "loss", "matched", "by chance"), rows, quiet=frozenset((0, 3))
    )


def _toy(figures: Figures) -> Table:
    """Toy autoencoders that are known to hold features in superposition."""
    rows = [
        (
            f"{count(one.get('features'))} features in {count(one.get('hidden'))} dimensions, "
            f"{decimal(one.get('sparsity'))} of them zero",
            [
                count(one.get("kept")),
                count(one.get("found")),
                decimal(one.get("matched")),
                decimal(one.get("chance")),
                decimal(one.get("loss"), 3),
                decimal(one.get("loss_random"), 3),
            ],
        )
        for one in figures.get("toy") or []
    ]
    caption = (
        "Rotations of toy autoencoders whose features are known: how many are kept (of sparse ones more than "
        "dimensions, in superposition), how many of those a row of the rotation meets (|cosine| above 0.97), and "
        "the matched cosine beside random rotations. A rotation has as many rows as dimensions, so of more "
        "features the rest is not found."
    )
    headings = ("toy", "kept", "found", "matched", "by chance", "loss", "random")
    return Table(caption, headings, rows, quiet=frozenset((3, 5)))


def _overlap(summed: Figures) -> tuple[float | None, Any]:
    """The largest k of at most 5 at which singular vectors are compared, and the figures there."""
    found = dig(summed, "overlaps") or {}
    ks = [int(k) for k in found if int(k) <= 5]
    return (max(ks), found[str(max(ks))]) if ks else (None, None)


def _span(values: list[Any]) -> str:
    known = [value for one in values if (value := finite(one)) is not None]
    return f"{decimal(min(known))} to {decimal(max(known))}" if known else "–"


def _at(values: Any, place: int) -> Any:
    return values[place] if isinstance(values, list) and place < len(values) else None


def _with_error(pair: Any) -> str:
    value, error = [*finites(pair), None, None][:2]
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{count(value)} ± {count(error)}".replace("-", "−")
    return f"{short(value)} ± {short(error, 2)}"


def _mean(of: Any) -> str:
    known = [value for value in finites(list((of or {}).values())) if value is not None]
    return decimal(sum(known) / len(known)) if known else "–"


_TABLES: Mapping[str, tuple[Callable[[Figures], Table], ...]] = {
    "ansatz": (_ansatz, _left),
    "curvature": (_eigenpairs, _spectrum),
    "features": (_graph,),
    "rotation": (_starts, _toy),
}
