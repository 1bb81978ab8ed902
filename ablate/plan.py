"""Which profile cuts are made: for each goal the directions of its own time, chosen in several ways.

Corner-seeking should be trained early and cheese-seeking late, so cuts of the corner take early directions and cuts of
the cheese late ones. Every cut names its neighbour in time, the same choice made a step away, as a control.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..analysis.directions import Directions, module_of
from .selection import Selection, by_contrast, by_time, by_window, within_module
from .tuned import Goal

Choice = Callable[[Directions], Selection]
Window = tuple[int, int]


@dataclass(frozen=True)
class ProfileCut:
    """A cut chosen by profile alone.

    Attributes:
        name: what it is.
        removes: the goal it is meant to remove.
        choose: the choice, to be made among any lens's directions (this run's, or another seed's).
        neighbour: the same choice at a neighbouring time; None where all directions are chosen.
        headline: whether it is shown in dose–response curves and mazes.
    """

    name: str
    removes: Goal
    choose: Choice
    neighbour: Choice | None
    headline: bool


def profile_cuts(directions: Directions, split: int, count: int, strongest: int) -> list[ProfileCut]:
    """The profile cuts of a run.

    Args:
        directions: the lens's.
        split: the row that parts early from late.
        count: directions of a cut.
        strongest: choices by earliest and latest are made among so many of the strongest directions.
    """
    available, times = len(directions.singular_values), len(directions.profiles)
    strongest = min(strongest, available)
    count = min(count, strongest)
    early, late = (0, split), (split, times)
    module = _largest_module(directions)
    corner = _goal_cuts("corner", early, late, ((split + times) // 2, times), count, strongest, module)
    cheese = _goal_cuts("cheese", late, early, (0, max(1, split // 2)), count, strongest, module)
    return [*corner, *cheese]


def _goal_cuts(
    goal: Goal, window: Window, against: Window, beside: Window, count: int, strongest: int, module: str
) -> Iterator[ProfileCut]:
    latest = goal == "cheese"
    word = "latest" if latest else "earliest"

    def timed(size: int, skip: int = 0) -> Choice:
        def choose(found: Directions) -> Selection:
            among = found.subset(range(min(strongest, len(found.singular_values))))
            return by_time(among, size, latest=latest, skip=skip)

        return choose

    def inside(choice: Choice) -> Choice:
        return lambda found: within_module(found, choice(found), module)

    def cut(how: str, choose: Choice, neighbour: Choice | None, *, headline: bool = False) -> ProfileCut:
        return ProfileCut(f"{how}: remove {goal}", goal, choose, neighbour, headline)

    for size in sorted({1, count}):
        neighbour = timed(size, size) if 2 * size <= strongest else None
        yield cut(f"{word} {size}", timed(size), neighbour, headline=size == count)
    yield cut(
        f"{word} window",
        lambda found: by_window(found, count, *window),
        lambda found: by_window(found, count, *beside),
    )
    yield cut(
        f"{word} contrast",
        lambda found: by_contrast(found, count, window, against),
        lambda found: by_contrast(found, count, beside, window),
    )
    neighbour = inside(timed(count, count)) if 2 * count <= strongest else None
    yield cut(f"{word} {count} in {module}", inside(timed(count)), neighbour)


def _largest_module(directions: Directions) -> str:
    sizes: dict[str, int] = {}
    for name, (start, stop, _) in directions.layout.items():
        module = module_of(name)
        sizes[module] = sizes.get(module, 0) + stop - start
    return max(sizes, key=lambda module: sizes[module])
