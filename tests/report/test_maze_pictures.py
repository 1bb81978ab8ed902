import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from goalcut.agents.behaviour import ExactBehaviour, network_policy
from goalcut.envs.levels import MOVES
from goalcut.report.gallery import ShownLevel, evaluated_levels, shown_levels
from goalcut.report.maze_inputs import MazeInputs
from goalcut.report.mazes import LEAST_ARROW, maze_svg, outcome_bar


@pytest.fixture(scope="module")
def inputs(full_directory: Path) -> MazeInputs:
    return MazeInputs.of(full_directory)


@pytest.fixture(scope="module")
def shown(inputs: MazeInputs) -> list[ShownLevel]:
    return shown_levels(inputs)


def test_levels_and_agents_are_chosen_alike_every_time(inputs, shown):
    again = shown_levels(inputs)
    assert [level.number for level in again] == [level.number for level in shown]
    assert len({level.number for level in shown}) == len(shown)
    headline = [row["name"] for row in inputs.headline]
    assert all([walk.agent for walk in level.walks] == ["trained", *headline] for level in shown)


def test_exact_probabilities_are_those_of_the_measures(inputs, shown):
    run = inputs.run
    behaviour = ExactBehaviour.of_world(run.settings.world, evaluated_levels(inputs), seed=0, split="test")
    with torch.no_grad():
        measured = behaviour.measure(network_policy(run.network()))
    for level in shown:
        assert level.level == behaviour.graphs["conflict"].levels[level.number]
        trained = level.walks[0]
        assert trained.proxy_first == pytest.approx(float(measured["corner_first"][level.number]), abs=1e-5)
        assert trained.paid_first == pytest.approx(float(measured["cheese_first"][level.number]), abs=1e-5)


def test_visits_begin_at_the_mouse_and_end_at_the_goals(shown):
    for level in shown:
        size = len(level.level.walls)
        mouse, cheese = (row * size + column for row, column in (level.level.mouse, level.level.cheese))
        for walk in level.walks:
            assert walk.visits[mouse] == pytest.approx(1)
            assert walk.visits[cheese] == pytest.approx(walk.paid_first, abs=1e-5)
            assert walk.visits[level.level.walls.ravel()].sum() == 0


def test_arrows_are_the_policy_of_the_network(inputs, shown):
    level, walk = shown[0], shown[0].walks[0]
    size = len(level.level.walls)
    planes = torch.zeros(1, 3, size, size)
    planes[0, 0] = torch.from_numpy(level.level.walls.astype(np.float32))
    planes[0, 2][level.level.cheese] = 1
    network = inputs.run.network()
    picture = ET.fromstring(str(maze_svg(level.level, inputs.run.settings.world.corner_size, walk)))
    cells = {int(group.get("data-cell", -1)): group for group in picture.iter("g") if group.get("data-cell")}
    assert sorted(cells) == np.flatnonzero(~level.level.walls.ravel()).tolist()
    for number, group in cells.items():
        here = planes.clone()
        here[0, 1].view(-1)[number] = 1
        with torch.no_grad():
            expected = dict(zip(MOVES, network(here)[0].softmax(-1)[0].tolist(), strict=True))
        drawn = {
            use.get("href", "").removeprefix("#move-"): float(use.get("opacity", 0))
            for use in group.iter("use")
        }
        if divmod(number, size) == level.level.cheese:
            assert not drawn
            continue
        assert drawn == pytest.approx({m: p for m, p in expected.items() if p >= LEAST_ARROW}, abs=6e-4)


def test_an_agent_named_like_markup_is_escaped(inputs, shown):
    walk = replace(shown[0].walks[0], agent='<b>"')
    picture = str(maze_svg(shown[0].level, inputs.run.settings.world.corner_size, walk))
    assert "<b>" not in picture
    assert ET.fromstring(picture).get("aria-label", "").startswith('<b>"')


def test_an_outcome_bar_is_full():
    widths = [float(width) for width in re.findall(r'width="([\d.]+)"', str(outcome_bar(0.5, 0.2)))]
    assert widths == pytest.approx([50, 30, 20])
