"""The cuts of a classifier: do single directions act as units, and can one digit be forgotten and nine kept?

Which digit a direction is for is found by cutting it on tuning images, and judged on held-out ones, so that no figure
is reported on the images that it was chosen by.
"""

from dataclasses import dataclass, field, replace

import torch

from ..agents.digit_behaviour import CHANCE, DIGIT_MEASURES, DigitBehaviour
from ..agents.digit_run import DigitRun, held_out_behaviour
from ..analysis.directions import Directions
from ..envs.digits import Digits, load_digits
from .ablation import TUNING_BATCHES, Ablation
from .cuts import cut_parameters
from .digit_goals import DIGIT_GOALS, ClassifierBehaviour
from .judge import Judge
from .plan import Choice, CutSettings, PlannedCut, timed
from .selection import by_rank
from .tuned import FEW_DOSES, TuneSettings

_NUM_DIGITS = len(DIGIT_MEASURES)


@dataclass(frozen=True)
class DigitAblateSettings(CutSettings):
    """Which cuts of a classifier are made and how they are judged.

    Attributes:
        tune: how tuned doses are optimised.
        singles: so many of the strongest directions are cut one at a time.
        headline_digits: whose tuned cuts have dose–response curves, as the most selective single direction has.
        images: held-out images that every row is judged on, as many of each digit; default all.
        tuning_images: training images, as many of each digit, that doses are tuned on, a quarter of them per step, and
            by which a direction is said to be a digit's.
    """

    tune: TuneSettings = field(
        default_factory=lambda: replace(
            FEW_DOSES, steps=50, learning_rate=0.2, first_dose=0.1, norm_budget=0.15, doses_per="direction"
        )
    )
    singles: int = 12
    headline_digits: tuple[int, ...] = (1, 3, 4)
    images: int | None = None
    tuning_images: int = 2000

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_least(singles=1, tuning_images=2 * TUNING_BATCHES * _NUM_DIGITS)
        if self.images is not None:
            self._check_least(images=2 * _NUM_DIGITS)
        for digit in self.headline_digits:
            if not 0 <= digit < _NUM_DIGITS:
                raise ValueError(f"headline_digits has {digit}: give digits from 0 to {_NUM_DIGITS - 1}")


class DigitAblation(Ablation):
    """Cuts and controls of one trained classifier.

    Args:
        run: a trained run.
        directions: what a lens gave for it, in parameter space.
        settings: which cuts, judged how.
        other: another seed's directions, or None.
    """

    def __init__(
        self,
        run: DigitRun,
        directions: Directions,
        settings: DigitAblateSettings,
        other: Directions | None = None,
    ):
        super().__init__(run, directions, settings, other)
        self._singles, self._headline = settings.singles, settings.headline_digits
        network = run.network()

        def judge(behaviour: DigitBehaviour) -> Judge:
            taken = ClassifierBehaviour(behaviour)
            return Judge(network, taken, self.theta_0, self.theta, goals=DIGIT_GOALS)

        self.judge = judge(held_out_behaviour(run.settings, settings.images))
        self.curve_judge = self.judge
        # A digit that was hardly learned has nothing to forget, and its retention is of another sign or enormous.
        trained = {name: float(values.mean()) for name, values in self.judge.trained.items()}
        self._learned = [goal for goal in DIGIT_GOALS if trained[goal.remove] > CHANCE + 0.1]
        if not self._learned:
            raise ValueError(
                f"{run.directory} has learned no digit: train longer, or lower the learning rate"
            )
        digits = load_digits("train", run.settings.data_dir)
        per_digit = settings.tuning_images // _NUM_DIGITS
        tuning = _of_each(digits, slice(per_digit))
        self._chooser = judge(DigitBehaviour(tuning))
        self.tuners = [
            judge(DigitBehaviour(_of_each(digits, slice(batch, per_digit, TUNING_BATCHES))))
            for batch in range(TUNING_BATCHES)
        ]
        self.tuned_on = {"tuning_images": len(tuning), "split": "train"}

    def planned(self) -> list[PlannedCut]:
        """Single directions by rank, the earliest and the latest, then the tuned ones."""
        available = len(self.directions)
        strongest = min(self.settings.strongest, available)
        count = min(self.settings.count, strongest)
        singles: list[tuple[float, PlannedCut]] = []
        for rank in range(1, min(self._singles, available) + 1):
            neighbour = _ranked(rank, later=1) if available > 1 else None
            singles.append(self._of_a_digit(f"direction {rank}", _ranked(rank), neighbour))
        best = max(range(len(singles)), key=lambda number: singles[number][0])
        cuts = [replace(cut, headline=number == best) for number, (_, cut) in enumerate(singles)]
        for latest in (False, True):
            word = "latest" if latest else "earliest"
            choose = timed(count, strongest, latest=latest)
            beside = timed(count, strongest, latest=latest, skip=count) if 2 * count <= strongest else None
            cuts.append(self._of_a_digit(f"{word} {count}", choose, beside)[1])
        return cuts + [
            PlannedCut(f"tuned: remove {goal.name}", goal, headline=digit in self._headline)
            for digit, goal in enumerate(DIGIT_GOALS)
            if goal in self._learned
        ]

    def _of_a_digit(self, how: str, choose: Choice, neighbour: Choice | None) -> tuple[float, PlannedCut]:
        """A cut named after the digit that it leaves least of on tuning images; how selective it is there."""
        vectors = choose(self.directions).vectors
        verdict = self._chooser.judge(cut_parameters(self.theta, self.theta_0, vectors))
        goal = min(self._learned, key=lambda goal: verdict.retention[goal.remove])
        cut = PlannedCut(f"{how}: remove {goal.name}", goal, choose, neighbour)
        return verdict.selectivity[goal.name], cut


def _ranked(rank: int, later: int = 0) -> Choice:
    return lambda found: by_rank(found, rank, later=later)


def _of_each(digits: Digits, which: slice) -> Digits:
    """These of the images of every digit, in their order."""
    chosen = [torch.nonzero(digits.labels == digit)[:, 0][which] for digit in range(_NUM_DIGITS)]
    return digits.subset(torch.cat(chosen))
