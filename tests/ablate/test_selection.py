import numpy as np
import pytest
import torch

from goalcut.ablate.selection import by_contrast, by_rank, by_time, by_window, within_module
from goalcut.analysis import temporal_svd
from goalcut.analysis.directions import Directions
from goalcut.analysis.temporal_svd import directions

T, P = 40, 200
LAYOUT = {
    "body.weight": (0, 150, (15, 10)),
    "body.bias": (150, 165, (15,)),
    "head.weight": (165, 200, (5, 7)),
}


@pytest.fixture(scope="module")
def planted() -> tuple[Directions, np.ndarray, np.ndarray]:
    """Rows pushed along e early, along l late, and weakly along other directions all the time."""
    rng = np.random.default_rng(0)
    early, late = np.linalg.qr(rng.normal(size=(P, 2)))[0].T
    times = np.arange(T)
    rows = 3 * np.outer(np.exp(-times / 6), early) + 2 * np.outer(1 / (1 + np.exp(-(times - 28) / 2)), late)
    rows += 0.02 * rng.normal(size=(T, P))
    svd = temporal_svd(rows)
    return directions(svd, rows, np.arange(12), layout=LAYOUT), early, late


def alignment(vectors: torch.Tensor, direction: np.ndarray) -> float:
    """Share of a unit direction that lies in the span."""
    return float(np.linalg.norm(vectors.double().numpy() @ direction))


def test_the_earliest_direction_is_the_one_trained_early(planted) -> None:
    found, early, late = planted
    chosen = by_time(found.subset([0, 1]), 1)
    assert alignment(chosen.vectors, early) > 0.98
    assert chosen.centre < 0.3
    assert alignment(by_time(found.subset([0, 1]), 1, latest=True).vectors, late) > 0.98


def test_windows_and_contrasts_find_what_was_trained_in_them(planted) -> None:
    found, early, late = planted
    for chosen, wanted, other in (
        (by_window(found, 1, 0, 10), early, late),
        (by_window(found, 1, 30, 40), late, early),
        (by_contrast(found, 1, (0, 10), (30, 40)), early, late),
        (by_contrast(found, 1, (30, 40), (0, 10)), late, early),
    ):
        assert alignment(chosen.vectors, wanted) > 0.95, chosen.recipe
        assert alignment(chosen.vectors, other) < 0.25, chosen.recipe


@pytest.mark.parametrize("count", [1, 5, 12])
def test_selected_directions_are_orthonormal(planted, count: int) -> None:
    found, *_ = planted
    chosen = [by_time(found, count), by_window(found, count, 0, 9), by_contrast(found, count, (0, 9), (9, T))]
    for selection in chosen:
        assert selection.vectors.shape == (count, P)
        gram = selection.vectors @ selection.vectors.T
        torch.testing.assert_close(gram, torch.eye(count), atol=1e-4, rtol=0)


def test_skipping_gives_the_neighbours_in_time(planted) -> None:
    found, *_ = planted
    both = by_time(found, 6).vectors
    assert torch.equal(torch.cat([by_time(found, 3).vectors, by_time(found, 3, skip=3).vectors]), both)


def test_a_direction_by_rank_has_the_next_in_time_as_neighbour_and_the_last_the_one_before(planted) -> None:
    found, *_ = planted
    in_time = [by_time(found, 1, skip=place) for place in range(12)]
    assert torch.equal(by_rank(found, 3).vectors, torch.from_numpy(found.vectors[[2]]).float())
    neighbours = [by_rank(found, rank, later=1) for rank in range(1, 13)]
    for place in range(12):
        rank = next(r for r in range(1, 13) if by_rank(found, r).centre == in_time[place].centre)
        beside = in_time[place + 1 if place < 11 else 10]
        assert torch.equal(neighbours[rank - 1].vectors, beside.vectors)
    with pytest.raises(ValueError, match="rank is 13, later 0: the lens gave 12 directions"):
        by_rank(found, 13)


def test_within_a_module_nothing_else_is_touched(planted) -> None:
    found, *_ = planted
    inside = within_module(found, by_time(found, 4), "head")
    assert not inside.vectors[:, :165].any()
    torch.testing.assert_close(inside.vectors @ inside.vectors.T, torch.eye(4), atol=1e-4, rtol=0)


def test_what_cannot_be_selected_is_named(planted) -> None:
    found, *_ = planted
    with pytest.raises(ValueError, match="count is 13: give 1 to 12"):
        by_time(found, 13)
    with pytest.raises(ValueError, match="a window is 30 to 50: give rows within 0 to 40"):
        by_window(found, 1, 30, 50)
    with pytest.raises(ValueError, match="module is 'tail': give one of body, head"):
        within_module(found, by_time(found, 2), "tail")
