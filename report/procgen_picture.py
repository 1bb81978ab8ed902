"""A policy as arrows over Procgen's own picture, one self-contained SVG."""

import base64
from pathlib import Path

import torch
from markupsafe import Markup, escape
from torch import Tensor

from ..agents.procgen_behaviour import ProcgenGraph
from ..envs.levels import MOVES
from ..envs.procgen_frames import Renderer
from ..envs.procgen_state import MazeState
from ..envs.world import Event
from .mazes import ARROW_SHAPES, LEAST_ARROW
from .pictures import png
from .style import decimal

# Side of the picture in pixels; of one cell as arrows are drawn; of the mouse's view in memory mode, in cells.
_SIDE, _CELL, _VIEW = 512, 20, 8


def policy_svg(graph: ProcgenGraph, level: int, probabilities: Tensor, *, label: str = "a policy") -> Markup:
    """One level as Procgen draws it for people, with an arrow per move, as strong as it is likely.

    An arrow is the mean over looking left and right; a dot is staying. Cells have their probabilities as titles.

    Args:
        graph: the levels.
        level: which of them.
        probabilities: (L, 2F, 5), as `graph.action_probabilities` gives them.
        label: what is said of the picture where it cannot be seen.

    Raises:
        ValueError: the probabilities are of other levels.
    """
    if probabilities.shape != (*graph.real.shape, len(MOVES) + 1):
        raise ValueError(
            f"probabilities are {tuple(probabilities.shape)}, these levels want "
            f"{(*graph.real.shape, len(MOVES) + 1)}"
        )
    state, size = graph.states[level], graph.levels.size
    frame = Renderer(state.mode, large=True).large_frame(state)
    top, left, across = _view(state)
    half = graph.real.shape[1] // 2
    mean = probabilities[level].view(2, half, -1).mean(0)
    goal = graph.event(Event("cheese"))[level, :half]
    shown = torch.nonzero(graph.real[level, :half] & ~goal)[:, 0].tolist()
    parts = []
    for number in shown:
        row, column = divmod(int(graph.cell[level, number]), size)
        x, y = (column - left) * _CELL, (row - top) * _CELL
        if min(x, y) > -_CELL and max(x, y) < across * _CELL:
            parts.append(_arrows(x, y, mean[number].tolist()))
    source = f"data:image/png;base64,{base64.b64encode(png(frame)).decode()}"
    side = across * _CELL
    # Of the margin around a small maze one cell is enough.
    cut = 0 if state.mode == "memory" else max(0, state.margin - 1) * _CELL
    box = f"{cut} {cut} {side - 2 * cut} {side - 2 * cut}"
    return (
        Markup(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{_SIDE}" height="{_SIDE}" '
            f'role="img" aria-label="{escape(label)}">'
            f'<image href="{source}" width="{side}" height="{side}"/>'
            '<g fill="none" stroke-linecap="round" stroke-linejoin="round">'
        )
        + Markup("".join(parts))
        + Markup("</g></svg>")
    )


def save_policy_svg(path: Path, graph: ProcgenGraph, level: int, probabilities: Tensor) -> None:
    """Write `policy_svg` to a file."""
    Path(path).write_text(policy_svg(graph, level, probabilities), encoding="utf-8")


def _view(state: MazeState) -> tuple[float, float, int]:
    """Row and column at the picture's top left, and how many cells it is across."""
    if state.mode != "memory":
        return 0, 0, state.size
    row, column = state.mouse
    return row + 0.5 - _VIEW / 2, column + 0.5 - _VIEW / 2, _VIEW


def _arrows(x: float, y: float, probabilities: list[float]) -> str:
    """The moves from one cell, dark with a light rim: textures are both."""
    *moves, stay = probabilities
    shapes = [
        f'<path d="{ARROW_SHAPES[move]}" opacity="{probability:.3f}"/>'
        for move, probability in zip(MOVES, moves, strict=True)
        if probability >= LEAST_ARROW
    ]
    if stay >= LEAST_ARROW:
        shapes.append(f'<path d="M10 10h0.01" opacity="{stay:.3f}"/>')
    told = ", ".join(f"{move} {decimal(p)}" for move, p in zip([*MOVES, "stay"], probabilities, strict=True))
    drawn = "".join(shapes)
    return (
        f'<g transform="translate({x:g} {y:g})"><title>{told}</title>'
        f'<g stroke="#ffffff" stroke-width="3.6">{drawn}</g><g stroke="#111827" stroke-width="1.9">{drawn}</g></g>'
    )
