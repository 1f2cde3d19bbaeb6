"""Users: put, shown, erased."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import TypeAdapter, ValidationError

from serving import accounts
from serving.answers import UserExport, UserOut
from serving.problems import PROBLEMS, Problem, problem_of
from serving.schemas import Id, UserIn
from serving.service import Here, Who, reply
from serving.strict_json import StrictRoute

router = APIRouter(tags=["users"], route_class=StrictRoute, responses=PROBLEMS)
_ID = TypeAdapter(Id)


@router.put("/v1/users/{user_id:path}", response_model=UserOut)
def put(service: Here, user_id: str, body: UserIn) -> Response:
    """Make a user, or change what is given of one."""
    try:
        _ID.validate_python(user_id)
    except ValidationError as error:
        raise Problem(422, "user_id", problem_of(error.errors()).detail) from error
    return reply(
        accounts.put_user(service.engine, service.settings, user_id, body, service.clock())
    )


@router.get("/v1/users/{user_id:path}:export", response_model=UserExport)
def export(service: Here, user_id: str) -> Response:
    """Everything that the store holds about a user, for the user."""
    return reply(accounts.export_user(service.engine, user_id))


@router.get("/v1/users/{user_id:path}", response_model=UserOut)
def show(service: Here, user_id: str) -> Response:
    """What the store knows of a user."""
    return reply(accounts.get_user(service.engine, user_id))


@router.delete("/v1/users/{user_id:path}", status_code=204)
def erase(service: Here, who: Who, user_id: str) -> Response:
    """Delete a user with all events, decisions, outcomes, snapshots, stored answers and sends that
    wait; the audit log keeps that somebody was erased, not who."""
    accounts.erase_user(service.engine, user_id, service.clock(), who)
    return Response(status_code=204)
