"""Tables of a study of cuts, over seeds, as the pages of docs/results have them.

    python docs/results/study_tables.py runs/studies/cut/results.json

Prints Markdown for every variant: what was learned; every cut with the selectivity of each seed, median, interquartile
mean and its interval; and of the headline cuts every control beside them.
"""

import argparse
from pathlib import Path
from typing import Any

from tables import header, number, row

from goalcut.agents.files import read_json


def told(figure: dict[str, Any]) -> str:
    """Interquartile mean and its interval."""
    value, low, high = figure.get("over_seeds", figure)["iqm"]
    return f"{number(value)} ({number(low)}–{number(high)})"


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


def cells_of(entry: dict[str, Any], retained: list[str]) -> list[str]:
    """Selectivity, retentions and norm of a cut or control."""
    selectivity = entry["selectivity"]
    values = selectivity["values"]
    return [
        number(selectivity["over_seeds"]["median"][0]),
        told(selectivity),
        f"{number(min(values))} … {number(max(values))}",
        *(number(entry["retention"][name]["over_seeds"]["median"][0]) for name in retained),
        number(entry["relative_norm"]["over_seeds"]["median"][0], 3),
    ]


def cuts(variant: dict[str, Any]) -> str:
    retained = variant["retained"]
    names = ["selectivity, median", "interquartile mean (95 %)", "seeds", *retained, "‖Δθ‖/‖θ−θ₀‖"]
    lines = [header(["cut", *names])]
    lines += [row([cut["name"], *cells_of(cut, retained)]) for cut in variant["cuts"]]
    for cut in variant["cuts"]:
        if cut["selection"] == "tuned" or cut["name"].startswith("recipe"):
            lines += ["", f"**{cut['name']}** and its controls:", "", header(["", *names, "p (Holm)"])]
            lines.append(row(["the cut", *cells_of(cut, retained), ""]))
            for control in cut["controls"]:
                compared = cut["comparisons"].get(control["name"])
                p = "" if compared is None else number(compared["holm_p"], 3)
                lines.append(row([control["name"], *cells_of(control, retained), p]))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path)
    results = read_json(parser.parse_args().results)
    print(f"{results['told']}; {results['seconds']:.0f} s\n")
    for name, variant in results["summary"]["variants"].items():
        print(
            f"## {name}: seeds {', '.join(map(str, variant['seeds']))}\n\n{learned(variant)}\n\n{cuts(variant)}\n"
        )


if __name__ == "__main__":
    main()
