"""Prior widths follow how large the planted effects are."""

import numpy as np
import pytest

from simulator.fit_heads import Sizes, fit_heads
from simulator.fit_priors import likeliest_priors
from simulator.sends import OPEN, PURCHASE
from simulator.widths import Widths
from tests.simulator.planted import pushes

S, ITEMS = 20_000, 40
EVERY = tuple(range(5))


def widths_of(effect: float) -> Widths:
    rng = np.random.default_rng(5)
    item = rng.integers(0, ITEMS, S)
    own = effect * rng.normal(size=ITEMS)
    sends = pushes(-1.5 + own[item], rng, item=item)
    widths = Widths()
    for _ in range(3):
        heads = fit_heads(sends, Sizes(1, ITEMS, 1), widths, EVERY)
        widths = likeliest_priors(heads, sends, widths)
    return widths


@pytest.mark.parametrize("effect", [0.15, 0.6])
def test_items_that_differ_get_room_and_items_alike_get_none(effect):
    assert widths_of(effect).item_effect[OPEN] == pytest.approx(effect, rel=0.3)


def test_effects_that_are_not_there_lose_their_width():
    assert widths_of(0.0).item_effect[OPEN] < 0.1


def test_what_no_push_tells_of_keeps_its_width():
    found = widths_of(0.3)
    for name in ("weight", "item_effect", "variant_effect", "style", "weekday"):
        assert getattr(found, name)[PURCHASE] == pytest.approx(
            getattr(Widths(), name)[PURCHASE], rel=0.05
        )
