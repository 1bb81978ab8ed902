"""The sections of the report: figures with the sentence that says what to see, or what is missing for them."""

from dataclasses import dataclass, field

import plotly.graph_objects as go

from ..agents.behaviour import MEASURES
from . import cut_figures, cut_prose, figures, profile_figures, prose
from .inputs import Inputs, dig, direction_fields
from .repeat import command
from .style import count, finite, finites


@dataclass(frozen=True)
class Plot:
    """One plotly figure, so many pixels high."""

    figure: go.Figure
    height: int
    square: bool = False


@dataclass(frozen=True)
class Exhibit:
    """A figure of the report: one or more plots under one sentence.

    `key` names the lines that share a look; `linked` plots zoom along x together.
    """

    caption: str
    plots: list[Plot]
    columns: int = 1
    key: list[tuple[str, str]] = field(default_factory=list)
    linked: bool = False


@dataclass(frozen=True)
class Section:
    """One section; `missing` stands in its place where its files are not there yet."""

    anchor: str
    title: str
    lead: str = ""
    exhibits: list[Exhibit] = field(default_factory=list)
    missing: tuple[str, str] | None = None


def sections(inputs: Inputs) -> list[Section]:
    """The sections that hold plotly figures, in reading order."""
    return [learning(inputs), spectra(inputs), profiles(inputs), modules(inputs), cuts(inputs)]


def learning(inputs: Inputs) -> Section:
    """Learning curves."""
    title = "When each goal was learned"
    if len(inputs.measured) < 2:
        why = "no measures were taken in training; train with measure_every above 0"
        return Section("learning", title, missing=(why, command(inputs, "train")))
    lead = (
        "The measures are exact probabilities on held-out levels, taken every few rollouts. First the two goals, each "
        "as the share of what training changed of it in the end; then every measure as it is."
    )
    order = [Plot(figures.retention_over_training(inputs), 340)]
    each = [Plot(figures.measure_over_training(inputs, name), 190) for name in MEASURES]
    exhibits = (
        [Exhibit(prose.learning_order(inputs), order)] if inputs.retention_curve("corner_reach") else []
    )
    key = [("dot", "untrained"), ("dash", "uniform-random"), ("solid", "shortest path")]
    known = [
        item
        for item, agent in zip(key, ("untrained", "uniform", "best"), strict=True)
        if agent in inputs.agents
    ]
    caption = prose.learning_measures(inputs)
    if not exhibits:
        caption = f"{prose.learning_order(inputs).removesuffix('.')}; {caption[0].lower()}{caption[1:]}"
    exhibits.append(Exhibit(caption, each, 3, known))
    return Section("learning", title, lead, exhibits)


def spectra(inputs: Inputs) -> Section:
    """Singular values and cross-half eigenvalues, each beside its null."""
    title = "How many directions the gradients have"
    analysis = inputs.analysis
    if not analysis or not finites(analysis.get("singular_values")):
        return Section("spectrum", title, missing=_no_analysis(inputs))
    row = analysis.get("row")
    lead = (
        f"The gradient log is a matrix with one row per time{f' ({row})' if row else ''}; its singular vectors are the "
        "directions. A direction counts only where it stands above its null."
    )
    exhibits = [Exhibit(prose.spectrum(analysis), [Plot(figures.spectrum(analysis), 360)])]
    if finites(dig(analysis, "cross_half", "eigenvalues")):
        exhibits.append(Exhibit(prose.cross_half(analysis), [Plot(figures.cross_half(analysis), 360)]))
    return Section("spectrum", title, lead, exhibits)


