"""Lists for every user of a log at once, as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from generation.candidates.interactions import interactions_of
from generation.candidates.prepare import hybrid_for, ranked_of
from ingestion.catalog import catalog_of
from ingestion.log import Log, epoch_us
from ingestion.replay import replay, to_events
from ingestion.splits import before
from ingestion.spread import Spread, in_turn
from mdp.hashing import hash_ids


def recommended(
    log: Log, until: int | None = None, size: int = 10, seed: int = 0, spread: Spread = in_turn
) -> pd.DataFrame:
    """What the hybrid offers each user, best first: user_id, rank (from 1), item_id.

    The lists are those that a simulator fitted then, and the server after it, offer. until: what
    was known at this instant, microseconds UTC (default: the end of the log). spread: where users
    are ranked. Raises `NotEnoughData` where nobody met anything.
    """
    known = interactions_of(log, until)
    at = known.until
    if until is None:
        decided = epoch_us(log.tables["decisions"]["decided_at"].dropna())
        at = max(at, int(decided.max(initial=0)) + 1)
    catalog = catalog_of(log)
    ranker = hybrid_for(known, seed).fit(known)
    ranked = ranked_of(known, catalog, size, ranker, spread)
    users = to_events(before(log, at))
    hashes = hash_ids(users.user_ids)
    rows = ranked.candidates(hashes, replay(users), np.full(len(hashes), at))
    user, rank = np.nonzero(rows >= 0)
    return pd.DataFrame(
        {
            "user_id": np.array(users.user_ids, object)[user],
            "rank": rank + 1,
            "item_id": np.array(catalog.items.ids, object)[rows[user, rank]],
        }
    )
