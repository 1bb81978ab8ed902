"""The sections that only a classifier's report has."""

from dataclasses import replace

from . import count_figures, cut_figures, digit_cut_figures, digit_cut_prose, digit_figures, digit_prose
from .digit_inputs import DigitInputs
from .first_layer import LayerPicture, layer_pictures
from .inputs import dig
from .page import CutCell, CutTable, Exhibit, Plot, Section, Table, cut_rows, cut_table, measured_cells
from .pictures import data_uri
from .repeat import command
from .sections import no_analysis, no_cuts
from .style import count, decimal, finites, percent
from .templates import render

_COUNTED = (0.05, 0.1, 0.15)


def learning(inputs: DigitInputs) -> Section:
    """Accuracy on each digit, and confusions."""
    title = "When each digit was learned"
    if len(inputs.measured) < 2:
        why = "no measures were taken in training; train with measure_every above 0"
        return Section("learning", title, missing=(why, command(inputs, "train")))
    lead = (
        "Accuracy on each digit of the test images, against updates on a logarithmic scale, as most is learned in the "
        "first few."
    )
    each = [Plot(digit_figures.accuracy(inputs, name), 165) for name in inputs.goals]
    key = [("dot", "untrained"), ("dash", "chance"), ("solid", "mean of all digits")]
    exhibits = [Exhibit(digit_prose.learning(inputs), each, 5, key)]
    tables = inputs.confusions()
    if tables is not None:
        plots = [
            Plot(digit_figures.confusion_table(tables[-1]), 340),
            Plot(digit_figures.confusion_curves(inputs, tables), 340),
        ]
        binned = [("none", "the curves are means over short stretches")]
        exhibits.append(Exhibit(digit_prose.confusions(tables), plots, 2, binned))
    return Section("learning", title, lead, exhibits)


def counts(inputs: DigitInputs) -> Section:
    """How many singular values a sample of updates has above a threshold."""
    title = "How many directions a sample of updates has"
    if not inputs.counts("raw", "mean") or not inputs.thresholds:
        return Section("count", title, missing=no_analysis(inputs))
    lead = (
        "The observation that this run repeats: stack the gradients of 400 updates sampled at random, take their "
        "singular values, and count those above a tenth of the largest. White noise is counted in the same way. "
        f"{digit_prose.plateau(inputs)}"
    )
    exhibit = Exhibit(digit_prose.counts(inputs), [Plot(count_figures.counts(inputs), 420)])
    return Section("count", title, lead.strip(), [exhibit], [_count_table(inputs)])


def residuals(inputs: DigitInputs) -> Section:
    """What a span of sampled or earlier updates leaves of other updates."""
    title = "What some updates leave of the others"
    samples, epochs = (dig(inputs.analysis, "residual", name) for name in ("samples", "epochs"))
    if not finites(dig(samples, "sampled")):
        if inputs.analysis is not None:
            why = "the run has too few updates to sample any and keep others"
            return Section("residual", title, missing=(why, command(inputs, "train")))
        return Section("residual", title, missing=no_analysis(inputs))
    lead = (
        "Gradients of updates that were not sampled, held against the span of those that were. Their noise-free part "
        "follows from the products of the two halves of each minibatch, which share no image."
    )
    exhibits = [Exhibit(digit_prose.residual(inputs), [Plot(count_figures.samples(samples), 320)])]
    if finites(dig(epochs, "ranks")):
        exhibits.append(Exhibit(digit_prose.epochs(epochs), [Plot(count_figures.epochs(epochs), 320)]))
    return Section("residual", title, lead, exhibits)


def with_turning(inputs: DigitInputs, section: Section) -> Section:
    """The section of profiles with the tests whether they turn with digits."""
    tested = digit_figures.tested(inputs)
    if section.missing:
        return section
    if tested is None:
        why = "whether directions turn with digits was not tested: too few measures were taken in training"
        return replace(section, lacks=(why, command(inputs, "train")))
    exhibits = [Exhibit(digit_prose.turning(inputs), [Plot(digit_figures.turning(tested), 300)])]
    lines = len(tested.get("profile_turns") or []) + len(tested.get("curve_turns") or {})
    if lines:
        exhibits.append(
            Exhibit(digit_prose.turns(tested), [Plot(digit_figures.turns(tested), 90 + 13 * lines)])
        )
    return replace(section, exhibits=section.exhibits + exhibits)


def with_pictures(inputs: DigitInputs, section: Section) -> Section:
    """The section of modules with the first layer of the strongest directions, drawn."""
    pictures = [] if section.missing else layer_pictures(inputs)
    if not pictures:
        return section
    drawn = [(picture, data_uri(picture.image), _told(picture)) for picture in pictures]
    of_image = [("none", "image: its share of the layer's part")] if pictures[0].share is not None else []
    key = [
        ("none", "amber and blue: opposite signs, each image on a scale of its own"),
        *of_image,
        ("none", "layer: share of the direction in the first layer"),
        ("none", "θ − θ₀: share of its length along the direction"),
    ]
    exhibit = Exhibit(digit_prose.pictures(pictures), key=key, block=render("pictures.html", pictures=drawn))
    return replace(section, exhibits=[*section.exhibits, exhibit])


