"""Cleans a log: drops what can't be true, repairs what can be, and counts both by reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ingestion.check import ERROR, finding_of, problems_of, severity_of
from ingestion.log import Log, LogMeta, Problem
from ingestion.parse import log_of
from ingestion.schema import TABLES, Type
from mdp.errors import BadLog

ROUNDS = 10
"""Dropping a row can orphan others, a few times over."""


@dataclass
class Record:
    """What cleaning did."""

    rows_in: dict[str, int]
    """rows of each table before"""
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)
    """rows dropped, by table and reason"""
    repaired: dict[str, dict[str, int]] = field(default_factory=dict)
    """values repaired, by table and reason"""

    def drop(self, table: str, reason: str, count: int) -> None:
        """Count rows that are dropped."""
        of = self.dropped.setdefault(table, {})
        of[reason] = of.get(reason, 0) + count

    def repair(self, table: str, reason: str, count: int) -> None:
        """Count values that are repaired."""
        if count:
            of = self.repaired.setdefault(table, {})
            of[reason] = of.get(reason, 0) + count

    def to_mapping(self, log: Log) -> dict[str, Any]:
        """As plain values, with the rows that are left."""
        return {
            "rows_in": self.rows_in,
            "rows_out": {name: len(log.tables[name]) for name in self.rows_in},
            "dropped": self.dropped,
            "repaired": self.repaired,
        }


def clean(tables: Mapping[str, pd.DataFrame], meta: LogMeta) -> tuple[Log, Record]:
    """A log without errors, and the record: rows in = rows out + rows dropped, for every table.

    Times without a zone are read in `meta.default_timezone`; unknown and missing zones become that
    one; ids that nothing has are left out of lists;
    everything else that is an error is dropped, with the rows that refer to it. Raises `BadLog`
    where a table or column that is needed is not there.
    """
    record = Record({name: len(table) for name, table in tables.items() if name in TABLES})
    unique = {}
    for name in record.rows_in:
        again = _comparable(tables[name]).duplicated()
        if again.any():
            record.drop(name, "exact duplicate", int(again.sum()))
        unique[name] = tables[name][~again].reset_index(drop=True)
    log = log_of(_with_zones(unique, meta, record), meta)
    for _ in range(ROUNDS):
        errors = [problem for problem in problems_of(log) if severity_of(problem) == ERROR]
        if not errors:
            return log, record
        log = _mended(log, errors, record)
    raise BadLog(f"cleaning does not end; still wrong: {finding_of(log, errors[0]).message}")


def _comparable(table: pd.DataFrame) -> pd.DataFrame:
    """The table with lists and structures, which can't be compared, as text."""
    nested = [name for name in table.columns if table[name].dtype == object]
    comparable = table.copy()
    comparable[nested] = table[nested].map(repr)
    return comparable


def _with_zones(
    tables: Mapping[str, pd.DataFrame], meta: LogMeta, record: Record
) -> dict[str, pd.DataFrame]:
    """Naive times read as the shop's local time, where its zone is known.

    An hour that daylight saving skips reads as the first instant after it; one that it repeats
    says nothing certain and is left as it is.
    """
    out = dict(tables)
    for problem in log_of(tables, meta).problems:
        if problem.rule != "naive_time" or meta.default_timezone is None:
            continue
        assert problem.column is not None
        frame = out[problem.table].copy()
        texts = frame[problem.column].astype(object)
        local = pd.to_datetime(texts.iloc[problem.rows], errors="coerce", format="mixed")
        zoned = local.dt.tz_localize(
            meta.default_timezone, ambiguous="NaT", nonexistent="shift_forward"
        ).dropna()
        texts[zoned.index] = [time.isoformat() for time in zoned]
        frame[problem.column] = texts
        out[problem.table] = frame
        record.repair(problem.table, f"{problem.column}: time zone added", len(zoned))
    return out


def _mended(log: Log, errors: list[Problem], record: Record) -> Log:
    """The log after one round over its errors."""
    tables = dict(log.tables)
    bad: dict[str, pd.Series] = {}
    for error in errors:
        if error.rule in ("missing_table", "missing_column"):
            raise BadLog(f"{finding_of(log, error).message}: cleaning can't make it up")
        assert error.column is not None
        rows = error.rows
        column = TABLES[error.table].column(error.column)
        if column.type is Type.ZONE and log.meta.default_timezone is not None:
            frame = tables[error.table].copy()
            frame.loc[rows, error.column] = log.meta.default_timezone
            tables[error.table] = frame
            what = "unknown zone" if error.rule == "zone" else "no zone"
            record.repair(error.table, f"{error.column}: {what}", len(rows))
            continue
        if column.type is Type.IDS and error.rule == "unknown":
            continue  # `_without_lost_ids` leaves out those ids and keeps the row
        reasons = bad.setdefault(error.table, pd.Series("", tables[error.table].index))
        fresh = rows[(reasons.iloc[rows] == "").to_numpy()]
        reasons.iloc[fresh] = f"{error.column}: {error.rule}"
    for name, reasons in bad.items():
        for reason, count in reasons[reasons != ""].value_counts().items():
            record.drop(name, str(reason), int(count))
        tables[name] = tables[name][reasons == ""].reset_index(drop=True)
    tables = dict(_without_lost_ids(tables, record))
    return log_of({name: tables[name] for name in record.rows_in}, log.meta)


def _without_lost_ids(
    tables: Mapping[str, pd.DataFrame], record: Record
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Lists of ids without those that no table has any more."""
    for name, frame in tables.items():
        kept = frame
        for column in TABLES[name].columns:
            if column.type is not Type.IDS or column.refers_to is None:
                continue
            known = set(tables[column.refers_to][TABLES[column.refers_to].key])
            texts = kept[column.name]
            new = {text: _known_part(text, known) for text in texts.dropna().unique()}
            known_part = texts.astype(object).map(new).astype("str")
            changed = texts.notna() & (known_part.fillna("") != texts.fillna(""))
            record.repair(name, f"{column.name}: unknown id left out", int(changed.sum()))
            kept = kept.assign(**{column.name: known_part})
        yield name, kept


def _known_part(text: str, known: set[str]) -> str | None:
    return "|".join(part for part in text.split("|") if part in known) or None
