"""All studies by name."""

from .cut import CUT
from .methods import METHODS
from .robustness import ROBUSTNESS
from .stars import STARS
from .study import Study
from .timing import TIMING

STUDIES: dict[str, Study] = {study.name: study for study in (TIMING, CUT, STARS, METHODS, ROBUSTNESS)}


def study_named(name: str) -> Study:
    """The study of this name.

    Raises:
        ValueError: there is none.
    """
    if name not in STUDIES:
        raise ValueError(f"study is {name!r}: give one of {', '.join(STUDIES)}")
    return STUDIES[name]