def cuts(inputs: DigitInputs) -> Section:
    """What cutting directions out does to each digit, beside controls."""
    title = "What a cut removes"
    if not inputs.rows:
        return Section("cuts", title, missing=no_cuts(inputs))
    lead = (
        "Retention is what a cut leaves of a digit's accuracy, from 0 (as by chance) to 1 (as trained). A cut is "
        "evidence only where changes of the same size, chosen without the idea on trial, do less."
    )
    exhibits = []
    if inputs.singles:
        kinds = (None, digit_cut_figures.RANDOM, digit_cut_figures.IN_SPAN)
        height = 90 + 24 * len(inputs.singles)
        plots = [Plot(digit_cut_figures.singles(inputs, kind), height) for kind in kinds]
        key = [("none", f"written where it is {digit_cut_figures.LEAST_SHOWN} or more from 1")]
        exhibits.append(Exhibit(digit_cut_prose.singles(inputs), plots, 3, key))
    if inputs.tuned:
        plots = [Plot(digit_cut_figures.forgetting(inputs, kept=kept), 300) for kept in (False, True)]
        exhibits.append(Exhibit(digit_cut_prose.forgetting(inputs), plots, 2))
    exhibits.append(
        Exhibit(digit_cut_prose.all_cuts(inputs), [Plot(digit_cut_figures.scatter(inputs), 600, square=True)])
    )
    curves = cut_figures.dose_curves(inputs)
    plots = []
    for curve in (c for c in curves if not c.get("control")):
        controls = [c for c in curves if c.get("control") and c.get("control_of") == curve.get("name")]
        lines = digit_cut_figures.digit_lines(inputs)
        plots.append(Plot(cut_figures.dose_response(curve, controls, lines, inputs.goal_colours), 240))
    if plots:
        key = [
            ("forgotten", "the digit to remove"),
            ("kept", "mean of the nine others"),
            ("dash", "controls"),
        ]
        exhibits.append(Exhibit(digit_cut_prose.dose_response(inputs, curves), plots, 2, key))
    return Section("cuts", title, lead, exhibits, cuts=_cut_table(inputs))


def _count_table(inputs: DigitInputs) -> Table:
    sampled, rows = (count(dig(inputs.analysis, *path)) for path in (("counts", "sampled"), ("rows",)))
    lines = []
    for of, how in (("raw", ""), ("unit", ", unit length"), ("centred", ", less their mean")):
        for which, what in (
            ("mean", f"{sampled} sampled{how}"),
            ("null_mean", f"white noise, {sampled} rows of the same norms{how}"),
            ("whole", f"all {rows}{how}"),
        ):
            lines.append((what, [_counted(inputs, of, which, share) for share in _COUNTED]))
    post = [f"{digit_prose.POST[share]:g}" for share in _COUNTED]
    post[1] += f" ± {digit_prose.POST_SD}"
    draws = count(dig(inputs.analysis, "counts", "draws"))
    caption = f"Singular values above a share of the largest; ± is the standard deviation over {draws} draws."
    headings = ("rows", *(f"above {share}" for share in _COUNTED))
    return Table(caption, headings, [*lines, ("the post, 400 sampled", post)])


def _counted(inputs: DigitInputs, of: str, which: str, share: float) -> str:
    value = inputs.count_at(of, which, share)
    spread = None if which == "whole" else inputs.count_at(of, which.replace("mean", "sd"), share)
    text = decimal(value, 0 if which == "whole" else 1)
    return text if spread is None else f"{text} ± {decimal(spread, 1)}"


def _told(picture: LayerPicture) -> list[str]:
    """What stands below a picture."""
    lines = [] if picture.share is None else [f"image {percent(picture.share)}"]
    lines.append(f"layer {percent(picture.in_layer)}")
    return lines + ([] if picture.moved is None else [f"θ − θ₀ {decimal(picture.moved, 4)}"])


def _cut_table(inputs: DigitInputs) -> CutTable:
    cells = []
    for row in cut_rows(inputs):
        removed, kept = str(row.get("removes")), inputs.left(row)[1]
        others = [v for n in inputs.goals if n != removed and (v := inputs.retention(row, n)) is not None]
        cells.append(
            [
                *measured_cells(row, [removed], "retention", "retention_intervals"),
                CutCell(kept),
                CutCell(min(others, default=None)),
                *(CutCell(dig(row, "measures", name)) for name in inputs.goals),
            ]
        )
    references = [
        (name, [inputs.measure(agent, goal)["mean"] for goal in inputs.goals])
        for agent, name in inputs.agent_names.items()
    ]
    headings = ("retention of the digit", "of the nine others", "of the worst of them", *inputs.goals)
    return cut_table(inputs, "images", cells, headings, references)
