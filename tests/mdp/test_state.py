"""History is a function of a user's set of events, to the byte."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdp.clock import DAY, HOUR, SECOND
from mdp.events import Kind, event_order, events_array
from mdp.hashing import hash_id
from mdp.state import (
    CLICKED,
    COUNTS,
    HALF_LIVES,
    KNOWN,
    RELEASED,
    RING,
    SCHEDULED,
    SENT,
    apply,
    features,
    is_late,
    new_histories,
)

T0 = 20_000 * DAY


def event(kind: Kind, at: int, **fields: int) -> np.ndarray:
    made = events_array(1)
    made["kind"], made["at"], made["id"] = kind, at, fields.pop("id", 1)
    for name, value in fields.items():
        made[name] = value
    return made


def after(*events: np.ndarray) -> np.ndarray:
    histories = new_histories(1)
    batch = np.concatenate(events)
    owner = np.zeros(len(batch), np.int64)
    apply(histories, owner, batch[event_order(owner, batch)])
    return histories


def count(histories: np.ndarray, name: str) -> np.ndarray:
    return histories[0]["counts"][COUNTS.index(name)]


@pytest.mark.parametrize("seed", range(20))
def test_one_batch_one_by_one_and_chunks_give_the_same_bytes(lives, seed):
    owner, events = lives(seed)
    batch, single, chunks = (new_histories(5) for _ in range(3))
    apply(batch, owner, events)
    by_time = np.lexsort((events["id"], events["kind"], events["at"]))
    for i in by_time:
        apply(single, owner[i : i + 1], events[i : i + 1])
    for part in np.array_split(by_time, 7):
        order = part[np.argsort(owner[part], kind="stable")]
        apply(chunks, owner[order], events[order])
    assert batch.tobytes() == single.tobytes() == chunks.tobytes()


@given(seed=st.integers(0, 1000), gap=st.integers(0, 40 * 24))
def test_features_do_not_depend_on_when_the_state_was_stored(seed, gap):
    """Decay to an instant is the same from a stored state and straight from the events."""
    at = np.array([T0 + gap * HOUR])
    stored = after(
        event(Kind.VIEW, T0 - DAY - seed * SECOND, item=7),
        event(Kind.SEND, T0 - HOUR, decision=3, send_at=T0 + 5 * HOUR, id=2),
    )
    before = stored.tobytes()
    seen = features(stored, at)
    assert stored.tobytes() == before
    age = (gap * HOUR + DAY + seed * SECOND) // SECOND
    expected = [0.5 ** (age / 86400 / days) for days in HALF_LIVES]
    np.testing.assert_allclose(count(seen, "organic_views"), expected, rtol=1e-5)
    sent = gap >= 5
    expected = [sent * 0.5 ** ((gap - 5) / 24 / days) for days in HALF_LIVES]
    np.testing.assert_allclose(count(seen, "sends"), expected, rtol=1e-5)


def test_late_events_are_told_and_a_rebuild_heals(lives):
    owner, events = lives(1)
    mine = events[owner == 0]
    assert len(mine) > 4
    zeros = np.zeros(len(mine), np.int64)
    histories = new_histories(1)
    apply(histories, zeros[1:], mine[1:])
    assert is_late(histories, zeros[:1], mine[:1]).all()
    last = mine[-1:].copy()
    last["id"] += 1
    assert not is_late(histories, zeros[:1], last).any()


def test_a_cancelled_send_never_counts_and_a_failed_one_frees_its_slot():
    sending = event(Kind.SEND, T0, decision=5, send_at=T0 + 9 * HOUR)
    cancelled = after(sending, event(Kind.CANCELLED, T0 + HOUR, decision=5))
    assert cancelled[0]["ring"][0]["status"] == RELEASED
    assert count(features(cancelled, np.array([T0 + DAY])), "sends").sum() == 0
    failed = after(sending, event(Kind.FAILED, T0 + 10 * HOUR, decision=5))
    assert failed[0]["ring"][0]["status"] == RELEASED
    assert (count(failed, "sends") > 0).all()


def test_a_moved_send_counts_when_it_is_sent():
    sending = event(Kind.SEND, T0, decision=5, send_at=T0 + 2 * HOUR)
    moved = after(sending, event(Kind.MOVED, T0 + HOUR, decision=5, send_at=T0 + 8 * HOUR))
    at = [features(moved, np.array([T0 + hours * HOUR])) for hours in (7, 8)]
    assert [int(seen[0]["ring"][0]["status"]) for seen in at] == [SCHEDULED, SENT]


def test_a_send_that_failed_and_moved_takes_its_slot_again_and_counts_once():
    sending = event(Kind.SEND, T0, decision=5, send_at=T0 + HOUR)
    failed = event(Kind.FAILED, T0 + 2 * HOUR, decision=5)
    moved = after(sending, failed, event(Kind.MOVED, T0 + 3 * HOUR, decision=5))
    (slot,) = moved[0]["ring"][:1]
    assert (slot["status"], slot["send_at"]) == (SENT, T0 + 3 * HOUR)
    assert count(moved, "sends").max() == pytest.approx(1.0, abs=0.1)
    again = after(
        sending, failed,
        event(Kind.MOVED, T0 + 3 * HOUR, decision=5),
        event(Kind.FAILED, T0 + 4 * HOUR, decision=5),
    )  # fmt: skip
    assert again[0]["ring"][0]["status"] == RELEASED


@pytest.mark.parametrize("hours", [1, 2, 4, 8])
@pytest.mark.parametrize("seen", [False, True])
def test_a_move_without_a_time_is_to_its_own_instant(hours, seen):
    """As the rows of `outcomes` say it, which have one instant."""
    events = [
        event(Kind.SEND, T0, decision=5, send_at=T0 + 2 * HOUR, style=1),
        event(Kind.MOVED, T0 + hours * HOUR, decision=5),
    ]
    if seen:
        events.append(event(Kind.VIEW, T0 + 3 * HOUR, item=7))
    state = features(after(*events), np.array([T0 + DAY]))
    assert state[0]["ring"][0]["send_at"] == T0 + hours * HOUR
    assert state[0]["ring"][0]["status"] == SENT
    counted = 24 - min(hours, 2)
    np.testing.assert_allclose(
        count(state, "sends"), [0.5 ** (counted / 24 / days) for days in HALF_LIVES], rtol=1e-5
    )


def test_the_first_hold_of_a_new_user_leaves_nothing_behind():
    held, fresh = after(event(Kind.HOLD, T0)), new_histories(1)
    decision_clock = {"decided_at", "held", "last_at", "last_kind", "last_id"}
    for name in set(held.dtype.names or ()) - decision_clock:
        assert held[0][name].tobytes() == fresh[0][name].tobytes(), name


def test_a_hold_moves_the_decision_clock_and_nothing_else():
    before = after(event(Kind.VIEW, T0, item=7))
    held = after(event(Kind.VIEW, T0, item=7), event(Kind.HOLD, T0 + HOUR))
    assert held[0]["decided_at"] == T0 + HOUR
    assert held[0]["held"] == 1
    for name in ("at", "counts", "activity", "styles", "ring", "known"):
        assert before[0][name].tobytes() == held[0][name].tobytes()


def test_a_purchase_of_the_pushed_item_after_a_click_is_the_pushs():
    item = hash_id("lamp")
    pushed = (
        event(Kind.SEND, T0, decision=5, item=item, send_at=T0, style=2),
        event(Kind.CLICKED, T0 + HOUR, decision=5),
    )
    for delay, other, joined in ((47, item, 1), (50, item, 0), (5, hash_id("sofa"), 0)):
        histories = after(*pushed, event(Kind.PURCHASE, T0 + delay * HOUR, item=other))
        assert (count(histories, "purchases") > 0).all() == bool(joined)
        assert histories[0]["ring"][0]["status"] == CLICKED


def test_consent_and_unsubscribing():
    withdrawn = after(event(Kind.CONSENT, T0, value=0))
    assert withdrawn[0]["consent"] == 0
    gone = after(
        event(Kind.SEND, T0, decision=5, send_at=T0),
        event(Kind.UNSUBSCRIBED, T0 + HOUR, decision=5),
    )
    assert gone[0]["unsubscribed"] == 1


def test_the_rings_keep_the_newest():
    sends = [
        event(Kind.SEND, T0 + n * DAY, id=n + 1, decision=n + 1, send_at=T0 + n * DAY)
        for n in range(RING + 3)
    ]
    kept = {int(d) for d in after(*sends)[0]["ring"]["decision"]}
    assert kept == set(range(4, RING + 4))
    views = [event(Kind.VIEW, T0 + n * DAY, item=n + 1) for n in range(KNOWN + 3)]
    assert {int(i) for i in after(*views)[0]["known"]["item"]} == set(range(4, KNOWN + 4))
