"""Time and memory of importing, cleaning and checking by the number of events, beside a plain sort.

    python -m benchmarks.cleaning --millions 1 10

An export is drawn by a seed: Parquet files of items, users and events, whose users view, put into
carts and buy; one event in a hundred is spoilt (said twice, of nobody, without a time, far too
dear). The plain sort reads the events, sorts them by user and time and writes them, all with
pyarrow, which the others work with too; it holds them in memory. `import` makes a log of the export
through a mapping; `clean` cleans that, and also says all that `check` says of what it wrote. Every
run is a process of its own; seconds are the processor's and by the clock, memory is the most that
it held. The files are in the temporary directory (TMPDIR): about 200 bytes an event.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tyro

from mdp.clock import DAY
from mdp.state import apply, new_histories

ITEMS, A_USER = 20_000, 50
"""Items, and events of a user in the mean."""
BEGIN = 1_735_689_600_000_000
AT_ONCE = 1_000_000
SORT = """
import sys, pyarrow.parquet as pq
events = pq.read_table(sys.argv[1] + "/events.parquet")
events = events.sort_by([("customer", "ascending"), ("time", "ascending")])
pq.write_table(events, sys.argv[2])
"""
MAPPING = """
[log]
default_timezone = "Europe/Berlin"
propensities = "none"
candidates = "none"

[[rows]]
table = "users"
where = { zone = "*" }
user_id = "customer"
timezone = "zone"
signed_up_at = "joined"

[[rows]]
table = "items"
where = { name = "*" }
item_id = "sku"
title = "name"
category = "section"
brand = "maker"
price = "cost"

[[rows]]
table = "events"
where = { kind = "*" }
user_id = "customer"
item_id = "sku"
event = "kind"
at = "time"
value = "amount"
event_id = "number"
"""


@dataclass(frozen=True)
class Args:
    """What to measure."""

    millions: tuple[int, ...] = (1, 10, 50)
    """millions of events"""
    seed: int = 0
    """seed of the logs"""


def write(directory: Path, size: int, seed: int) -> None:
    """Draw an export of that many events, some at a time."""
    directory.mkdir()
    rng, users = np.random.default_rng(seed), max(size // A_USER, 1)
    ids, names = pa.array([f"u{n:08d}" for n in range(users)]), [f"i{n:05d}" for n in range(ITEMS)]
    price = np.exp(rng.normal(3, 0.5, ITEMS)).round(2)
    items = {"sku": names, "name": names, "section": [f"c{n % 50}" for n in range(ITEMS)]}
    items |= {"maker": [f"b{n % 500}" for n in range(ITEMS)]}
    pq.write_table(pa.table(items | {"cost": pa.array(price)}), directory / "items.parquet")
    times = pa.timestamp("us", "UTC")
    signed = pa.array(np.full(users, BEGIN), times)
    zones = pa.array(["Europe/Berlin"] * users)
    whole = pa.table({"customer": ids, "zone": zones, "joined": signed})
    pq.write_table(whole, directory / "users.parquet")
    writer = None
    for first in range(0, size, AT_ONCE):
        count = min(AT_ONCE, size - first)
        owner, item = rng.integers(0, users, count), (ITEMS * rng.random(count) ** 2).astype(int)
        kind = np.searchsorted([0.85, 0.95], rng.random(count))
        at = BEGIN + np.sort(rng.integers(0, DAY, count)) + first // AT_ONCE * DAY
        value = np.where(kind == 2, price[item], np.nan)
        dirt = rng.random(count)
        value[(dirt < 0.002) & (kind == 2)] *= 1e4
        number = np.arange(first, first + count)
        number[(dirt > 0.99) & (dirt < 0.994)] = first
        whose = pa.array(owner, mask=(dirt > 0.994) & (dirt < 0.997))
        columns = {
            "customer": ids.take(whose),
            "sku": pa.array(names).take(pa.array(item)),
            "kind": pa.array(["view", "cart", "purchase"]).take(pa.array(kind)),
            "time": pa.array(at, times, mask=dirt > 0.997),
            "amount": pa.array(value, from_pandas=True),
            "number": pa.array([f"e{n}" for n in number.tolist()]),
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(directory / "events.parquet", table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def spent(*command: str) -> tuple[float, float, float]:
    """Processor's seconds, seconds by the clock and gigabytes of a Python process."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise SystemExit(f"failed: {command}")
    wall = time.perf_counter() - began
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024 / 1e9


def replayed(seed: int) -> float:
    """Events a second that one core applies to states, the best of three."""
    from benchmarks.run import rate
    from mdp.events import Kind, events_array

    rng, count, users = np.random.default_rng(seed), 1_000_000, 20_000
    events = events_array(count)
    owner = np.sort(rng.integers(0, users, count))
    events["at"], events["kind"] = np.sort(rng.integers(0, DAY, count)) + BEGIN, Kind.VIEW
    return rate(count, lambda: apply(new_histories(users), owner, events))


def main() -> None:
    """Measure and print a table."""
    args = tyro.cli(Args)
    print("| events | what | CPU seconds | seconds by the clock | GB | times the sort's CPU |")
    print("|---|---|---|---|---|---|")
    for millions in args.millions:
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory)
            write(place / "export", millions * 1_000_000, args.seed)
            (place / "shop.toml").write_text(MAPPING)
            export, log, out = (str(place / name) for name in ("export", "log", "out"))
            sort = spent("-c", SORT, export, str(place / "sorted.parquet"))
            mapping = str(place / "shop.toml")
            imported = spent("-m", "scripts.cli", "import", mapping, export, "--out", log)
            clean = spent("-m", "scripts.cli", "clean", log, out)
            both = imported[0] + clean[0], imported[1] + clean[1], max(imported[2], clean[2])
            runs = {"read, sort, write": sort, "import": imported, "clean": clean, "both": both}
            for what, (cpu, wall, memory) in runs.items():
                print(
                    f"| {millions:,} million | {what} | {cpu:,.1f} | {wall:,.1f} | {memory:.2f} | "
                    f"{cpu / sort[0]:.2f} |",
                    flush=True,
                )
    print(f"\nevents replayed into states: {replayed(args.seed):,.0f} a second on one core")


if __name__ == "__main__":
    main()
