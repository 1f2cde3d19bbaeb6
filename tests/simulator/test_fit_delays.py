"""Delays of a log are those that drew it."""

from dataclasses import replace

import numpy as np
import pytest

from ingestion.parse import log_of
from mdp.events import Kind
from simulator.demo import demo
from simulator.description import Delays
from simulator.fit_delays import delays_of
from simulator.material import material_of
from simulator.worlds import known_world

TRUE = Delays(open_hours=1.5, click_minutes=4.0, dismiss_hours=0.2, spread=0.6)


@pytest.fixture(scope="module")
def material():
    shop = replace(known_world("logit").simulator(150, 0), delays=TRUE)
    made = demo(shop, 14, 0)
    last = made.tables["decisions"]["decided_at"].max()
    return material_of(log_of(made.tables, made.meta), int(last.value // 1000) + 1)


def test_medians_and_spread_are_found(material):
    found = delays_of(material)
    for name in ("open_hours", "click_minutes", "dismiss_hours", "spread"):
        assert getattr(found, name) == pytest.approx(getattr(TRUE, name), rel=0.2), name


def test_what_the_log_shows_too_little_of_is_as_usual(material):
    assert delays_of(material).buy_hours == Delays().buy_hours
    events = material.events
    few = np.flatnonzero(events.events["kind"] < Kind.DELIVERED)
    some = replace(events, owner=events.owner[few], events=events.events[few])
    assert delays_of(replace(material, events=some)) == Delays()
