"""Prior widths follow how large the planted effects are."""

from functools import cache

import numpy as np
import pytest

from simulator.fit_heads import Sizes, fit_heads
from simulator.fit_priors import likeliest_priors
from simulator.sends import OPEN, PURCHASE
from simulator.widths import Widths
from tests.simulator.planted import pushes

S, ITEMS = 20_000, 40


@cache
def widths_of(effect: float) -> Widths:
    rng = np.random.default_rng(5)
    item = rng.integers(0, ITEMS, S)
    own = effect * rng.normal(size=ITEMS)
    sends = pushes(-1.5 + own[item], rng, item=item)
    widths = Widths()
    for _ in range(3):
        heads = fit_heads(sends, Sizes(1, ITEMS, 1), widths, (OPEN,))
        widths = likeliest_priors(heads, sends, widths)
    return widths


@pytest.mark.parametrize("effect", [pytest.param(0.15, marks=pytest.mark.slow), 0.6])
def test_items_that_differ_get_room_and_items_alike_get_none(effect):
    assert widths_of(effect).item_effect[OPEN] == pytest.approx(effect, rel=0.3)


def test_effects_that_are_not_there_lose_their_width():
    assert widths_of(0.0).item_effect[OPEN] < 0.1


@pytest.mark.parametrize(("height", "found"), [(0.6, True), (0.0, False)])
def test_weekends_with_hours_of_their_own_are_told_from_working_days(height, found):
    rng = np.random.default_rng(6)
    weekday, hour = rng.integers(0, 7, S), rng.integers(0, 24, S)
    noon = np.exp(-0.5 * ((np.arange(24) - 12) / 3) ** 2)
    weekend = (np.arange(7) > 4)[:, None] * noon
    sends = pushes(-1.5 + height * weekend[weekday, hour], rng, weekday=weekday, hour=hour)
    widths = Widths()
    for _ in range(3):
        heads = fit_heads(sends, Sizes(1, 1, 1), widths, (OPEN,))
        widths = likeliest_priors(heads, sends, widths)
    times = heads["hour"] + heads["weekday_hour"] + heads["weekday"][:, None]
    fitted = times[..., OPEN] - times[..., OPEN].mean()
    if found:
        assert np.corrcoef(fitted.ravel(), weekend.ravel())[0, 1] > 0.8
        assert np.ptp(fitted) == pytest.approx(height, rel=0.4)
    else:
        assert np.abs(heads["weekday_hour"][..., OPEN]).max() < 0.1


def test_what_no_push_tells_of_keeps_its_width():
    found = widths_of(0.6)
    names = ("weight", "item_effect", "variant_effect", "style", "weekday")
    for name in names:
        assert getattr(found, name)[PURCHASE] == pytest.approx(
            getattr(Widths(), name)[PURCHASE], rel=0.05
        )
