"""What lenses found, as pictures and matrices of the report."""

import base64
import struct
import zlib
from typing import Any

import numpy as np
import pytest

from goalcut.report.lens_details import detail_tables
from goalcut.report.lens_figures import density, resolved_above
from goalcut.report.lens_matrices import interactions, jacobians, offsets, one_input
from goalcut.report.lens_pictures import measured, picture

PLANES = ("walls", "mouse", "cheese")


def pixels_of(uri: str) -> np.ndarray:
    """The pixels of one of our own PNG files."""
    content = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    width, height = struct.unpack(">II", content[16:24])
    start = content.index(b"IDAT") + 4
    length = struct.unpack(">I", content[start - 8 : start - 4])[0]
    lines = np.frombuffer(zlib.decompress(content[start : start + length]), np.uint8)
    return lines.reshape(height, 1 + 3 * width)[:, 1:].reshape(height, width, 3)


def measure(strength: float, image: Any, shown: Any) -> dict[str, Any]:
    ends = [{"input": 0, "u": 2.0, "picture": shown}, {"input": 1, "u": 1.0}]
    return {
        "strength": strength,
        "most": ends,
        "least": ends,
        "labels": {"walls": 0.5},
        "labels_null": {"walls": 0.1},
        "image": image,
    }


def test_a_maze_is_painted_with_walls_grey_and_each_thing_in_its_colour() -> None:
    walls, mouse, cheese = np.zeros((3, 2, 2))
    walls[0, 0] = mouse[0, 1] = cheese[1, 0] = 1
    painted = picture([walls.tolist(), mouse.tolist(), cheese.tolist()], PLANES)
    assert painted is not None
    assert painted[0, 0].tolist() == [0xC5, 0xCA, 0xD3]
    assert painted[1, 1].tolist() == [255, 255, 255]
    assert len({tuple(cell) for cell in painted.reshape(-1, 3).tolist()}) == 4


def test_a_digit_is_dark_on_white_and_a_game_picture_keeps_its_colours() -> None:
    digit = picture([[[0.0, 1.0]]])
    assert digit is not None
    assert digit[0].tolist() == [[255] * 3, [0] * 3]
    game = picture([[[1.0, 0.0]], [[0.0, 0.0]], [[0.0, 1.0]]])
    assert game is not None
    assert game[0].tolist() == [[255, 0, 0], [0, 0, 255]]
    assert picture([1.0, 2.0]) is None


def test_every_eigenvector_has_a_line_and_the_random_direction_the_last_one() -> None:
    gradient = [[[0.0, 1.0]], [[0.0, -0.5]], [[0.0, 0.0]]]
    shown = [[[1, 0]], [[0, 1]], [[0, 0]]]
    figures = {
        "measures": [measure(4.0, gradient, shown), measure(2.0, gradient, shown)],
        "measure_random": measure(0.1, gradient, shown),
    }
    (exhibit,) = measured(figures, PLANES)
    text = str(exhibit.block)
    assert [text.index(name) for name in ("eigenvector 1", "eigenvector 2", "random direction")] == sorted(
        text.index(name) for name in ("eigenvector 1", "eigenvector 2", "random direction")
    )
    # One most active input, one least active, and a gradient per plane.
    assert text.count("<img") == 3 * (1 + 1 + 3)
    assert "walls explains 0.50 of u (shuffled 0.10)" in text
    sources = [part.split('"')[0] for part in text.split('<img src="')[1:]]
    planes = [pixels_of(source)[0, 1].astype(int) for source in sources[2:5]]
    # One scale for all planes: the largest in full amber, half as much below zero in pale blue, nothing in white.
    assert planes[0].tolist() == [0xC7, 0x77, 0]
    assert planes[1][2] > planes[1][0] > 0x1F
    assert planes[2].tolist() == [255, 255, 255]
    assert exhibit.key == [("none", "mouse: black"), ("none", "cheese: amber")]


def test_measures_without_pictures_are_not_drawn() -> None:
    plain = {"strength": 1.0, "most": [{"input": 0, "u": 1.0}], "least": [], "image": [[[1.0]]]}
    assert measured({"measures": [plain]}) == []
    assert measured({}) == []


