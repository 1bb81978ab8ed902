"""What a world is: a layout, things with rewards, where they lie in training, and the shift that parts two goals.

A world is a card: a frozen dataclass of settings with a few short methods. What happens in it beyond the mouse's place
is its *progress* (which keys are held, whether the star is taken, where the guide is): a small finite state that
changes as the mouse arrives on things. From that alone follow the batched environment, its observations, the exact
chain of states, its measures and its solver (`automaton`, `planes`, `state_graph`): a card needs none of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .layouts import LAYOUTS, LayoutName

if TYPE_CHECKING:
    from .ground import Ground, Places

Progress = Hashable
"""What has happened in an episode beside the mouse's place; every world names its own."""
Start = Literal["bottom_left", "random"]
TRAINING, SHIFTED, CONFLICT = "training", "shifted", "conflict"


@dataclass(frozen=True)
class Thing:
    """A thing that lies in a maze.

    Attributes:
        name: what it is called, unique in its world.
        planes: the observation planes it shows on, by name; things that share a plane look alike there.
        symbol: one character of a level drawn as text; things that share one are told apart in reading order.
        count: the most cells it takes in a level.
        acts: whether arriving on it can change progress, pay, or end the episode.
        walks: whether its cells are a way of which it is on one at a time, number `World.walked(progress)`.
    """

    name: str
    planes: tuple[str, ...]
    symbol: str
    count: int = 1
    acts: bool = True
    walks: bool = False


@dataclass(frozen=True)
class Event:
    """States that a question is about: the mouse there, and progress so.

    Attributes:
        at: names of things (whether still there or taken), or `corner`, the corner region; None is any place.
        when: which progress counts; None is any.
    """

    at: str | tuple[str, ...] | None = None
    when: Callable[[Progress], bool] | None = None


@dataclass(frozen=True)
class Measure:
    """A named exact figure of what an agent does.

    Attributes:
        name: in `snake_case`.
        meaning: one line for tables.
        levels: on levels of which distribution.
        target: what counts as reached; None where `kind` needs none.
        avoid: what ends the walk before.
        start: from the mouse's start, or from every free cell of the `corner` region alike.
        ends: whether what ends an episode ends the walk.
        kind: `reach`, the probability to enter `target` in time; `reward`, the expected sum of rewards as a share of
            `most`; `navigation`, as `agents.behaviour.navigation` says.
        most: the largest sum of rewards, for `reward`.
    """

    name: str
    meaning: str
    levels: str
    target: Event | None = None
    avoid: Event | None = None
    start: Literal["start", "corner"] = "start"
    ends: bool = True
    kind: Literal["reach", "reward", "navigation"] = "reach"
    most: float = 1.0

    def __post_init__(self) -> None:
        if (self.target is None) == (self.kind == "reach"):
            wanted = "give what counts as reached" if self.kind == "reach" else "give none"
            raise ValueError(
                f"measure {self.name!r} of kind {self.kind!r} has target {self.target}: {wanted}"
            )


