"""Reads a log directory: each table from `NAME.parquet` or `NAME.csv`, and `log.json`."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from ingestion.log import Log, LogMeta
from ingestion.parse import log_of
from ingestion.schema import TABLES
from mdp.errors import BadLog

META_FILE = "log.json"


def read_log(path: Path | str) -> Log:
    """A log as it is: what can't be read as its type is missing and noted in `Log.problems`.

    Raises `BadLog` where there is no log at all or a file can't be parsed.
    """
    return log_of(*read_raw(path))


def read_raw(path: Path | str) -> tuple[dict[str, pd.DataFrame], LogMeta]:
    """A log's tables just as their files hold them, and what `log.json` says.

    Raises `BadLog` where there is no log at all or a file can't be parsed.
    """
    path = Path(path)
    if not path.is_dir():
        raise BadLog(f"{path} is not a directory: give one that holds a log's tables")
    files = {name: file for name in TABLES for file in _files_of(path, name)}
    if not files:
        raise BadLog(f"{path} holds no table of a log ({', '.join(TABLES)})")
    tables = {name: _read_table(file) for name, file in files.items()}
    return tables, _read_meta(path / META_FILE)


def load_checked(path: Path | str) -> Log:
    """A log without errors; raises `BadLog` that counts them and names the first."""
    from ingestion.check import ERROR, findings

    log = read_log(path)
    errors = [finding for finding in findings(log) if finding.severity == ERROR]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise BadLog(
            f"{path}: {errors[0].message}{more}; `pushwise check {path}` lists them all, "
            f"`pushwise clean {path} OUT` repairs what can be repaired"
        )
    return log


def _files_of(path: Path, name: str) -> list[Path]:
    found = [path / f"{name}.{ending}" for ending in ("parquet", "csv")]
    found = [file for file in found if file.exists()]
    if len(found) > 1:
        raise BadLog(f"{path} holds both {name}.parquet and {name}.csv: keep one of them")
    return found


def _read_table(file: Path) -> pd.DataFrame:
    try:
        if file.suffix == ".parquet":
            return pd.read_parquet(file)
        return pd.read_csv(file, dtype=str, keep_default_na=False, na_values=[""])
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (ValueError, pa.ArrowException) as error:
        raise BadLog(f"{file} can't be read as {file.suffix[1:]}: {error}") from error


def _read_meta(file: Path) -> LogMeta:
    if not file.exists():
        return LogMeta()
    try:
        values = json.loads(file.read_bytes())
    except ValueError as error:
        raise BadLog(f"{file} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise BadLog(f"{file} must hold an object, and holds {type(values).__name__}")
    return meta_of(values, str(file))


def meta_of(values: dict[str, Any], where: str = META_FILE) -> LogMeta:
    """What `log.json` says, from its parsed values; raises `BadLog` for a bad one."""
    known = {field.name for field in fields(LogMeta)} - {"other"}
    given = {name: value for name, value in values.items() if name in known and value is not None}
    for name, choices in (
        ("propensities", ("logged", "estimated", "none")),
        ("candidates", ("logged", "none")),
    ):
        if given.get(name, choices[0]) not in choices:
            raise BadLog(f"{where}: {name} is {given[name]!r}; use {', '.join(choices)}")
    if "complete_until" in given:
        until = pd.to_datetime(given["complete_until"], errors="coerce")
        if until is pd.NaT or until.tzinfo is None:
            raise BadLog(
                f"{where}: complete_until is {given['complete_until']!r}; write an ISO 8601 time "
                "with its offset"
            )
        given["complete_until"] = until.tz_convert("UTC")
    other = {name: value for name, value in values.items() if name not in known}
    return LogMeta(**given, other=other)
