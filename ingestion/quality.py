"""What a log is good for: its size, its rates, and whether it can be fitted and evaluated on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from ingestion.check import Finding
from ingestion.log import LOGGED, Log, LogMeta
from ingestion.read import way_out
from ingestion.rules import ERROR
from ingestion.schema import TABLES

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

    @property
    def sizes(self) -> str:
        """How many rows each table has, in words; empty for none."""
        called = {"calendar": "special days"}
        return ", ".join(f"{n:,} {called.get(name, name)}" for name, n in self.rows.items() if n)

    def to_mapping(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Figures:
    """What of a log can be counted in parts of it and added up."""

    rows: dict[str, int]
    """rows of each table"""
    first: pd.Timestamp
    """instant of the first event or decision; NaT where there is none"""
    last: pd.Timestamp
    """instant of the last one"""
    users: int
    """users that something was decided for"""
    decisions: int
    """decisions"""
    sends: int
    """decisions that sent something"""
    kinds: Counter[str]
    """decisions with each kind of outcome"""


def figures_of(log: Log, tables: Collection[str] = TABLES.keys()) -> Figures:
    """The figures of a log, or of some tables of a part of it."""
    decisions, outcomes = log.tables["decisions"], log.tables["outcomes"]
    instants = pd.concat([log.tables["events"]["at"], decisions["decided_at"]])
    kinds = outcomes.drop_duplicates(["decision_id", "outcome"])["outcome"].value_counts()
    return Figures(
        {name: len(log.tables[name]) for name in tables},
        instants.min(),
        instants.max(),
        int(decisions["user_id"].nunique()),
        len(decisions),
        int(decisions["send_at"].notna().sum()),
        Counter({str(kind): int(count) for kind, count in kinds.items()}),
    )


def added(parts: Sequence[Figures]) -> Figures:
    """The figures of a log from those of its parts."""
    rows: Counter[str] = Counter(dict.fromkeys(TABLES, 0))
    kinds: Counter[str] = Counter()
    for part in parts:
        rows.update(part.rows)
        kinds.update(part.kinds)
    return Figures(
        dict(rows),
        pd.Series([part.first for part in parts], dtype="datetime64[us, UTC]").min(),
        pd.Series([part.last for part in parts], dtype="datetime64[us, UTC]").max(),
        sum(part.users for part in parts),
        sum(part.decisions for part in parts),
        sum(part.sends for part in parts),
        kinds,
    )


def quality(log: Log, found: Sequence[Finding]) -> Quality:
    """The quality of a log, given what `findings` found in it."""
    return quality_of(figures_of(log), log.meta, found)


def quality_of(figures: Figures, meta: LogMeta, found: Sequence[Finding]) -> Quality:
    """The quality of a log by its figures."""
    sends, users, decisions = figures.sends, figures.users, figures.decisions
    errors = [finding for finding in found if finding.severity == ERROR]
    wrong = f"{len(errors)} kind{'s' * (len(errors) > 1)} of error; {way_out(errors)}"
    fit = _first_reason(
        (len(errors) > 0, wrong),
        (sends == 0, "nothing was ever sent, so there is no response to learn from"),
        (sends < ENOUGH_SENDS, f"only {sends} sends; {ENOUGH_SENDS} are the least to learn from"),
    )
    evaluate = _first_reason(
        (len(errors) > 0, wrong),
        (decisions == 0, "there are no decisions"),
        (meta.propensities != LOGGED, f"propensities are {meta.propensities}, not logged"),
        (users < ENOUGH_USERS, f"only {users} users with decisions; {ENOUGH_USERS} are the least"),
    )
    kinds = sorted(figures.kinds.items(), key=lambda pair: (-pair[1], pair[0]))
    return Quality(
        rows=figures.rows,
        first=None if figures.first is pd.NaT else figures.first.isoformat(),
        last=None if figures.last is pd.NaT else figures.last.isoformat(),
        users=users,
        sends=sends,
        send_share=sends / decisions if decisions else None,
        rates={kind: count / sends for kind, count in kinds} if sends else {},
        fit=fit,
        evaluate=evaluate,
    )


def _first_reason(*reasons: tuple[bool, str]) -> str:
    return next((reason for holds, reason in reasons if holds), "yes")
