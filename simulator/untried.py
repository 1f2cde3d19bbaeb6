"""What a log can't teach a fit: what its policy never varied, or drew by what it does not say, and
what it says of no worth."""

from __future__ import annotations

import numpy as np

from ingestion.log import NONE, LogMeta
from mdp.clock import DAY
from simulator.description import Simulator, offered
from simulator.sends import Sends

MOST = 0.95
"""Share of the pushes with one hour or one copy above which the others are hardly tried."""
FREE = 0.05
"""Share of the pushes whose items lack a price that is told."""
SOON_AFTER = 0.05
"""Share of the pushes that are a day's second, above which days of one decision are others."""
LITTLE = 0.01
"""An unsubscribe that costs less of what a purchase earns is told."""


def untried_of(meta: LogMeta, sends: Sends, simulator: Simulator) -> list[str]:
    """What of a fit to such pushes (S) rests on no trial, in sentences."""
    said = []
    if meta.propensities == NONE:
        said.append(
            "The log has no propensities. Had its policy chosen by something that the log does not "
            "hold, the fit would take that for what pushes do, and neither this card nor "
            "`pushwise evaluate` could tell."
        )
    if not len(sends.user):
        return said
    said += _worthless(meta, sends, simulator)
    if (share := _soon_after(sends)) > SOON_AFTER:
        said.append(
            f"{share:.0%} of the pushes were decided less than 12 hours after the user's last one: "
            "a simulated user is decided for once a day, and is pushed less often."
        )
    hour, share = _commonest(sends.hour)
    if share > MOST:
        said.append(
            f"{share:.0%} of the pushes went out at {hour}:00: what the fit says of other hours "
            "comes from when users visit."
        )
    variant, share = _commonest(sends.variant)
    if share > MOST and len(offered(simulator.catalog)) > 1:
        said.append(
            f"{share:.0%} of the pushes had the copy {simulator.catalog.variants.ids[variant]}: "
            "what the fit says of other copy is a guess."
        )
    return said


def _worthless(meta: LogMeta, sends: Sends, simulator: Simulator) -> list[str]:
    """What pushes would earn by amounts that can hardly be meant."""
    items, reward = simulator.catalog.items, simulator.reward
    free = (items.price == 0) & (simulator.organic.spend > 0)
    if (share := free[sends.item].mean()) > FREE:
        return [
            f"{share:.0%} of the pushes were of items that are paid for but have a price of 0 in "
            "the catalogue: their purchases are taken to be worth nothing. Give prices, or let "
            "`pushwise import` take them from purchases."
        ]
    earned = float(np.median((items.margin * items.price)[sends.item])) * reward.purchase
    if -reward.unsubscribe < LITTLE * earned:
        return [
            f"A purchase of a pushed item earns {earned:,.0f} {meta.currency or ''}".rstrip()
            + f", an unsubscribe costs {-reward.unsubscribe:g} and a click earns "
            f"{reward.click:g}: weights are in the log's currency, and `pushwise train --reward "
            "FILE` takes others."
        ]
    return []


def _soon_after(sends: Sends) -> float:
    """Share of the pushes decided less than 12 hours after another to the same user."""
    order = np.lexsort((sends.decided_at, sends.user))
    user, at = sends.user[order], sends.decided_at[order]
    soon = (np.diff(user) == 0) & (np.diff(at) < DAY // 2)
    return float(soon.sum() / len(user))


def _commonest(values: np.ndarray) -> tuple[int, float]:
    """The commonest of whole numbers (S,), at least one, and its share."""
    found, counts = np.unique(values, return_counts=True)
    most = counts.argmax()
    return int(found[most]), float(counts[most] / counts.sum())
