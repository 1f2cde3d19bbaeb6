"""In how many parts a log is worked on, and how far that has come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ingestion.by_parts import Report

ROWS = 1_000_000
"""Rows of a part: about 0.6 GB while it is cleaned."""
LOADED = 250_000
"""Rows of a part that is loaded into a store: about as much."""
MOST = 500
"""Parts, which are files that are open together."""
ROW_BYTES = 60
"""Of a CSV file, about."""


def parts_of(logs: Path, loaded: bool = False) -> int:
    """In how many parts a log is worked on, or loaded into a store."""
    import pyarrow.parquet as pq

    from ingestion.read import table_files

    rows = 0
    for file in table_files(logs).values():
        if file.suffix == ".csv":
            rows += file.stat().st_size // ROW_BYTES
        else:
            try:
                rows += pq.read_metadata(file).num_rows
            except (ValueError, OSError):
                return 1  # reading it says what is wrong
    return min(max(round(rows / (LOADED if loaded else ROWS)), 1), MOST)


def progress(parts: int) -> tuple[Any, Report]:
    """A bar on a terminal, and what to tell it; where there are several parts it is said how many,
    and what memory they take."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if parts > 1:
        console.print(
            f"in {parts} parts of about {ROWS:,} rows, by user; memory holds one of them "
            "(about 0.6 GB) and some bytes for every id",
            soft_wrap=True,
        )
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    tasks: dict[str, Any] = {}

    def report(what: str, done: int, of: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what)
        bar.update(tasks[what], completed=done, total=of or None)

    return bar, report
