import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from goalcut.agents.classification import DigitSettings
from goalcut.agents.digit_run import DigitRun
from goalcut.agents.files import read_json
from goalcut.report import count_figures, digit_cut_figures, digit_figures
from goalcut.report.digit_inputs import DigitInputs
from goalcut.report.first_layer import RANDOM, filters, layer_pictures, leading_image
from goalcut.report.pictures import coloured, png
from goalcut.report.profile_figures import on_time_axis
from goalcut.report.style import PAID, PROXY


@pytest.fixture(scope="module")
def inputs(digits_full: Path) -> DigitInputs:
    return DigitInputs.of(digits_full)


def test_a_picture_is_the_leading_singular_vector_of_the_first_layer(inputs):
    pictures = layer_pictures(inputs)
    vectors = load_file(inputs.run.directory / "analysis" / "directions.safetensors")["vectors"]
    theta = inputs.run.parameters_after() - inputs.run.parameters_after(0)
    start, stop, shape = inputs.layout["1.weight"]
    assert [picture.name for picture in pictures[:2]] == ["direction 1", "direction 2"]
    assert len(pictures) == 12 + 3
    for picture, vector in zip(pictures[:12], vectors, strict=False):
        block = vector[start:stop].reshape(shape).astype(float)
        _, values, images = np.linalg.svd(block, full_matrices=False)
        assert abs(picture.image.ravel() @ images[0]) == pytest.approx(1, abs=1e-5)
        assert picture.image.max() == np.abs(picture.image).max()
        assert picture.share == pytest.approx(values[0] ** 2 / (values**2).sum(), rel=1e-4)
        assert picture.in_layer == pytest.approx((block**2).sum(), rel=1e-4)
        assert picture.moved == pytest.approx(abs(vector @ theta.numpy()) / theta.norm().item(), rel=1e-3)


def test_a_random_direction_has_no_image(inputs):
    by_name = {picture.name: picture for picture in layer_pictures(inputs)}
    strongest, random = by_name["direction 1"], by_name[RANDOM]
    assert random.share is not None
    assert strongest.share is not None
    # The largest of 16 singular values of white noise holds about (√16 + √784)² / (16 · 784).
    assert random.share == pytest.approx(32**2 / (16 * 784), rel=0.15)
    assert strongest.share > 3 * random.share


def test_a_single_unit_is_its_own_image_and_none_is_blank():
    row = np.arange(784, dtype=float)[None]
    image, share = leading_image(row)
    np.testing.assert_allclose(image, row[0] / np.linalg.norm(row))
    assert share == 1
    image, share = leading_image(np.zeros((4, 784)))
    assert not image.any()
    assert share == 0


def test_the_first_layer_of_a_cnn_is_drawn_as_its_filters():
    kernels = np.arange(8 * 25, dtype=float).reshape(8, 5, 5)
    image = filters(kernels)
    assert image.shape == (11, 23)
    np.testing.assert_array_equal(image[:5, :5], kernels[0])
    np.testing.assert_array_equal(image[6:, 18:], kernels[7])
    assert np.isnan(image[5]).all()
    assert np.isnan(image[:, 5]).all()


def test_a_cnn_without_an_analysis_has_no_pictures(tmp_path):
    run = DigitRun.create(tmp_path / "run", DigitSettings(network="cnn"))
    assert layer_pictures(DigitInputs.of(run.directory)) == []


def test_colours_diverge_from_white_on_one_scale():
    pixels = coloured(np.array([[2.0, 0.0, -1.0, np.nan]]))[0]
    assert bytes(pixels[0]).hex() == PAID.removeprefix("#")
    assert pixels[1].tolist() == pixels[3].tolist() == [255, 255, 255]
    half = [(255 + c) / 2 for c in bytes.fromhex(PROXY.removeprefix("#"))]
    np.testing.assert_allclose(pixels[2], half, atol=0.51)


