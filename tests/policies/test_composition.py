"""Exact propensities: the factorised mathematics against the flat definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdp.actions import HOLD, decode, encode
from mdp.errors import BadArtifact
from policies.composition import Factors, best, distribution, flat_probabilities

N, K, V = 6, 3, 2


def scores_and_mask(seed: int, share: float = 0.6) -> tuple[Factors, np.ndarray]:
    rng = np.random.default_rng(seed)
    factors = Factors(rng.normal(size=N), rng.normal(size=(N, K, V)), rng.normal(size=(N, 24)))
    mask = (rng.random((N, K + V + 24)) < share).astype(np.int8)
    mask[0] = 0
    mask[1] = 1
    return factors, mask


def flat_mask(mask: np.ndarray) -> np.ndarray:
    item, variant, hour = mask[:, :K], mask[:, K : K + V], mask[:, K + V :]
    sends = item[:, :, None, None] * variant[:, None, :, None] * hour[:, None, None, :]
    return np.concatenate([np.ones((N, 1)), sends.reshape(N, -1)], 1).astype(bool)


def flat_definition(
    factors: Factors, mask: np.ndarray, temperature: float | None, floor: float
) -> np.ndarray:
    """π as the design defines it, over all flat actions, one decision at a time."""
    legal = flat_mask(mask)
    scores = np.concatenate(
        [
            factors.hold[:, None],
            (factors.pair[..., None] + factors.hour[:, None, None, :]).reshape(N, -1),
        ],
        1,
    )
    out = np.zeros_like(scores)
    for n in range(N):
        row = np.where(legal[n], scores[n], -np.inf)
        if temperature is None:
            base = np.zeros(row.size)
            base[row.argmax()] = 1
        else:
            base = np.exp((row - row.max()) / temperature)
            base /= base.sum()
        explore = np.zeros(row.size)
        sends = np.flatnonzero(legal[n][1:]) + 1
        if not len(sends):
            explore[HOLD] = 1
        else:
            explore[HOLD] = 0.5
            top = sends[row[sends].argmax()]
            k, v, h = (int(part[0]) for part in decode(np.array([top]), K, V))
            explore[sends] += 0.125 / len(sends)
            ks, vs, hs = decode(sends, K, V)
            for family in (
                sends[(vs == v) & (hs == h)],
                sends[(ks == k) & (hs == h)],
                sends[(ks == k) & (vs == v)],
            ):
                explore[family] += 0.125 / len(family)
        out[n] = (1 - floor) * base + floor * explore
    return out


@given(
    seed=st.integers(0, 10_000),
    temperature=st.sampled_from([None, 0.3, 1.0, 5.0]),
    floor=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
)
def test_probabilities_are_those_of_the_flat_definition(seed, temperature, floor):
    factors, mask = scores_and_mask(seed)
    parts = distribution(factors, mask, temperature, floor)
    expected = flat_definition(factors, mask, temperature, floor)
    np.testing.assert_allclose(flat_probabilities(parts), expected, atol=1e-12)


@pytest.mark.parametrize("temperature", [None, 0.7])
@pytest.mark.parametrize("floor", [0.0, 0.4])
def test_draws_follow_the_probabilities(temperature, floor):
    factors, mask = scores_and_mask(3)
    row = 2
    repeats = 60_000
    many = Factors(
        np.repeat(factors.hold[row : row + 1], repeats, 0),
        np.repeat(factors.pair[row : row + 1], repeats, 0),
        np.repeat(factors.hour[row : row + 1], repeats, 0),
    )
    masks = np.repeat(mask[row : row + 1], repeats, 0)
    parts = distribution(many, masks, temperature, floor)
    actions = parts.draw(np.random.default_rng(1))
    expected = flat_definition(factors, mask, temperature, floor)[row] * repeats
    counts = np.bincount(actions, minlength=len(expected))
    assert counts[expected == 0].sum() == 0
    likely = expected >= 5
    statistic = ((counts - expected)[likely] ** 2 / expected[likely]).sum()
    # The 99.9 % quantile of chi-square by Wilson and Hilferty's approximation.
    freedom = max(likely.sum() - 1, 1)
    limit = freedom * (1 - 2 / (9 * freedom) + 3.09 * np.sqrt(2 / (9 * freedom))) ** 3
    assert statistic <= limit


def test_a_masked_action_has_probability_zero_and_is_never_drawn():
    factors, mask = scores_and_mask(5)
    parts = distribution(factors, mask, 1.0, 0.3)
    assert (flat_probabilities(parts)[~flat_mask(mask)] == 0).all()
    rng = np.random.default_rng(0)
    for _ in range(50):
        actions = parts.draw(rng)
        assert flat_mask(mask)[np.arange(N), actions].all()
        assert (parts.probability(actions) > 0).all()


def test_best_is_the_highest_allowed_score_and_a_tie_holds():
    factors, mask = scores_and_mask(7)
    expected = flat_definition(factors, mask, None, 0.0).argmax(1)
    np.testing.assert_array_equal(best(factors, mask), expected)
    zeros = Factors(np.zeros(N), np.zeros((N, K, V)), np.zeros((N, 24)))
    assert (best(zeros, np.ones_like(mask)) == HOLD).all()


def test_without_candidates_it_holds():
    factors = Factors(np.zeros(2), np.zeros((2, 0, V)), np.zeros((2, 24)))
    parts = distribution(factors, np.ones((2, V + 24), np.int8), 1.0, 0.1)
    assert (parts.draw(np.random.default_rng(0)) == HOLD).all()
    np.testing.assert_array_equal(parts.probability(np.zeros(2, np.int64)), 1.0)


def test_huge_scores_do_not_overflow():
    factors, mask = scores_and_mask(9)
    wild = Factors(factors.hold * 1e5, factors.pair * 1e5, factors.hour * 1e5)
    total = flat_probabilities(distribution(wild, mask, 1.0, 0.02)).sum(1)
    np.testing.assert_allclose(total, 1.0)


def test_encode_and_decode_are_inverse():
    actions = np.arange(1 + K * V * 24)
    np.testing.assert_array_equal(encode(*decode(actions, K, V), V), actions)


@pytest.mark.parametrize("name", ["hold", "pair", "hour"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(name, value):
    factors, mask = scores_and_mask(3)
    getattr(factors, name).flat[0] = value
    for temperature in (None, 1.0):
        with pytest.raises(BadArtifact, match=f"{name} scores that are not finite"):
            distribution(factors, mask, temperature, 0.02)
