"""Studies: questions asked over seeds, and the machinery that answers them."""

from .cards import STUDIES, study_named
from .comparisons import Comparison, compare, compare_family, holm
from .results import RunResult
from .seeds import SeedSet, seed_set
from .statistics import Estimate, bootstrap, interquartile_mean, over_seeds
from .study import Judged, Study

__all__ = [
    "STUDIES",
    "Comparison",
    "Estimate",
    "Judged",
    "RunResult",
    "SeedSet",
    "Study",
    "bootstrap",
    "compare",
    "compare_family",
    "holm",
    "interquartile_mean",
    "over_seeds",
    "seed_set",
    "study_named",
]