def test_interactions_are_drawn_before_after_and_shuffled_with_lines_between_modules() -> None:
    graph = {
        "strengths": [[1.0, 0.1, 0.0], [0.2, 0.5, 0.0]],
        "late": {"nodes": [4, 2], "modules": [0, 1]},
        "early": {"nodes": [1, 0, 3], "modules": [0, 1, 1]},
    }
    basis = {"modularity": 0.31, "modularity_shuffled": [0.1, 0.3], "drawn": graph, "drawn_shuffled": graph}
    (exhibit,) = interactions({"weights": {"fc": {"trained": {"neurons": basis, "features": basis}}}})
    titles = [plot.figure.layout.title.text for plot in exhibit.plots]
    assert titles == ["fc, neurons, Q 0.31", "fc, features, Q 0.31", "fc, shuffled, Q 0.20"]
    lines = [(line.x0, line.y0) for line in exhibit.plots[0].figure.layout.shapes]
    assert sorted(lines) == [(0, 0.5), (0.5, 0)]
    assert interactions({"weights": {"fc": {"trained": {"neurons": {"modularity": None}}}}}) == []


def test_jacobians_are_drawn_of_every_pair_and_of_one_input_of_the_last() -> None:
    image = {name: {"mean": [[1.0, 0.5]], "one": [[-1.0, 0.5]]} for name in ("before", "after", "random")}
    mean, one = jacobians({"images": {"a to b": image, "b to c": image}})
    assert [plot.figure.layout.title.text for plot in mean.plots] == [
        *("a to b, neurons", "a to b, rotated", "a to b, random bases"),
        *("b to c, neurons", "b to c, rotated", "b to c, random bases"),
    ]
    assert len(one.plots) == 3
    assert one.plots[0].figure.data[0].zmin == -1
    # Files of before have no random bases.
    older = {name: image[name] for name in ("before", "after")}
    assert len(jacobians({"images": {"a to b": older}})[0].plots) == 2
    assert jacobians({}) == []


def test_one_input_beside_many_stands_there_and_on_held_out_inputs() -> None:
    found = {
        name: {"there": there, "held_out": held}
        for name, there, held in (
            ("fitted_to_one", 1.0, 2.5),
            ("fitted_to_many", 1.5, 2.0),
            ("neurons", 3.0, 3.25),
        )
    }
    (exhibit,) = one_input({"one_input": found})
    assert [list(bar.y) for bar in exhibit.plots[0].figure.data] == [[1.0, 2.5], [1.5, 2.0], [3.0, 3.25]]
    assert "2.50, beside 2.00 fitted to many and 3.25 of neurons" in exhibit.caption


def test_offsets_stand_beside_both_controls_as_a_map_of_rows_and_columns() -> None:
    table = [
        {"offset": [i, j], "energy": 0.1 * (j + 2), "early": {"participation": 3.0}}
        for i in (-1, 0)
        for j in (0, 1)
    ]
    networks = {name: {"offsets": {"a to b": table}} for name in ("trained", "untrained", "permuted")}
    (exhibit,) = offsets({"networks": networks})
    heat = exhibit.plots[0].figure.data[0]
    assert len(exhibit.plots) == 3
    assert (heat.y, heat.x) == (("-1", "0"), ("0", "1"))
    assert [[round(z, 3) for z in line] for line in heat.z] == [[0.2, 0.3], [0.2, 0.3]]


def test_the_whole_spectrum_is_drawn_with_what_the_probes_do_not_resolve() -> None:
    def matrix(counts: list[float], negative: list[float]) -> dict[str, Any]:
        return {
            "bins": {"log10_over_largest": [-2, -1, 0], "positive": counts, "negative": negative},
            "floors": [0.8],
            "floors_over_largest": [0.1],
            "resolved_above": 0.16,
        }

    spectrum = {
        "hessian": matrix([100.0, 2.0], [3.0, 0.0]),
        "loss": matrix([90.0, 2.0], [0.0, 0.0]),
        "loss_untrained": matrix([40.0, 1.0], [0.0, 0.0]),
    }
    left, right = density({"spectrum": spectrum})
    assert [trace.name for trace in left.data] == ["Hessian", "Hessian, below zero"]
    assert list(left.data[1].y) == [3.0, None]
    assert [trace.name for trace in right.data] == ["Gauss–Newton", "Gauss–Newton, untrained"]
    assert resolved_above({"spectrum": spectrum}, "loss") == pytest.approx(0.02)
    assert left.layout.shapes[0].x0 == pytest.approx(0.02)
    assert density({}) == []


def test_tables_of_what_a_file_does_not_hold_are_left_out() -> None:
    for name in ("ansatz", "curvature", "features", "rotation", "channels"):
        assert detail_tables(name, {"figures": {}}) == []
    toy = {"features": 8, "hidden": 4, "sparsity": 0.95, "kept": 8.0, "found": 4.0, "matched": 0.9}
    (table,) = detail_tables("rotation", {"figures": {"toy": [toy]}})
    assert table.rows[0][0] == "8 features in 4 dimensions, 0.95 of them zero"
    assert table.rows[0][1][:3] == ["8", "4", "0.90"]
