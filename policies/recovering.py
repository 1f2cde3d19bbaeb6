"""The recovering difference softmax: which copy to send next, where copy wears out and recovers.

K. Yancey, B. Settles, A Sleeping, Recovering Bandit Algorithm for Optimizing Recurring
Notifications, KDD 2020 (Duolingo). It chooses copy alone: item, hour and rhythm are a rule's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mdp.actions import HOURS
from mdp.observation import HOUR, USER, VARIANT, Observation
from policies.base import Policy
from policies.baselines import shape_of
from policies.composition import Factors, split_mask

_RECENT = VARIANT.index("style_recent_sends")
_SINCE_SEND, _SEND_IN = USER.index("days_since_send"), HOUR.index("send_in_days")
_NEVER = 1e6
"""So far below any other score that its probability is 0, and small enough to keep digits."""


@dataclass(frozen=True, kw_only=True)
class RecoveringSoftmax(Policy):
    """Every n-th day at one hour the first allowed item, with copy drawn by a softmax over

        score - penalty · 0.5^(days since its style was sent to the user / half-life)

    The history's half-life of 7 days stands for the paper's, and several sends add up.
    """

    arms: np.ndarray
    """Score of each variant slot (V,): how much more often a push with it is clicked than a push
    without it, relative to the latter; slots past the end have 0."""
    penalty: float
    """Taken off a score right after a send of the same style."""
    spread: float
    """The softmax's temperature, in units of the score, above 0."""
    hour: int
    """Hour of the day on the user's clock."""
    every_days: float
    """Days between two sends."""
    name: str = "recovering"
    temperature: float | None = 1.0
    kind: ClassVar[str] = "table"

    def scores(self, observation: Observation) -> Factors:
        """Log-weights; all but the rule's item and hour weigh nothing, and so does a hold where a
        send is due and possible."""
        N, K, V = shape_of(observation)
        item, variant, hours = split_mask(observation["action_mask"], K)
        arms = np.concatenate([self.arms, np.zeros(max(V - len(self.arms), 0))])[:V]
        worn = np.expm1(observation["variants"][..., _RECENT].astype(np.float64))
        score = (arms - self.penalty * worn) / self.spread
        pair = np.full((N, K, V), -_NEVER)
        if K and V:
            first = np.where(item.any(1), item.argmax(1), 0)
            top = np.where(variant, score, -np.inf).max(1, keepdims=True)
            pair[np.arange(N), first] = score - np.where(np.isfinite(top), top, 0.0)
        hour = np.full((N, HOURS), -_NEVER)
        hour[:, self.hour] = 0.0
        since = np.expm1(observation["user"][:, _SINCE_SEND].astype(np.float64))
        until = observation["hours"][:, self.hour, _SEND_IN]
        due = since + until >= self.every_days - 0.05
        sends = due & hours[:, self.hour]
        return Factors(np.where(sends, -_NEVER, _NEVER), pair, hour)
