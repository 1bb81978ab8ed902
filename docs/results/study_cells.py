"""What the tables of studies are made of: figures over seeds in a cell, and a table of one kind of cut."""

from collections.abc import Mapping, Sequence
from typing import Any

from tables import header, number, row


def told(figure: dict[str, Any], digits: int = 2) -> str:
    """Interquartile mean and its interval."""
    return interval(figure.get("over_seeds", figure)["iqm"], digits)


def interval(estimate: Sequence[float], digits: int = 2) -> str:
    """An estimate and its interval."""
    value, low, high = (number(of, digits) for of in estimate)
    return f"{value} ({low}–{high})"


def spread(chosen: dict[str, Any]) -> str:
    """Selectivity of the lowest and the highest seed."""
    values = chosen["selectivity"]["values"]
    return f"{number(min(values))} … {number(max(values))}"


def cells_of(entry: dict[str, Any], retained: list[str]) -> list[str]:
    """Selectivity, retentions and norm of a cut or control."""
    return [
        number(entry["selectivity"]["over_seeds"]["median"][0]),
        told(entry["selectivity"]),
        spread(entry),
        *(number(entry["retention"][name]["over_seeds"]["median"][0]) for name in retained),
        number(entry["relative_norm"]["over_seeds"]["median"][0], 3),
    ]


def removed(
    variants: dict[str, Any], goal: str, kind: str = "tuned", names_of: Mapping[str, str] | None = None
) -> str:
    """One kind of cut of one goal over seeds, and the selectivity of its controls; of variants that have one."""
    found = {
        name: cut
        for name, variant in variants.items()
        for cut in variant["cuts"]
        if cut["name"] == f"{kind}: remove {goal}"
    }
    names_of = names_of or {}
    controls = list(dict.fromkeys(one["name"] for cut in found.values() for one in cut["controls"]))
    first = next(iter(variants.values()))
    retained = first["retained"]
    names = ["selectivity, median", "interquartile mean (95 %)", "seeds"]
    names += [*first["goal_names"], *retained[len(first["goal_names"]) :]]
    names += ["‖Δθ‖/‖θ−θ₀‖", *(names_of.get(of, of) for of in controls)]
    lines = [f"**{kind}: remove {goal}**", "", header(["variant", *names])]
    for name, cut in found.items():
        beside = {one["name"]: told(one["selectivity"]) for one in cut["controls"]}
        seeds, whole = len(cut["seeds"]), len(variants[name]["seeds"])
        label = name if seeds == whole else f"{name}, {seeds} seeds of {whole}"
        lines.append(row([label, *cells_of(cut, retained), *(beside.get(of, "–") for of in controls)]))
    return "\n".join(lines)
