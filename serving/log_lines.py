"""The log: one JSON line an event on standard error, those of uvicorn and other libraries too."""

from __future__ import annotations

import sys
from typing import Any

import structlog
from structlog.typing import Processor

_STAMPS: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logging(level: str) -> None:
    """Have what this process logs be such lines, from a level on."""
    structlog.configure(
        processors=[
            *_STAMPS,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
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
            structlog.processors.JSONRenderer(),
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
