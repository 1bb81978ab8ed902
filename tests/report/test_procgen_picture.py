import base64
import re
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from procgen_installed import needs_procgen

from goalcut.agents.procgen_behaviour import ProcgenGraph, uniform_actions
from goalcut.envs.procgen_frames import Renderer, level_states
from goalcut.report.procgen_picture import policy_svg, save_policy_svg

pytestmark = needs_procgen
SVG = "{http://www.w3.org/2000/svg}"


def graph_of(seed: int, mode: str) -> ProcgenGraph:
    return ProcgenGraph(level_states(np.array([seed]), mode=mode), 5)


@pytest.mark.parametrize(("mode", "cell"), [("easy", 512 / 15), ("hard", 512 / 25)])
def test_arrows_lie_on_the_free_cells_of_the_games_picture(tmp_path: Path, mode, cell) -> None:
    graph = graph_of(9, mode)
    save_policy_svg(tmp_path / "policy.svg", graph, 0, graph.action_probabilities(uniform_actions))
    root = ET.parse(tmp_path / "policy.svg").getroot()
    image, arrows = root
    pixels = np.frombuffer(zlib.decompress(png_body(image.get("href"))), dtype=np.uint8)
    frame = pixels.reshape(512, -1)[:, 1:].reshape(512, 512, 3)
    assert np.array_equal(frame, Renderer(mode, large=True).large_frame(graph.states[0]))
    drawn = set()
    for group in arrows:
        x, y = map(float, re.findall(r"[\d.]+", group.get("transform")))
        drawn.add((round(y / 20), round(x / 20)))
    level = graph.levels[0]
    free = {tuple(place) for place in np.argwhere(~level.walls).tolist()}
    assert drawn == free - {level.cheese}
    # What the picture shows there differs from what it shows in walls.
    middle = {
        place: frame[int((place[0] + 0.5) * cell), int((place[1] + 0.5) * cell)].astype(float)
        for place in np.ndindex(level.walls.shape)
    }
    wall = np.mean([middle[place] for place in middle if level.walls[place]], axis=0)
    away = [np.linalg.norm(middle[place] - wall) for place in drawn]
    within = [np.linalg.norm(middle[place] - wall) for place in middle if level.walls[place]]
    assert np.median(away) > 2 * np.median(within)


def test_an_arrow_is_as_strong_as_its_move_is_likely() -> None:
    graph = graph_of(9, "easy")
    probabilities = torch.zeros(*graph.real.shape, 5)
    half = graph.real.shape[1] // 2
    probabilities[:, :half, 0], probabilities[:, half:, 0] = 0.5, 0.7  # up, by gaze
    probabilities[:, :, 3], probabilities[:, :, 4] = 0.375, 0.025
    _, arrows = ET.fromstring(policy_svg(graph, 0, probabilities, label='a "policy"'))
    title, light, dark = arrows[0]
    assert title.text == "up 0.60, down 0.00, left 0.00, right 0.38, stay 0.03"
    assert [path.get("opacity") for path in dark] == ["0.600", "0.375"]
    assert [path.get("d") for path in light] == [path.get("d") for path in dark]


def test_in_memory_mode_only_the_cells_in_view_have_arrows() -> None:
    graph = graph_of(14, "memory")
    root = ET.fromstring(policy_svg(graph, 0, graph.action_probabilities(uniform_actions)))
    assert root.get("viewBox") == "0 0 160 160"
    mouse = graph.levels[0].mouse
    assert 0 < len(root[1]) < int(graph.real.sum()) // 2
    places = [tuple(map(float, re.findall(r"-?[\d.]+", group.get("transform")))) for group in root[1]]
    assert (70.0, 70.0) in places, mouse  # the mouse's own cell is in the middle


def test_probabilities_of_other_levels_are_refused() -> None:
    graph = graph_of(9, "easy")
    with pytest.raises(ValueError, match=r"probabilities are \(1, 2, 5\), these levels want"):
        policy_svg(graph, 0, torch.zeros(1, 2, 5))


def png_body(uri: str | None) -> bytes:
    """The compressed lines of a PNG with one IDAT chunk."""
    assert uri is not None
    content = base64.b64decode(uri.split(",")[1])
    at = content.index(b"IDAT")
    return content[at + 4 : at + 4 + int.from_bytes(content[at - 4 : at], "big")]
