"""User state: `History`, a function of a user's events alone, and `Traits`, a model's beliefs.

History is a fixed record: a batch is an array of them, a stored user is `bytes`. Events are
applied one at a time in the order (at, kind, id), by one kernel for replay, server and simulator,
so the same set of events gives the same bytes. Counts decay only when an event is applied, by
float32 products of factors from one table per half-life.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdp.clock import HOUR, NEVER, SECOND
from mdp.compiled import njit
from mdp.events import EVENT, Kind
from mdp.hashing import STYLE_BUCKETS

HALF_LIVES = (1.0, 7.0, 30.0, 120.0)
"""Days in which a decayed count halves."""
COUNTS = (
    "sends",
    "opens",
    "clicks",
    "purchases",
    "dismissals",
    "organic_views",
    "organic_carts",
    "organic_purchases",
)
STYLE_COUNTS = ("recent_sends", "sends", "opens", "clicks")
"""By style bucket: sends with a half-life of 7 days, the other three with 120."""
RING = 32
KNOWN = 32
ATTRIBUTION = 48 * HOUR
"""A purchase of the pushed item this long after a click is the push's."""
TASTE = 8

FREE, SCHEDULED, SENT, OPENED, CLICKED, DISMISSED, RELEASED = range(7)
"""Status of a ring slot; RELEASED was cancelled or failed and counts for no cap, unless a later
MOVED says that it went out after all."""

SEND = np.dtype(
    [
        ("decision", np.uint64),
        ("item", np.uint64),
        ("send_at", np.int64),
        ("clicked_at", np.int64),
        ("style", np.int8),
        ("status", np.int8),
        ("bought", np.int8),
    ]
)
KNOWN_ITEM = np.dtype(
    [("item", np.uint64), ("last_at", np.int64), ("bought_at", np.int64), ("views", np.float32)]
)
HISTORY = np.dtype(
    [
        ("at", np.int64),  # instant that the counts are decayed to
        ("last_at", np.int64),  # the last event applied: (at, kind, id)
        ("last_id", np.uint64),
        ("first_at", np.int64),  # the first event that is no hold
        ("decided_at", np.int64),  # the last decision, hold or send
        ("last_kind", np.int8),
        ("held", np.int8),  # 1 where the last decision was a hold
        ("consent", np.int8),
        ("unsubscribed", np.int8),
        ("head", np.int32),  # ring slot that the next send takes
        ("counts", np.float32, (len(COUNTS), len(HALF_LIVES))),
        ("activity", np.float32, (24,)),  # by local hour, half-life 30 days
        ("styles", np.float32, (len(STYLE_COUNTS), STYLE_BUCKETS)),
        ("ring", SEND, (RING,)),
        ("known", KNOWN_ITEM, (KNOWN,)),
    ]
)
TRAITS = np.dtype(
    [
        ("taste", np.float32, (TASTE,)),
        ("hours", np.float32, (24,)),
        ("styles", np.float32, (STYLE_BUCKETS,)),
        ("openness", np.float32),
        ("tolerance", np.float32),
        ("price", np.float32),  # sensitivity to price
        ("taste_var", np.float32),
        ("openness_var", np.float32),
        ("tolerance_var", np.float32),
        ("habit", np.float32, (3,)),  # mean, spread and 80 % quantile of a day's best value
        ("known", np.int8),  # 1 where fitted, 0 where inferred
    ]
)
"""What a fitted model believes of a user, frozen between fits."""

_RECORD = np.dtype((np.void, HISTORY.itemsize))
_BITS = 10
_STEP = 1 << _BITS


def _decay_table() -> np.ndarray:
    """Factors (half-lives, 3, 1024) float64: decay over d seconds is a product of three."""
    table = np.empty((len(HALF_LIVES), 3, _STEP))
    for row, days in enumerate(HALF_LIVES):
        for digit in range(3):
            seconds = np.arange(_STEP, dtype=np.float64) * float(_STEP**digit)
            table[row, digit] = np.exp2(-seconds / (days * 86400.0))
    return table


_DECAY = _decay_table()
_VIEW, _CART, _BUY = int(Kind.VIEW), int(Kind.CART), int(Kind.PURCHASE)
_CONSENT, _HOLD, _SEND, _MOVED = (
    int(Kind.CONSENT),
    int(Kind.HOLD),
    int(Kind.SEND),
    int(Kind.MOVED),
)
_CANCELLED, _FAILED = int(Kind.CANCELLED), int(Kind.FAILED)
_OPENED, _CLICKED, _CLAIMED = int(Kind.OPENED), int(Kind.CLICKED), int(Kind.PURCHASED)
_DISMISSED, _UNSUBSCRIBED = int(Kind.DISMISSED), int(Kind.UNSUBSCRIBED)


