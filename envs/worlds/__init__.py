"""The worlds, one card each."""

from ..world import World
from .cheese_in_corner import CheeseInCorner
from .cheese_on_dish import CheeseOnDish
from .follow_me import FollowMe
from .keys_and_chests import KeysAndChests
from .lava import Lava
from .line_and_gem import LineAndGem
from .stars_and_cheese import StarsAndCheese

_CARDS: tuple[type[World], ...] = (
    CheeseInCorner,
    CheeseOnDish,
    FollowMe,
    KeysAndChests,
    Lava,
    LineAndGem,
    StarsAndCheese,
)
WORLDS: dict[str, type[World]] = {card.name: card for card in _CARDS}
"""Name → card, as the command line, config.json and the Gymnasium ids know them."""


def world_named(name: str) -> type[World]:
    """The card of that name.

    Raises:
        ValueError: with those that there are.
    """
    if name not in WORLDS:
        raise ValueError(f"world is {name!r}: give one of {', '.join(WORLDS)}")
    return WORLDS[name]


__all__ = [
    "WORLDS",
    "CheeseInCorner",
    "CheeseOnDish",
    "FollowMe",
    "KeysAndChests",
    "Lava",
    "LineAndGem",
    "StarsAndCheese",
    "world_named",
]
