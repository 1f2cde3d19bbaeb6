"""The log: what the server knows, in the format that `pushwise fit` reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Annotated, Literal

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from serving.answers import LogMetaOut
from serving.export import LOGGED, WHEN, Range, log_meta, spooled
from serving.problems import PROBLEMS, Problem
from serving.schemas import Moment
from serving.service import Here, reply
from serving.store import reading

router = APIRouter(tags=["logs"], responses=PROBLEMS)
PARQUET = "application/vnd.apache.parquet"
BLOCK = 1 << 20
"""Bytes that are sent at a time."""
From = Annotated[
    Moment | None,
    Query(
        alias="from",
        description="Only what happened at this instant (with `Z`, or `%2B` for +) or after it.",
    ),
]
To = Annotated[Moment | None, Query(description="Only what happened before this instant.")]


@router.get(
    "/v1/logs/{table}",
    response_model=LogMetaOut,
    responses={200: {"content": {"text/csv": {}, PARQUET: {}}}},
)
def log(
    service: Here,
    table: str,
    format: Literal["csv", "parquet"] | None = None,
    start: From = None,
    to: To = None,
    accept: Annotated[str, Header()] = "text/csv",
) -> Response:
    """One table of the log, as CSV or (by `format` or `Accept`) parquet; `log.json` is its meta.

    `from` and `to` cut a range out of `events`, `outcomes` and `changes` (by `at`) and `decisions`
    (by `decided_at`): by when something happened, not when the server was told, so ask again for
    days that late outcomes may still belong to. `log.json` is then complete until `to`.
    """
    within = Range(start, to)
    _check(table, within)
    if table == "log.json":
        now = service.clock()
        until = now if to is None else min(to, now)
        with reading(service.engine) as connection:
            return reply(log_meta(connection, service.settings, until))
    form = format or ("parquet" if "parquet" in accept else "csv")
    with service.exports.one(), reading(service.engine, whole=True) as connection:
        try:
            made = spooled(connection, table, service.settings, form, within)
        except OSError as error:
            raise Problem(503, None, f"no room for the export: {error.strerror}") from error
    headers = {"Content-Length": str(made.size)}
    if made.unreadable:
        headers["Unreadable-Rows"] = str(made.unreadable)
    kind = PARQUET if form == "parquet" else "text/csv"
    return StreamingResponse(_blocks(made.file), headers=headers, media_type=kind)


def _check(table: str, within: Range) -> None:
    """Raises `Problem` for an unknown table, and for a range that makes no sense."""
    if table not in (*LOGGED, "log.json"):
        known = ", ".join([*LOGGED, "log.json"])
        raise Problem(404, "table", f"there is no table {table!r}; there are {known}")
    if table not in WHEN:
        given = "to" if within.start is None else "from"
        if within.start is not None or (within.end is not None and table != "log.json"):
            raise Problem(422, given, f"{table} has no times to cut a range by")
    if within.start is not None and within.end is not None and within.start > within.end:
        raise Problem(422, "from", "the range ends before it begins")


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """A file's bytes; it is closed after the last, or with the iterator."""
    with file:
        while block := file.read(BLOCK):
            yield block
