"""What status copy gets when it is put into the store: nothing unjudged is approved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from serving.access import audit
from serving.problems import Problem
from serving.rows import rows_by_key
from serving.schemas import VariantIn
from serving.tables import VARIANTS

Fields = Mapping[str, Any]
"""A variant's columns."""
_TEXT = ("title", "body", "locale")


def with_status(
    connection: Connection, variants: Sequence[VariantIn], moderate: bool
) -> list[dict[str, Any]]:
    """The variants' columns, each with a status.

    Without one, a text that is as it was keeps its status, a text that changed is a draft, and a
    new one is approved. Raises `Problem` for approved copy that the rule packs refuse: what is
    blocked can't be approved, what is up for review needs `approved_because`.
    """
    old = _stored(connection, [each.variant_id for each in variants])
    bodies = []
    for place, each in enumerate(variants):
        body = each.model_dump(exclude_none=True)
        before = old.get(each.variant_id)
        same = before is not None and _same_text(before, body)
        if each.status is None:
            body["status"] = "approved" if before is None else before["status"] if same else "draft"
        if moderate and _newly_approved(before, body):
            _check(f"variants[{place}]", each)
        bodies.append(body)
    return bodies


def note_approvals(connection: Connection, bodies: Sequence[Fields], now: int, who: str) -> None:
    """Write into the audit log which variants that are about to be put, as `with_status` gives
    them, are approved by that, and which are so no more."""
    old = _stored(connection, [body["variant_id"] for body in bodies])
    approved, taken_back = [], []
    for body in bodies:
        before = old.get(body["variant_id"])
        if _newly_approved(before, body):
            approved.append(body["variant_id"])
        elif before is not None and _approved(before) and not _approved(body):
            taken_back.append(body["variant_id"])
    for action, ids in (("approve copy", approved), ("take back copy", taken_back)):
        if ids:
            audit(connection, now, who, action, {"variants": ids})


def _stored(connection: Connection, ids: Sequence[str]) -> dict[str, Fields]:
    """The columns of the variants that there are, each with its status."""
    rows = rows_by_key(connection, VARIANTS, ids)
    return {name: {"status": "approved", **row.body} for name, row in rows.items()}


def _approved(body: Fields) -> bool:
    return bool(body["status"] == "approved")


def _same_text(before: Fields, body: Fields) -> bool:
    return all(before.get(k) == body.get(k) for k in _TEXT)


def _newly_approved(before: Fields | None, body: Fields) -> bool:
    """Whether a text is approved that was not, as it is a new one or was a draft."""
    known = before is not None and _approved(before) and _same_text(before, body)
    return _approved(body) and not known


def judged(variants: pd.DataFrame) -> tuple[pd.DataFrame, list[str], list[str]]:
    """A log's copy to load, judged where it is approved: what the rule packs block is a draft,
    whatever the log says; what is up for review stays approved, as the shop has it.

    Returns the table, and the ids of the variants that are blocked and of those up for review.
    """
    from generation.copy.moderation import Moderator

    moderator = Moderator.standard()
    texts = variants["title"].fillna("") + "\n" + variants["body"].fillna("")
    approved = variants["status"].fillna("approved") == "approved"
    verdicts = [moderator.moderate(text) for text in texts]
    blocked = approved & np.array([verdict.blocked for verdict in verdicts], bool)
    review = approved & ~blocked & np.array([not verdict.approved for verdict in verdicts], bool)
    ids = variants["variant_id"]
    drafts = variants.assign(status=variants["status"].where(~blocked, "draft"))
    return drafts, list(ids[blocked]), list(ids[review])


def _check(field: str, variant: VariantIn) -> None:
    from generation.copy.moderation import Moderator

    verdict = Moderator.standard().moderate(f"{variant.title}\n{variant.body}")
    if verdict.approved or (variant.approved_because and not verdict.blocked):
        return
    found = ", ".join(f"{each.rule} ({each.found!r})" for each in verdict.findings)
    if verdict.blocked:
        raise Problem(422, f"{field}.body", f"{found}: such copy can't be approved")
    raise Problem(
        422,
        f"{field}.body",
        f"{found}: if it is true, say why in approved_because, or put it as a draft",
    )
