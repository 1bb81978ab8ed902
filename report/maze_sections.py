"""The sections that only a maze agent's report has."""

from dataclasses import replace

from . import cut_figures, figures, maze_cut_figures, maze_cut_prose, maze_figures, maze_prose
from .inputs import dig
from .maze_inputs import MazeInputs
from .page import CutTable, Exhibit, Plot, Section, Table, cut_rows, cut_table, measured_cells
from .repeat import command
from .sections import no_cuts
from .style import count, finite


def learning(inputs: MazeInputs) -> Section:
    """Learning curves."""
    title = "When each goal was learned"
    if len(inputs.measured) < 2:
        why = "no measures were taken in training; train with measure_every above 0"
        return Section("learning", title, missing=(why, command(inputs, "train")))
    lead = (
        f"The measures are {maze_prose.measured_how(inputs)} on held-out levels, taken every few rollouts; these "
        "levels are fewer than those of the tables and others, so the last points differ a little from what stands "
        "there. "
        "First the two goals, each as the share of what training changed of it in the end; then every measure as it is."
    )
    order = [Plot(maze_figures.retention_over_training(inputs), 340)]
    each = [Plot(figures.measure_over_training(inputs, name), 190) for name in inputs.measures]
    exhibits = (
        [Exhibit(maze_prose.learning_order(inputs), order)]
        if inputs.retention_curve(inputs.proxy.measure)
        else []
    )
    key = [("dot", "untrained"), ("dash", "uniform-random"), ("solid", "shortest path")]
    known = [
        item
        for item, agent in zip(key, ("untrained", "uniform", "best"), strict=True)
        if agent in inputs.agents
    ]
    caption = maze_prose.learning_measures(inputs)
    if not exhibits:
        caption = f"{maze_prose.learning_order(inputs).removesuffix('.')}; {caption[0].lower()}{caption[1:]}"
    exhibits.append(Exhibit(caption, each, 3, known))
    return Section("learning", title, lead, exhibits)


def with_every_spectrum(inputs: MazeInputs, section: Section) -> Section:
    """The section of spectra with a table of all that were taken, by how many values pass a tenth of the largest."""
    analysis = inputs.analysis or {}
    named = {"all rows": analysis, "all rows, unit length": analysis.get("unit")}
    named |= {f"{term} term alone": part for term, part in (analysis.get("terms") or {}).items()}
    named |= {"applied changes of the parameters": analysis.get("applied")}
    rows = []
    for name, part in named.items():
        if isinstance(part, dict) and finite(part.get("above_tenth")) is not None:
            size = part.get("rows") or len(part.get("singular_values") or [])
            values = (size, part["above_tenth"], part.get("null_above_tenth"))
            rows.append((name, [count(value) for value in values]))
    if section.missing or len(rows) < 2:
        return section
    caption = (
        "Singular values above a tenth of the largest, of every spectrum taken, beside white noise of the same row "
        "norms."
    )
    headings = ("rows", "number of rows", "above a tenth", "white noise")
    return replace(section, tables=[Table(caption, headings, rows, quiet=frozenset([2]))])


def cuts(inputs: MazeInputs) -> Section:
    """What cutting directions out does, beside controls."""
    title = "What a cut removes"
    if not inputs.rows:
        return Section("cuts", title, missing=no_cuts(inputs))
    lead = (
        "Retention is what a cut leaves of a measure, from 0 (as untrained) to 1 (as trained). A cut is evidence only "
        "where changes of the same size, chosen without the idea on trial, do less."
    )
    exhibits = [
        Exhibit(maze_cut_prose.best_cuts(inputs), [Plot(maze_cut_figures.scatter(inputs), 620, square=True)])
    ]
    curves = cut_figures.dose_curves(inputs)
    plots, lines = [], maze_cut_figures.goal_lines(inputs)
    for curve in (c for c in curves if not c.get("control")):
        controls = [c for c in curves if c.get("control") and c.get("control_of") == curve.get("name")]
        plots.append(Plot(cut_figures.dose_response(curve, controls, lines, inputs.goal_colours), 240))
    if plots:
        key = [("proxy", inputs.proxy.measure), ("paid", inputs.paid.measure), ("dash", "controls")]
        fewer = finite(dig(inputs.ablation, "settings", "curve_levels"))
        key += [("none", f"on {count(fewer)} levels")] if fewer else []
        exhibits.append(Exhibit(maze_cut_prose.dose_response(inputs, curves), plots, 2, key))
    return Section("cuts", title, lead, exhibits, cuts=_cut_table(inputs))


def _cut_table(inputs: MazeInputs) -> CutTable:
    cells = [
        [
            *measured_cells(row, inputs.retained, "retention", "retention_intervals"),
            *measured_cells(row, inputs.measured_only, "measures", "intervals"),
        ]
        for row in cut_rows(inputs)
    ]
    agents = ("untrained", "trained", "uniform")
    references = [
        (inputs.agent_names[a], [inputs.measure(a, name)["mean"] for name in inputs.measured_only])
        for a in agents
    ]
    return cut_table(
        inputs,
        "levels",
        cells,
        [*(f"retention {name}" for name in inputs.retained), *inputs.measured_only],
        references,
    )
