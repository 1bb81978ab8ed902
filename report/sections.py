"""Sections that every report has: figures with the sentence that says what to see, or what is missing for them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import figures, profile_figures, prose
from .inputs import Inputs, dig, direction_fields
from .page import Exhibit, Missing, Plot, Section
from .repeat import command
from .style import finites


def spectra(inputs: Inputs[Any]) -> Section:
    """Singular values and cross-half eigenvalues, each beside its null."""
    title = "How many directions the gradients have"
    analysis = inputs.analysis
    if not analysis or not finites(analysis.get("singular_values")):
        return Section("spectrum", title, missing=no_analysis(inputs))
    row = analysis.get("row")
    lead = (
        f"The gradient log is a matrix with one row per time{f' ({row})' if row else ''}; its singular vectors are the "
        "directions. A direction counts only where it stands above its null."
    )
    exhibits = [Exhibit(prose.spectrum(analysis), [Plot(figures.spectrum(analysis), 360)])]
    if finites(dig(analysis, "cross_half", "eigenvalues")):
        exhibits.append(
            Exhibit(prose.cross_half(analysis, inputs.halved), [Plot(figures.cross_half(analysis), 360)])
        )
    return Section("spectrum", title, lead, exhibits)


def profiles(inputs: Inputs[Any], behaviour: Callable[[np.ndarray], Plot]) -> Section:
    """When each direction was pushed, above what `behaviour` draws of the same times, given the profiles."""
    title = "When each direction was pushed"
    shown = profile_figures.shown_directions(inputs)
    if inputs.profiles is None or not len(shown) or shown.max() >= inputs.profiles.shape[1]:
        return Section("profiles", title, missing=no_analysis(inputs))
    lead = (
        f"The {len(shown)} strongest directions, each row one squared profile over its own peak; then "
        "the share of its energy that a few of them have spent so far; and below, what the agent did at that time."
    )
    of_run = inputs.profiles
    plots = [
        Plot(profile_figures.heatmap(inputs, of_run, shown), 320),
        Plot(profile_figures.running_energy(inputs, of_run, shown), 220),
        behaviour(of_run),
    ]
    split = profile_figures.split_text(inputs)
    key = [("dot", split)] if split else []
    exhibit = Exhibit(prose.profiles(inputs, shown), plots, 1, key, linked=True)
    return Section("profiles", title, lead, [exhibit])


def modules(inputs: Inputs[Any]) -> Section:
    """Where in the network each direction lives."""
    title = "Where in the network they live"
    fields, shown = direction_fields(inputs), profile_figures.shown_directions(inputs)
    shares = {
        str(name): share
        for name, values in (dig(inputs.analysis, "directions", "module_shares") or {}).items()
        if (share := finites(values))
    }
    if not len(shown):
        return Section("modules", title, missing=no_analysis(inputs))
    exhibits = []
    centres, sizes = fields["centre_of_mass"], module_sizes(inputs, list(shares))
    shares = {inputs.module_name(name): share for name, share in shares.items()}
    sizes = {inputs.module_name(name): size for name, size in sizes.items()}
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


def module_sizes(inputs: Inputs[Any], names: list[str]) -> dict[str, float]:
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


def no_analysis(inputs: Inputs[Any]) -> Missing:
    """Why there are no directions, and the command that finds them."""
    if inputs.run.settings.record == "none":
        unit = inputs.run.time_unit
        why = f"the run was trained with record 'none'; train anew with record '{unit}'"
        return why, command(inputs, "train")
    return "this run has no finished analysis/", command(inputs, "analyze")


def no_cuts(inputs: Inputs[Any]) -> Missing:
    """Why there are no cuts, and the command that makes them or what they need first."""
    if inputs.analysis is None:
        return no_analysis(inputs)
    return "this run has no ablation/table.json", command(inputs, "ablate")
