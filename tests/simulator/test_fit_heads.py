"""The heads' parameters do not depend on how many pushes are worked on at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mdp.response import HEADS
from simulator import fit_heads, head_terms
from simulator.fit_heads import USUAL, Sizes, predicted, refit_heads
from simulator.heads_prior import REMEMBERED, drawn_means
from simulator.sends import OPEN, PURCHASE, Sends
from simulator.widths import Widths
from tests.simulator.planted import pushes

USERS, S = 40, 900
EVERY = tuple(range(len(HEADS)))


@pytest.fixture(scope="module")
def sends() -> Sends:
    rng = np.random.default_rng(0)
    user, variant = rng.integers(0, USERS, S), rng.integers(0, 3, S)
    logit = rng.normal(size=USERS)[user] + np.array([-1.0, 0.0, 1.0])[variant]
    return pushes(logit, rng, user=user, variant=variant)


def drawn(
    heads: dict[str, np.ndarray], widths: Widths, seed: int | np.random.Generator
) -> list[torch.Tensor]:
    own = {name: torch.from_numpy(value) for name, value in heads.items()}
    return drawn_means(own, widths, np.random.default_rng(seed))


def fitted(sends: Sends) -> dict[str, np.ndarray]:
    sizes, widths = Sizes(USERS, 1, 3), Widths()
    heads = fit_heads.fit_heads(sends, sizes, widths, EVERY, 60)
    weight = np.full(USERS, 2.0, np.float32)
    return refit_heads(heads, sends, sizes, widths, weight, drawn(heads, widths, 1), 40)


def test_pushes_in_parts_give_the_heads_of_all_at_once(sends, monkeypatch):
    whole = fitted(sends)
    at_once = predicted(whole, sends)
    monkeypatch.setattr(head_terms, "TOGETHER", 250)
    parts = fitted(sends)
    np.testing.assert_allclose(predicted(whole, sends), at_once, rtol=1e-5)
    apart = np.abs(predicted(parts, sends) - at_once).max(0)
    told = sends.asked.any(0)  # no push asks for purchases: these are where the drawn priors are
    assert told.sum() == 4
    assert (apart[told] <= 2e-3).all()
    assert (apart <= 5e-3).all()


def test_what_no_push_was_asked_for_is_as_likely_as_usual(sends):
    """No push was clicked, and none of the last had the time to be opened."""
    come = np.ones((S, len(HEADS)), bool)
    come[S // 2 :, OPEN] = False
    outcome = sends.outcome.copy()
    outcome[S // 2 :, OPEN] = 0.0
    known = replace(sends, outcome=outcome, come=come)
    heads = fit_heads.fit_heads(known, Sizes(USERS, 1, 3), Widths(), EVERY, 60)
    found = predicted(heads, sends).mean(0)
    rate = sends.outcome[: S // 2, OPEN].mean()
    np.testing.assert_allclose(found[[OPEN, PURCHASE]], [rate, USUAL[PURCHASE]], rtol=0.05)


def test_counting_each_user_twice_moves_shared_effects_away_from_their_prior(sends):
    sizes, widths = Sizes(USERS, 1, 3), Widths()
    once = fit_heads.fit_heads(sends, sizes, widths, EVERY, 40)
    spread = []
    for times in (0.1, 1.0, 5.0):
        counted = np.full(USERS, times, np.float32)
        means = drawn(once, widths, 1)
        heads = refit_heads(once, sends, sizes, widths, counted, means, 40)
        spread.append(np.ptp(heads["variant_effect"][:, 0]))
    assert spread[0] < spread[1] < spread[2]


def test_refits_to_users_drawn_again_scatter_as_far_as_the_fit_is_off():
    """Of effects of which few pushes tell, too, which bootstrap alone leaves where the prior is."""
    items, per_item, widths = 60, 30, Widths()
    sizes = Sizes(USERS, items, 1)
    off, scatter = [], []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        item = np.repeat(np.arange(items), per_item)
        true = rng.normal(0.0, widths.item_effect[OPEN], items)
        user = rng.integers(0, USERS, len(item))
        sends = pushes(true[item] - 1.0, rng, user=user, item=item)
        once = fit_heads.fit_heads(sends, sizes, widths, (OPEN,), 30)
        counts = rng.multinomial(USERS, np.full(USERS, 1 / USERS), 3).astype(np.float32)
        again = [
            refit_heads(once, sends, sizes, widths, times, drawn(once, widths, rng))
            for times in counts
        ]
        off.append(once["item_effect"][:, OPEN] - true)
        scatter.append(np.std([one["item_effect"][:, OPEN] for one in again], 0, ddof=1))
    honest = np.sqrt(np.square(scatter).mean() / np.square(off).mean())
    assert 0.8 < honest < 1.25


@pytest.mark.parametrize("name", REMEMBERED)
def test_earlier_pushes_are_not_taken_to_help_but_for_what_they_cost(name):
    rng = np.random.default_rng(3)
    before = rng.poisson(0.5, S).astype(np.float32)
    weights = []
    for planted in (0.5, -0.5):
        sends = pushes(planted * before, rng, **{name: before})
        heads = fit_heads.fit_heads(sends, Sizes(1, 1, 1), Widths(), (OPEN,), 40)
        weights.append(heads[f"{name}_weight"][OPEN])
    assert abs(weights[0]) < 0.02
    assert -0.7 < weights[1] < -0.3


def test_a_special_day_is_told_from_its_weekday_and_one_that_does_nothing_is_not():
    rng = np.random.default_rng(5)
    day = rng.integers(0, 70, 20_000)
    special = np.where(np.isin(day, (9, 16, 37)), 1, np.where(np.isin(day, (20, 48)), 2, 0))
    logit = -1.0 + 0.3 * (day % 7 == 2) + 0.6 * (special == 1)
    sends = pushes(logit, rng, weekday=day % 7, special=special)
    sizes = Sizes(1, 1, 1, 3)  # a third name was never pushed on
    heads = fit_heads.fit_heads(sends, sizes, Widths(), (OPEN,), 40)
    assert heads["special"][:, OPEN] == pytest.approx([0.6, 0.0, 0.0], abs=0.12)
    assert heads["special"][2, OPEN] == pytest.approx(0.0, abs=1e-3)
    without = fit_heads.fit_heads(
        replace(sends, special=np.zeros_like(special)), Sizes(1, 1, 1), Widths(), (OPEN,), 40
    )
    assert without["weekday"][2, OPEN] > heads["weekday"][2, OPEN]
    once = np.ones(1, np.float32)
    again = [
        refit_heads(heads, sends, sizes, Widths(), once, drawn(heads, Widths(), rng), 40)
        for _ in range(4)
    ]
    scatter = np.std([one["special"][:, OPEN] for one in again], 0)
    assert scatter[0] < scatter[2]


def test_fatigue_acts_above_its_knee():
    rng = np.random.default_rng(4)
    fatigue = rng.uniform(0, 3, 5 * S).astype(np.float32)
    sends = pushes(1 - 1.2 * np.maximum(fatigue - 1.5, 0), rng, fatigue=fatigue)
    sends = replace(sends, knee=np.array(1.5, np.float32))
    heads = fit_heads.fit_heads(sends, Sizes(1, 1, 1), Widths(), (OPEN,), 40)
    assert heads["fatigue_weight"][OPEN] == pytest.approx(-1.2, abs=0.2)
    opened = predicted(heads, sends)[:, OPEN]
    assert np.ptp(opened[fatigue < 1.5]) < 1e-6
    assert np.ptp(opened[fatigue > 1.5]) > 0.2
