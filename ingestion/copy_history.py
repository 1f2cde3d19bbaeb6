"""The history of a log's copy review, which goes where the log goes.

`copy_review.parquet` beside the log's tables keeps every step of every variant (`generation.copy.
review` says what a step is); nothing is ever taken out of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Hashable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from ingestion.encryption import content_of
from ingestion.privacy import COARSE, pseudonym, without_people
from mdp.errors import BadLog

HISTORY = "copy_review.parquet"
JUDGED = ("title", "body", "locale", "item_id", "segment", "style")
"""Columns of a variant that are approved; where any of them changes, the approval is void."""
ITSELF = "pushwise"
"""Who sent copy back to draft whose text changed."""


def digest_of(variant: Mapping[Hashable, Any]) -> str:
    """A digest of all of a variant that is judged."""
    parts = ["" if pd.isna(variant.get(name)) else str(variant[name]) for name in JUDGED]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=12).hexdigest()


def read_history(logs: Path) -> pd.DataFrame | None:
    """Every step so far, one row each, in order; None where there is no history. Raises `BadLog`
    for one that can't be read."""
    file = logs / HISTORY
    try:
        content = content_of(file)
        return None if content is None else pd.read_parquet(BytesIO(content))
    except (ValueError, OSError, pa.ArrowException) as error:
        raise BadLog(f"{file} can't be read: {error}; restore it from a copy") from error


def write_history(logs: Path, steps: pd.DataFrame) -> None:
    """Put steps into a log's history, beside those that it has."""
    there = read_history(logs)
    if there is not None:
        steps = pd.concat([there, steps], ignore_index=True).drop_duplicates()
        steps = steps.sort_values("at", kind="stable", ignore_index=True)
    part = logs / f".{HISTORY}.part{os.getpid()}"
    steps.to_parquet(part, index=False)
    os.replace(part, logs / HISTORY)


def pseudonymised_history(
    steps: pd.DataFrame, before: pd.DataFrame, after: pd.DataFrame, key: bytes, coarsen: str | None
) -> pd.DataFrame:
    """Steps without who took them, given the log's variants `before` and `after` their ids became
    pseudonyms, row by row.

    Reasons and findings are scrubbed as other free texts. An approval stays valid where it was; the
    digests of texts that have changed since, which an item's id could be guessed from, are emptied.
    """
    new = {
        (str(was["variant_id"]), digest_of(was)): digest_of(now)
        for was, now in zip(before.to_dict("records"), after.to_dict("records"), strict=True)
    }
    said = zip(steps["variant_id"], steps["digest"], strict=True)
    people = [who if who == ITSELF else pseudonym(key, "reviewer", who) for who in steps["who"]]
    out = steps.assign(
        variant_id=[pseudonym(key, "variant", name) for name in steps["variant_id"]],
        who=people,
        digest=[new.get(pair, "") for pair in said],
        why=without_people(steps["why"]),
        findings=without_people(steps["findings"]),
    )
    return out if coarsen is None else out.assign(at=out["at"].dt.floor(COARSE[coarsen]))
