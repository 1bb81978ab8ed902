"""Tables of a study, over seeds, as the pages of docs/results have them.

    python docs/results/study_tables.py runs/studies/cut/results.json

Prints Markdown for every variant. Of cuts: what was learned; every cut with the selectivity of each seed, median,
interquartile mean and its interval; of the headline cuts every control beside them; and what the agents then do. Of
methods: per goal what each reaches within a length, alone and where navigation must stay, at what side effects and with
how many directions or entries (k); then within other lengths, and of activations by layer, way and dose. Of timing:
when each goal is learned, and per variant how a direction's time goes with what it carries, beside the nulls, and the
same by module. Of stars: per schedule what is left after each treatment, the cuts of own features and the tuned ones
beside controls, and how much star and cheese have in common. Of robustness: per variant which goal comes first, whether
the early one persists, and the tuned cuts beside controls.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stars_tables import stars
from study_cells import cells_of, interval, removed, spread, told
from tables import header, number, row

from goalcut.agents.files import read_json
from goalcut.studies.cut_summary import agents_with, headlines
from goalcut.studies.methods_summary import NORMS


def learned(variant: dict[str, Any]) -> str:
    lines = [header(["measure", "median", "interquartile mean (95 %)", "lowest", "highest"])]
    for name, over in variant["measures"].items():
        cells = [
            name,
            number(over["median"][0]),
            told(over),
            number(over["least"]),
            number(over["largest"]),
        ]
        lines.append(row(cells))
    return "\n".join(lines)


def tested(compared: dict[str, Any] | None) -> tuple[str, str, str]:
    """Median difference, Cliff's δ and p (Holm) of a paired comparison; empty where there is none."""
    if compared is None:
        return "", "", ""
    return interval(compared["difference"]), number(compared["cliffs_delta"]), number(compared["holm_p"], 3)


def cuts(variant: dict[str, Any]) -> str:
    retained = variant["retained"]
    names = ["selectivity, median", "interquartile mean (95 %)", "seeds", *retained, "‖Δθ‖/‖θ−θ₀‖"]
    lines = [header(["cut", *names])]
    lines += [row([cut["name"], *cells_of(cut, retained)]) for cut in variant["cuts"]]
    for cut in headlines(variant["cuts"]):
        lines += [
            "",
            f"**{cut['name']}** and its controls:",
            "",
            header(["", *names, "Cliff's δ", "p (Holm)"]),
        ]
        lines.append(row(["the cut", *cells_of(cut, retained), "", ""]))
        for control in cut["controls"]:
            _, *apart = tested(cut["comparisons"].get(control["name"]))
            lines.append(row([control["name"], *cells_of(control, retained), *apart]))
    return "\n".join([*lines, "", done(variant)])


def done(variant: dict[str, Any]) -> str:
    """Every measure, medians over seeds: of the untrained agents, the trained ones, and those with a headline cut."""
    agents = agents_with(variant, headlines(variant["cuts"]))
    lines = [header(["agent", *variant["measures"]])]
    for name, measures in agents.items():
        lines.append(row([name, *(number(measures[of]["median"][0]) for of in variant["measures"])]))
    return "\n".join(lines)


def methods(variant: dict[str, Any]) -> str:
    names = [
        "method",
        *("‖Δ‖ ≤ 0.1: selectivity (95 %)", "seeds", "the best is ahead by (95 %)", "Cliff's δ"),
        *("navigation", "KL, nats", "value error"),
        *("and navigation ≥ 0.9: selectivity (95 %)", "seeds", "k"),
    ]
    tables = []
    for goal, found in variant["methods"].items():
        lines = [f"### Remove {goal}", "", header(names)]
        ranked = sorted(
            found, key=lambda name: -found[name]["within"]["norm"]["selectivity"]["over_seeds"]["iqm"][0]
        )
        for name in ranked:
            free, kept = (found[name]["within"][budget] for budget in ("norm", "norm and navigation"))
            side = (
                number(free[figure]["over_seeds"]["iqm"][0]) for figure in ("navigation", "kl", "value_error")
            )
            *ahead, _ = tested(free["behind_the_best"])
            cells = [name, told(free["selectivity"]), spread(free), *ahead, *side]
            cells += [told(kept["selectivity"]), spread(kept), ", ".join(sorted(set(sizes(free)), key=int))]
            lines.append(row(cells))
        tables.append("\n".join(lines))
        tables.append(reached(found, ranked))
        tables.append(layers(found))
        tables.append(moved_in(found))
    return "\n\n".join(tables)


def sizes(chosen: dict[str, Any]) -> list[str]:
    """How many directions, entries or rollouts each seed's change has."""
    return [str(change["k"]) for change in chosen["chosen"] if change is not None]


def reached(found: dict[str, Any], ranked: Sequence[str]) -> str:
    """Selectivity within a length; where a method has nothing so short it is 0."""
    lines = [header(["selectivity within ‖Δ‖ of", *(f"{norm:g}" for norm in NORMS)])]
    lines += [
        row([name, *(number(within["over_seeds"]["iqm"][0]) for within in found[name]["by_norm"])])
        for name in ranked
    ]
    return "\n".join(lines)


