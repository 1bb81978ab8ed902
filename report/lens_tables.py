"""What each lens found as a small table, every figure beside its control; the terminal prints the same ones."""

from collections.abc import Callable, Mapping
from typing import Any

from .inputs import dig
from .page import Table
from .style import between, count, decimal, finite, finites, short

Saved = Mapping[str, Any]
"""The content of lenses/NAME.json."""


def lens_table(name: str, saved: Saved) -> Table:
    """The table of one lens."""
    return _TABLES[name](dict(saved.get("figures") or {}))


def compare_table(saved: Saved) -> Table:
    """The best change of each lens, space and goal within the budget; then of each space's random subspaces and units.

    Of many goals, as of digits, each lens's most selective one on tuning data.
    """
    settings = dict(saved.get("settings") or {})
    rows = [
        (
            f"{said}: remove {row.get('removes')}",
            [
                f"{count(row.get('k'))} × {short(row.get('dose'))}" if "k" in row else "none keeps to it",
                short(row.get("relative_norm")),
                _with_interval(row),
                decimal(dig(row, "retention", dig(saved, "goals", str(row.get("removes"))))),
                decimal(row.get("navigation")),
                short(row.get("kl")),
            ],
        )
        for said, row in best_rows(saved)
    ]
    caption = (
        "The change of each lens that is most selective on tuning data, of relative length "
        f"{short(settings.get('relative_norm'))} at most, that leaves {short(settings.get('navigation'))} of "
        "finding the way; selectivity and the rest on held-out data. "
        "Random subspaces, the better of their draws, and single units, by effect or at random, are the controls."
    )
    headings = ("cut", "k × dose", "‖Δ‖", "selectivity", "left of the goal", "navigation", "KL (nats)")
    return Table(caption, headings, rows)


def accuracy_table(saved: Saved) -> Table:
    """Accuracy on every digit after each lens's best cut, and of the trained network."""
    goals, agents = dict(saved.get("goals") or {}), saved.get("agents")
    trained, floor = ({m: dig(agents, agent, m) for m in goals.values()} for agent in ("trained", "floor"))
    rows = [("trained", [decimal(trained[measure]) for measure in goals.values()])]
    for said, row in best_rows(saved):
        if "k" not in row:
            continue
        left = []
        for measure in goals.values():
            kept, low, high = (
                finite(v) for v in (dig(row, "retention", measure), floor[measure], trained[measure])
            )
            if kept is None or low is None or high is None:
                left.append("–")
            else:
                left.append(decimal(low + kept * (high - low)))
        rows.append((f"{said}: remove {row.get('removes')}", left))
    return Table("Accuracy on each digit of held-out images after the same cuts.", ("cut", *goals), rows)


def best_rows(saved: Saved) -> list[tuple[str, dict[str, Any]]]:
    """What a cut is called, and its row: per lens, space and goal the best, then per space those of controls.

    Where no change keeps to the budget the row says only what it `removes`.
    """
    methods, best = saved.get("methods") or {}, dict(saved.get("best") or {})
    found: dict[tuple[bool, str, str], dict[str, Any]] = {}
    for goal, of_goal in best.items():
        for method, row in of_goal.items():
            control = bool(dig(methods, method, "control"))
            row = {"removes": goal} if row is None else row
            space = f"{dig(methods, method, 'space')}, {count(dig(methods, method, 'entries'))} entries"
            key = (
                control,
                f"{dig(methods, method, 'lens')} at {space}" if control else method,
                goal if len(best) <= 2 else "",
            )
            if key not in found or _chosen_by(row) > _chosen_by(found[key]):
                found[key] = row
    ordered = sorted(found, key=lambda key: key[0])
    return [(key[1], found[key]) for key in ordered]


def _chosen_by(row: Mapping[str, Any]) -> float:
    chosen = finite(row.get("tuning_selectivity"))
    return float("-inf") if chosen is None else chosen


def _with_interval(row: Mapping[str, Any]) -> str:
    interval = between(row.get("selectivity_interval"))
    return decimal(row.get("selectivity")) + (f" ({interval})" if interval else "")


