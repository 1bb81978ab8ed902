"""Sections of the lenses that have been run on a network, and of their comparison; alike for mazes and digits."""

from collections.abc import Mapping
from typing import Any

from ..agents.run import Run
from ..envs.planes import plane_names
from ..envs.world import World
from . import lens_figures, lens_matrices, lens_pictures
from .inputs import Inputs, dig
from .lens_courses import course_exhibits, course_tables
from .lens_details import detail_tables
from .lens_tables import accuracy_table, compare_table, lens_table
from .page import Exhibit, Plot, Section
from .style import count, decimal, finite, short

_TITLES: Mapping[str, str] = {
    "ansatz": "Lens: do weights follow their gradients",
    "curvature": "Lens: how steep the loss is",
    "features": "Lens: orthogonal features",
    "rotation": "Lens: bases of sparse action",
    "channels": "Lens: channels between layers",
}


def lens_sections(inputs: Inputs[Any]) -> list[Section]:
    """A section per lens that has been run, in the order of the table of lenses, then the comparison."""
    planes = _planes(inputs)
    sections = [_of_lens(name, inputs.lenses[name], planes) for name in _TITLES if name in inputs.lenses]
    return sections + ([_comparison(inputs.lenses["compare"])] if "compare" in inputs.lenses else [])


def _planes(inputs: Inputs[Any]) -> tuple[str, ...]:
    """Names of the planes that a maze agent sees; none of pictures."""
    world = getattr(inputs, "world", None)
    return plane_names(world) if inputs.run.kind == Run.kind and isinstance(world, World) else ()


def _of_lens(name: str, saved: Mapping[str, Any], planes: tuple[str, ...]) -> Section:
    figures, settings = saved.get("figures") or {}, saved.get("settings")
    seen, time, unit = (dig(settings, "inputs"), dig(settings, "time"), saved.get("time_unit"))
    lead = (
        f"The claim on trial: {saved.get('claim')}. Looked at through at most {count(seen)} training inputs, at "
        f"{unit} {count(time)}."
    )
    exhibits = {
        "ansatz": _ansatz,
        "curvature": _curvature,
        "features": _features,
        "rotation": _rotation,
        "channels": _channels,
    }[name](figures)
    if name == "curvature":
        exhibits += lens_pictures.measured(figures, planes)
    exhibits += course_exhibits(name, saved)
    tables = [lens_table(name, saved), *detail_tables(name, saved), *course_tables(name, saved)]
    return Section(name, _TITLES[name], lead, exhibits, tables)


def _ansatz(figures: Mapping[str, Any]) -> list[Exhibit]:
    rows = [row for row in figures.get("summary") or [] if isinstance(row, dict)]
    beyond = sum(bool(row.get("beyond_controls_1")) for row in rows)
    caption = (
        "The dark point is the ansatz; it says something about W only where it stands above the grey ones, which "
        f"keep the gradients and change W: in {beyond} of {len(rows)} cases by more than two standard deviations."
    )
    return [Exhibit(caption, [Plot(lens_figures.ansatz(figures), 340)])]


def _curvature(figures: Mapping[str, Any]) -> list[Exhibit]:
    is_one = dig(figures, "minimum", "is_one")
    caption = (
        "Leading eigenvalues fall off as the number of steep directions says; the dashed line leaves out the "
        f"output Hessian, and θ is {'' if is_one else 'not '}a minimum by the figures below."
    )
    exhibits = [Exhibit(caption, [Plot(lens_figures.curvature(figures), 340)])]
    densities = [Plot(figure, 320) for figure in lens_figures.density(figures)]
    if densities:
        lowest = short(lens_figures.resolved_above(figures, "hessian"), 2)
        seen = (
            "The whole spectrum: nearly all eigenvalues are small, few are large. Left the Hessian, whose "
            "eigenvalues below zero are dashed: a minimum has none of any size; right the Gauss–Newton matrix "
            f"beside that of the untrained network, each over its own largest. Left of the dotted line ({lowest}) "
            "the probes tell no more apart."
        )
        exhibits.append(Exhibit(seen, densities, 2))
    return exhibits


def _features(figures: Mapping[str, Any]) -> list[Exhibit]:
    caption = (
        "Features mean more than neurons where the dark point lies above both open ones; shuffled labels are what "
        "chance explains."
    )
    return [
        Exhibit(caption, [Plot(lens_figures.features(figures), 360)]),
        *lens_matrices.interactions(figures),
    ]


def _rotation(figures: Mapping[str, Any]) -> list[Exhibit]:
    caption = (
        "The shorter the bar, the sparser the Jacobians between layers in that basis; the dark ones were fitted, "
        "the pale ones were not."
    )
    return [
        Exhibit(caption, [Plot(lens_figures.rotation(figures), 320)]),
        *lens_matrices.one_input(figures),
        *lens_matrices.jacobians(figures),
    ]


