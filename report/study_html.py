"""One self-contained report.html per study."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..agents.files import write_atomically
from ..agents.settings_json import flat_settings
from ..studies.answer import load_answer
from . import study_cuts, study_methods, study_robustness, study_stars, study_timing
from .html import page_html
from .maze_gallery import gallery
from .maze_inputs import MazeInputs
from .page import Page, Section, anchor_of
from .prose import WORDS
from .style import count, decimal, duration

Sections = Callable[[dict[str, Any]], list[Section]]
Findings = Callable[[dict[str, Any]], list[str]]
_OTHERS: dict[str, tuple[Sections, Findings]] = {
    "timing": (study_timing.sections, study_timing.findings),
    "methods": (study_methods.sections, study_methods.findings),
    "stars": (study_stars.sections, study_stars.findings),
    "robustness": (study_robustness.sections, study_robustness.findings),
}
"""Studies whose page is not that of cuts alone."""
_CUTS: tuple[Sections, Findings] = (study_cuts.sections, study_cuts.findings)
_WORDS = {
    **WORDS,
    "retention": "What a cut leaves of a measure: (cut − untrained) / (trained − untrained); 1 is kept, 0 is removed.",
    "selectivity": "Retention of the goal to keep minus retention of the goal to remove, each clipped to 0…1; 1 is a "
    "perfect cut.",
    "interquartile mean": "The mean of the middle half of the seeds (Agarwal et al. 2021), with a bootstrap interval "
    "over seeds.",
    "report and development": "Settings are to be chosen on development seeds, those from 1000 on, and development "
    "levels; no study judges one on the other's.",
}


def write_study_report(directory: Path) -> Path:
    """Write report.html of a study from its results.json; returns its path.

    Raises:
        RunFileError: there are no results yet, or they are damaged.
    """
    path = Path(directory) / "report.html"
    write_atomically(path, study_html(load_answer(directory)).encode())
    return path


def study_html(results: dict[str, Any]) -> str:
    """The whole page."""
    sections_of, findings_of = _OTHERS.get(results["study"], _CUTS)
    sections = sections_of(results) + _galleries(results)
    page = Page(
        opening=_opening(results) + findings_of(results),
        measures=None,
        lacks=None,
        glossary=_WORDS,
        sections=sections,
    )
    return page_html(
        page,
        kicker="a study over seeds",
        name=results["study"] + (" in miniature" if results["tiny"] else ""),
        goal_class={},
        unfinished=None,
        repeat={"command": results["command"], "settings": _settings(results), "facts": _facts(results)},
    )


def _opening(results: dict[str, Any]) -> list[str]:
    done = sum(len(seeds) for seeds in results["done"].values())
    judged = results["judged_on"]
    told = (
        f"{count(done)} agents, {results['told']}; {count(judged['levels'])} levels of each kind for the measures. "
        "The seed is the unit: intervals are over seeds."
    )
    opening = [results["question"], told]
    if results["tiny"]:
        opening.append(
            "This is the study in miniature, on 5×5 mazes hardly trained: it shows that it works, no finding."
        )
    if results["failures"]:
        failed = "; ".join(
            f"{one['variant']} seed {one['seed']}: {one['error']}" for one in results["failures"]
        )
        opening.append(f"Not among them, as they failed: {failed}.")
    return opening


def _galleries(results: dict[str, Any]) -> list[Section]:
    """Mazes of the typical and the worst seed of every variant; none of development seeds."""
    variants = results["summary"]["variants"] if results["role"] == "report" else {}
    sections = []
    for name, variant in variants.items():
        told, ranked = _ranked(variant)
        of_variant = f" of {name}" if len(variants) > 1 else ""
        for word, (seed, score) in {"typical": ranked[len(ranked) // 2], "worst": ranked[0]}.items():
            directory = Path(results["directories"][name][str(seed)])
            if not (directory / "config.json").exists():
                continue
            section = gallery(MazeInputs.of(directory))
            title = f"In the mazes: the {word} seed{of_variant}, {seed}"
            lead = f"{told} {decimal(score)}. {section.lead}"
            sections.append(replace(section, anchor=anchor_of("mazes", name, word), title=title, lead=lead))
            if len(ranked) == 1:
                break
    return sections


def _ranked(variant: dict[str, Any]) -> tuple[str, list[tuple[int, float]]]:
    """What seeds are ranked by, and their scores, the worst first: by their tuned cuts, or by what they learned."""
    tuned = [cut for cut in variant.get("cuts", ()) if cut["selection"] == "tuned"]
    figures = [(cut["seeds"], cut["selectivity"]["values"]) for cut in tuned]
    figures = figures or [(variant["seeds"], variant["measure_values"][name]) for name in variant["goals"]]
    scores: dict[int, list[float]] = {}
    for seeds, values in figures:
        for seed, value in zip(seeds, values, strict=True):
            scores.setdefault(seed, []).append(value)
    whole = max(map(len, scores.values()))  # a seed that lacks a cut does not compare
    means = [(seed, sum(values) / len(values)) for seed, values in scores.items() if len(values) == whole]
    of = "selectivity of its tuned cuts" if tuned else " and ".join(variant["goals"])
    return f"Mean {of}", sorted(means, key=lambda pair: pair[1])


def _facts(results: dict[str, Any]) -> list[tuple[str, str]]:
    judged = results["judged_on"]
    rows = [
        ("seeds", results["told"]),
        (
            "levels",
            f"{judged['levels']} of each kind, split {judged['split']}, level seed {judged['level_seed']}",
        ),
        ("this call took", duration(results["seconds"])),
        ("commit", str(results["commit"] or "not known")),
        ("commits that agents were trained by", ", ".join(results["trained_by"]) or "not known"),
    ]
    return rows + [(name, str(value or "not known")) for name, value in results["versions"].items()]


def _settings(results: dict[str, Any]) -> list[tuple[str, str]]:
    """All of the first variant's, then of each other what differs; then of the stages."""
    variants = {name: flat_settings(values) for name, values in results["settings"].items()}
    first_name, first = next(iter(variants.items()))
    rows = [(f"{first_name}: {name}", _text(value)) for name, value in first.items()]
    for variant, values in variants.items():
        if variant != first_name:
            rows += [(f"{variant}: {n}", _text(v)) for n, v in values.items() if first.get(n) != v]
    for stage in ("analyze", "judging", "ablate"):
        if results.get(stage) is not None:
            rows += [
                (f"{stage}.{name}", _text(value)) for name, value in flat_settings(results[stage]).items()
            ]
    return rows


def _text(value: Any) -> str:
    return "default" if value is None else str(value)
