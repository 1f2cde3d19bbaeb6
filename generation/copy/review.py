"""The review queue: a log's copy goes from draft to approved or rejected, by whom, when and why.

    draft ──approve──▶ approved ──text changes──▶ draft
      └────reject────▶ rejected ──approve──▶ approved

`copy_review.parquet` beside the log's tables keeps every step, and nothing is ever taken out of it;
the log's `changes` get the status, so that a replay knows what was approved when. Only approved
copy is sent (`mdp.reasons.copy_reasons`).

What moderation finds with severity *review* may be true (the last three, the first of its kind), so
a person may approve it nevertheless, and the reason is kept with their name. What it finds with
severity *block* (abuse, personal data, slurs, promises of cure or gain, a broken pack) has no such
reading: nobody approves it, the text must change.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from generation.copy.moderation import Moderator, Verdict
from ingestion.copy_history import HISTORY, ITSELF, JUDGED, digest_of, read_history
from ingestion.log import Log
from ingestion.read import read_log
from ingestion.write import replace_tables
from mdp.errors import BadInput, BadLog

DRAFT, APPROVED, REJECTED = "draft", "approved", "rejected"


@dataclass(frozen=True)
class Step:
    """One step of one variant, a row of the history."""

    variant_id: str
    """whose"""
    at: pd.Timestamp
    """when, UTC"""
    who: str
    """the person, or `pushwise` where a changed text went back to draft"""
    action: str
    """approve, reject or changed"""
    why: str
    """the reason that was given"""
    status: str
    """the status after it"""
    title: str
    """the title that was judged"""
    body: str
    """the body that was judged"""
    digest: str
    """of all that was judged"""
    override: bool
    """whether it was approved against moderation's findings"""
    findings: str
    """moderation's findings then, JSON"""
    packs: str
    """the packs' dates then, JSON"""


@dataclass(frozen=True)
class Waiting:
    """A variant, and what moderation says of it now."""

    variant_id: str
    status: str
    title: str
    body: str
    verdict: Verdict
    provenance: dict[str, str]
    """the columns that are not of the log format, such as the model that wrote it"""
    last: Step | None
    """the last step of its history"""


class Review:
    """The queue of one log; open it with `review_of`."""

    def __init__(self, path: Path, log: Log, history: list[Step], moderator: Moderator) -> None:
        self._path, self._moderator = path, moderator
        self._variants = log.tables["variants"].copy()
        self._changes = log.tables["changes"]
        self.history = history
        """every step so far, in order"""
        self._new: list[Step] = []

    def waiting(self) -> list[Waiting]:
        """Every variant, in the order of the log."""
        last = {step.variant_id: step for step in self.history}
        return [
            Waiting(
                str(row["variant_id"]),
                str(row["status"]),
                *_words(row),
                self._judged(row),
                _provenance(row),
                last.get(str(row["variant_id"])),
            )
            for row in self._variants.to_dict("records")
        ]

    def void(self, now: pd.Timestamp) -> list[str]:
        """Sends back to draft what was approved here and reads otherwise by now; their ids."""
        last = {step.variant_id: step for step in self.history}
        gone = []
        for place, row in enumerate(self._variants.to_dict("records")):
            step = last.get(str(row["variant_id"]))
            if step is None or row["status"] == DRAFT or step.digest == digest_of(row):
                continue
            gone.append(str(row["variant_id"]))
            why = f"it reads otherwise than when it was {step.status}"
            self._take(place, ITSELF, "changed", why, DRAFT, False, now)
        return gone

    def approve(
        self, variants: Sequence[str], who: str, why: str, override: bool, now: pd.Timestamp
    ) -> None:
        """Approve copy; raises `BadInput`, and approves none, where moderation is against one."""
        for place in self._places(variants):
            verdict = self._judged(self._variants.iloc[place].to_dict())
            if verdict.approved:
                continue
            name = self._variants["variant_id"].iloc[place]
            rules = ", ".join(f"{each.rule} ({each.found!r})" for each in verdict.findings)
            if verdict.blocked:
                raise BadInput(
                    f"variant {name!r} can't be approved: {rules}; change the text and try again"
                )
            if not override or not why.strip():
                raise BadInput(
                    f"moderation is against variant {name!r}: {rules}; if it is true, approve it "
                    "with --override and --why"
                )
        for place in self._places(variants):
            self._take(place, who, "approve", why, APPROVED, override, now)

    def reject(self, variants: Sequence[str], who: str, why: str, now: pd.Timestamp) -> None:
        """Reject copy; raises `BadInput` where no reason is given."""
        if not why.strip():
            raise BadInput("a rejection wants a reason: give --why")
        for place in self._places(variants):
            self._take(place, who, "reject", why, REJECTED, False, now)

    def save(self) -> None:
        """Write what happened: first the history, then the log, so that no approval is without its
        reason."""
        if not self._new:
            return
        steps = pd.DataFrame([asdict(step) for step in [*self.history, *self._new]])
        part = self._path / f".{HISTORY}.part{os.getpid()}"
        steps.to_parquet(part, index=False)
        os.replace(part, self._path / HISTORY)
        rows = pd.DataFrame(
            {
                "table": "variants",
                "id": [step.variant_id for step in self._new],
                "column": "status",
                "value": [step.status for step in self._new],
                "at": [step.at for step in self._new],
            }
        ).astype(self._changes.dtypes.to_dict())
        changes = pd.concat([self._changes, rows], ignore_index=True)
        replace_tables(self._path, {"variants": self._variants, "changes": changes})
        self.history, self._new = [*self.history, *self._new], []

    def _places(self, variants: Sequence[str]) -> list[int]:
        if not variants:
            raise BadInput("no variant is named: give their ids")
        rows = {str(name): place for place, name in enumerate(self._variants["variant_id"])}
        for name in variants:
            if name not in rows:
                raise BadInput(f"there is no variant {name!r} in {self._path}")
        return [rows[name] for name in dict.fromkeys(variants)]

    def _judged(self, row: Mapping[Hashable, Any]) -> Verdict:
        return self._moderator.moderate("\n".join(_words(row)))

    def _take(
        self, place: int, who: str, action: str, why: str, status: str, override: bool,
        now: pd.Timestamp,
    ) -> None:  # fmt: skip
        row = self._variants.iloc[place].to_dict()
        findings = [finding.to_mapping() for finding in self._judged(row).findings]
        self._variants.loc[self._variants.index[place], "status"] = status
        self._new.append(
            Step(
                str(row["variant_id"]), now, who, action, why, status, *_words(row), digest_of(row),
                override and bool(findings),
                json.dumps(findings, ensure_ascii=False),
                json.dumps(self._moderator.versions),
            )
        )  # fmt: skip


