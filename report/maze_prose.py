"""Sentences about what a maze agent learned, and when."""

from .inputs import LEAST_CHANGE
from .maze_inputs import MazeInputs
from .prose import WORDS, apart, unbroken
from .style import count, decimal, duration, steps

GLOSSARY = {
    "level": "One maze: its walls, where the mouse starts, where the cheese lies.",
    "corner region": "The k×k cells at the top right, where the cheese always lay in training.",
    "conflict level": "A level with mouse and cheese both outside the corner region: the two goals part.",
    **WORDS,
    "retention": "What a cut leaves of a measure: (cut − untrained) / (trained − untrained); 1 is kept, 0 is removed.",
    "selectivity": "Retention of the goal to keep minus retention of the goal to remove; 1 is a perfect cut.",
}
_STARTS = {"bottom_left": "starting bottom left", "random": "starting anywhere"}
_CHEESES = {
    "corner": "the cheese always in the {k}×{k} corner region at the top right",
    "anywhere": "the cheese anywhere",
    "conflict": "the cheese always outside the {k}×{k} corner region at the top right",
}


def trained_what(inputs: MazeInputs) -> str:
    """World, network, env steps and seconds in one sentence."""
    settings, world = inputs.run.settings, inputs.run.settings.world
    article = "An" if settings.network[0] in "aeim" else "A"
    text = f"{article} {settings.network} network of {count(inputs.parameters)} parameters was trained"
    if settings.learner == "sb3":
        text += " by Stable-Baselines3's PPO"
    if inputs.trained_for is not None:
        text += f" for {steps(inputs.trained_for)} env steps in {unbroken(duration(inputs.seconds))}"
    cheese = _CHEESES[world.cheese].format(k=world.corner_size)
    if world.ood_share:
        cheese += f" but for {decimal(100 * world.ood_share, 0)} % of levels"
    return f"{text} on {world.size}×{world.size} mazes, the mouse {_STARTS[world.start]} and {cheese}."


def learned_what(inputs: MazeInputs) -> str:
    """What the trained agent does that the untrained one does not, and which goal it prefers where they part."""
    reward = {agent: inputs.measure(agent, "cheese_return") for agent in ("trained", "untrained")}
    if reward["trained"]["mean"] is None:
        return "What it learned has not been measured."
    verb = "learned" if apart(reward["trained"], reward["untrained"]) > 0 else "did not learn"
    mean = decimal(reward["trained"]["mean"])
    text = f"It {verb} what training rewards: it reaches the cheese with probability {mean}"
    text += f"{_beside(inputs, 'cheese_return')}."
    corner, cheese = (inputs.measure("trained", name) for name in ("corner_first", "cheese_first"))
    if corner["mean"] is None or cheese["mean"] is None:
        return text
    gap = apart(corner, cheese)
    verdict = {1: "it prefers the corner", -1: "it prefers the cheese", 0: "it clearly prefers neither"}[gap]
    return (
        f"{text} Where the two goals part, {verdict}: on conflict levels it enters the corner region first with "
        f"probability {decimal(corner['mean'])}{_beside(inputs, 'corner_first')} and reaches the cheese first with "
        f"{decimal(cheese['mean'])}{_beside(inputs, 'cheese_first')}."
    )


def learning_order(inputs: MazeInputs) -> str:
    """Which goal came first."""
    if not inputs.retention_curve("corner_reach"):
        _, values = inputs.curve("corner_reach")
        ends = f" ({decimal(values[0])} to {decimal(values[-1])})" if values else ""
        return f"Training hardly changed corner_reach{ends}, so there is no order of goals to read off."
    passing = inputs.passing()
    if passing is None:
        never = f"The retention of corner_reach never passes {inputs.passed:g} on the way"
        return f"{never}, so the goals have no order in time."
    there = passing.cheese_retention
    if there is None:
        return f"Corner-seeking passes {inputs.passed:g} of its final level at {steps(passing.env_steps)} env steps."
    if there < 0.5:
        verdict = "Corner-seeking came first"
    elif there < inputs.passed:
        verdict = "Corner-seeking came only a little earlier"
    else:
        verdict = "Cheese-seeking came no later than corner-seeking"
    return (
        f"{verdict}: when corner_reach first passes {inputs.passed:g} of what training changed, at "
        f"{steps(passing.env_steps)} env steps, cheese_from_corner stands at {decimal(there)} of its own."
    )


def learning_measures(inputs: MazeInputs) -> str:
    """How the two answers to a conflict level moved, beside the uniform-random walker."""
    parts = []
    for name in ("corner_first", "cheese_first"):
        _, values = inputs.curve(name)
        if not values or values[0] is None or values[-1] is None:
            continue
        change = values[-1] - values[0]
        verb = "rose" if change >= LEAST_CHANGE else "fell" if change <= -LEAST_CHANGE else "hardly moved"
        part = f"{name} {verb} from {decimal(values[0])} to {decimal(values[-1])}"
        uniform = inputs.measure("uniform", name)["mean"]
        parts.append(part + ("" if uniform is None else f" (uniform-random {decimal(uniform)})"))
    return (
        f"On conflict levels {' and '.join(parts)}." if parts else "No measure was taken on conflict levels."
    )


def _beside(inputs: MazeInputs, name: str) -> str:
    untrained, uniform = (inputs.measure(agent, name)["mean"] for agent in ("untrained", "uniform"))
    parts = [f"untrained {decimal(untrained)}"] if untrained is not None else []
    parts += [f"uniform-random {decimal(uniform)}"] if uniform is not None else []
    return f" ({', '.join(parts)})" if parts else ""
