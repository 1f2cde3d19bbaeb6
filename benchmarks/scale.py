"""Time and memory of `pushwise fit` and `pushwise simulate` by number of users.

    python -m benchmarks.scale
    python -m benchmarks.scale --fit 3000 30000 300000 --simulate

Run with `make bench-scale`; the second, which fits to 300,000 users, takes half an hour of the
processor and 3 GB of disk. Logs are of the logit world, 42 days, simulated from the truth of a
demo of 3,000 users; more are these again with lives of their own. What is simulated is the fit to
the first log, under its estimated logging policy. Seconds are the processor's, of one process on
one core; memory is the most that it held. Between two fits stands what each further user took: the
same at any size where cost grows linearly. What is stated of 10 million users follows from the
rate of the most that were simulated.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

SHOP, DAYS, SIMULATED_DAYS = 3000, 42, 28
MILLIONS = 10
"""Millions of users whose simulation is stated from the measured rate."""


@dataclass(frozen=True)
class Args:
    """What to measure."""

    fit: tuple[int, ...] = (3000, 30_000)
    """numbers of users to fit to"""
    simulate: tuple[int, ...] = (10_000, 100_000)
    """numbers of users to simulate"""


@dataclass(frozen=True)
class Spent:
    """What a command took."""

    seconds: float
    """Of the processor."""
    wall: float
    """By the clock."""
    gigabytes: float
    """The most memory that the process held."""


def spent(*command: str) -> Spent:
    """Run `pushwise COMMAND …` in a process of its own."""
    began = time.perf_counter()
    whole = [sys.executable, "-m", "scripts.cli", *command]
    process = subprocess.Popen(whole, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise SystemExit(f"failed: pushwise {' '.join(command)}")
    wall = time.perf_counter() - began
    return Spent(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024 / 1e9)


def row(what: str, users: int, one: Spent) -> str:
    """A line of the table."""
    return (
        f"| {what} | {users:,} | {one.seconds:,.0f} | {one.wall:,.0f} | {one.gigabytes:.1f} | "
        f"{1000 * one.seconds / users:.2f} |"
    )


def further(few: int, many: int, one: Spent, other: Spent) -> str:
    """A line on what each further user took from one number of users to the next."""
    milliseconds, kilobytes = (
        (getattr(other, name) - getattr(one, name)) * unit / (many - few)
        for name, unit in (("seconds", 1e3), ("gigabytes", 1e6))
    )
    return (
        f"| each further user, from {few:,} to {many:,} | | | | {kilobytes:.0f} KB | "
        f"{milliseconds:.2f} |"
    )


def main() -> None:
    """Measure and print a table."""
    args = tyro.cli(Args)
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        truth, sim = str(place / "shop" / "truth"), str(place / "sim")
        spent("demo", str(place / "shop"), "--users", str(SHOP), "--days", str(DAYS))
        print("| command | users | CPU seconds | seconds by the clock | GB | ms a user |")
        print("|---|---|---|---|---|---|")
        fits: list[Spent] = []
        for number, users in enumerate(args.fit):
            logs, out = str(place / "logs"), sim if number == 0 else str(place / "other")
            size = ("--users", str(users), "--days", str(DAYS))
            spent("simulate", truth, "logging", "--out", logs, *size)
            fits.append(spent("fit", logs, "--out", out))
            print(row(f"`fit`, {DAYS} days", users, fits[-1]), flush=True)
            if number:
                print(further(args.fit[number - 1], users, *fits[-2:]), flush=True)
        for summary in (False, True) if args.simulate else ():
            name = f"`simulate{' --summary' * summary}`, {SIMULATED_DAYS} days"
            for users in args.simulate:
                to = place / ("totals.csv" if summary else "simulated")
                size = ("--users", str(users), "--days", str(SIMULATED_DAYS))
                options = ("--summary",) if summary else ()
                one = spent("simulate", sim, "logging", "--out", str(to), *size, *options)
                print(row(name, users, one), flush=True)
            hours = MILLIONS * 1e6 * one.seconds / users / 3600
            written = sum(f.stat().st_size for f in to.glob("*")) if to.is_dir() else 0
            disk = f", {MILLIONS * 1e6 * written / users / 1e9:,.0f} GB of Parquet" * (not summary)
            print(
                f"| {name}, from that rate | {MILLIONS},000,000 | {hours * 3600:,.0f} "
                f"({hours:.1f} hours{disk}) | | {one.gigabytes:.1f} | |"
            )


if __name__ == "__main__":
    main()