@contextmanager
def review_of(path: Path, moderator: Moderator | None = None) -> Iterator[Review]:
    """The queue of a log's copy, saved at the end; one process at a time.

    Raises `BadLog` where the log or the history can't be read, or the log holds no copy.
    """
    if not path.is_dir():
        raise BadLog(f"{path} is not a directory: give one that holds a log's tables")
    with (path / ".copy_review.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        log = read_log(path)
        for problem in log.problems:
            if problem.table in ("variants", "changes") and len(problem.rows):
                raise BadLog(f"{path}: {problem.table} has errors: see `pushwise check {path}`")
        variants = log.tables["variants"]
        if variants.empty:
            raise BadLog(f"{path} holds no variants: there is no copy to review")
        if variants["variant_id"].duplicated().any():
            twice = variants["variant_id"][variants["variant_id"].duplicated()].iloc[0]
            raise BadLog(f"{path}: the variant {twice!r} is there more than once")
        unknown = set(variants["status"].dropna()) - {DRAFT, APPROVED, REJECTED}
        if unknown:
            raise BadLog(f"{path}: a variant has the status {sorted(unknown)[0]!r}")
        review = Review(path, log, _read_history(path), moderator or Moderator.standard())
        yield review
        review.save()


def _read_history(path: Path) -> list[Step]:
    steps = read_history(path)
    rows = [] if steps is None else steps.to_dict("records")
    try:
        return [Step(**{str(name): value for name, value in row.items()}) for row in rows]
    except TypeError as error:
        raise BadLog(f"{path / HISTORY} can't be read: {error}; restore it from a copy") from error


def _words(row: Mapping[Hashable, Any]) -> tuple[str, str]:
    title, body = ("" if pd.isna(row[name]) else str(row[name]) for name in ("title", "body"))
    return title, body


def _provenance(row: Mapping[Hashable, Any]) -> dict[str, str]:
    known = {"variant_id", "status", *JUDGED}
    return {str(name): str(v) for name, v in row.items() if name not in known and pd.notna(v)}


def with_status(waiting: Sequence[Waiting], statuses: Collection[str]) -> list[Waiting]:
    """Those of some statuses; all where none is named."""
    return [each for each in waiting if not statuses or each.status in statuses]