def _channels(figures: Mapping[str, Any]) -> list[Exhibit]:
    caption = (
        f"Few channels from {figures.get('early')} to {figures.get('late')} would show as a line that falls sooner "
        "than the grey ones, of the untrained network and of permuted weights."
    )
    exhibits = [Exhibit(caption, [Plot(lens_figures.channels(figures), 340)])]
    late = lens_figures.late_spectra(figures)
    if late:
        cosines = [
            f"{name} {decimal(dig(figures, 'networks', name, 'covariance', 'agreement', 'cosine'))} "
            f"({decimal(dig(figures, 'networks', name, 'covariance', 'agreement', 'cosine_chance'))})"
            for name, _ in late
        ]
        seen = (
            "Late activations vary where the Jacobian reaches, if their spectra fall alike and their matrices agree: "
            f"cosine {', '.join(cosines)}, in brackets what chance gives."
        )
        key = [("ink", "Jacobian, late side"), ("paid", "late activations")]
        exhibits.append(Exhibit(seen, [Plot(figure, 260) for _, figure in late], 3, key))
    return exhibits + lens_matrices.offsets(figures)


def _comparison(saved: Mapping[str, Any]) -> Section:
    methods, goals = saved.get("methods") or {}, list(saved.get("goals") or {})
    rows = [row for row in saved.get("rows") or [] if isinstance(row, dict)]
    doses = [dose for row in rows if not _is_control(methods, row) and (dose := finite(row.get("dose")))]
    # The full cut of each k; of random steps in parameter space every length.
    shown = [row for row in rows if _is_step(methods, row) or row.get("dose") == max(doses, default=None)]
    lead = (
        "The leading k directions of each lens cut: what training moved along them taken back where they are of "
        f"parameters, projected out where they are of a layer. Drawn at dose {short(max(doses, default=None))}; "
        "lengths in different spaces are not alike, so compare each line with the grey points of its own space."
    )
    by_digit = len(goals) > 2
    shares = (
        {"any digit": _best_goal(shown)}
        if by_digit
        else {goal: [row for row in shown if row.get("removes") == goal] for goal in goals}
    )
    once = next(iter(shares.values()), [])
    sides = [what for what in ("navigation", "kl") if any(finite(row.get(what)) is not None for row in once)]
    broken = {
        "navigation": "what they leave of finding the way",
        "kl": "KL from the trained network on its inputs",
    }
    panels = [
        Plot(
            lens_figures.compared(of, methods, label=f"selectivity, {goal} removed", legend=number == 0), 420
        )
        for number, (goal, of) in enumerate(shares.items())
    ]
    units = {"navigation": "navigation, retention", "kl": "KL (nats)"}
    panels += [Plot(lens_figures.compared(once, methods, what, label=units[what]), 360) for what in sides]
    said = " ".join(_seen(f"a cut removes {goal} alone", of, methods) for goal, of in shares.items())
    said += f" Below, of the same cuts, {' and '.join(broken[what] for what in sides)}." if sides else ""
    exhibits = [Exhibit(said, panels)]
    exhibits += _angles(saved)
    tables = [compare_table(saved), *([accuracy_table(saved)] if by_digit else [])]
    return Section("compare", "The lenses' cuts compared", lead, exhibits, tables)


def _angles(saved: Mapping[str, Any]) -> list[Exhibit]:
    """A heat map per space that lenses share, under a sentence of the two that coincide most at the largest k."""
    spaces: dict[tuple[Any, Any], list[dict[str, Any]]] = {}
    for row in saved.get("angles") or []:
        if finite(dig(row, "overlap")) is not None and finite(dig(row, "chance")) is not None:
            spaces.setdefault((row.get("space"), row.get("dimensions")), []).append(row)
    exhibits = []
    for (space, dimensions), rows in spaces.items():
        k = max(row["k"] for row in rows)
        most = max((row for row in rows if row["k"] == k), key=lambda row: row["overlap"])
        names = lens_figures.pair_of(most)
        caption = (
            f"How far lenses name the same directions of {space}: the spans of their leading {k} coincide most for "
            f"{names}, by {short(most['overlap'], 2)} (mean squared cosine of the principal angles); chance is k/d "
            f"= {k}/{count(dimensions)} = {short(most['chance'], 2)}."
        )
        pairs = {lens_figures.pair_of(row) for row in rows}
        exhibits.append(Exhibit(caption, [Plot(lens_figures.angles(rows), 110 + 34 * len(pairs))]))
    return exhibits


def _seen(what: str, rows: list[dict[str, Any]], methods: Mapping[str, Any]) -> str:
    found, random = (
        max(
            (row for row in rows if _is_control(methods, row) == control),
            key=lambda row: finite(row.get("selectivity")) or 0.0,
            default={},
        )
        for control in (False, True)
    )
    return (
        f"At 1 {what}, at 0 nothing or everything; the highest line reaches {short(found.get('selectivity'))} "
        f"({found.get('method', 'none')}), the highest grey point {short(random.get('selectivity'))}."
    )


def _best_goal(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each change the goal that it removes most selectively on tuning data."""
    best: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = (row.get("method"), row.get("k"), row.get("dose"))
        if key not in best or (row.get("tuning_selectivity") or 0) > (
            best[key].get("tuning_selectivity") or 0
        ):
            best[key] = row
    return list(best.values())


def _is_control(methods: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    return bool(dig(methods, str(row.get("method")), "control"))


def _is_step(methods: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    return _is_control(methods, row) and row.get("space") == "parameters"
