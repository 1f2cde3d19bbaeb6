"""How long responses take, from a log: medians of the delays, and how far they spread."""

from __future__ import annotations

import numpy as np

from ingestion.log import epoch_us
from mdp.clock import HOUR, MINUTE
from simulator.description import Delays
from simulator.material import Material

LEAST = 20
"""Delays below which a median says too little, and the usual one is kept."""
_NORMAL = 1.349
"""Distance of the quartiles of a normal variable, in standard deviations."""


def delays_of(material: Material) -> Delays:
    """The log's delays; what it shows too few of keeps the usual ones."""
    table = material.log.tables["outcomes"].dropna(subset=["at"])
    at = {
        name: part.drop_duplicates("decision_id").set_index("decision_id")["at"]
        for name, part in table.groupby("outcome")
    }
    decisions = material.log.tables["decisions"].iloc[material.decisions.rows]
    ids = decisions["decision_id"].to_numpy()
    start = {"send": material.decisions.send_at}
    for name, times in at.items():
        found = times.reindex(ids)
        start[str(name)] = epoch_us(found)
    usual = Delays()
    medians, spreads = {}, []
    for name, since, then, unit in _KINDS:
        if then not in start or since not in start:
            continue
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
