"""The worlds, one card each."""

from ..world import World
from .cheese_in_corner import CheeseInCorner
from .follow_me import FollowMe
from .keys_and_chests import KeysAndChests
from .lava import Lava

WORLDS: dict[str, type[World]] = {card.name: card for card in (CheeseInCorner, FollowMe, KeysAndChests, Lava)}
"""Name → card, as the command line, config.json and the Gymnasium ids know them."""


def world_named(name: str) -> type[World]:
    """The card of that name.

    Raises:
        ValueError: with those that there are.
    """
    if name not in WORLDS:
        raise ValueError(f"world is {name!r}: give one of {', '.join(WORLDS)}")
    return WORLDS[name]


__all__ = ["WORLDS", "CheeseInCorner", "FollowMe", "KeysAndChests", "Lava", "world_named"]
