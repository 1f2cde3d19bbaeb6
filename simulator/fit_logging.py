"""The logging policy, estimated from what a log shows of it."""

from __future__ import annotations

import numpy as np

from mdp.events import Kind
from mdp.local_time import local_day
from policies.baselines import Table
from simulator.material import Material


def logging_policy(material: Material) -> Table:
    """The logging policy, estimated by counting: how often each slot and hour was taken of the
    times it was there to take.

    The simulator asks it once a day, so a day on which the log asked nothing counts as one
    without a push.
    """
    decisions = material.decisions
    there: np.ndarray = np.any(decisions.items >= 0, 1) & np.any(decisions.variants >= 0, 1)
    hours_logged = bool(decisions.hours.any())
    if hours_logged:
        there &= decisions.hours > 0
    # Where no hold shows a list, lists are not logged: the hold was a choice all the same.
    if not there[~decisions.sent].any():
        there = np.ones(len(decisions.rows), bool)
    sent = decisions.sent & there
    some = decisions.only(sent)

    def rates(chosen: np.ndarray, present: np.ndarray) -> np.ndarray:
        count = np.bincount(chosen, minlength=present.shape[1]) + 0.1
        return count / (present.sum(0) + 0.1 * present.shape[1])

    days = there.sum() + _unasked(material)
    return Table(
        send=float(np.clip(sent.sum() / max(days, 1), 0.001, 0.999)),
        items=rates(some.k, some.items >= 0),
        variants=rates(some.v, some.variants >= 0),
        hours=rates(some.h, some.open_hours if hours_logged else np.ones((len(some.h), 24), bool)),
    )


def _unasked(material: Material) -> int:
    """Days without a decision, from each user's first one on while the user was subscribed."""
    decisions, events = material.decisions, material.events
    size = len(events.user_ids)
    day = local_day(decisions.decided_at, events.zone[decisions.owner])
    left = events.events["kind"] == Kind.UNSUBSCRIBED
    end = np.full(size, material.until - 1)
    np.minimum.at(end, events.owner[left], events.events["at"][left])
    last = local_day(end, events.zone)
    first = last + 1
    np.minimum.at(first, decisions.owner, day)
    since = int(day.min(initial=0))
    asked = len(np.unique((day - since) * size + decisions.owner))
    return max(int((last - first + 1).sum()) - asked, 0)
