"""Tables of the study of stars and cheese, over seeds; `study_tables` prints them."""

from typing import Any

from study_cells import removed, told
from tables import header, number, row

TREATMENTS = ("nothing", "early stopping", "own features", "tuned", "blind")
COMMON = ("star and cheese", "one goal, other levels", "random")
# What lies beside directions of a time, of a thing's own features.
BESIDE = {"neighbouring time": "the other's features"}


def stars(variants: dict[str, Any]) -> str:
    """Every schedule: what is left after each treatment, tuned cuts and their controls, one thing or two."""
    parts = [
        *(_left(variants, goal) for goal in ("star", "cheese")),
        _both(variants),
        *(removed(variants, goal, "own features", BESIDE) for goal in ("star", "cheese")),
        _unseen(variants),
        *(removed(variants, goal) for goal in ("star", "cheese")),
        _in_common(variants),
        _activations(variants),
    ]
    return "\n\n".join(parts)


def reached_after(after: dict[str, Any], treatment: str, which: str = "") -> str:
    """Star and cheese after a treatment, each alone in its maze or with `_first` where both are in it."""
    if treatment not in after:
        return "–"
    reached = (after[treatment][f"{thing}{which}"] for thing in ("star", "cheese"))
    return " / ".join(number(of["over_seeds"]["iqm"][0]) for of in reached)


def _left(variants: dict[str, Any], goal: str) -> str:
    (kept,) = (of for of in ("star", "cheese") if of != goal)
    names = ["variant", "return", *(f"{of}: star / cheese" for of in TREATMENTS), f"{kept} − {goal}, tuned"]
    lines = [f"**Left after each treatment that is to remove the {goal}**", "", header(names)]
    for name, variant in variants.items():
        after = variant["after"][goal]
        lefts = (reached_after(after, of) for of in TREATMENTS)
        lines.append(row([name, told(variant["measures"]["return"]), *lefts, told(after["tuned"]["gap"])]))
    return "\n".join(lines)


def _both(variants: dict[str, Any]) -> str:
    """Where a maze holds both: which is reached first, after treatments that are to remove one of them."""
    treatments = [of for of in TREATMENTS if of != "early stopping"]
    names = [f"{of}: star / cheese" for of in treatments]
    lines = ["**Both in the maze: reached first**", "", header(["variant, removed", *names])]
    for name, variant in variants.items():
        for goal, after in variant["after"].items():
            cells = (reached_after(after, of, "_first") for of in treatments)
            lines.append(row([f"{name}, {goal}", *cells]))
    return "\n".join(lines)


def _unseen(variants: dict[str, Any]) -> str:
    """Agents that cannot see one thing: what a cut leaves that takes the seeking and nothing else."""
    found = {name: variant["blind"] for name, variant in variants.items() if variant["blind"]}
    if not found:
        return ""
    retained = next(iter(variants.values()))["retained"]
    names = ("selectivity (95 %)", *retained, "‖Δθ‖/‖θ−θ₀‖")
    lines = [header(["variant, unseen", *names])]
    for name, goals in found.items():
        for goal, of in goals.items():
            kept = (number(of["retention"][name]["over_seeds"]["iqm"][0]) for name in retained)
            norm = number(of["relative_norm"]["over_seeds"]["iqm"][0], 3)
            lines.append(row([f"{name}, {goal}", told(of["selectivity"]), *kept, norm]))
    return "**Blind to one of them**\n\n" + "\n".join(lines)


def _in_common(variants: dict[str, Any]) -> str:
    names = ["the star's cut: star / cheese", "the cheese's cut: cheese / star"]
    names += [f"{figure}, {of}" for figure in ("smallest angle", "cosine of means") for of in COMMON[:2]]
    lines = [
        "**One thing or two?** Retention where a cut cared for nothing but the way; angles in degrees",
        "",
        header(["variant", *names, "smallest angle, random"]),
    ]
    for name, variant in variants.items():
        common = variant["common"]
        gradients = common["gradients"]
        cuts = (
            " / ".join(told(common["transfer"][goal][of]) for of in ("removed", "other"))
            for goal in ("star", "cheese")
        )
        angles = [told(gradients["angles"][of][0]) for of in COMMON]
        cosines = [told(gradients["cosines"][of]["all"]) for of in COMMON[:2]]
        lines.append(row([name, *cuts, *angles[:2], *cosines, angles[2]]))
    return "\n".join(lines)


def _activations(variants: dict[str, Any]) -> str:
    """By layer, the cosine of what a star and a cheese add to the activations; of schedules where they look unlike."""
    found = {
        name: layers
        for name, variant in variants.items()
        if (layers := variant["common"]["activations"].get("layers"))
    }
    if not found:
        return ""
    layers = list(next(iter(found.values())))
    of = ("star and cheese", "one thing, other mazes")
    lines = [header(["variant", *(f"{layer}: {one}" for layer in layers for one in of)])]
    for name, there in found.items():
        lines.append(row([name, *(told(there[layer][one]) for layer in layers for one in of)]))
    return "**Cosine of what a star and a cheese add to the activations**\n\n" + "\n".join(lines)