def layers(found: dict[str, Any]) -> str:
    """What edits of activations reach at any length, by layer and way."""
    lines = [header(["edit, layer", "selectivity (95 %)", "seeds", "navigation", "‖Δh‖/‖h‖", "KL, nats"])]
    for name, method in found.items():
        for where, chosen in method["by_layer"].items():
            figures = ("navigation", "relative_norm", "kl")
            side = (number(chosen[figure]["over_seeds"]["iqm"][0]) for figure in figures)
            lines.append(row([f"{name}, {where}", told(chosen["selectivity"]), spread(chosen), *side]))
    return "\n".join(lines)


def moved_in(found: dict[str, Any]) -> str:
    """Of changes of few parameters, within the length, the share that lies in each module; "" where none tells."""
    there = {
        name: shares for name, method in found.items() if (shares := method["within"]["norm"].get("moved_in"))
    }
    if not there:
        return ""
    modules = list(dict.fromkeys(module for shares in there.values() for module in shares))
    lines = [header(["share of the parameters moved", *modules])]
    lines += [row([name, *(told(shares[module]) for module in modules)]) for name, shares in there.items()]
    return "\n".join(lines)


def when(variants: dict[str, Any]) -> str:
    names = ["variant", "proxy passes 0.7, env steps", "paid passes 0.7", "gap / training (95 %)", "seeds"]
    lines = [header([*names, "paid goal's retention there"])]
    for name, variant in variants.items():
        at = variant["over_seeds"]["0.7"]
        gaps = [of_seed["0.7"]["share"] for of_seed in variant["crossings"].values()]
        known = [gap for gap in gaps if gap is not None]
        ends = f"{number(min(known))} … {number(max(known))}, {len(known)} of {len(gaps)}" if known else "–"
        steps = (f"{at[of]['iqm'][0]:,.0f}" if at[of] else "–" for of in ("proxy", "paid"))
        share, there = (told(at[of]) if at[of] else "–" for of in ("share", "paid_there"))
        lines.append(row([name, *steps, share, ends, there]))
    return "\n".join(lines)


def relations(variant: dict[str, Any]) -> str:
    """Rank correlation of time with what directions carry, per kind of rows and gradient."""
    names = ["rows, gradient", "ρ (95 %)", "seeds", "p (Holm)", "sign-flip p"]
    first = next(iter(variant["relation"].values()))["path"]["nulls"]
    lines = [header([*names, *(f"passes {null}" for null in first)])]
    found = [
        (f"{kind}, {which}", of[which])
        for kind, of in variant["relation"].items()
        for which in ("path", "end")
    ]
    if variant.get("doses"):
        found.append(("raw, all kept, tuned doses", variant["doses"]))
    for name, of in found:
        values, adjusted = of["correlations"], of.get("holm_p")
        p = number(of["p"], 3) + ("" if adjusted is None else f" ({number(adjusted, 3)})")
        passed = (
            f"{of['nulls'][null]['passed']} of {len(values)}; {number(of['nulls'][null]['p_over_seeds'], 3)}"
            if null in of["nulls"]
            else "–"
            for null in first
        )
        ends = f"{number(min(values))} … {number(max(values))}"
        lines.append(row([name, told(of), ends, p, number(of["sign_flip_p"], 3), *passed]))
    return "\n".join(lines)


def modules(variant: dict[str, Any]) -> str:
    """The same of the part of each raw direction that lies in one module, and how much of either goal lies there."""
    names = ["ρ, path (95 %)", "p", "ρ, end (95 %)", "p"]
    lines = [header(["module", "corner carried there, path", "cheese", *names])]
    for name, of in variant["modules"].items():
        carried = (told(share) for share in of["path"]["share"])
        cells = (cell for which in ("path", "end") for cell in (told(of[which]), number(of[which]["p"], 3)))
        lines.append(row([name, *carried, *cells]))
    return "\n".join(lines)


BORDER = {
    "proxy_first": "corner first (95 %)",
    "paid_first": "cheese first",
    "gap": "difference",
    "untrained_gap": "difference, untrained",
    "kept": "left of the highest rise",
    "apart": "cheese later, share of training",
}


def robustness(variants: dict[str, Any]) -> str:
    """Every variant: on which side of the border it lies, and its tuned cuts."""
    lines = [header(["variant", *BORDER.values(), "difference, seeds"])]
    for name, variant in variants.items():
        border = variant["border"]
        figures = (told(border[of]) if border[of]["over_seeds"] else "–" for of in BORDER)
        gaps = border["gap"]["values"]
        lines.append(row([name, *figures, f"{number(min(gaps))} … {number(max(gaps))}"]))
    return "\n\n".join(["\n".join(lines), *(removed(variants, goal) for goal in ("corner", "cheese"))])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path)
    results = read_json(parser.parse_args().results)
    print(f"{results['told']}; {results['seconds']:.0f} s\n")
    variants = results["summary"]["variants"]
    if results["study"] == "timing":
        print(when(variants))
        for name, variant in variants.items():
            if variant["relation"]:
                print(f"\n## {name}\n\n{relations(variant)}\n\n{modules(variant)}")
        return
    across = {"stars": stars, "robustness": robustness}.get(results["study"])
    if across is not None:
        print(across(variants))
        return
    for name, variant in variants.items():
        rest = methods(variant) if "methods" in variant else cuts(variant)
        print(f"## {name}: seeds {', '.join(map(str, variant['seeds']))}\n\n{learned(variant)}\n\n{rest}\n")


if __name__ == "__main__":
    main()
