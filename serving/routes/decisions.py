"""Asking for decisions, looking at one, cancelling one."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import ValidationError

from serving import accounts
from serving.commit import Keyed
from serving.problems import Problem, problem_of
from serving.schemas import Ask, Asks, DecisionOut, DecisionsOut
from serving.service import Here, reply
from serving.strict_json import StrictRoute

router = APIRouter(tags=["decisions"], route_class=StrictRoute)
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


@router.post("/v1/decisions", response_model=DecisionOut)
async def decide(service: Here, ask: Ask, idempotency_key: Key = None) -> Response:
    """Decide for one user: a send, or a hold that binds for the user's local date."""
    future = service.batcher.submit([Keyed(ask, idempotency_key)])
    (answer,) = await asyncio.wrap_future(future)
    service.metrics.count_answers([answer])
    if isinstance(answer, Problem):
        raise answer
    return reply(answer)


@router.post("/v1/decisions:batch", response_model=DecisionsOut)
async def decide_batch(service: Here, body: Asks, idempotency_key: Key = None) -> Response:
    """Decide for many users, in order; a bad request gets an error object in its place."""
    limit = service.settings.max_batch
    if len(body.requests) > limit:
        raise Problem(422, "requests", f"there are {len(body.requests)}, the limit is {limit}")
    bad: dict[int, Problem] = {}
    good: dict[int, Keyed] = {}
    for n, request in enumerate(body.requests):
        key = idempotency_key and f"{idempotency_key}/{n}"
        try:
            good[n] = Keyed(Ask.model_validate(request), key)
        except ValidationError as error:
            bad[n] = problem_of(error.errors())
    decided = await asyncio.wrap_future(service.batcher.submit(list(good.values())))
    answers = dict(zip(good, decided, strict=True)) | bad
    service.metrics.count_answers(answers.values())
    out = []
    for n in range(len(body.requests)):
        answer = answers[n]
        if isinstance(answer, Problem):
            out.append({"error": answer.under(f"requests[{n}]").to_mapping()})
        else:
            out.append(answer)
    return reply({"decisions": out})


@router.get("/v1/decisions/{decision_id:path}")
def show(service: Here, decision_id: str) -> Response:
    """A decision with its lists, its outcomes, and why it came out so: what guardrails ruled out,
    and what the response model expects."""
    return reply(accounts.get_decision(service.engine, decision_id))


@router.post("/v1/decisions/{decision_id:path}:cancel")
def cancel(service: Here, decision_id: str) -> Response:
    """Cancel a send that is not due yet; frees its caps."""
    return reply(accounts.cancel(service.engine, decision_id, service.clock()))