def _ansatz(figures: dict[str, Any]) -> Table:
    rows = [
        (
            f"{row.get('layer')}, {row.get('of')}",
            [
                decimal(row.get("cosine_1")),
                decimal(row.get("same_spectrum_1")),
                decimal(row.get("initial_1")),
                decimal(row.get("unrelated_1")),
                decimal(row.get("cosine_0.5")),
                decimal(row.get("same_spectrum_0.5")),
                f"{short(row.get('effective_rank'))} of {count(row.get('dimensions'))}",
                decimal(row.get("distance")),
            ],
        )
        for row in figures.get("summary") or []
    ]
    caption = (
        "Cosine of WᵀW with the average gradient outer product M and with M^½, beside the same for random matrices of "
        "W's spectrum and for W_0 under the same gradients; and how far those gradients are from a tight frame (0)."
    )
    headings = (
        *("layer, gradient of", "W", "same spectrum", "W_0", "unrelated", "W, M^½", "same spectrum, M^½"),
        *("effective rank of N", "distance from tight"),
    )
    return Table(caption, headings, rows, quiet=frozenset((1, 2, 3, 5)))


def _curvature(figures: dict[str, Any]) -> Table:
    at = dict(figures.get("minimum") or {})
    top = {
        "Hessian": dig(figures, "hessian", "top", "values"),
        "Gauss–Newton": dig(figures, "gauss_newton", "loss", "top", "values"),
    }
    forms, coefficient = figures.get("forms"), figures.get("learning_coefficient")
    rank = figures.get("rank")
    rows = [
        ("gradient norm", [short(at.get("gradient_norm")), "–", "0 at a minimum"]),
        (
            "‖H − G‖ / ‖H‖",
            [decimal(dig(figures, "difference", "share")), "–", "0 where the network fits or is linear"],
        ),
        ("lowest over highest eigenvalue", [short(at.get("lowest_over_highest")), "–", "below 0: a saddle"]),
    ]
    rows += [
        (f"largest eigenvalue, {name}", [short((finites(values) or [None])[0]), "–", ""])
        for name, values in top.items()
    ]
    rows += [
        (
            "its share of the trace",
            [
                decimal(dig(forms, "top_share_of_trace")),
                decimal(dig(forms, "top_share_of_trace_identity")),
                "the identity in place of the output Hessian",
            ],
        ),
    ]
    for k, overlap in (dig(forms, "overlap") or {}).items():
        said = f"overlap of the leading {k} with the identity's"
        rows.append((said, [decimal(overlap), short(dig(forms, "chance", k)), "random subspaces"]))
    for place, share in enumerate(finites(dig(rank, "loss", "shares"))):
        counts = [finites(dig(rank, "loss", name)) for name in ("rank", "rank_null")]
        untrained = finites(dig(rank, "loss_untrained", "rank"))
        values = [of[place] if place < len(of) else None for of in (*counts, untrained)]
        said = f"eigenvalues above {short(share)} of the largest, {count(dig(rank, 'inputs'))} inputs"
        rows.append((said, [count(values[0]), count(values[1]), f"noise; untrained {count(values[2])}"]))
    if coefficient:
        value, error = short(dig(coefficient, "value")), short(dig(coefficient, "standard_error"))
        rows.append(
            (
                "learning coefficient",
                [f"{value} ± {error}", short(dig(coefficient, "quadratic")), "the quadratic bowl alone"],
            )
        )
    caption = "The loss around θ, each figure beside what it is held against."
    return Table(caption, ("figure", "here", "beside it", "which is"), rows, quiet=frozenset((1, 2)))


def _features(figures: dict[str, Any]) -> Table:
    rows = []
    for layer, of in (figures.get("layers") or {}).items():
        independent, weight = dig(of, "independent", "given"), dig(figures, "weights", layer, "trained")
        held = [
            f"{short(dig(independent, 'trained', 'participation'))} of {count(dig(of, 'units'))}",
            short(dig(independent, "untrained", "participation")),
        ]
        mixed = [_modularity(dig(weight, basis)) for basis in ("features", "neurons")]
        for label, told in (dig(of, "selectivity") or {"–": {}}).items():
            strongest = [
                dig(told, *path, "explained_strongest")
                for path in (
                    ("features",),
                    ("neurons",),
                    ("random_rotations",),
                    ("shuffled_labels", "features"),
                )
            ]
            classes = [decimal(dig(told, basis, "classes")) for basis in ("features", "neurons")]
            cells = [*held, *(decimal(value, 3) for value in strongest), " / ".join(classes), *mixed]
            rows.append((f"{layer}, {label}", cells))
    caption = (
        "Independent features of each layer (participation ratio); the share of the variance of the ten strongest "
        "that a label explains (η²), and how many classes a feature / a neuron tells apart; and modularity of the "
        "interactions through its weight, in brackets that of shuffled ones."
    )
    headings = (
        *("layer, label", "independent", "untrained", "η² features", "neurons", "random rotations"),
        *("shuffled labels", "classes", "modularity features", "neurons"),
    )
    return Table(caption, headings, rows, quiet=frozenset((1, 3, 4, 5, 8)))


