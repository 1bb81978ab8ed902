"""Walks on the graph of a level's states, and what is seen there."""

import pytest
import torch

from goalcut.envs import WORLDS, CheeseInCorner, Levels, StateGraph, ascii, make_levels, state_graph

WORLD = CheeseInCorner(size=5, corner_size=1)
# Two levels: one corridor of five cells, and the same with the mouse and the cheese elsewhere.
ROWS = ("M..C.", "..MC.")


def states(graph: StateGraph, level: int, columns: str) -> torch.Tensor:
    """The states of a level in some columns of its corridor, (2, S) bool."""
    chosen = torch.zeros_like(graph.real)
    for column in columns:
        chosen[level] |= graph.real[level] & (graph.cell[level] == int(column))
    return chosen


def test_walks_come_to_all_before_the_states_that_end_them_and_to_no_other_level() -> None:
    levels = Levels.of([ascii.parse("\n".join([row, *["#####"] * 4]), WORLD) for row in ROWS], WORLD)
    graph = StateGraph(levels)
    anywhere = graph.real
    assert int(anywhere.sum()) == 10
    # Past the third cell no walk goes.
    assert torch.equal(graph.visited(states(graph, 0, "0"), ~states(graph, 0, "3")), states(graph, 0, "012"))
    assert torch.equal(graph.visited(states(graph, 1, "4"), ~states(graph, 1, "3")), states(graph, 1, "4"))
    # From either side all is come to, and one that begins where it ends comes nowhere.
    assert torch.equal(graph.visited(states(graph, 0, "04"), anywhere), states(graph, 0, "01234"))
    assert not graph.visited(states(graph, 0, "3"), ~states(graph, 0, "3")).any()


@pytest.mark.parametrize("kept", [2**27, 0])
def test_some_states_are_seen_as_among_all(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where observations are too many to keep."""
    monkeypatch.setattr(state_graph, "_KEPT_BYTES", kept)
    graph = StateGraph(make_levels(WORLDS["keys"](size=5), 3, seed=0))
    every = torch.cat(list(graph.observations(7)))
    assert len(every) == graph.real.numel()
    some = torch.rand(graph.real.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    seen = list(graph.observations(7, some))
    assert max(map(len, seen)) == 7
    assert torch.equal(torch.cat(seen), every[some.view(-1)])
