"""The report of a maze agent's run."""

from . import maze_prose, maze_sections, profile_figures
from .inputs import dig
from .lens_sections import lens_sections
from .maze_gallery import gallery
from .maze_inputs import MazeInputs
from .page import MeasureTable, Page, Plot, Section
from .repeat import command
from .sections import modules, profiles, spectra
from .style import count, finite


def page(inputs: MazeInputs) -> Page:
    """The whole report."""
    return page_of(inputs, maze_prose.trained_what(inputs), gallery(inputs))


def page_of(inputs: MazeInputs, trained: str, mazes: Section) -> Page:
    """The whole report, given the sentence that says what was trained, and the section of mazes."""
    why = (
        "intervals over levels and the walkers to compare with are in evaluation.json, which this run has not"
    )
    return Page(
        opening=[trained, maze_prose.learned_what(inputs)],
        measures=_measures(inputs) if inputs.agents else None,
        lacks=None if inputs.evaluation else (why, command(inputs, "evaluate")),
        glossary=maze_prose.glossary(inputs),
        sections=[*sections(inputs), mazes],
    )


def sections(inputs: MazeInputs) -> list[Section]:
    """The sections before that of mazes, in reading order."""
    both = tuple(inputs.goal_measures.values())
    return [
        maze_sections.learning(inputs),
        maze_sections.with_every_spectrum(inputs, spectra(inputs)),
        profiles(inputs, lambda of_run: Plot(profile_figures.behaviour(inputs, of_run, both), 230)),
        modules(inputs),
        maze_sections.cuts(inputs),
        *lens_sections(inputs),
    ]


def _measures(inputs: MazeInputs) -> MeasureTable:
    levels = finite(dig(inputs.evaluation, "levels"))
    over = f" over {count(levels)} held-out levels of each kind, with 95 % intervals over levels"
    rows = [
        (
            name,
            inputs.measure_styles[name].colour,
            means,
            [inputs.measure(agent, name) for agent in inputs.agents],
        )
        for name, means in inputs.measures.items()
    ]
    agents = [inputs.agent_names[agent] for agent in inputs.agents]
    return MeasureTable(f"Exact probabilities{'' if levels is None else over}.", agents, rows)