def new_histories(size: int, consent: np.ndarray | bool = True) -> np.ndarray:
    """Histories (size,) `HISTORY` of users nothing has happened to."""
    histories = np.zeros(size, HISTORY)
    for name in ("at", "last_at", "first_at", "decided_at"):
        histories[name] = NEVER
    histories["last_kind"] = -1
    histories["consent"] = consent
    histories["ring"]["send_at"] = NEVER
    histories["ring"]["clicked_at"] = NEVER
    histories["known"]["last_at"] = NEVER
    histories["known"]["bought_at"] = NEVER
    return histories


@njit(cache=True)
def _factor(half_life: Any, seconds: Any) -> Any:
    high = min(seconds >> (2 * _BITS), _STEP - 1)
    return (
        _DECAY[half_life, 0, seconds & (_STEP - 1)]
        * _DECAY[half_life, 1, (seconds >> _BITS) & (_STEP - 1)]
        * _DECAY[half_life, 2, high]
    )


@njit(cache=True)
def _decay(history: Any, at: Any) -> Any:
    if history.at == NEVER:
        history.at = at
        return
    seconds = at // SECOND - history.at // SECOND
    if seconds > 0:
        day, week, month, season = (
            _factor(0, seconds),
            _factor(1, seconds),
            _factor(2, seconds),
            _factor(3, seconds),
        )
        for count in range(len(COUNTS)):
            history.counts[count, 0] = np.float32(history.counts[count, 0] * day)
            history.counts[count, 1] = np.float32(history.counts[count, 1] * week)
            history.counts[count, 2] = np.float32(history.counts[count, 2] * month)
            history.counts[count, 3] = np.float32(history.counts[count, 3] * season)
        for bucket in range(STYLE_BUCKETS):
            history.styles[0, bucket] = np.float32(history.styles[0, bucket] * week)
        for hour in range(24):
            history.activity[hour] = np.float32(history.activity[hour] * month)
        for row in range(1, len(STYLE_COUNTS)):
            for bucket in range(STYLE_BUCKETS):
                history.styles[row, bucket] = np.float32(history.styles[row, bucket] * season)
    if at > history.at:
        history.at = at


@njit(cache=True)
def _count(history: Any, row: Any) -> Any:
    for half_life in range(len(HALF_LIVES)):
        history.counts[row, half_life] = np.float32(history.counts[row, half_life] + 1.0)


@njit(cache=True)
def _advance(history: Any, at: Any) -> Any:
    """Count the sends that are due by `at`, each at its own time, then decay to `at`."""
    while True:
        due, due_at = -1, at + 1
        for slot in range(RING):
            if history.ring[slot].status == SCHEDULED and history.ring[slot].send_at < due_at:
                due, due_at = slot, history.ring[slot].send_at
        if due < 0:
            break
        _decay(history, due_at)
        history.ring[due].status = SENT
        _count(history, 0)
        style = history.ring[due].style
        if style >= 0:
            history.styles[0, style] = np.float32(history.styles[0, style] + 1.0)
            history.styles[1, style] = np.float32(history.styles[1, style] + 1.0)
    _decay(history, at)


@njit(cache=True)
def _slot_of(history: Any, decision: Any) -> Any:
    for slot in range(RING):
        if history.ring[slot].status != FREE and history.ring[slot].decision == decision:
            return slot
    return -1


@njit(cache=True)
def _meet(history: Any, event: Any) -> Any:
    """Remember an item that the user viewed, carted or bought; the stalest makes room."""
    place, stalest = -1, 0
    for slot in range(KNOWN):
        if history.known[slot].item == event.item:
            place = slot
            break
        if history.known[slot].last_at < history.known[stalest].last_at:
            stalest = slot
    if place < 0:
        place = stalest
        history.known[place].item = event.item
        history.known[place].views = np.float32(0.0)
        history.known[place].bought_at = NEVER
    history.known[place].last_at = event.at
    history.known[place].views = np.float32(history.known[place].views + 1.0)
    if event.kind == _BUY:
        history.known[place].bought_at = event.at


@njit(cache=True)
def _join(history: Any, event: Any) -> Any:
    """Credit a purchase of a pushed item to the last click on it within 48 hours."""
    last, last_click = -1, NEVER
    for slot in range(RING):
        send = history.ring[slot]
        if send.item == event.item and send.clicked_at > last_click:
            last, last_click = slot, send.clicked_at
    joined = last >= 0 and 0 <= event.at - last_click <= ATTRIBUTION
    if joined and history.ring[last].bought == 0:
        history.ring[last].bought = 1
        _count(history, 3)


@njit(cache=True)
def _outcome(history: Any, event: Any) -> Any:
    slot = _slot_of(history, event.decision)
    style = history.ring[slot].style if slot >= 0 else -1
    if event.kind == _OPENED or event.kind == _CLICKED:
        clicked = event.kind == _CLICKED
        _count(history, 2 if clicked else 1)
        history.activity[event.hour] = np.float32(history.activity[event.hour] + 1.0)
        if style >= 0:
            row = 3 if clicked else 2
            history.styles[row, style] = np.float32(history.styles[row, style] + 1.0)
        if slot >= 0:
            status = CLICKED if clicked else OPENED
            history.ring[slot].status = max(history.ring[slot].status, status)
            if clicked:
                history.ring[slot].clicked_at = event.at
    elif event.kind == _DISMISSED:
        _count(history, 4)
        if slot >= 0 and history.ring[slot].status < OPENED:
            history.ring[slot].status = DISMISSED
    elif event.kind == _UNSUBSCRIBED:
        history.unsubscribed = 1
    elif event.kind == _CLAIMED:
        if slot < 0:
            _count(history, 3)
        elif history.ring[slot].bought == 0:
            history.ring[slot].bought = 1
            _count(history, 3)


