"""The report of a classifier's run."""

from . import digit_figures, digit_prose, digit_sections
from .digit_inputs import DigitInputs
from .inputs import dig
from .lens_sections import lens_sections
from .page import MeasureTable, Page, Plot, Section
from .repeat import command
from .sections import modules, profiles, spectra
from .style import INK, count, finite


def page(inputs: DigitInputs) -> Page:
    """The whole report."""
    why = "intervals over images are in evaluation.json, which this run has not"
    return Page(
        opening=[digit_prose.trained_what(inputs), digit_prose.learned_what(inputs)],
        measures=_measures(inputs) if inputs.agents else None,
        lacks=None if inputs.evaluation else (why, command(inputs, "evaluate")),
        glossary=digit_prose.GLOSSARY,
        sections=sections(inputs),
    )


def sections(inputs: DigitInputs) -> list[Section]:
    """The sections, in reading order."""
    in_time = profiles(inputs, lambda of_run: Plot(digit_figures.behaviour(inputs, of_run), 250))
    return [
        digit_sections.learning(inputs),
        digit_sections.counts(inputs),
        spectra(inputs),
        digit_sections.residuals(inputs),
        digit_sections.with_turning(inputs, in_time),
        digit_sections.with_pictures(inputs, modules(inputs)),
        digit_sections.cuts(inputs),
        *lens_sections(inputs),
    ]


def _measures(inputs: DigitInputs) -> MeasureTable:
    images = finite(dig(inputs.evaluation, "images"))
    over = "" if images is None else f" over {count(images)} test images, with 95 % intervals over images"
    agents = inputs.agents
    of_all = "of all test images" if inputs.measure("trained", "accuracy")["mean"] else "mean over the digits"
    rows: list[tuple[str, str, str, list[dict[str, float | None]]]] = [
        ("accuracy", INK, of_all, [inputs.accuracy(agent) for agent in agents])
    ]
    rows += [
        (name, style.colour, style.means, [_written(agent, inputs.measure(agent, name)) for agent in agents])
        for name, style in inputs.measure_styles.items()
    ]
    caption = f"Share of images recognised{over}."
    return MeasureTable(caption, [inputs.agent_names[agent] for agent in agents], rows)


def _written(agent: str, measure: dict[str, float | None]) -> dict[str, float | None]:
    """A measure as the table has it: chance is exact, so its interval is no news."""
    return measure | {"low": None, "high": None} if agent == "chance" else measure
