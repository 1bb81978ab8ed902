"""The counter-based streams against the published SplitMix64."""

import numpy as np
import pytest

from goalcut.envs.counter_random import below, random_words, stream_keys


def test_stream_gives_the_published_splitmix64_words_of_seed_1234567() -> None:
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    words = random_words(np.array([1234567], dtype=np.uint64), 5)
    assert words.tolist() == [published]


def test_a_stream_does_not_depend_on_its_neighbours_or_on_how_many_words_are_drawn() -> None:
    keys = stream_keys(7, np.arange(50))
    together = random_words(keys, 9)
    assert np.array_equal(random_words(keys[31:32], 4)[0], together[31, :4])


def test_keys_depend_on_the_order_of_their_parts() -> None:
    numbers = np.arange(40)
    keys = stream_keys(numbers[:, None], numbers)
    assert len(np.unique(keys)) == keys.size


@pytest.mark.parametrize("part", [-1, 0, 2**63, 2**64 - 1])
def test_any_64_bit_integer_is_a_key(part: int) -> None:
    assert stream_keys(part).shape == ()
    assert stream_keys(part) != stream_keys(1)


def test_below_is_uniform_and_stays_below_its_bound() -> None:
    words = random_words(stream_keys(3, np.arange(1)), 70_000)[0]
    numbers = below(words, np.array([7]))
    counts = np.bincount(numbers, minlength=7)
    assert len(counts) == 7
    # Chi-square with 6 degrees of freedom passes 22.46 once in a thousand; the stream is fixed.
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 22.46


def test_the_largest_word_stays_below_the_bound() -> None:
    assert below(np.array([2**64 - 1], dtype=np.uint64), np.array([961])).tolist() == [960]
