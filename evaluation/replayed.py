"""A log replayed once for all policies that are evaluated on it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ingestion.catalog import catalog_of
from ingestion.hours import hour_flags
from ingestion.log import ESTIMATED, NONE, Log
from ingestion.logged_decisions import LoggedDecisions, attributed, decisions_of, requests_of
from ingestion.replay import UserEvents, to_events
from ingestion.shop import need_log_of
from ingestion.splits import log_end
from mdp.attribution import Attributed
from mdp.catalog import Catalog
from mdp.observation import Requests
from mdp.reward import Reward
from policies.saved import PolicyBundle

_NOT_AS_DECIDED = ("failed", "moved", "cancelled")
_RESPONSES = ("opened", "clicked", "purchased", "dismissed", "unsubscribed")
_CHANCE = 1e-6
"""Probability below which so many sends without a response, one after the other, are no chance."""


@dataclass(frozen=True, eq=False)
class Replayed:
    """D drawn decisions of a log, with all that is needed to face them again."""

    log: Log
    catalog: Catalog
    users: UserEvents
    decisions: LoggedDecisions
    hours: np.ndarray
    """Hours that guardrails allowed (D, 24) bool; all of them where the log does not say, for
    the guardrails of the evaluation to choose from."""
    without_hours: np.ndarray
    """Whether the log does not say (D,) bool."""
    unlisted: float
    """Share of the drawn decisions that are not among the D, because what they sent is not on
    their own list."""
    complete_until: int
    """Instant, microseconds UTC, up to which all outcomes are in the log."""

    @property
    def has_propensities(self) -> bool:
        """Whether the log knows how probable its decisions were."""
        return self.log.meta.propensities != NONE

    @property
    def caveats(self) -> list[str]:
        """What the log leaves out, as sentences."""
        table, said = self.log.tables["decisions"], []
        if self.log.meta.propensities == ESTIMATED:
            said.append("the log's propensities are estimated, and errors in them bias the numbers")
        if table["candidates"].isna().all():
            said.append(
                "the log has no candidate lists: the item sent is taken for the only candidate, "
                "and a hold for forced, so which item to send, and whether, is not evaluated"
            )
        if table["variants"].isna().all():
            said.append("the log has no lists of variants: all approved variants are taken")
        if missing := int(self.without_hours.sum()):
            said.append(
                f"{missing} of {len(self.without_hours)} drawn decisions have no list of hours: "
                "it is rebuilt from the guardrails"
            )
        return said

    def need_shop_of(self, bundle: PolicyBundle, name: str) -> None:
        """Raises `BadInput` where a policy was trained for another shop."""
        until = bundle.trained_until
        need_log_of(bundle.shop, until, name, self.log, self.users, self.catalog)

    def attributed(self, reward: Reward) -> Attributed:
        """What followed each decision (D,)."""
        return attributed(self.log, self.catalog, self.users, self.decisions, reward)

    def requests(self, which: np.ndarray) -> Requests:
        """Some of the decisions, by index, as requests."""
        return requests_of(self.log, self.catalog, self.users, self.decisions.only(which))

    def executed(self, which: np.ndarray) -> float:
        """Share of the sends among some decisions that went out as decided."""
        sends = which[self.decisions.sent[which]]
        ids = self.log.tables["decisions"]["decision_id"].iloc[self.decisions.rows[sends]]
        outcomes = self.log.tables["outcomes"]
        changed = outcomes["decision_id"][outcomes["outcome"].isin(_NOT_AS_DECIDED)]
        return float(1.0 - ids.isin(changed).mean()) if len(ids) else 1.0

    def silent(self, which: np.ndarray) -> float:
        """Share of the sends among some decisions that are before the first response to any of
        them or after the last, where chance does not explain it; 1 where nobody responded."""
        sends = which[self.decisions.sent[which]]
        sends = sends[np.argsort(self.decisions.decided_at[sends], kind="stable")]
        ids = self.log.tables["decisions"]["decision_id"].iloc[self.decisions.rows[sends]]
        outcomes = self.log.tables["outcomes"]
        answered = ids.isin(outcomes["decision_id"][outcomes["outcome"].isin(_RESPONSES)])
        places = np.flatnonzero(answered)
        if not len(places):
            return 1.0 if len(sends) else 0.0
        runs = np.array([places[0], len(sends) - 1 - places[-1]])
        return float(runs[(1.0 - answered.mean()) ** runs < _CHANCE].sum() / len(sends))


def replayed(log: Log) -> Replayed:
    """Replay a log that `load_checked` gave."""
    catalog, users = catalog_of(log), to_events(log)
    decisions = decisions_of(log, catalog, users)
    listed = log.tables["decisions"]["hours"]
    hours = hour_flags(listed.iloc[decisions.rows])
    without = hours.sum(1) == 0
    if listed.notna().any():
        # An empty list is missing too, but where no hour is allowed only a sure hold can follow.
        without &= decisions.sent | (decisions.propensity < 1.0)
    hours[without] = True
    arms = log.tables["decisions"]["arm"]
    drawn = int(arms.isin(arms.iloc[decisions.rows]).sum())
    unlisted = 1.0 - len(decisions.rows) / drawn if drawn else 0.0
    until = log_end(log)
    return Replayed(log, catalog, users, decisions, hours, without, unlisted, until)


def some(requests: Requests, which: slice) -> Requests:
    """A slice of requests."""
    return Requests(*(getattr(requests, field.name)[which] for field in fields(Requests)))