def _modularity(graph: Any) -> str:
    shuffled = [value for value in finites(dig(graph, "modularity_shuffled")) if value is not None]
    beside = f" ({decimal(sum(shuffled) / len(shuffled), 3)})" if shuffled else ""
    return decimal(dig(graph, "modularity"), 3) + beside


def _rotation(figures: dict[str, Any]) -> Table:
    bases, chance = figures.get("bases") or {}, figures.get("chance") or {}
    by_chance = _mean({layer: dig(of, "mean") for layer, of in chance.items()})
    rows = [
        (
            str(name),
            [
                decimal(dig(of, "held_out"), 3),
                decimal(dig(bases, "neurons", "held_out"), 3),
                decimal(dig(bases, "random", "held_out"), 3),
                _mean(dig(figures, "matched_with_joint", name) or dig(figures, name, "matched_with_joint")),
                by_chance,
            ],
        )
        for name, of in bases.items()
        if name not in ("neurons", "random")
    ]
    rows += [
        (
            f"joint, of the network {name}",
            [*(decimal(dig(of, which), 3) for which in ("fitted", "neurons", "random")), "–", "–"],
        )
        for name, of in (figures.get("controls") or {}).items()
        if name != "trained"
    ]
    rows += [
        (
            f"{layer}, fitted from before and from after",
            ["–", "–", "–", decimal(dig(of, "matched_from_random_starts")), _with_sd(dig(of, "chance"))],
        )
        for layer, of in (figures.get("apart") or {}).items()
    ]
    caption = (
        f"Sparsity loss ({dig(figures, 'loss', 'name')}; lower is sparser) of the Jacobians between layers on held-out "
        "inputs, beside that of neurons and of random bases of the same network; and how far a basis is that of the "
        "joint fit, or the two fits of one layer the same one (matched cosine), beside random bases."
    )
    headings = ("basis", "loss", "neurons", "random", "matched", "by chance")
    return Table(caption, headings, rows, quiet=frozenset((1, 2, 4)))


def _with_sd(chance: Any) -> str:
    return f"{decimal(dig(chance, 'mean'))} ± {decimal(dig(chance, 'sd'))}"


def _channels(figures: dict[str, Any]) -> Table:
    rows = []
    for name, of in (figures.get("networks") or {}).items():
        ranks, shared, agreement = (
            of.get("ranks"),
            of.get("shared_late_space"),
            dig(of, "covariance", "agreement"),
        )
        rows.append(
            (
                str(name),
                [
                    f"{count(dig(of, 'nodes', 'early'))} → {count(dig(of, 'nodes', 'late'))}",
                    *(short(dig(ranks, "stacked", how)) for how in ("energy_90", "participation", "entropy")),
                    short(dig(ranks, "per_input", "participation")),
                    short(dig(ranks, "late", "participation")),
                    short(dig(of, "covariance", "ranks", "participation")),
                    decimal(dig(shared, "other_half")),
                    decimal(dig(shared, "chance")),
                    decimal(dig(agreement, "cosine")),
                    decimal(dig(agreement, "cosine_chance")),
                ],
            )
        )
    caption = (
        f"Channels from {figures.get('early')} to {figures.get('late')}: effective ranks of the stacked Jacobian, the "
        "share of what one half of the early nodes causes that lies in the other half's leading late directions, "
        "and how far E[JJᵀ] and the covariance of late activations agree; untrained and permuted networks are the "
        "controls."
    )
    headings = (
        *("network", "nodes", "90 % of energy", "participation", "entropy", "participation per input"),
        *("participation, late side", "of the late covariance"),
        *("shared late space", "by chance", "cosine with covariance", "by chance"),
    )
    return Table(caption, headings, rows, quiet=frozenset((8, 10)))


def _mean(of: Any) -> str:
    values = [value for value in finites(list((of or {}).values())) if value is not None]
    return decimal(sum(values) / len(values)) if values else "–"


_TABLES: Mapping[str, Callable[[dict[str, Any]], Table]] = {
    "ansatz": _ansatz,
    "curvature": _curvature,
    "features": _features,
    "rotation": _rotation,
    "channels": _channels,
}
