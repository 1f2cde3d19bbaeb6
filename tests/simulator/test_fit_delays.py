"""Delays of a log are those that drew it."""

from dataclasses import replace

import numpy as np
import pytest

from ingestion.parse import log_of
from mdp.attribution import RESPONSE_WINDOW
from mdp.clock import HOUR
from mdp.events import Kind
from mdp.state import ATTRIBUTION
from simulator.demo import demo
from simulator.description import Delays
from simulator.fit_delays import delays_of, waits_of
from simulator.fit_sends import come_of, outcomes_of
from simulator.material import material_of
from simulator.sends import CLICK, DISMISS, OPEN, PURCHASE, UNSUBSCRIBE
from simulator.worlds import known_world

TRUE = Delays(open_hours=1.5, click_minutes=4.0, dismiss_hours=0.2, spread=0.6)


@pytest.fixture(scope="module")
def shop():
    made = demo(replace(known_world("logit").simulator(150, 0), delays=TRUE), 14, 0)
    return log_of(made.tables, made.meta)


@pytest.fixture(scope="module")
def material(shop):
    last = shop.tables["decisions"]["decided_at"].max()
    return material_of(shop, int(last.value // 1000) + 1)


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


def test_nearly_all_responses_have_come_when_the_wait_is_over(material):
    waits = waits_of(material)
    spread, normal = TRUE.spread, 2.326  # 99 % of a normal variable
    opened = TRUE.open_hours * HOUR * np.exp(normal * spread)
    assert waits[OPEN] == pytest.approx(opened, rel=0.3)
    assert opened * 0.7 < waits[CLICK] < 2 * opened
    assert waits[PURCHASE] == waits[CLICK] + ATTRIBUTION
    assert waits[DISMISS] == waits[OPEN]  # dismissals are quicker, and an open can still come
    assert waits[UNSUBSCRIBE] == RESPONSE_WINDOW  # too few to say


def test_without_responses_all_the_time_there_is_is_waited(material):
    events = material.events
    few = np.flatnonzero(events.events["kind"] < Kind.DELIVERED)
    some = replace(events, owner=events.owner[few], events=events.events[few])
    waits = waits_of(replace(material, events=some))
    assert (waits == RESPONSE_WINDOW + ATTRIBUTION * (np.arange(5) == PURCHASE)).all()


def test_pushes_whose_answers_may_still_come_are_not_asked(shop, material):
    """Where a log is cut, openings of the last hours are missing, and none is a refusal."""
    sent = np.flatnonzero(material.decisions.sent)
    until = int(np.quantile(material.decisions.send_at[sent], 0.8))
    cut = material_of(shop, until)
    sent = np.flatnonzero(cut.decisions.sent)
    known, come = outcomes_of(cut, sent)[:, OPEN], come_of(cut, sent)[:, OPEN]
    late = np.isin(material.decisions.id, cut.decisions.id[sent])
    assert (material.decisions.id[late] == cut.decisions.id[sent]).all()
    whole = outcomes_of(material, np.flatnonzero(late))[:, OPEN]
    assert whole[~come].sum() > 1.5 * known[~come].sum()  # these would have misled
    assert known[come].sum() == pytest.approx(whole[come].sum(), rel=0.01)
    assert come.mean() > 0.9
