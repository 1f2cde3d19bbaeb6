"""Follows places where exports land: each new file goes into a log, exactly once.

A batch is written beside the log together with the ledger of files that the log then holds, and one
rename makes it count. After that its files are moved into the log. Whoever comes after a kill first
moves what counts and removes what does not, so a file is in the log if and only if it is in the
ledger. One process follows into a log at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ingestion.encryption import is_encrypted
from ingestion.imported import LEDGER, Imported
from ingestion.log import LogMeta
from ingestion.merge import merged
from ingestion.parse import log_of
from ingestion.read import is_log, read_log
from ingestion.records import ENDINGS, ending, read_records
from ingestion.schema import TABLES
from ingestion.write import write_tables
from mdp.errors import BadInput, PushwiseError

ACCOUNT = "import.json"


@dataclass(frozen=True)
class Batch:
    """What one look at the places brought."""

    taken: dict[str, int]
    """file → records"""
    again: dict[str, str]
    """file → the file of the same content that was taken before"""
    refused: dict[str, str]
    """file → why it was left out; it is tried again when it changes"""


@dataclass
class Following:
    """Follows places into one log."""

    places: Sequence[Path]
    """directories, searched to the bottom"""
    out: Path
    """the log"""
    importing: Callable[[Sequence[pd.DataFrame]], Imported]
    """makes a log of records, one frame a file"""
    report: Callable[[str], None] = lambda step: None
    """is told each step towards a batch that counts"""
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    """size and time of each file at the last look"""

    def look(self) -> Batch | None:
        """Take the files that are new and have stood still since the last look; None where there
        is none. Raises `BadInput` where a place is not there."""
        now = self._standing()
        ledger = self._ledger()
        still = {name: state for name, state in now.items() if self.seen.get(name) == state}
        self.seen = now
        entries: dict[str, dict[str, Any]] = {}
        for name, state in still.items():
            if ledger.get(name, {}).get("state") != list(state):
                entries[name] = {"state": list(state), "sha256": _digest(Path(name))}
        if not entries:
            return None
        return self._take(entries, ledger)

    def _standing(self) -> dict[str, tuple[int, int]]:
        found = {}
        for place in self.places:
            _must_be_there(place)
            for file in sorted(place.rglob("*")):
                if ending(file) in ENDINGS and file.name[0] not in "._" and file.is_file():
                    about = file.stat()
                    found[str(file)] = (about.st_size, about.st_mtime_ns)
        return found

    def _ledger(self) -> dict[str, dict[str, Any]]:
        file = self.out / LEDGER
        if not file.exists():
            return {}
        try:
            return dict(json.loads(file.read_bytes())["files"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{file} is not what was written: import anew without it") from error

    def _take(self, entries: dict[str, dict[str, Any]], ledger: dict[str, dict[str, Any]]) -> Batch:
        held = {entry["sha256"]: name for name, entry in ledger.items() if "refused" not in entry}
        again, refused = {}, {}
        frames: dict[str, pd.DataFrame] = {}
        for name, entry in entries.items():
            if (same := held.get(entry["sha256"])) is not None:
                again[name] = same
                continue
            try:
                frames[name] = read_records(Path(name))
                held[entry["sha256"]] = name
            except PushwiseError as error:
                refused[name] = str(error)
        parts = self._imported(frames, refused)
        for name, why in refused.items():
            entries[name]["refused"] = why
            frames.pop(name, None)
        self._commit(parts, {**ledger, **entries})
        return Batch({name: len(frame) for name, frame in frames.items()}, again, refused)

    def _imported(
        self, frames: Mapping[str, pd.DataFrame], refused: dict[str, str]
    ) -> list[Imported]:
        """All files as one import; where that fails, each as its own, to find which ones fail."""
        if not frames:
            return []
        try:
            return [self.importing(list(frames.values()))]
        except PushwiseError:
            parts = []
            for name, frame in frames.items():
                try:
                    parts.append(self.importing([frame]))
                except PushwiseError as error:
                    refused[name] = str(error)
            return parts

    def _commit(self, parts: list[Imported], ledger: Mapping[str, Any]) -> None:
        part, ready = _beside(self.out)
        part.mkdir(parents=True)
        account: dict[str, Any] = {}
        if (self.out / ACCOUNT).exists():
            account = json.loads((self.out / ACCOUNT).read_bytes())
        log = read_log(self.out) if parts and is_log(self.out) else None
        for each in parts:
            tables, meta = each.tables, each.meta
            if log is not None:
                tables, meta, met = merged(log, log_of(tables, meta))
                _add(account, {"merged": met | _not_of_their_type(log.problems)})
            _add(account, each.to_mapping())
            log = log_of(tables, meta)
        if parts and log is not None:
            self._write(part, log.tables, log.meta, parts)
        _write_json(part / ACCOUNT, account)
        _write_json(part / LEDGER, {"files": ledger})
        for file in part.iterdir():
            _to_disk(file)
        self.report("written beside the log")
        os.replace(part, ready)
        self.report("counts")
        _move(ready, self.out, self.report)

    def _write(
        self,
        directory: Path,
        tables: Mapping[str, pd.DataFrame],
        meta: LogMeta,
        parts: list[Imported],
    ) -> None:
        named = {name for part in parts for name in part.tables}
        there = {name: t for name, t in tables.items() if len(t) or name in named}
        write_tables(directory, there, meta)


@contextmanager
def following(
    places: Sequence[Path],
    out: Path,
    importing: Callable[[Sequence[pd.DataFrame]], Imported],
    report: Callable[[str], None] = lambda step: None,
) -> Iterator[Following]:
    """Follow into a log that nobody else follows into, after finishing what a kill interrupted.

    Raises `BadInput` where another process does, `out` holds files but no log, or a place is not
    there.
    """
    for place in places:
        _must_be_there(place)
    if is_encrypted(out):
        raise BadInput(f"{out} is encrypted: decrypt it into another directory and follow there")
    if out.is_dir() and any(out.iterdir()) and not is_log(out) and not (out / LEDGER).exists():
        raise BadInput(f"{out} is not empty and holds no log: choose another directory")
    out.mkdir(parents=True, exist_ok=True)
    lock = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(f"another process follows into {out}: stop it first") from error
        part, ready = _beside(out)
        shutil.rmtree(part, ignore_errors=True)
        if ready.is_dir():
            _move(ready, out, report)
        yield Following(places, out, importing, report)
    finally:
        os.close(lock)


def _must_be_there(place: Path) -> None:
    if not place.is_dir():
        raise BadInput(f"{place} is no directory: --follow looks into directories")


def _beside(out: Path) -> tuple[Path, Path]:
    """Where a batch is written, and where it is from when it counts until it is moved."""
    whole = out.resolve()
    return whole.with_name(f".{whole.name}.part"), whole.with_name(f".{whole.name}.ready")


def _move(ready: Path, out: Path, report: Callable[[str], None]) -> None:
    for file in sorted(ready.iterdir()):
        os.replace(file, out / file.name)
        report(f"moved {file.name}")
    for name in TABLES:
        if (out / f"{name}.parquet").exists():
            (out / f"{name}.csv").unlink(missing_ok=True)
    ready.rmdir()
    report("done")


def _add(account: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Adds counts to an account of counts."""
    for name, value in more.items():
        if isinstance(value, Mapping):
            _add(account.setdefault(name, {}), value)
        else:
            account[name] = account.get(name, 0) + value


def _not_of_their_type(problems: Sequence[Any]) -> dict[str, int]:
    return {
        f"{each.table}.{each.column}: not of its type, emptied": len(each.rows)
        for each in problems
        if len(each.rows)
    }


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _write_json(file: Path, values: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(values, indent=1) + "\n")


def _to_disk(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