@njit(cache=True)
def _apply(history: Any, event: Any) -> Any:
    history.last_at, history.last_kind, history.last_id = event.at, event.kind, event.id
    if event.kind == _HOLD:  # a hold moves the decision clock and nothing else
        history.decided_at, history.held = event.at, 1
        return
    if history.first_at == NEVER:
        history.first_at = event.at
    if event.kind == _CONSENT:
        history.consent = 1 if event.value > 0 else 0
        return
    if event.kind == _CANCELLED or event.kind == _FAILED:
        # Before the send is due it never counts; a failure reported later frees the caps.
        slot = _slot_of(history, event.decision)
        if slot >= 0:
            if history.ring[slot].send_at < event.at:
                _advance(history, event.at)
            history.ring[slot].status = RELEASED
        return
    if event.kind == _MOVED:
        slot = _slot_of(history, event.decision)
        if slot >= 0:
            # One that was due has counted by now; caps and gaps go by when it really went out.
            due = history.ring[slot].send_at < event.at
            if due:
                _advance(history, event.at)
            if history.ring[slot].status == RELEASED:  # it failed, and is tried once more
                history.ring[slot].status = SENT if due else SCHEDULED
            history.ring[slot].send_at = event.at if event.send_at == NEVER else event.send_at
        return
    _advance(history, event.at)
    if event.kind == _SEND:
        history.decided_at, history.held = event.at, 0
        slot = history.head
        history.head = (slot + 1) % RING
        history.ring[slot].decision = event.decision
        history.ring[slot].item = event.item
        history.ring[slot].send_at = event.send_at
        history.ring[slot].clicked_at = NEVER
        history.ring[slot].style = event.style
        history.ring[slot].status = SCHEDULED
        history.ring[slot].bought = 0
    elif event.kind == _VIEW or event.kind == _CART or event.kind == _BUY:
        row = 5 if event.kind == _VIEW else (6 if event.kind == _CART else 7)
        _count(history, row)
        history.activity[event.hour] = np.float32(history.activity[event.hour] + 1.0)
        _meet(history, event)
        if event.kind == _BUY:
            _join(history, event)
    else:
        _outcome(history, event)


@njit(cache=True)
def _apply_all(histories: Any, owner: Any, events: Any) -> Any:
    for i in range(events.size):
        _apply(histories[owner[i]], events[i])


@njit(cache=True)
def advance_all(histories: Any, at: Any) -> None:
    """Bring histories (n,) to instants (n,), in place: due sends counted, counts decayed."""
    for i in range(histories.size):
        if histories[i].at != NEVER:
            _advance(histories[i], at[i])


def apply(histories: np.ndarray, owner: np.ndarray, events: np.ndarray) -> None:
    """Apply events (m,) `EVENT` to histories (n,) `HISTORY`, in place.

    owner: (m,) int64, the row in `histories` of each event. Each owner's events must come in the
    order (at, kind, id) (`events.event_order`) and after those already applied; `is_late` tells.
    """
    if events.dtype != EVENT or histories.dtype != HISTORY:
        raise TypeError("apply takes HISTORY and EVENT arrays")
    _apply_all(histories, np.asarray(owner, np.int64), events)


def is_late(histories: np.ndarray, owner: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Whether each event (m,) comes before one already applied to its owner: bool (m,).

    The owner of a late event is rebuilt from all stored events.
    """
    last = histories[owner]
    return (events["at"] < last["last_at"]) | (
        (events["at"] == last["last_at"])
        & (
            (events["kind"] < last["last_kind"])
            | ((events["kind"] == last["last_kind"]) & (events["id"] < last["last_id"]))
        )
    )


def copied(histories: np.ndarray) -> np.ndarray:
    """A copy of histories (n,): whole records at once, where NumPy copies field by field."""
    return histories.view(_RECORD).copy().view(HISTORY)


def put(histories: np.ndarray, rows: np.ndarray, source: np.ndarray) -> None:
    """Write histories (m,) into the rows (m,), numbers or flags, of histories (n,)."""
    histories.view(_RECORD)[rows] = source.view(_RECORD)


def taken(histories: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A copy of the rows (m,) of histories (n,)."""
    return histories.view(_RECORD)[rows].view(HISTORY)


def features(histories: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The histories (n,) as they stand at instants `at` (n,): due sends counted, counts decayed.

    Returns a new array; the stored ones change only by `apply`.
    """
    copies = copied(histories)
    advance_all(copies, np.asarray(at, np.int64))
    return copies
