"""Episodes walked without resets, and their pictures as files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from goalcut.envs import (
    CheeseInCorner,
    CheeseMaze,
    Episodes,
    Levels,
    World,
    ascii,
    episode_gif,
    film,
    frame,
    make_levels,
    solution,
    write_gif,
    write_png,
)
from goalcut.envs.picture_files import walks_gif
from goalcut.envs.world import Event

WORLD = CheeseInCorner(size=7, corner_size=3)
LEVEL = ascii.parse("M.C\n##.\n...")


def uniform(planes: torch.Tensor) -> torch.Tensor:
    return torch.full((len(planes), 4), 0.25)


@pytest.mark.parametrize("kind", ["corner", "crowded"])
def test_episodes_go_as_in_the_environment(kind: str, crowded: World) -> None:
    levels = make_levels(WORLD if kind == "corner" else crowded, 40, seed=0)
    maze, episodes = CheeseMaze(levels, 40, seed=0, time_limit=30), Episodes(levels, time_limit=30)
    maze.reset(torch.arange(40))
    generator = torch.Generator().manual_seed(0)
    running = np.ones(40, dtype=bool)
    paid = 0.0
    for _ in range(30):
        actions = torch.randint(4, (40,), generator=generator)
        step, rewards = maze.step(actions), episodes.step(actions.numpy())
        assert np.array_equal(rewards[running], step.rewards.numpy()[running])
        assert np.array_equal(episodes.mouse[running], step.mouse.numpy()[running])
        ended = np.zeros(40, dtype=bool)
        ended[step.ended.numpy()] = True
        last = dict(zip(step.ended.tolist(), step.final_observations, strict=True))
        now = episodes.observations()
        for number in np.flatnonzero(running):
            assert torch.equal(now[number], last.get(int(number), step.observations[number]))
        running &= ~ended
        paid += float(rewards.sum())
        assert np.array_equal(episodes.over, ~running)
    assert paid == episodes.returns.sum() > 0
    assert not running.any()


def test_what_is_over_stays_as_it_ended() -> None:
    episodes = Episodes(Levels.of([LEVEL], WORLD))
    for action in (3, 3, 1):
        episodes.step(np.array([action]))
    assert episodes.level().mouse == (0, 2)
    assert episodes.terminated.all()
    assert (episodes.steps[0], episodes.returns[0]) == (2, 1)


def test_taken_things_are_gone_from_the_level_and_counted(crowded: World) -> None:
    episodes = Episodes(Levels.of([ascii.parse("MKT\n###\n###", crowded)], crowded))
    episodes.step(np.array([3]))
    assert ascii.render(episodes.level(), crowded) == ".MT\n###\n###"
    assert episodes.status() == {"keys held": 1}
    assert episodes.holds(Event("key_1"))
    assert not episodes.holds(Event("chest_1"))


def test_the_corner_region_and_progress_are_told() -> None:
    episodes = Episodes(Levels.of([LEVEL], CheeseInCorner(size=5, corner_size=2)))
    assert not episodes.holds(Event("corner"))
    episodes.step(np.array([3]))
    assert episodes.holds(Event("corner"))
    assert not episodes.holds(Event("corner", when=lambda progress: progress == "else"))


def test_a_film_shows_every_state_from_first_to_true_last() -> None:
    walked = film(LEVEL, [0, 3, 3, 1], world=WORLD, cell=8, corner_size=1)
    assert walked.frames.shape == (4, 24, 24, 3), "the action after the end is not taken"
    assert np.array_equal(walked.frames[0], walked.frames[1]), "a bump"
    assert np.array_equal(walked.frames[-1], frame(ascii.parse("..*\n##.\n..."), 8, corner_size=1))
    assert (walked.returns.tolist(), walked.steps.tolist()) == ([1.0], [3])


def test_a_film_of_a_policy_is_drawn_by_its_seed() -> None:
    levels = make_levels(WORLD, 3, seed=0)
    films = [film(levels, uniform, seed=seed, cell=2, time_limit=12, columns=3) for seed in (0, 0, 1)]
    assert np.array_equal(films[0].frames, films[1].frames)
    assert not np.array_equal(films[0].frames, films[2].frames)
    assert films[0].frames.shape[1:] == (8 * 2 + 14, 3 * (14 + 8) + 8, 3)


def test_a_gif_holds_the_frames_and_shows_the_last_one_longer(tmp_path: Path) -> None:
    path = tmp_path / "episode.gif"
    walked = episode_gif(path, LEVEL, [3, 3], world=WORLD, cell=16, seconds=0.1, last_seconds=2)
    with Image.open(path) as image:
        assert image.n_frames == 3  # pyright: ignore
        durations = []
        for number, expected in enumerate(walked.frames):
            image.seek(number)
            durations.append(image.info["duration"])
            assert np.array_equal(np.asarray(image.convert("RGB")), expected)
    assert durations == [100, 100, 2000]


def test_a_gif_of_more_colours_than_it_can_hold_comes_close(tmp_path: Path) -> None:
    shades = np.arange(32, dtype=np.uint8) * 8
    frames = np.stack(np.broadcast_arrays(shades[:, None], shades, np.uint8(9)), -1)[None].repeat(2, 0)
    write_gif(tmp_path / "shades.gif", frames)
    with Image.open(tmp_path / "shades.gif") as image:
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - frames[0]).mean() < 8


def test_walks_of_several_levels_are_shown_side_by_side_until_the_longest_ends(tmp_path: Path) -> None:
    levels = make_levels(WORLD, 2, seed=1)
    walks = [solution(level, WORLD) for level in levels]
    walks_gif(tmp_path / "walks.gif", levels, walks, cell=4)
    with Image.open(tmp_path / "walks.gif") as image:
        assert image.n_frames == 1 + max(map(len, walks))  # pyright: ignore
        assert image.size == (2 * (28 + 8) + 8, 28 + 16)


def test_a_png_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    picture = frame(LEVEL, 16)
    write_png(tmp_path / "level.png", picture)
    with Image.open(tmp_path / "level.png") as image:
        assert np.array_equal(np.asarray(image), picture)


def test_what_cannot_be_walked_is_refused(tmp_path: Path) -> None:
    levels = make_levels(WORLD, 2, seed=0)
    with pytest.raises(ValueError, match="actions are given for 2 levels"):
        film(levels, [0])
    with pytest.raises(ValueError, match=r"actions are \[4\]"):
        film(LEVEL, [4])
    with pytest.raises(ValueError, match="time_limit is 0"):
        Episodes(levels, time_limit=0)
    with pytest.raises(ValueError, match="there are no frames"):
        write_gif(tmp_path / "none.gif", np.zeros((0, 2, 2, 3), dtype=np.uint8))
