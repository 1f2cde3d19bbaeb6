"""Counter-based numbers: uniform, independent of the batch, different by each part of the key."""

import numpy as np
import pytest

from simulator.randomness import gammas, keys, normals, words


def some_keys(size: int, seed: int = 1, stream: int = 0) -> np.ndarray:
    user = np.arange(size).astype(np.uint64) * np.uint64(7919)
    return keys(np.full(size, seed, np.uint64), stream, user, np.arange(size) % 28)


def test_each_key_is_the_same_alone_and_in_a_batch():
    user = np.arange(50).astype(np.uint64)
    seed, day = np.full(50, 9, np.uint64), np.arange(50)
    batch = keys(seed, 2, user, day)
    alone = [keys(seed[n : n + 1], 2, user[n : n + 1], day[n : n + 1])[0] for n in range(50)]
    assert batch.tolist() == alone


def test_seed_stream_user_and_day_each_change_the_key():
    def one(seed=1, stream=2, user=3, day=4) -> int:
        part = np.array([seed], np.uint64), stream, np.array([user], np.uint64), np.array([day])
        return int(keys(*part)[0])

    assert len({one(), one(seed=2), one(stream=3), one(user=4), one(day=5)}) == 5


def test_numbers_have_the_moments_of_a_standard_normal():
    drawn = normals(some_keys(20_000), 3)
    assert np.abs(drawn.mean(0)).max() < 0.03
    assert np.abs(drawn.std(0) - 1).max() < 0.03
    assert np.abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.03


def test_words_fill_their_range():
    share = words(some_keys(20_000), 0) / 2.0**64
    counts, _ = np.histogram(share, bins=10, range=(0, 1))
    assert np.abs(counts - 2000).max() < 250


@pytest.mark.parametrize("shape", [0.3, 1.0, 7.5])
def test_gamma_numbers_have_their_mean_and_variance(shape):
    key = keys(np.zeros(40_000, np.uint64), 0, np.arange(40_000, dtype=np.uint64), np.zeros(40_000))
    drawn = gammas(key, 0, np.full(40_000, shape))
    assert (drawn > 0).all()
    assert drawn.mean() == pytest.approx(shape, rel=0.03)
    assert drawn.var() == pytest.approx(shape, rel=0.06)
    np.testing.assert_array_equal(gammas(key[5:9], 0, np.full(4, shape)), drawn[5:9])
