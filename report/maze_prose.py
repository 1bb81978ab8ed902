"""Sentences about what a maze agent learned, and when."""

from ..ablate.goal import LEAST_CHANGE
from ..envs.world import SHIFTED
from .inputs import dig
from .maze_inputs import MazeInputs
from .prose import WORDS, apart, unbroken
from .style import count, decimal, duration, steps

_WORDS = {
    **WORDS,
    "retention": "What a cut leaves of a measure: (cut − untrained) / (trained − untrained); 1 is kept, 0 is removed.",
    "selectivity": "Retention of the goal to keep minus retention of the goal to remove; 1 is a perfect cut.",
}
_STARTS = {"bottom_left": "starting bottom left", "random": "starting anywhere"}


def glossary(inputs: MazeInputs) -> dict[str, str]:
    """Words of the report, with those of the world's distributions."""
    words = {"level": "One maze: its walls, where the mouse starts, what lies where."}
    if inputs.world.name == "corner":
        words["corner region"] = "The k×k cells at the top right, where the cheese lies in training."
    told = {f"{name} level": _sentence(text) for name, text in inputs.world.distributions.items()}
    return words | told | _WORDS


def trained_what(inputs: MazeInputs) -> str:
    """World, network, env steps and seconds in one sentence."""
    settings, world = inputs.run.settings, inputs.run.settings.world
    article = "An" if settings.network[0] in "aeim" else "A"
    text = f"{article} {settings.network} network of {count(inputs.parameters)} parameters was trained"
    if settings.learner == "sb3":
        text += " by Stable-Baselines3's PPO"
    if inputs.trained_for is not None:
        text += f" for {steps(inputs.trained_for)} env steps in {unbroken(duration(inputs.seconds))}"
    cheese = world.told if world.ood_share < 1 else world.distributions[SHIFTED]
    if 0 < world.ood_share < 1:
        cheese += f" but for {100 * world.ood_share:g} % of levels"
    return f"{text} on {world.size}×{world.size} mazes, the mouse {_STARTS[world.start]} and {cheese}."


def measured_how(inputs: MazeInputs) -> str:
    """What the measures are: exact, or sampled where the chain was too large."""
    exact = dig(inputs.evaluation, "exact") is not False
    return "exact probabilities" if exact else "estimates from sampled episodes"


def learned_what(inputs: MazeInputs) -> str:
    """What the trained agent does that the untrained one does not, and which goal it prefers where they part."""
    paid = inputs.world.paid_measure
    reward = {agent: inputs.measure(agent, paid.name) for agent in ("trained", "untrained")}
    if reward["trained"]["mean"] is None:
        return "What it learned has not been measured."
    verb = "learned" if apart(reward["trained"], reward["untrained"]) > 0 else "did not learn"
    mean = decimal(reward["trained"]["mean"])
    what = f"{paid.name}, {paid.meaning.partition(':')[0]}, is"
    text = f"It {verb} what training rewards: {what} {mean}{_beside(inputs, paid.name)}."
    if not inputs.firsts:
        return text
    proxy, true = (inputs.measure("trained", name) for name in inputs.firsts)
    if proxy["mean"] is None or true["mean"] is None:
        return text
    gap = apart(proxy, true)
    names = {1: inputs.proxy.name, -1: inputs.paid.name}
    verdict = f"it prefers the {names[gap]}" if gap else "it clearly prefers neither"
    first, other = inputs.firsts
    return (
        f"{text} Where the two goals part, {verdict}: {first} is {decimal(proxy['mean'])}{_beside(inputs, first)} and "
        f"{other} {decimal(true['mean'])}{_beside(inputs, other)}."
    )


def learning_order(inputs: MazeInputs) -> str:
    """Which goal came first."""
    proxy, paid = inputs.proxy, inputs.paid
    early, late = (f"{goal.name.capitalize()}-seeking" for goal in (proxy, paid))
    if not inputs.retention_curve(proxy.measure):
        _, values = inputs.curve(proxy.measure)
        ends = f" ({decimal(values[0])} to {decimal(values[-1])})" if values else ""
        return f"Training hardly changed {proxy.measure}{ends}, so there is no order of goals to read off."
    passing = inputs.passing()
    if passing is None:
        never = f"The retention of {proxy.measure} never passes {inputs.passed:g} on the way"
        return f"{never}, so the goals have no order in time."
    there = passing.paid_retention
    if there is None:
        return f"{early} passes {inputs.passed:g} of its final level at {steps(passing.env_steps)} env steps."
    if there < 0.5:
        verdict = f"{early} came first"
    elif there < inputs.passed:
        verdict = f"{early} came only a little earlier"
    else:
        verdict = f"{late} came no later than {proxy.name}-seeking"
    return (
        f"{verdict}: when {proxy.measure} first passes {inputs.passed:g} of what training changed, at "
        f"{steps(passing.env_steps)} env steps, {paid.measure} stands at {decimal(there)} of its own."
    )


def learning_measures(inputs: MazeInputs) -> str:
    """How the two answers to a conflict level moved, beside the uniform-random walker."""
    parts = []
    for name in inputs.firsts:
        _, values = inputs.curve(name)
        if not values or values[0] is None or values[-1] is None:
            continue
        change = values[-1] - values[0]
        verb = "rose" if change >= LEAST_CHANGE else "fell" if change <= -LEAST_CHANGE else "hardly moved"
        part = f"{name} {verb} from {decimal(values[0])} to {decimal(values[-1])}"
        uniform = inputs.measure("uniform", name)["mean"]
        parts.append(part + ("" if uniform is None else f" (uniform-random {decimal(uniform)})"))
    return (
        f"Where the goals part, {' and '.join(parts)}."
        if parts
        else "No measure tells which goal comes first."
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _beside(inputs: MazeInputs, name: str) -> str:
    untrained, uniform = (inputs.measure(agent, name)["mean"] for agent in ("untrained", "uniform"))
    parts = [f"untrained {decimal(untrained)}"] if untrained is not None else []
    parts += [f"uniform-random {decimal(uniform)}"] if uniform is not None else []
    return f" ({', '.join(parts)})" if parts else ""
