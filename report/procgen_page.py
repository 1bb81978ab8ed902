"""The report of a run in Procgen's maze: that of a maze agent, over the game's own pictures."""

from . import maze_page
from .page import Page
from .procgen_gallery import gallery
from .procgen_inputs import ProcgenInputs
from .style import count, duration, steps

_CHEESE = {
    "stock": "the cheese where the game puts it",
    "corner": "the cheese always in the top right corner",
}


def page(inputs: ProcgenInputs) -> Page:
    """The whole report."""
    return maze_page.page_of(inputs, trained_what(inputs), gallery(inputs))


def trained_what(inputs: ProcgenInputs) -> str:
    """Network, env steps and seconds, and the maze, in one sentence."""
    settings = inputs.run.settings
    text = f"An impala network of {count(inputs.parameters)} parameters was trained"
    if inputs.trained_for is not None:
        text += f" for {steps(inputs.trained_for)} env steps in {duration(inputs.seconds)}"
    cheese = _CHEESE.get(settings.cheese, inputs.world.told)
    return f"{text} in Procgen's maze, mode {settings.mode}, the mouse starting bottom left and {cheese}."