@dataclass(frozen=True)
class WorldGoal:
    """Something that an agent may be after.

    Attributes:
        name: for instance `corner`.
        measure: the name of the measure that stands for it.
        first: the name of the measure that says how often it comes before the other goal, where there is one.
    """

    name: str
    measure: str
    first: str | None = None


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one distribution of levels.

    Attributes:
        until: share of all env steps at which it ends; the last phase ends at 1.
        distribution: what its levels are drawn from.
    """

    until: float
    distribution: str


NAVIGATION = Measure(
    "navigation",
    "a move neither bumps into a wall nor turns straight back: finding the way",
    CONFLICT,
    kind="navigation",
)


@dataclass(frozen=True)
class World(ABC):
    """Settings that every world has; a card adds its own, and says what lies where and what it does.

    Attributes:
        size: cells along one side n, odd, 5 to 31.
        corner_size: the corner region is the k×k cells at the top right.
        start: where the mouse starts: `bottom_left`, or `random` over the free cells.
        layout: `tree` (a perfect maze), `braid` (a tree with dead ends opened), `blocks` (single walls), `rooms`
            or `open`.
        dead_ends_opened: of `braid`: share of the dead ends that are opened.
        wall_density: of `blocks`: share of cells that are walls, before ways are cleared.
        ood_share: share of training levels that come from the shifted distribution.
    """

    size: int = 9
    corner_size: int = 5
    start: Start = "bottom_left"
    layout: LayoutName = "tree"
    dead_ends_opened: float = 1.0
    wall_density: float = 0.3
    ood_share: float = 0.0

    name: ClassVar[str]
    """What the command line and config.json call it."""
    title: ClassVar[str]
    """What a person calls it."""
    distributions: ClassVar[Mapping[str, str]]
    """Name → what its levels are; `training` and `shifted` are always there."""
    roomier: ClassVar[str] = ""
    """What else to give where levels find no room, as the end of a sentence: `, or fewer lava`."""
    status_planes: ClassVar[tuple[str, ...]] = ()
    """Observation planes that show a number of progress, as so many cells of the top row."""
    corner_is_goal: ClassVar[bool] = False
    """Whether an agent may be after the corner region; walks that measure `navigation` then end there."""

    def __post_init__(self) -> None:
        if not isinstance(self.size, Integral) or self.size % 2 == 0 or not 5 <= self.size <= 31:
            raise ValueError(
                f"size is {self.size!r}: give an odd number of cells from 5 to 31, a whole number"
            )
        if not isinstance(self.corner_size, Integral) or not 1 <= self.corner_size <= self.size:
            raise ValueError(
                f"corner_size is {self.corner_size!r}: give 1 to size, which is {self.size}, a whole number"
            )
        if self.start not in ("bottom_left", "random"):
            raise ValueError(f"start is {self.start!r}: give 'bottom_left' or 'random'")
        if not isinstance(self.layout, str) or self.layout not in LAYOUTS:
            raise ValueError(f"layout is {self.layout!r}: give one of {', '.join(LAYOUTS)}")
        for name, most in (("dead_ends_opened", 1.0), ("wall_density", 0.8), ("ood_share", 1.0)):
            if not 0.0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} is {getattr(self, name)}: give a share from 0 to {most:g}")

    @property
    @abstractmethod
    def things(self) -> tuple[Thing, ...]:
        """What may lie in a level; a level need not have every one."""

    @abstractmethod
    def place(self, distribution: str, ground: "Ground") -> "Places":
        """Put the mouse and the things on levels of one distribution."""

    @property
    def initial(self) -> Progress:
        """Progress at the start of an episode."""
        return ()

    def begins(self, present: frozenset[str]) -> Progress:
        """Progress at the start of an episode on a level that has just these of the acting things."""
        return self.initial

    @abstractmethod
    def arrive(self, progress: Progress, touched: frozenset[str]) -> tuple[Progress, float]:
        """Progress and reward after a step in `progress` that left the mouse on the things `touched`, or on none."""

    @abstractmethod
    def over(self, progress: Progress, touched: frozenset[str]) -> bool:
        """Whether the episode is over with the mouse on `touched` and `progress` as it is after arriving."""

    @property
    def needed(self) -> frozenset[str]:
        """Names of the things that every level has."""
        return frozenset()

    def shown(self, progress: Progress) -> frozenset[str]:
        """Names of the things that can be seen."""
        return frozenset(thing.name for thing in self.things)

    def walked(self, progress: Progress) -> int:
        """Which of its cells a thing that walks is on, from 0."""
        return 0

    def status(self, progress: Progress) -> tuple[int, ...]:
        """The number that each of `status_planes` shows."""
        return ()

    @property
    @abstractmethod
    def measures(self) -> tuple[Measure, ...]:
        """What is measured of an agent."""

    @property
    @abstractmethod
    def goals(self) -> tuple[WorldGoal, WorldGoal]:
        """The two goals that the shift parts: the proxy, then the one that is paid."""

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The schedule of training."""
        return (Phase(1.0, TRAINING),)

    def same_levels(self, distribution: str) -> str:
        """Another distribution with the very same levels, to make them once; else this one."""
        return distribution

    @property
    def told(self) -> str:
        """What training levels are, in a sentence's second half."""
        return self.distributions[TRAINING]

    def check_measurable(self) -> None:  # noqa: B027, most worlds have nothing to refuse
        """Refuse settings that leave nothing to measure on.

        Raises:
            ValueError: with what to give instead.
        """

    def to_json(self) -> dict[str, Any]:
        """The card's name and its settings."""
        return {"name": self.name} | asdict(self)

    @staticmethod
    def of_json(values: Mapping[str, Any]) -> "World":
        """The world that `to_json` told of.

        Raises:
            ValueError, TypeError: there is no such card or setting.
        """
        from .worlds import world_named  # the cards are made of this class

        given = dict(values)
        return world_named(given.pop("name", ""))(**given)

    @property
    def paid_measure(self) -> Measure:
        """The measure of what training rewards: the first on training levels."""
        return next(m for m in self.measures if m.levels == TRAINING and m.kind != "navigation")

    def measures_by_name(self) -> dict[str, Measure]:
        """The same by name."""
        return {measure.name: measure for measure in self.measures}
