"""Asking for decisions, looking at one, cancelling one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter, ValidationError

from mdp.hashing import content_hash
from serving import accounts
from serving.answers import DecisionOut, DecisionShown, DecisionsOut
from serving.commit import Keyed, Replayed
from serving.decide import claim
from serving.keys import name_of, part_of
from serving.problems import PROBLEMS, Problem, problem_of
from serving.record import cancel as cancel_send
from serving.schemas import Ask, Asks
from serving.service import Here, Service, Who, reply
from serving.strict_json import StrictRoute

router = APIRouter(tags=["decisions"], route_class=StrictRoute, responses=PROBLEMS)
ASKS = TypeAdapter(list[Ask])
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


@router.post("/v1/decisions", response_model=DecisionOut)
async def decide(service: Here, ask: Ask, idempotency_key: Key = None) -> Response:
    """Decide for one user: a send, or a hold that binds for the user's local date."""
    # `serving.direct` takes these requests; what FastAPI makes of this is the documentation.
    answer = await decided(service, ask, idempotency_key)
    return answered(answer, isinstance(answer, Replayed))


async def decided(service: Service, ask: Ask, key: str | None) -> dict[str, Any]:
    """The answer to one request; raises `Problem`."""
    with service.in_flight.only(key):
        keyed = Keyed(ask, key and name_of(key), "", service.tracing.context())
        (answer,) = await service.batcher.submit([keyed])
    if isinstance(answer, Problem):
        raise answer
    return answer


@router.post("/v1/decisions:batch", response_model=DecisionsOut)
async def decide_batch(service: Here, body: Asks, idempotency_key: Key = None) -> Response:
    """Decide for many users, in order; a bad request gets an error object in its place.

    With an Idempotency-Key, a batch that was cut off goes on where it stopped; of another batch
    with that key nothing is decided (422).
    """
    limit = service.settings.max_batch
    if len(body.requests) > limit:
        raise Problem(422, "requests", f"there are {len(body.requests)}, the limit is {limit}")
    batch = content_hash(body.requests) if idempotency_key else ""
    trace = service.tracing.context()
    good, bad = _checked(body.requests)
    name = idempotency_key and name_of(idempotency_key)
    keyed = [Keyed(ask, name and part_of(name, n), batch, trace) for n, ask in good.items()]
    with service.in_flight.only(idempotency_key):
        if name:
            await run_in_threadpool(claim, service.engine, name, batch, service.clock())
        decided = await service.batcher.submit(keyed)
    answers = dict(zip(good, decided, strict=True)) | bad
    for answer in decided:
        if isinstance(answer, Problem) and answer.field == "Idempotency-Key":
            raise answer
    service.metrics.count_answers(bad.values())  # the others are counted where they are decided
    out = []
    for n in range(len(body.requests)):
        answer = answers[n]
        if isinstance(answer, Problem):
            service.metrics.count_problem(answer)
            out.append({"error": answer.under(f"requests[{n}]").to_mapping()})
        else:
            out.append(answer)
    replayed = bool(decided) and all(isinstance(answer, Replayed) for answer in decided)
    return answered({"decisions": out}, replayed)


def _checked(requests: list[Any]) -> tuple[dict[int, Ask], dict[int, Problem]]:
    """The requests that are well formed, and what is wrong with the others, by their place."""
    try:  # at once, which takes half the time
        return dict(enumerate(ASKS.validate_python(requests))), {}
    except ValidationError:
        good: dict[int, Ask] = {}
        bad: dict[int, Problem] = {}
    for n, request in enumerate(requests):
        try:
            good[n] = Ask.model_validate(request)
        except ValidationError as error:
            bad[n] = problem_of(error.errors())
    return good, bad


def answered(content: dict[str, Any], replayed: bool) -> Response:
    """The response, marked where it was given before."""
    response = reply(content)
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@router.get("/v1/decisions/{decision_id:path}", response_model=DecisionShown)
def show(service: Here, decision_id: str) -> Response:
    """A decision with its lists, its outcomes, and why it came out so: what guardrails ruled out,
    the best alternatives by the policy's scores, and what the response model expects."""
    return reply(accounts.get_decision(service.engine, decision_id))


@router.post("/v1/decisions/{decision_id:path}:cancel", response_model=DecisionShown)
def cancel(service: Here, who: Who, decision_id: str) -> Response:
    """Cancel a send that is not due yet; frees its caps and its budget."""
    cancel_send(service.engine, service.settings, decision_id, service.clock(), who)
    return reply(accounts.get_decision(service.engine, decision_id))
