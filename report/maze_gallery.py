"""The section of mazes: what the agents do on a few conflict levels, drawn."""

from typing import Any

from . import maze_cut_prose
from .gallery import HOW_CHOSEN, evaluated_levels, levels_part, shown_levels
from .inputs import dig
from .maze_inputs import MazeInputs
from .mazes import arrow_symbols, maze_svg, outcome_bar
from .page import Exhibit, Section
from .repeat import command
from .style import finite, span
from .templates import render

_LEAD = (
    "An arrow is as dark as its move is likely in that cell; violet cells are those the walk passes before it ends at "
    "either goal. {marked}Below each maze, the exact probabilities. "
)


def gallery(inputs: MazeInputs) -> Section:
    """A few levels, chosen by rule, as every agent walks them."""
    anchor, title = "mazes", "In the mazes"
    if not inputs.run.trained:
        missing = ("the run is not trained to its end", command(inputs, "train"))
        return Section(anchor, title, missing=missing)
    if not levels_part(inputs):
        return Section(
            anchor, title, missing=("this world has no levels where goals part", "goalcut train NEW_RUN")
        )
    levels = shown_levels(inputs)
    world = inputs.world
    corner_size = world.corner_size if world.corner_is_goal else None
    shown = [walk.agent for walk in levels[0].walks] if levels else []
    drawn = [
        (
            level,
            [
                (
                    walk,
                    maze_svg(level.level, corner_size, walk),
                    outcome_bar(walk.proxy_first, walk.paid_first),
                )
                for walk in level.walks
            ],
        )
        for level in levels
    ]
    agents = [over_all_levels(inputs, agent) for agent in shown]
    block = render("mazes.html", symbols=arrow_symbols(), agents=agents, levels=drawn, goals=inputs.goals)
    proxy, paid = inputs.goals
    chosen = HOW_CHOSEN.format(count=evaluated_levels(inputs), proxy=proxy, paid=paid, first=inputs.firsts[0])
    lead = _LEAD.format(marked="The blue square is the corner region. " if corner_size else "") + chosen
    why = "no cut's parameters are kept in this run, so only the trained agent is shown"
    return Section(
        anchor,
        title,
        lead,
        [Exhibit(maze_cut_prose.cut_mazes(inputs, shown[1:]), block=block)],
        lacks=None if len(shown) > 1 else (why, command(inputs, "ablate")),
    )


def over_all_levels(inputs: MazeInputs, agent: str) -> dict[str, Any]:
    """Means over all evaluated levels of an agent in the gallery, beside the span of its controls."""
    row = next((row for row in inputs.rows if row.get("name") == agent), None)
    result: dict[str, Any] = {"agent": agent}
    for name, measure in zip(("proxy_first", "paid_first"), inputs.firsts, strict=True):
        mean = dig(row, "measures", measure) if row else maze_cut_prose.trained_beside_cuts(inputs, measure)
        controls = [finite(dig(c, "measures", measure)) for c in (inputs.controls_of(row) if row else [])]
        known = [value for value in controls if value is not None]
        result[name] = finite(mean)
        result[f"{name}_controls"] = span(known) if known else ""
    both = result["proxy_first"], result["paid_first"]
    result["bar"] = outcome_bar(both[0], both[1]) if both[0] is not None and both[1] is not None else ""
    return result
