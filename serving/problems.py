"""Refusals as RFC 9457 problem details, each naming the field that is wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mdp.errors import BadArtifact, BadInput, PushwiseError

PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A refusal (RFC 9457) that names the field",
        "content": {
            "application/problem+json": {
                "schema": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail", "field"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "field": {"type": ["string", "null"]},
                    },
                }
            }
        },
    }
}
"""What the description of the API says of every answer that is not the one asked for."""


UNKNOWN_ZONE = "unknown_zone"
"""Type of the error, and cause of the refusal, where a text is not the name of a time zone."""


class Problem(BadInput):
    """A request that is refused."""

    cause: str | None = None
    """What the metrics count such refusals as, beside their status: unknown_zone,
    unreadable_user, damaged_user."""

    def __init__(
        self, status: int, field: str | None, detail: str, in_flight: bool = False
    ) -> None:
        """in_flight: the same request is being answered, so that trying again soon will do."""
        super().__init__(f"{field}: {detail}" if field else detail)
        self.status, self.field, self.detail, self.in_flight = status, field, detail, in_flight

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the response: when to try again, how to log in, that no more is read."""
        if self.status == 408:
            return {"Connection": "close"}
        if self.status == 401:
            return {"WWW-Authenticate": "Bearer"}
        return {"Retry-After": "1"} if self.status in (429, 503) or self.in_flight else {}

    def under(self, prefix: str) -> Problem:
        """The same problem, its field inside another one."""
        whole = self.field in (None, "body")
        return Problem(self.status, prefix if whole else f"{prefix}.{self.field}", self.detail)

    def to_mapping(self) -> dict[str, Any]:
        """The body of an `application/problem+json` response."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "field": self.field,
        }


class UserProblem(Problem):
    """What stands in the store of one user can't be used; that of others can."""

    def __init__(self, user_id: str, detail: str) -> None:
        super().__init__(409, "user_id", f"user {user_id!r} {detail}")
        self.user_id = user_id


class UnreadableUser(UserProblem):
    """What needs fields of a user that no key opens."""

    cause = "unreadable_user"

    def __init__(self, user_id: str) -> None:
        super().__init__(
            user_id,
            "has fields that are encrypted, and no key of PUSHWISE_FIELD_KEYS opens them (or they "
            "are damaged): set the key that they were written with, or erase the user",
        )


class DamagedUser(UserProblem):
    """What needs the history of a user whose bytes changed in the store."""

    cause = "damaged_user"

    def __init__(self, user_id: str, why: str) -> None:
        """why: the store can't make the history again."""
        super().__init__(
            user_id,
            f"has a history that was damaged in the store and can't be made again, as {why}: put "
            "these rows back from a backup, or erase the user (docs/runbook.md: users' histories "
            "are damaged)",
        )


DAMAGED = "the store's file is damaged"


class StoreFault(Problem):
    """A store that waiting does not mend: its file is damaged or gone."""

    def __init__(self, detail: str) -> None:
        super().__init__(503, None, detail)

    @property
    def headers(self) -> dict[str, str]:
        """None that say when to try again."""
        return {}


def words_of_damage(error: BaseException) -> str | None:
    """SQLite's own words of a damaged file; None for any other error."""
    said = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(said, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # the rest says where
    if "Could not decode to UTF-8" in str(said):  # which it does not count as damage
        return str(said)
    return str(said) if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else None


def problem_of(errors: Sequence[Any], skip: int = 0) -> Problem:
    """The first of pydantic's errors; `skip` leading parts of its place are left out."""
    first = errors[0]
    if first["type"] == "json_invalid":
        return malformed(first["loc"][-1], first["ctx"]["error"])
    if isinstance(first.get("input"), bytes):  # a body that says to be something else
        return Problem(422, "body", "send JSON, with content-type: application/json")
    place = path_of(first["loc"][skip:]) or "body"
    problem = Problem(422, place, first["msg"].removeprefix("Value error, "))
    problem.cause = UNKNOWN_ZONE if first["type"] == UNKNOWN_ZONE else None
    return problem


def malformed(place: int | str, what: str) -> Problem:
    """A body that is no JSON."""
    return Problem(400, "body", f"malformed JSON at character {place}: {what}")


def as_problem(error: Exception) -> Problem:
    """What an error is answered with: the store's, one raised on purpose, or any other."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, PoolTimeout):
        structlog.get_logger().error("store", error=str(error))
        return Problem(503, None, "every connection to the store is busy: try again")
    if not isinstance(error, PushwiseError | DBAPIError):
        structlog.get_logger().exception("unexpected", exc_info=error)
        return Problem(500, None, "an unexpected error; the server's log has it")
    if isinstance(error, DBAPIError):
        structlog.get_logger().error("store", error=str(error.orig))
        if words := words_of_damage(error):
            return StoreFault(f"{DAMAGED}: {words}")
        return Problem(503, None, "the store is busy, full or gone: try again")
    status = 409 if isinstance(error, BadArtifact) else 422
    status = status if isinstance(error, BadArtifact | BadInput) else 500
    return Problem(status, None, str(error))


def path_of(parts: Sequence[str | int]) -> str:
    """A place such as `requests[3].user_id`."""
    text = ""
    for part in parts:
        if part == "[key]":  # pydantic's word for "the key, not its value"
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
