"""Time and memory of the nightly batch, here and in Ray's processes.

    python -m benchmarks.nightly [--users 100000] [--ray]

Makes a SQLite store with so many users, who know nothing yet, and a network policy in ONNX with a
response model that chooses among the same K = 10 items and V = 6 variants for everyone, and runs
`pushwise decide --store` once. Processor time and resident memory are of the command and all
processes that it starts, by what the kernel says of them ten times a second: so a process that
lives shorter is missed. Linux only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.crashes import ROOT
from benchmarks.serving import K, prepared
from mdp.hashing import hash_ids
from policies.saved import SavedRecommender
from serving.store import open_store, writing
from serving.users import new_user, write_users

AT_ONCE = 5000
"""Users written in one transaction."""
TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


def filled(path: Path, store: str, users: int) -> Path:
    """A store with a catalogue and users; returns the directory of its policy."""
    popular = [f"item-{n:03d}" for n in range(1, K + 1)]
    arrays = {"popular": hash_ids(popular), "size": np.array([K])}
    items = prepared(path, store, SavedRecommender("own_popular", arrays))
    if not set(popular) <= set(items):
        raise SystemExit(f"the catalogue has no {popular[0]} to {popular[-1]}")
    engine, now = open_store(store), time.time_ns() // 1000
    for start in range(0, users, AT_ONCE):
        names = [f"user-{n:07d}" for n in range(start, min(start + AT_ONCE, users))]
        with writing(engine) as connection:
            write_users(connection, [new_user(name, now, True, "Europe/Berlin") for name in names])
    engine.dispose()
    return path / "network"


def family(root: int) -> dict[int, list[str]]:
    """The fields of /proc/PID/stat behind the name, of a process and all that it started."""
    found: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # it has ended
            found[int(entry.name)] = stat.rpartition(")")[2].split()
    mine, grown = {root}, True
    while grown:
        more = {pid for pid, fields in found.items() if int(fields[1]) in mine} - mine
        mine, grown = mine | more, bool(more)
    return {pid: found[pid] for pid in mine if pid in found}


def measured(words: list[str]) -> None:
    """Run a command and print what it took."""
    began = time.monotonic()
    command = subprocess.Popen(words, cwd=ROOT)
    seconds: dict[int, float] = {}
    first, largest, most, processes = 0.0, 0.0, 0.0, 0
    while command.poll() is None:
        memory = {}
        for pid, fields in family(command.pid).items():
            seconds[pid] = (int(fields[11]) + int(fields[12])) / TICKS
            memory[pid] = int(fields[21]) * PAGE / 1e6
        first = max(first, memory.pop(command.pid, 0.0))
        largest = max([largest, *memory.values()])
        most, processes = max(most, sum(memory.values())), max(processes, len(memory))
        time.sleep(0.1)
    assert command.returncode == 0
    print(
        f"{time.monotonic() - began:.0f} s; {sum(seconds.values()):.0f} s of the processor; the "
        f"command's memory at most {first:.0f} MB; {processes} processes that it started, the "
        f"largest {largest:.0f} MB, together at most {most:.0f} MB",
        flush=True,
    )


def main() -> None:
    """Prints a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--ray", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        store, out = f"sqlite:///{path / 'store.sqlite'}", path / "night.parquet"
        policy = filled(path, store, args.users)
        words = [sys.executable, "-m", "scripts.cli", "decide", str(policy), "--store", store]
        measured([*words, "--out", str(out), "--seed", "0", *(["--ray"] if args.ray else [])])


if __name__ == "__main__":
    main()
