"""Seeds of a study: development and report seeds lie apart, and so do the levels that they are judged on."""

from dataclasses import dataclass
from typing import Literal

from ..ablate.maze_cuts import JudgedOn, levels_judged_on

DEVELOPMENT_FROM = 1000
"""Report seeds are below, development seeds from here on: no number is both."""
Role = JudgedOn
_LONGEST = 500


@dataclass(frozen=True)
class SeedSet:
    """The seeds of one call, all report seeds or all development seeds.

    Attributes:
        role: `report` or `development`.
        seeds: training seeds, ascending.
    """

    role: Role
    seeds: tuple[int, ...]

    @property
    def told(self) -> str:
        """Which seeds and which levels, in words."""
        split, level_seed = levels_judged_on(self.role)
        return f"{self.role} seeds {written(self.seeds)}; judged on levels of split {split}, level seed {level_seed}"


def seed_set(text: str, role: Literal["report", "development"] = "report") -> SeedSet:
    """The seeds that "0-9", "0,3,7" or "0-2,5" name; of a development study, each 1000 further on.

    Raises:
        ValueError: it is not written so, names a seed twice, or a seed of the other role.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"seeds is {text!r}: give a range such as 0-9, or a list such as 0,3,7")
        low, high = int(first), int(last) if dash else int(first)
        if high < low:
            raise ValueError(f"seeds is {text!r}: {low}-{high} runs backwards; give {high}-{low}")
        if high >= DEVELOPMENT_FROM:
            raise ValueError(
                f"seeds is {text!r}: give seeds below {DEVELOPMENT_FROM}; with --development they become those from "
                f"{DEVELOPMENT_FROM} on"
            )
        seeds += range(low, high + 1)
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds is {text!r}, which names a seed twice: give each once")
    if len(seeds) > _LONGEST:
        raise ValueError(f"seeds is {text!r}, {len(seeds)} of them: give at most {_LONGEST} at a time")
    shift = DEVELOPMENT_FROM if role == "development" else 0
    return SeedSet(role, tuple(sorted(seed + shift for seed in seeds)))


def written(seeds: tuple[int, ...]) -> str:
    """Seeds as a person writes them: 0–4, 7."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
