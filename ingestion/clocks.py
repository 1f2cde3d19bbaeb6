"""Clocks that differ: how long after its send each response came, and what that tells."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ingestion.log import Log, epoch_us
from mdp.clock import NEVER

RESPONSES = ("delivered", "opened", "clicked", "dismissed", "unsubscribed")
SKEWED = 0.5
"""Share of a source's responses before their sends from which its clock is behind: with fewer, it
may be some devices' clocks alone."""
WRONG_ANYWAY = 0.02
"""Share of responses that may stand before their sends for other reasons."""
ENOUGH_RESPONSES = 30


def delays(log: Log) -> pd.DataFrame:
    """Responses to sends that were not moved: `row` of `outcomes`, `source` (its column of that
    name, else empty) and `delay`, microseconds from the send to the response."""
    outcomes, decisions = log.tables["outcomes"], log.tables["decisions"]
    of, at = log.rows_of("outcomes", "decision_id"), epoch_us(outcomes["at"])
    sent = np.append(epoch_us(decisions["send_at"]), NEVER)[of]
    kind = log.codes("outcomes", "outcome")
    moved = np.zeros(len(decisions) + 1, bool)
    moved[of[kind.each(lambda word: word == "moved")]] = True
    moved[-1] = True
    known = (at != NEVER) & (sent != NEVER) & ~moved[of]
    rows = np.flatnonzero(known & kind.each(lambda word: word in RESPONSES))
    source = outcomes["source"].iloc[rows].fillna("").astype(str) if "source" in outcomes else ""
    return pd.DataFrame({"row": rows, "delay": at[rows] - sent[rows]}).assign(
        source=np.asarray(source, object)
    )


def skews(found: pd.DataFrame) -> dict[str, int]:
    """How far each source's clock is behind, microseconds, for those of which most `delays` are
    negative: what puts all responses but a few after their sends."""
    out = {}
    for source, delay in found.groupby("source")["delay"]:
        if len(delay) >= ENOUGH_RESPONSES and (delay < 0).mean() > SKEWED:
            out[str(source)] = -int(np.quantile(delay, WRONG_ANYWAY, method="lower"))
    return out


def behind(log: Log) -> pd.Series:
    """By how much, microseconds, each outcome's clock is behind; by row of those that are."""
    found = delays(log)
    known = skews(found) if log.clocks is None else log.clocks
    late = found[found["source"].isin(list(known))]
    return pd.Series(late["source"].map(known).to_numpy(), late["row"].to_numpy())
