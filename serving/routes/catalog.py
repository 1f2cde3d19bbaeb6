"""The catalogue: items and variants of copy."""

from __future__ import annotations

from fastapi import APIRouter, Response

from serving.answers import VariantsWritten, WrittenOut
from serving.approving import note_approvals, with_status
from serving.catalog import put_rows
from serving.problems import PROBLEMS
from serving.routes.feeds import check_size
from serving.schemas import ItemsIn, VariantsIn
from serving.service import Here, Who, reply
from serving.store import writing
from serving.strict_json import StrictRoute
from serving.tables import ITEMS, VARIANTS

router = APIRouter(tags=["catalogue"], route_class=StrictRoute, responses=PROBLEMS)


@router.put("/v1/items", response_model=WrittenOut)
def items(service: Here, body: ItemsIn) -> Response:
    """Add items, or replace those with the same ids; all or none."""
    check_size(service, "items", body.items)
    rows = [item.model_dump(exclude_none=True) for item in body.items]
    with writing(service.engine) as connection:
        put_rows(connection, ITEMS, rows, service.clock())
    return reply({"written": len(rows)})


@router.put("/v1/variants", response_model=VariantsWritten)
def variants(service: Here, who: Who, body: VariantsIn) -> Response:
    """Add variants, or replace those with the same ids; all or none.

    Only approved copy is sent. A text that changes is a draft until it is put with the status
    approved, and copy that the rule packs refuse is not approved. What is approved, or is so no
    more, has a line in the audit log.
    """
    check_size(service, "variants", body.variants)
    now = service.clock()
    with writing(service.engine) as connection:
        rows = with_status(connection, body.variants, service.settings.moderate_copy)
        note_approvals(connection, rows, now, who)
        put_rows(connection, VARIANTS, rows, now)
    drafts = [row["variant_id"] for row in rows if row["status"] == "draft"]
    return reply({"written": len(rows), "drafts": drafts})