def test_a_png_holds_its_pixels():
    pixels = np.random.default_rng(0).integers(256, size=(3, 5, 3), dtype=np.uint8)
    content, chunks = png(pixels), {}
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    place = 8
    while place < len(content):
        size, kind = struct.unpack(">I4s", content[place : place + 8])
        body = content[place + 8 : place + 8 + size]
        assert struct.unpack(">I", content[place + 8 + size :][:4])[0] == zlib.crc32(kind + body)
        chunks[kind], place = body, place + 12 + size
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (5, 3, 8, 2, 0, 0, 0)
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(3, 16)
    assert not lines[:, 0].any()
    np.testing.assert_array_equal(lines[:, 1:].reshape(3, 5, 3), pixels)


def test_counts_are_drawn_beside_their_null_and_the_post(inputs):
    known = read_json(inputs.run.directory / "analysis" / "analysis.json")["counts"]
    drawn = {trace.name: trace for trace in count_figures.counts(inputs).data}
    assert list(drawn["60 sampled updates"].y) == known["raw"]["mean"]
    assert list(drawn["white noise, 60 rows of the same norms"].y) == known["raw"]["null_mean"]
    assert dict(zip(drawn["the post"].x, drawn["the post"].y, strict=True)) == {
        0.05: 200,
        0.1: 92.5,
        0.15: 40,
    }


def test_single_directions_are_drawn_beside_the_mean_of_their_controls(inputs):
    itself = digit_cut_figures.singles(inputs).data[0]
    first = inputs.singles[0]
    assert list(itself.z[0]) == [inputs.retention(first, name) for name in inputs.goals]
    assert itself.z[0][0] == first["retention"]["digit_0"]
    random = digit_cut_figures.singles(inputs, digit_cut_figures.RANDOM).data[0]
    controls = [row for row in inputs.controls_of(first) if row["name"].startswith("random directions |")]
    assert random.z[0][0] == pytest.approx(np.mean([row["retention"]["digit_0"] for row in controls]))


def test_forgetting_shows_every_digit_beside_its_controls(inputs):
    for kept in (False, True):
        drawn = {trace.name: trace for trace in digit_cut_figures.forgetting(inputs, kept=kept).data}
        assert list(drawn["tuned cut"].x) == [str(digit) for digit in range(10)]
        assert list(drawn["tuned cut"].y) == [inputs.left(row)[kept] for row in inputs.tuned]
        assert len(drawn["tuned over random directions"].x) == 10


def test_dose_lines_are_the_digit_and_the_mean_of_the_others(inputs):
    removed, kept = digit_cut_figures.digit_lines(inputs)
    curve = {
        "removes": "digit_2",
        "retention": {name: [1.0, 0.5] for name in inputs.goals} | {"digit_2": [1.0, 0.0]},
    }
    assert removed.values(curve) == [1.0, 0.0]
    assert kept.values(curve) == [1.0, 0.5]


def test_accuracies_share_the_time_axis_of_profiles(inputs):
    figure = digit_figures.behaviour(inputs, inputs.profiles)
    assert [trace.name for trace in figure.data] == [str(digit) for digit in range(10)]
    times = inputs.row_times(len(inputs.profiles))
    assert list(figure.layout.xaxis.range) == [0, 160]
    assert on_time_axis(figure, inputs, times).layout.margin.l == 56
    assert times.tolist() == list(range(160))


def test_turning_marks_what_passes(inputs):
    tested = {
        "p_value": [0.01, 0.6],
        "correlation": [0.5, 0.1],
        "curve": ["digit_3", "4 called 9"],
        "lag": [1, 0],
    }
    points = digit_figures.turning(tested).data[0]
    assert list(points.text) == ["digit 3", ""]
    real = digit_figures.tested(inputs)
    assert real is not None
    assert len(digit_figures.turning(real).data[0].x) == 8


def test_a_digit_that_was_not_learned_has_no_retention(inputs):
    table = dict(inputs.ablation, trained=dict(inputs.ablation["trained"], digit_4=0.1 + 1e-9))
    row = {"removes": "digit_3", "retention": dict.fromkeys(inputs.goals, 0.5) | {"digit_4": -1e9}}
    changed = replace(inputs, ablation=table)
    assert "digit_4" not in changed.learned
    assert changed.retention(row, "digit_4") is None
    assert changed.left(row)[1] == 0.5
