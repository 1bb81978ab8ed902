"""Levels as pictures: RGB frames at any cell size, a whole batch at a time."""

import numpy as np
import torch

from .automaton import automaton_of
from .levels import ABSENT, Level, Levels, corner_region
from .looks import CHEESE_COLOUR, COLOURS, MOUSE_COLOUR, covers, look_of
from .planes import Painter, plane_names
from .world import World
from .worlds.cheese_in_corner import CheeseInCorner

PLANES = plane_names(CheeseInCorner())

FLOOR, WALL = (244, 239, 230), (62, 68, 82)
FLOOR_IN_CORNER, WALL_IN_CORNER = (255, 224, 200), (98, 76, 80)
MOUSE, CHEESE = MOUSE_COLOUR, CHEESE_COLOUR
# Below this many pixels a cell has no room for a bar over it.
_SMALLEST_BAR = 4
_BAR_BACK = (36, 38, 46)


def frame(
    picture: Level | Levels | np.ndarray,
    cell: int = 16,
    *,
    corner_size: int | None = None,
    world: World | None = None,
    progress: int | np.ndarray | None = None,
) -> np.ndarray:
    """Draw levels or observations.

    A level knows each of its things by name; planes know what can be seen, so that things which share their planes
    look alike, and where things with several planes share a cell the fewest that explain what is seen are drawn.

    Args:
        picture: a level, a batch of levels, or observation planes (C, n, n) or (N, C, n, n) as `plane_names` names
            them.
        cell: pixels along the side of one cell.
        corner_size: tint the corner region of this size; None tints nothing.
        world: whose things a level or planes hold; default cheese in the corner. Levels know theirs.
        progress: what has happened in levels, numbers of the world's automaton, one or (N,): things that are taken
            vanish, and a number of the world's status is a bar at the top. Planes show theirs already.

    Returns:
        (n * cell, n * cell, 3) uint8, or (N, n * cell, n * cell, 3) for a batch.

    Raises:
        ValueError: planes of another shape, a cell or corner size that cannot be drawn, progress of another kind.
    """
    if isinstance(picture, Levels) and world is not None and world != picture.world:
        raise ValueError(f"the levels are of the world {picture.world.name!r}: leave world out")
    world = picture.world if isinstance(picture, Levels) else CheeseInCorner() if world is None else world
    if isinstance(picture, Level):
        picture, batch = Levels.of([picture], world), ()
    elif isinstance(picture, Levels):
        batch = (len(picture),)
    else:
        picture = _checked(np.asarray(picture), world)
        batch = picture.shape[:-3]
    if isinstance(picture, np.ndarray):
        if progress is not None:
            raise ValueError("progress is given beside planes, which show theirs already: leave it out")
        walls, masks, numbers = _seen(picture.reshape(-1, *picture.shape[-3:]), world)
    else:
        walls, masks, numbers = _known(picture, progress)
    size = walls.shape[-1]
    if cell < 1:
        raise ValueError(f"cell is {cell}: give at least 1 pixel")
    if corner_size is not None and not 1 <= corner_size <= size:
        raise ValueError(f"corner_size is {corner_size}: give 1 to the size of the maze, which is {size}")

    tinted = np.zeros((size, size), dtype=bool) if corner_size is None else corner_region(size, corner_size)
    palette = np.array([FLOOR, WALL, FLOOR_IN_CORNER, WALL_IN_CORNER], dtype=np.uint8)
    colours = palette[walls + 2 * tinted]
    image = np.broadcast_to(colours[:, :, None, :, None], (len(walls), size, cell, size, cell, 3)).copy()
    # What lies under other things first. The mouse last: on a cheese, whose corners still show.
    for name in sorted(masks, key=lambda name: (name == "mouse", not look_of(name).ground)):
        number, row, column = np.nonzero(masks[name])
        for colour, cover in covers(name, cell):
            below = image[number, row, :, column].astype(np.float64)
            image[number, row, :, column] = np.rint(below + (np.array(colour) - below) * cover[:, :, None])
    image = image.reshape(len(walls), size * cell, size * cell, 3)
    _draw_bars(image, world, numbers, cell)
    return image.reshape(*batch, size * cell, size * cell, 3)


