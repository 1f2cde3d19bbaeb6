"""Reads a log directory: each table from `NAME.parquet` or `NAME.csv`, and `log.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from ingestion.encryption import ENDING, content_of, opened
from ingestion.log import Log, LogMeta
from ingestion.parse import log_of
from ingestion.rules import RULES, Action
from ingestion.schema import FORMAT_VERSION, TABLES
from mdp.clock import NO_ZONE, zone_code
from mdp.errors import BadLog

if TYPE_CHECKING:
    from ingestion.check import Finding

META_FILE = "log.json"
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, pa.ArrowException, OSError)
"""What reading a damaged file may raise; pandas stumbles over its own notes in Parquet by any."""


def read_log(path: Path | str) -> Log:
    """A log as it is: what can't be read as its type is missing and noted in `Log.problems`.

    Raises `BadLog` where there is no log at all or a file can't be parsed.
    """
    return log_of(*read_raw(path))


def read_raw(path: Path | str) -> tuple[dict[str, pd.DataFrame], LogMeta]:
    """A log's tables just as their files hold them, and what `log.json` says.

    Raises `BadLog` where there is no log at all or a file can't be parsed.
    """
    tables = {name: _read_table(file) for name, file in table_files(path).items()}
    return tables, read_meta(path)


def table_files(path: Path | str) -> dict[str, Path]:
    """The file of each table that a log has; raises `BadLog` where there is no log at all."""
    path = Path(path)
    if not path.is_dir():
        raise BadLog(f"{path} is not a directory: give one that holds a log's tables")
    files = {name: file for name in TABLES for file in _files_of(path, name)}
    for name in TABLES:
        if name not in files and (others := sorted(path.glob(f"{name}.*"))):
            raise BadLog(
                f"{others[0]} is not read: a table is {name}.parquet or {name}.csv, "
                "and `pushwise import` makes them of other files"
            )
    if not files:
        raise BadLog(f"{path} holds no table of a log ({', '.join(TABLES)})")
    return files


def is_log(path: Path) -> bool:
    """Whether a directory holds a table of a log."""
    return any(_files_of(path, name) for name in TABLES)


def load_checked(path: Path | str) -> Log:
    """A log without errors; raises `BadLog` that counts them and names the first."""
    from ingestion.check import errors_of

    log = read_log(path)
    refuse(path, errors_of(log))
    return log


def refuse(path: Path | str, errors: Sequence[Finding]) -> None:
    """Raises `BadLog` where there is any error."""
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        lists = f"`pushwise check {path}` lists them all"
        raise BadLog(
            f"{path}: {errors[0].message}{more}; {lists}, {way_out(errors, f'{path} OUT')}"
        )


def way_out(errors: Sequence[Finding], of: str = "") -> str:
    """What to do about errors, as the end of a sentence; `of` are the arguments of `clean`."""
    absent = [error for error in errors if RULES[error.rule].action is Action.REFUSE]
    if not absent:
        command = f"pushwise clean {of}".rstrip()
        return f"`{command}` repairs what can be repaired"
    for column, key in (("propensity", "propensities"), ("candidates", "candidates")):
        if any((error.table, error.column) == ("decisions", column) for error in absent):
            return f'where it was never logged, log.json says so (`"{key}": "none"`)'
    return "what is not there has to be exported, or given its name"


def _files_of(path: Path, name: str) -> list[Path]:
    plain = [path / f"{name}.{ending}" for ending in ("parquet", "csv")]
    closed = [file.with_name(file.name + ENDING) for file in plain]
    found = [file for file in (*plain, *closed) if file.exists()]
    if len(found) > 1:
        one, two = (file.name for file in found[:2])
        raise BadLog(f"{path} holds both {one} and {two}: keep one of them")
    return found


def _read_table(file: Path) -> pd.DataFrame:
    kind = Path(file.name.removesuffix(ENDING)).suffix
    source = BytesIO(opened(file)) if file.suffix == ENDING else file
    try:
        frame = pd.read_parquet(source) if kind == ".parquet" else _read_csv(source)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # not what the file holds, but that it can't be opened
        raise BadLog(f"{file} can't be read as {kind[1:]}: {error}") from error
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise BadLog(f"{file} has the column {twice[0]!r} twice: keep one of them")
    return frame


def _read_csv(file: Path | BytesIO) -> pd.DataFrame:
    # The header is read as a row: pandas would rename a second column of the same name, and take
    # the first column of rows that are longer than the header for an index.
    lines = pd.read_csv(
        file, header=None, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig"
    )
    frame = lines.iloc[1:].reset_index(drop=True)
    frame.columns = pd.Index(lines.iloc[0].fillna(""))
    return frame


def read_meta(path: Path | str) -> LogMeta:
    """What a log's `log.json` says; raises `BadLog` for a bad one."""
    file = Path(path) / META_FILE
    content = content_of(file)
    if content is None:
        return LogMeta()
    try:
        values = json.loads(content)
        json.dumps(values, ensure_ascii=False).encode()  # raises for half of a surrogate pair
    except (ValueError, RecursionError) as error:
        raise BadLog(f"{file} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise BadLog(f"{file} must hold an object, and holds {type(values).__name__}")
    return meta_of(values, str(file))


def meta_of(values: dict[str, Any], where: str = META_FILE) -> LogMeta:
    """What `log.json` says, from its parsed values; raises `BadLog` for a bad one."""
    known = {field.name for field in fields(LogMeta)} - {"other"}
    given = {name: value for name, value in values.items() if name in known and value is not None}
    if given.get("format_version", FORMAT_VERSION) != FORMAT_VERSION:
        raise BadLog(
            f"{where}: format_version is {given['format_version']!r}; this pushwise reads "
            f"{FORMAT_VERSION}"
        )
    for name in ("currency", "default_timezone", "source"):
        if not isinstance(given.get(name, ""), str):
            raise BadLog(f"{where}: {name} is {given[name]!r}; write a text")
    if "default_timezone" in given and zone_code(given["default_timezone"]) == NO_ZONE:
        raise BadLog(
            f"{where}: default_timezone is {given['default_timezone']!r}; write an IANA zone, "
            "such as Europe/Berlin"
        )
    for name, choices in (
        ("propensities", ("logged", "estimated", "none")),
        ("candidates", ("logged", "none")),
    ):
        if given.get(name, choices[0]) not in choices:
            raise BadLog(f"{where}: {name} is {given[name]!r}; use {', '.join(choices)}")
    for name in ("complete_until", "holdout_since"):
        if name not in given:
            continue
        text = pd.Series([str(given[name])])
        instant = pd.to_datetime(text, format="ISO8601", errors="coerce")[0]
        if instant is pd.NaT or instant.tzinfo is None:
            raise BadLog(
                f"{where}: {name} is {given[name]!r}; write an ISO 8601 time with its offset"
            )
        given[name] = instant.tz_convert("UTC")
    share = given.get("holdout_share", 0.0)
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
        raise BadLog(f"{where}: holdout_share is {share!r}; write a number from 0 to 1")
    other = {name: value for name, value in values.items() if name not in known}
    return LogMeta(**given, other=other)
