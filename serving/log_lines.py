"""The log: one JSON line an event on standard error, those of uvicorn and other libraries too."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request that is being answered; its lines of the log have it."""


def _with_request_id(logger: Any, method: str, event: EventDict) -> EventDict:
    request_id = REQUEST_ID.get()
    return event if request_id is None else {"request_id": request_id, **event}


_STAMPS: list[Processor] = [
    _with_request_id,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def _as_json(event: Any, default: Callable[[Any], Any]) -> str:
    """A line of ASCII. Python's own writer takes fifteen times as long, and escapes what orjson
    does not (other letters) or refuses (half a surrogate pair, an integer past 64 bits)."""
    with suppress(orjson.JSONEncodeError):
        line = orjson.dumps(event, default).decode()
        if line.isascii():
            return line
    return json.dumps(event, default=default)


_RENDERER = structlog.processors.JSONRenderer(_as_json)


def configure_logging(level: str) -> None:
    """Have what this process logs be such lines, from a level on."""
    structlog.configure(
        processors=[
            *_STAMPS,
            structlog.processors.format_exc_info,
            _RENDERER,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def formatter() -> structlog.stdlib.ProcessorFormatter:
    """Makes such lines of what is logged by Python's own loggers."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_STAMPS, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _RENDERER,
        ],
    )


def uvicorn_logging() -> dict[str, Any]:
    """What uvicorn is told of logging (`logging.config.dictConfig`), beside its level."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "serving.log_lines.formatter"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {"uvicorn": {"level": "INFO"}},
    }
