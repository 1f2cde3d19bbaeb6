"""How long responses take, from a log: medians of the delays, how far they spread, and how long to
wait until nearly all have come."""

from __future__ import annotations

import numpy as np

from mdp.attribution import RESPONSE_WINDOW
from mdp.clock import HOUR, MINUTE, NEVER
from mdp.events import OUTCOMES
from mdp.state import ATTRIBUTION
from simulator.description import Delays
from simulator.material import Material

LEAST = 20
"""Delays below which a median says too little, and the usual one is kept."""
NEARLY_ALL = 0.99
"""Share of the responses that have come after `waits_of`."""
_NORMAL = 1.349
"""Distance of the quartiles of a normal variable, in standard deviations."""


def delays_of(material: Material) -> Delays:
    """The log's delays; what it shows too few of keeps the usual ones."""
    start, usual = _instants(material), Delays()
    medians, spreads = {}, []
    for name, since, then, unit in _KINDS:
        known = (start[then] > start[since]) & (start[since] > 0)
        taken = np.log((start[then] - start[since])[known] / unit)
        if len(taken) >= LEAST:
            medians[name] = float(np.exp(np.median(taken)))
            low, high = np.quantile(taken, [0.25, 0.75])
            spreads.append((len(taken), (high - low) / _NORMAL))
    if not spreads:
        return usual
    number, spread = np.array(spreads).T
    return Delays(**medians, spread=float(np.average(spread, weights=number)))


def waits_of(material: Material) -> np.ndarray:
    """How long after a push it is known whether it was opened, clicked, bought from, dismissed and
    unsubscribed from (5,) int64, microseconds: by then nearly all that follow have followed.

    By the log's own responses to pushes that had all the time there is, which it is where they are
    too few, and for purchases.
    """
    start = _instants(material)
    old = (start["send"] > 0) & (start["send"] <= material.until - RESPONSE_WINDOW)
    waits = {}
    for _, _, name, _ in _KINDS:
        taken = (start[name] - start["send"])[old & (start[name] != NEVER)]
        taken = taken[(taken >= 0) & (taken <= RESPONSE_WINDOW)]
        enough = len(taken) >= LEAST
        waits[name] = int(np.quantile(taken, NEARLY_ALL)) if enough else RESPONSE_WINDOW
    opened, clicked = waits["opened"], max(waits["opened"], waits["clicked"])
    dismissed = max(opened, waits["dismissed"])  # what is opened is not dismissed
    return np.array([opened, clicked, clicked + ATTRIBUTION, dismissed, waits["unsubscribed"]])


def _instants(material: Material) -> dict[str, np.ndarray]:
    """When each of the D decisions was sent, and what followed came first (D,) int64 each; `NEVER`
    for what did not."""
    decisions, events = material.decisions, material.events.events
    order = np.argsort(decisions.id)
    start = {"send": decisions.send_at}
    for _, _, name, _ in _KINDS:
        of = events[events["kind"] == OUTCOMES[name]]
        of = of[np.argsort(of["at"], kind="stable")[::-1]]  # the first is written last
        place = np.searchsorted(decisions.id, of["decision"], sorter=order)
        row = order[np.minimum(place, len(order) - 1)]
        known = decisions.id[row] == of["decision"]
        start[name] = np.full(len(order), NEVER)
        start[name][row[known]] = of["at"][known]
    return start


_KINDS = (
    ("open_hours", "send", "opened", HOUR),
    ("click_minutes", "opened", "clicked", MINUTE),
    ("dismiss_hours", "send", "dismissed", HOUR),
    ("unsubscribe_hours", "send", "unsubscribed", HOUR),
)
"""Name of the delay, from what to what, and its unit. A purchase has no row of its own."""
