"""Counter-based random numbers: a draw is a pure function of its key, whatever batch it is made in.

SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"), vectorised: the state of
stream `key` at position `i` is `key + i * GOLDEN`, and the output is the finaliser of that state.
"""

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def mix(state: np.ndarray) -> np.ndarray:
    """The SplitMix64 finaliser, a bijection of the 64-bit words (uint64 in, uint64 out, same shape)."""
    state = state ^ (state >> np.uint64(30))
    state *= _MIX_1
    state ^= state >> np.uint64(27)
    state *= _MIX_2
    state ^= state >> np.uint64(31)
    return state


def stream_keys(*parts: int | np.ndarray) -> np.ndarray:
    """One 64-bit key per element from the broadcast integer `parts`, order mattering."""
    shape = np.broadcast_shapes(*(np.shape(part) for part in parts))
    key = np.zeros(shape or (1,), dtype=np.uint64)  # never 0-d: scalars would warn of the wanted overflow
    for part in parts:
        key = mix((key ^ np.asarray(part).astype(np.uint64)) + _GOLDEN)
    return key.reshape(shape)


def random_words(keys: np.ndarray, count: int) -> np.ndarray:
    """The first `count` 64-bit words of every stream: (L,) keys give (L, count) uint64."""
    positions = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
    return mix(keys[:, None] + positions)


def random_word(keys: np.ndarray, position: int) -> np.ndarray:
    """Word number `position` of every stream: (L,) keys give (L,) uint64."""
    step = np.array([position + 1], dtype=np.uint64) * _GOLDEN  # never 0-d, as above
    return mix(keys + step)


def below(words: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Integers in 0…bound−1 from the high 32 bits of each word (multiply-shift; bias under bound / 2^32)."""
    return (((words >> np.uint64(32)) * bound.astype(np.uint64)) >> np.uint64(32)).astype(np.int64)