def tiled(frames: np.ndarray, columns: int | None = None, gap: int = 8) -> np.ndarray:
    """Frames (N, h, w, 3) side by side on white, `columns` to a row (default about a square), `gap` pixels apart.

    Returns:
        One picture (H, W, 3) uint8.
    """
    count, height, width, _ = frames.shape
    columns = max(1, min(count, round(count**0.5 + 0.49) if columns is None else columns))
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, dtype=np.uint8)
    for number, image in enumerate(frames):
        row, column = divmod(number, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def _known(
    levels: Levels, progress: int | np.ndarray | None
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Walls (N, n, n) bool, thing → where it can be seen (N, n, n) bool, status numbers (N, planes)."""
    world, count, size = levels.world, len(levels), levels.size
    automaton = automaton_of(world)
    values = np.broadcast_to(np.asarray(0 if progress is None else progress), (count,))
    if values.size and not 0 <= values.min() <= values.max() < len(automaton.progress):
        raise ValueError(f"progress is {progress}: give numbers from 0 to {len(automaton.progress) - 1}")
    masks = {name: mask.reshape(count, size, size) for name, mask in visible(levels, values).items()}
    mouse = np.zeros((count, size**2), dtype=bool)
    mouse[np.arange(count), levels.mouse] = True
    masks["mouse"] = mouse.reshape(count, size, size)
    return levels.walls, masks, np.minimum(automaton.status[values], size)


def visible(levels: Levels, progress: np.ndarray) -> dict[str, np.ndarray]:
    """Where each thing can be seen: name → (L, n²) bool, for progress (L,), numbers of the world's automaton.

    That is where it lies, is shown, and lights all of its planes: planes know best, of a thing that walks too.
    """
    world, count, size = levels.world, len(levels), levels.size
    shown = automaton_of(world).shown[progress]
    painter = Painter(levels)
    painted = painter.paint(torch.arange(count), torch.from_numpy(np.array(progress, dtype=np.int64))).numpy()
    planes = dict(
        zip(
            plane_names(world),
            painted.reshape(count, painter.planes, size**2).swapaxes(0, 1).astype(bool),
            strict=True,
        )
    )
    found = {}
    for number, thing in enumerate(world.things):
        cells = levels.places[thing.name]
        mask = np.zeros((count, size**2 + 1), dtype=bool)
        # What is not there is marked beside the maze.
        mask[np.arange(count)[:, None], np.where(cells == ABSENT, size**2, cells)] = shown[:, number][:, None]
        found[thing.name] = mask[:, :-1] & np.logical_and.reduce([planes[look] for look in thing.planes])
    return found


def _checked(planes: np.ndarray, world: World) -> np.ndarray:
    wanted = len(plane_names(world))
    if planes.ndim not in (3, 4) or planes.shape[-3] != wanted or planes.shape[-1] != planes.shape[-2]:
        raise ValueError(
            f"planes are {planes.shape}: give ({wanted}, n, n) or (N, {wanted}, n, n), the planes of the world "
            f"{world.name!r}"
        )
    return planes


def _seen(planes: np.ndarray, world: World) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """The same of observations (N, C, n, n)."""
    names, on = plane_names(world), planes.astype(bool)
    plane = {name: on[:, number] for number, name in enumerate(names)}
    # Things that share all their planes cannot be told apart: the first stands for them.
    things: dict[frozenset[str], str] = {}
    for thing in world.things:
        things.setdefault(frozenset(thing.planes), thing.name)
    unexplained = {name: mask.copy() for name, mask in plane.items()}
    masks = {name: np.zeros_like(plane["walls"]) for name in things.values()}
    # First what has all of its planes to itself, then what explains at least one that is left.
    for needs in (np.logical_and.reduce, np.logical_or.reduce):
        for looks, name in things.items():
            here = np.logical_and.reduce([plane[look] for look in looks])
            here &= needs([unexplained[look] for look in looks])
            masks[name] |= here
            for look in looks:
                unexplained[look] &= ~here
    masks["mouse"] = plane["mouse"]
    numbers = on[:, len(names) - len(world.status_planes) :].sum((2, 3))
    return plane["walls"], masks, numbers


def _draw_bars(image: np.ndarray, world: World, numbers: np.ndarray, cell: int) -> None:
    """Each status number (N, planes) as so many pips on a dark strip along the top left, a row per number."""
    if cell < _SMALLEST_BAR:
        return
    colours = list(COLOURS.values())
    width, height = max(3, cell // 3), max(3, cell // 4)
    inset = max(1, cell // 24)
    for row, name in enumerate(world.status_planes):
        words = name.replace("_", " ").split()
        kinds = [word.removesuffix("s") for word in words]
        colour = look_of("key").colour if "key" in kinds else colours[(row + 3) % len(colours)]
        for pip in range(int(numbers[:, row].max(initial=0))):
            here = numbers[:, row] > pip
            top, left = row * height, pip * width
            image[here, top : top + height, left : left + width] = _BAR_BACK
            image[here, top + inset : top + height - inset, left + inset : left + width - inset] = colour
