"""How long responses take, from a log: medians of the delays, and how far they spread."""

from __future__ import annotations

import numpy as np

from mdp.clock import HOUR, MINUTE, NEVER
from mdp.events import OUTCOMES
from simulator.description import Delays
from simulator.material import Material

LEAST = 20
"""Delays below which a median says too little, and the usual one is kept."""
_NORMAL = 1.349
"""Distance of the quartiles of a normal variable, in standard deviations."""


def delays_of(material: Material) -> Delays:
    """The log's delays; what it shows too few of keeps the usual ones."""
    decisions, events = material.decisions, material.events.events
    order = np.argsort(decisions.id)
    start = {"send": decisions.send_at}
    for name in {then for _, _, then, _ in _KINDS}:
        of = events[events["kind"] == OUTCOMES[name]]
        of = of[np.argsort(of["at"], kind="stable")[::-1]]  # the first is written last
        place = np.searchsorted(decisions.id, of["decision"], sorter=order)
        row = order[np.minimum(place, len(order) - 1)]
        known = decisions.id[row] == of["decision"]
        start[name] = np.full(len(order), NEVER)
        start[name][row[known]] = of["at"][known]
    usual = Delays()
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


_KINDS = (
    ("open_hours", "send", "opened", HOUR),
    ("click_minutes", "opened", "clicked", MINUTE),
    ("dismiss_hours", "send", "dismissed", HOUR),
    ("unsubscribe_hours", "send", "unsubscribed", HOUR),
)
"""Name of the delay, from what to what, and its unit. A purchase has no row of its own."""
