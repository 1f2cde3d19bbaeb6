"""Where the parts of a log are worked on: here, one after the other, or by Ray Data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingestion.by_parts import Report, Run, Work, in_turn

ROWS = 1_000_000
"""Rows of a part: about 0.6 GB while it is cleaned."""
MOST = 500
"""Parts, which are files that are open together."""
ROW_BYTES = 60
"""Of a CSV file, about."""


def parts_of(logs: Path) -> int:
    """In how many parts a log is worked on."""
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
    return min(max(round(rows / ROWS), 1), MOST)


def runner(ray: bool) -> Run:
    """Ray Data or this process."""
    return on_ray if ray else in_turn


def on_ray(work: Work, count: int) -> Iterator[Any]:
    """By Ray Data, a task for each part; all machines must see the files of the parts."""
    import pickle

    import ray

    def one(row: dict[str, Any]) -> dict[str, Any]:
        return {"part": row["id"], "result": pickle.dumps(work(int(row["id"])))}

    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, include_dashboard=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        rows = ray.data.range(count, override_num_blocks=count).map(one).take_all()
    finally:
        if started:
            ray.shutdown()
    rows.sort(key=lambda row: row["part"])
    # Of our own tasks, and as Ray itself passes objects between its processes; nothing is kept.
    return (pickle.loads(row["result"]) for row in rows)  # nosec B301


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