def profiles(inputs: Inputs) -> Section:
    """When each direction was pushed."""
    title = "When each direction was pushed"
    shown = profile_figures.shown_directions(inputs)
    if inputs.profiles is None or not len(shown) or shown.max() >= inputs.profiles.shape[1]:
        return Section("profiles", title, missing=_no_analysis(inputs))
    lead = (
        f"The {len(shown)} strongest directions, each row one squared profile over its own peak; then "
        "the share of its energy that a few of them have spent so far; and below, what the agent did at that time."
    )
    of_run = inputs.profiles
    plots = [
        Plot(profile_figures.heatmap(inputs, of_run, shown), 320),
        Plot(profile_figures.running_energy(inputs, of_run, shown), 220),
        Plot(profile_figures.behaviour(inputs, of_run), 230),
    ]
    split = profile_figures.split_text(inputs)
    key = [("dot", split)] if split else []
    exhibit = Exhibit(prose.profiles(inputs, shown), plots, 1, key, linked=True)
    return Section("profiles", title, lead, [exhibit])


def modules(inputs: Inputs) -> Section:
    """Where in the network each direction lives."""
    title = "Where in the network they live"
    fields, shown = direction_fields(inputs), profile_figures.shown_directions(inputs)
    shares = {
        str(name): share
        for name, values in (dig(inputs.analysis, "directions", "module_shares") or {}).items()
        if (share := finites(values))
    }
    if not len(shown):
        return Section("modules", title, missing=_no_analysis(inputs))
    exhibits = []
    centres, sizes = fields["centre_of_mass"], module_sizes(inputs, list(shares))
    if shares:
        of_shown = {
            name: [share[i] if i < len(share) else None for i in shown] for name, share in shares.items()
        }
        caption = prose.modules(of_shown, [centres[i] for i in shown], sizes)
        exhibits.append(Exhibit(caption, [Plot(profile_figures.modules(shares, shown, centres, sizes), 380)]))
    if fields["singular_values"]:
        plot = Plot(profile_figures.time_and_strength(inputs), 340)
        exhibits.append(Exhibit(prose.time_and_strength(inputs), [plot]))
    lead = "A direction is a unit vector over all parameters; its squared length parts among the network's modules."
    return Section("modules", title, lead, exhibits)


def cuts(inputs: Inputs) -> Section:
    """What cutting directions out does, beside controls."""
    title = "What a cut removes"
    if not inputs.rows:
        if inputs.analysis is None:
            return Section("cuts", title, missing=_no_analysis(inputs))
        return Section(
            "cuts", title, missing=("this run has no ablation/table.json", command(inputs, "ablate"))
        )
    lead = (
        "Retention is what a cut leaves of a measure, from 0 (as untrained) to 1 (as trained). A cut is evidence only "
        "where changes of the same size, chosen without the idea on trial, do less."
    )
    exhibits = [Exhibit(cut_prose.best_cuts(inputs), [Plot(cut_figures.scatter(inputs), 620, square=True)])]
    curves = cut_figures.dose_curves(inputs)
    plots = []
    for curve in (c for c in curves if not c.get("control")):
        controls = [c for c in curves if c.get("control") and c.get("control_of") == curve.get("name")]
        plots.append(Plot(cut_figures.dose_response(curve, controls), 240))
    if plots:
        key = [("corner", "corner_reach"), ("cheese", "cheese_from_corner"), ("dash", "controls")]
        fewer = finite(dig(inputs.ablation, "settings", "curve_levels"))
        key += [("none", f"on {count(fewer)} levels")] if fewer else []
        exhibits.append(Exhibit(cut_prose.dose_response(inputs, curves), plots, 2, key))
    return Section("cuts", title, lead, exhibits)


def module_sizes(inputs: Inputs, names: list[str]) -> dict[str, float]:
    """Share of all parameters in each module that is named: what a random direction would have there."""
    sizes: dict[str, float] = {}
    for name in names:
        spans = [
            stop - start
            for key, (start, stop, _) in inputs.layout.items()
            if key == name or key.startswith(name + ".")
        ]
        if spans:
            sizes[name] = sum(spans) / inputs.parameters
    return sizes


def _no_analysis(inputs: Inputs) -> tuple[str, str]:
    if inputs.run.settings.record == "none":
        return "the run was trained with record 'none'; train anew with record 'rollout'", command(
            inputs, "train"
        )
    return "this run has no finished analysis/", command(inputs, "analyze")
