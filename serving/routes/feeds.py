"""What happened: events and outcomes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from serving.answers import ReceiptOut
from serving.problems import PROBLEMS, Problem
from serving.record import record_events, record_outcomes
from serving.schemas import EventsIn, OutcomesIn
from serving.service import Here, Service, reply
from serving.strict_json import StrictRoute

router = APIRouter(tags=["events and outcomes"], route_class=StrictRoute, responses=PROBLEMS)


@router.post("/v1/events", status_code=202, response_model=ReceiptOut)
def events(service: Here, body: EventsIn) -> Response:
    """Store what users did on their own; each entry is accepted, a duplicate or rejected."""
    check_size(service, "events", body.events)
    receipt = record_events(service.engine, service.settings, body.events, service.clock())
    service.metrics.count_receipt("events", receipt)
    return reply(receipt.to_mapping(), 202)


@router.post("/v1/outcomes", status_code=202, response_model=ReceiptOut)
def outcomes(service: Here, body: OutcomesIn) -> Response:
    """Store what became of decisions; each entry is accepted, a duplicate or rejected."""
    check_size(service, "outcomes", body.outcomes)
    receipt = record_outcomes(service.engine, service.settings, body.outcomes, service.clock())
    service.metrics.count_receipt("outcomes", receipt)
    return reply(receipt.to_mapping(), 202)


def check_size(service: Service, field: str, entries: list[Any]) -> None:
    """Raises `Problem` for more entries than one request may hold."""
    limit = service.settings.max_batch
    if len(entries) > limit:
        raise Problem(422, field, f"there are {len(entries)}, the limit is {limit}")
