"""What a log is good for: its size, its rates, and whether it can be fitted and evaluated on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from ingestion.check import Finding
from ingestion.log import LOGGED, Log
from ingestion.rules import ERROR

ENOUGH_SENDS = 500
"""Sends below which a fit learns little but averages."""
ENOUGH_USERS = 50
"""Users with decisions below which intervals over users mean little."""


@dataclass(frozen=True)
class Quality:
    """A log in figures."""

    rows: dict[str, int]
    """rows of each table"""
    first: str | None
    """instant of the first event or decision"""
    last: str | None
    """instant of the last one"""
    users: int
    """users that something was decided for"""
    sends: int
    """decisions that sent something"""
    send_share: float | None
    """sends per decision"""
    rates: dict[str, float]
    """outcomes per send"""
    fit: str
    """`yes`, or why the log can't be fitted well"""
    evaluate: str
    """`yes`, or why a policy can't be evaluated on it"""

    def to_mapping(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def quality(log: Log, found: list[Finding]) -> Quality:
    """The quality of a log, given what `findings` found in it."""
    decisions, outcomes = log.tables["decisions"], log.tables["outcomes"]
    instants = pd.concat([log.tables["events"]["at"], decisions["decided_at"]]).dropna()
    sends = int(decisions["send_at"].notna().sum())
    users = int(decisions["user_id"].nunique())
    kinds = outcomes.drop_duplicates(["decision_id", "outcome"])["outcome"].value_counts()
    errors = sum(finding.severity == ERROR for finding in found)
    fit = _first_reason(
        (errors > 0, f"{errors} kinds of error; `pushwise clean` repairs what can be repaired"),
        (sends == 0, "nothing was ever sent, so there is no response to learn from"),
        (sends < ENOUGH_SENDS, f"only {sends} sends; {ENOUGH_SENDS} are the least to learn from"),
    )
    evaluate = _first_reason(
        (errors > 0, f"{errors} kinds of error; `pushwise clean` repairs what can be repaired"),
        (len(decisions) == 0, "there are no decisions"),
        (log.meta.propensities != LOGGED, f"propensities are {log.meta.propensities}, not logged"),
        (users < ENOUGH_USERS, f"only {users} users with decisions; {ENOUGH_USERS} are the least"),
    )
    return Quality(
        rows={name: len(table) for name, table in log.tables.items()},
        first=None if instants.empty else instants.min().isoformat(),
        last=None if instants.empty else instants.max().isoformat(),
        users=users,
        sends=sends,
        send_share=sends / len(decisions) if len(decisions) else None,
        rates={str(kind): int(count) / sends for kind, count in kinds.items()} if sends else {},
        fit=fit,
        evaluate=evaluate,
    )


def _first_reason(*reasons: tuple[bool, str]) -> str:
    return next((reason for holds, reason in reasons if holds), "yes")
