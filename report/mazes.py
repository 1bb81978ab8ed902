"""Mazes as inline SVG: walls, corner region, mouse, things, and a policy as arrows."""

import numpy as np
from markupsafe import Markup

from ..envs.levels import MOVES, Level, corner_region
from .gallery import Walk
from .style import PAID, PALE, PROXY, decimal
from .thing_shapes import thing_shape

# Side of a cell, in SVG units.
_CELL = 20
# Arrows fainter than this would not be seen.
LEAST_ARROW = 0.03

ARROW_SHAPES = {
    "up": "M10 9.4V3.4M7.2 6L10 2.6L12.8 6",
    "down": "M10 10.6V16.6M7.2 14L10 17.4L12.8 14",
    "left": "M9.4 10H3.4M6 7.2L2.6 10L6 12.8",
    "right": "M10.6 10H16.6M14 7.2L17.4 10L14 12.8",
}
_MOUSE = (
    '<g class="mouse"><path d="M5.4 14.6C2.6 16.8 2.4 11.4 4.6 11.8" fill="none"/>'
    '<ellipse cx="10" cy="12" rx="5.2" ry="3.9"/><circle cx="13.4" cy="7.7" r="2.3"/>'
    '<circle cx="15.6" cy="12" r="0.9" class="nose"/></g>'
)


def arrow_symbols() -> Markup:
    """The four arrows, defined once on the page."""
    paths = "".join(f'<path id="move-{move}" d="{shape}"/>' for move, shape in ARROW_SHAPES.items())
    return Markup(f'<svg class="symbols" aria-hidden="true" width="0" height="0"><defs>{paths}</defs></svg>')


def maze_svg(level: Level, corner_size: int | None, walk: Walk) -> Markup:
    """One level as an agent sees it: an arrow per move, as dark as it is likely; cells tinted by visits.

    Args:
        level: the maze.
        corner_size: of the corner region, which is outlined; None outlines none.
        walk: what the agent does on it.
    """
    size = len(level.walls)
    corner = (corner_size or 0) * _CELL
    region = corner_region(size, corner_size) if corner_size else np.zeros((size, size), dtype=bool)
    ends = {cell for name in walk.ends_at for cell in level.things.get(name, ())}
    parts = []
    for row, column in np.argwhere(~level.walls).tolist():
        parts.append(_cell(row, column, size, bool(region[row, column]), (row, column) in ends, walk))
    side = size * _CELL
    things = [_at(cell, thing_shape(name)) for name, cells in level.things.items() for cell in cells]
    objects = "".join([_at(level.mouse, _MOUSE), *things])
    outline = (
        f'<rect class="region" x="{side - corner}" y="0" width="{corner}" height="{corner}"/>'
        if corner
        else ""
    )
    first = (
        f"{walk.goals[0]} first {decimal(walk.proxy_first)}, {walk.goals[1]} first {decimal(walk.paid_first)}"
    )
    label = f"{walk.agent}: {first}"
    frame = f'<rect class="frame" width="{side}" height="{side}"/>'
    body = f'<rect class="walls" width="{side}" height="{side}"/>{"".join(parts)}{frame}{outline}{objects}'
    opening = Markup('<svg class="maze" viewBox="-1 -1 {0} {0}" role="img" aria-label="{1}">').format(
        side + 2, label
    )
    return opening + Markup(body) + Markup("</svg>")


def outcome_bar(proxy_first: float, paid_first: float) -> Markup:
    """A bar of proxy goal first, neither, paid goal first."""
    neither = max(0.0, 1 - proxy_first - paid_first)
    spans, at = [], 0.0
    for share, colour in ((proxy_first, PROXY), (neither, PALE), (paid_first, PAID)):
        spans.append(f'<rect x="{100 * at:.2f}" width="{100 * share:.2f}" height="6" fill="{colour}"/>')
        at += share
    return Markup(
        f'<svg class="outcome" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">{"".join(spans)}</svg>'
    )


def _cell(row: int, column: int, size: int, in_corner: bool, is_end: bool, walk: Walk) -> str:
    number, x, y = row * size + column, column * _CELL, row * _CELL
    probabilities, visited = walk.policy[number], walk.visits[number]
    kind = "free corner" if in_corner else "free"
    shapes = [f'<rect class="{kind}" x="{x}" y="{y}" width="{_CELL}" height="{_CELL}"/>']
    if visited >= 0.01:
        shapes.append(
            f'<rect class="visited" x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" opacity="{0.55 * visited:.3f}"/>'
        )
    told = ", ".join(f"{move} {decimal(p)}" for move, p in zip(MOVES, probabilities, strict=True))
    if not is_end:  # no move is made there
        shapes += [
            f'<use class="arrow" href="#move-{move}" x="{x}" y="{y}" opacity="{probability:.3f}"/>'
            for move, probability in zip(MOVES, probabilities, strict=True)
            if probability >= LEAST_ARROW
        ]
    return (
        f'<g data-cell="{number}"><title>{told}; passed with {decimal(visited)}</title>{"".join(shapes)}</g>'
    )


def _at(place: tuple[int, int], shape: str) -> str:
    return f'<g transform="translate({place[1] * _CELL} {place[0] * _CELL})">{shape}</g>'
