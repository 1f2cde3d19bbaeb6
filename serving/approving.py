"""What status copy gets when it is put into the store: nothing unjudged is approved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from serving.problems import Problem
from serving.rows import rows_by_key
from serving.schemas import VariantIn
from serving.tables import VARIANTS

_TEXT = ("title", "body", "locale")


def with_status(
    connection: Connection, variants: Sequence[VariantIn], moderate: bool
) -> list[dict[str, Any]]:
    """The variants' columns, each with a status.

    Without one, a text that is as it was keeps its status, a text that changed is a draft, and a
    new one is approved. Raises `Problem` for approved copy that the rule packs refuse: what is
    blocked can't be approved, what is up for review needs `approved_because`.
    """
    old = rows_by_key(connection, VARIANTS, [each.variant_id for each in variants])
    bodies = []
    for place, each in enumerate(variants):
        body = each.model_dump(exclude_none=True)
        row = old.get(each.variant_id)
        same = row is not None and all(row.body.get(k) == body.get(k) for k in _TEXT)
        if each.status is None:
            before = None if row is None else row.body.get("status", "approved")
            body["status"] = "approved" if row is None else before if same else "draft"
        known = same and row is not None and row.body.get("status", "approved") == "approved"
        if moderate and body["status"] == "approved" and not known:
            _check(f"variants[{place}]", each)
        bodies.append(body)
    return bodies


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
