"""The section of mazes of a run in Procgen's: policies as arrows over the game's pictures of a few conflict levels."""

from dataclasses import dataclass

import torch

from ..agents.behaviour import network_policy
from ..agents.procgen_behaviour import ProcgenGraph, conflict_states
from ..agents.procgen_run import SEEDS_PER_PLACE
from ..agents.rollout_run import REPORT_LEVEL_SEED
from ..envs.procgen_game import ProcgenMissingError, import_procgen
from . import maze_cut_prose
from .gallery import cut_agents, first_probabilities, goal_states, steps_to
from .maze_gallery import over_all_levels
from .mazes import outcome_bar
from .page import Exhibit, Section
from .procgen_inputs import ProcgenInputs
from .procgen_picture import policy_svg
from .repeat import command
from .templates import render

_SHOWN = 2
_LEAD = (
    "The first {count} of the levels where the goals part, as the game draws them, the mouse at its start. An arrow is "
    "as strong as its move is likely in that cell, over both ways that the mouse may look; a dot is staying. Below "
    "each maze, the exact probabilities within the game's {horizon} steps."
)


@dataclass(frozen=True)
class _Shown:
    """One level: its seed, and how far either goal is."""

    number: int
    why: str
    steps_to_proxy: int
    steps_to_paid: int


@dataclass(frozen=True)
class _Outcome:
    """What one agent comes to first."""

    proxy_first: float
    paid_first: float


def gallery(inputs: ProcgenInputs) -> Section:
    """The first conflict levels of those measured on, as the trained agent and every headline cut walk them."""
    anchor, title = "mazes", "In the mazes"
    run = inputs.run
    if not run.trained:
        return Section(anchor, title, missing=("the run is not trained to its end", command(inputs, "train")))
    try:
        import_procgen()
    except ProcgenMissingError:
        why = "Procgen is not installed here, whose pictures these are: pip install 'goalcut[procgen]'"
        return Section(anchor, title, missing=(why, command(inputs, "report")))
    settings = run.settings
    first = settings.seeds("test")[REPORT_LEVEL_SEED * SEEDS_PER_PLACE]
    states = conflict_states(_SHOWN, mode=settings.mode, corner_size=settings.corner_size, first_seed=first)
    graph = ProcgenGraph(states, settings.corner_size)
    trained = run.network()
    agents = {"trained": trained} | cut_agents(run, trained, inputs.headline)
    distance = [steps_to(graph, goal).int().tolist() for goal in goal_states(graph)]
    levels = [
        (_Shown(state.level_seed, "a level of the test seeds", distance[0][i], distance[1][i]), [])
        for i, state in enumerate(states)
    ]
    for name, network in agents.items():
        with torch.no_grad():
            policy = graph.action_probabilities(network_policy(network))
            outcomes = first_probabilities(policy, graph, settings.horizon).T.tolist()
        for i, (_, shown) in enumerate(levels):
            outcome = _Outcome(*outcomes[i])
            picture = policy_svg(graph, i, policy, label=f"{name}, level {states[i].level_seed}")
            shown.append((outcome, picture, outcome_bar(outcome.proxy_first, outcome.paid_first)))
    block = render(
        "mazes.html",
        symbols="",
        agents=[over_all_levels(inputs, agent) for agent in agents],
        levels=levels,
        goals=inputs.goals,
    )
    why = "no cut's parameters are kept in this run, so only the trained agent is shown"
    return Section(
        anchor,
        title,
        _LEAD.format(count=len(states), horizon=settings.horizon),
        [Exhibit(maze_cut_prose.cut_mazes(inputs, list(agents)[1:]), block=block)],
        lacks=None if len(agents) > 1 else (why, command(inputs, "ablate")),
    )
