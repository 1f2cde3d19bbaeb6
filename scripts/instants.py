"""Instants as they are typed."""

from __future__ import annotations

from datetime import datetime

from mdp.errors import BadInput


def instant(option: str, text: str) -> int:
    """Microseconds UTC of an ISO 8601 time; raises `BadInput` for one without an offset."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(
            f"{option} is {text!r}; write a time such as 2026-03-01T00:00:00Z"
        ) from error
    if time.tzinfo is None:
        raise BadInput(f"{option} is {text!r}, without an offset; add one, such as Z for UTC")
    return round(time.timestamp() * 1e6)
