"""The log: what the server knows, in the format that `pushwise fit` reads."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Response

from serving.answers import LogMetaOut
from serving.export import LOGGED, as_csv, as_parquet, log_meta, table_frame, unreadable_rows
from serving.problems import PROBLEMS, Problem
from serving.service import Here, reply
from serving.store import reading

router = APIRouter(tags=["logs"], responses=PROBLEMS)
PARQUET = "application/vnd.apache.parquet"


@router.get(
    "/v1/logs/{table}",
    response_model=LogMetaOut,
    responses={200: {"content": {"text/csv": {}, PARQUET: {}}}},
)
def log(
    service: Here,
    table: str,
    format: Literal["csv", "parquet"] | None = None,
    accept: Annotated[str, Header()] = "text/csv",
) -> Response:
    """One table of the log, as CSV or (by `format` or `Accept`) parquet; `log.json` is its meta."""
    if table == "log.json":
        with reading(service.engine) as connection:
            return reply(log_meta(connection, service.settings, service.clock()))
    if table not in LOGGED:
        known = ", ".join([*LOGGED, "log.json"])
        raise Problem(404, "table", f"there is no table {table!r}; there are {known}")
    with service.exports.one():
        with reading(service.engine) as connection:
            frame = table_frame(connection, table, service.settings)
        closed = unreadable_rows(frame)
        headers = {"Unreadable-Rows": str(closed)} if closed else {}
        if (format or ("parquet" if "parquet" in accept else "csv")) == "parquet":
            return Response(as_parquet(frame), headers=headers, media_type=PARQUET)
        return Response(as_csv(frame), headers=headers, media_type="text/csv")
