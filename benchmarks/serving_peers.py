"""pushwise beside the servers that a shop would put a model into, at 16 connections:

    python -m benchmarks.serving_peers [--seconds 6] [--rounds 5]

FastAPI, BentoML and Ray Serve have one worker each, take and give the models of `POST
/v1/decisions`, and do nothing; pushwise decides, on SQLite. They are called in turns, and rates
are compared by their ratio to FastAPI's within a round. BentoML is installed into an environment
of its own, `.venv/bentoml`, the first time (a minute or two).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.crashes import ROOT, free_port, served
from benchmarks.serving import load, prepared, requests, started

BENTOML = ROOT / ".venv" / "bentoml" / "bin"


def install() -> None:
    """BentoML beside pushwise's server, without the pinned versions."""
    if not (BENTOML / "bentoml").exists():
        subprocess.run([sys.executable, "-m", "venv", BENTOML.parent], check=True)
        words = ["install", "-q", f"{ROOT}[serve]", "bentoml"]
        subprocess.run([BENTOML / "pip", *words], check=True)


def commands(ports: dict[str, int]) -> dict[str, list[str | Path]]:
    """How each that does nothing is started."""
    python = [sys.executable, "-m"]
    return {
        "FastAPI": [*python, "benchmarks.serving_bare", str(ports["FastAPI"])],
        "BentoML": [
            BENTOML / "bentoml", "serve", "benchmarks.on_bentoml:Decisions", "--port",
            str(ports["BentoML"]),
        ],
        "Ray Serve": [*python, "benchmarks.on_ray_serve", str(ports["Ray Serve"])],
    }  # fmt: skip


def rates(store: str, items: list[str], seconds: float, rounds: int) -> dict[str, np.ndarray]:
    """Requests a second of each server (rounds,)."""
    bodies = requests(items)
    ports = {name: free_port() for name in ("FastAPI", "BentoML", "Ray Serve", "pushwise")}
    running = [served(store, ports["pushwise"], 1)]
    try:
        for name, words in commands(ports).items():
            running.append(started(words, ports[name], bodies))
        for port in ports.values():
            asyncio.run(load(port, bodies, 16, 1.0))
        found: dict[str, list[float]] = {name: [] for name in ports}
        for _ in range(rounds):
            for name, port in ports.items():
                found[name].append(asyncio.run(load(port, bodies, 16, seconds))[0])
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    return {name: np.array(values) for name, values in found.items()}


def main() -> None:
    """Prints a row for each server."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    # Whoever ends this ends its servers too, by the way of an exception.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    install()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        store = f"sqlite:///{path / 'store.sqlite'}"
        found = rates(store, prepared(path, store), args.seconds, args.rounds)
    print("| server | requests a second, median | times FastAPI (least, most) |\n|---|---|---|")
    for name, values in found.items():
        ratio = values / found["FastAPI"]
        print(
            f"| {name} | {np.median(values):,.0f} "
            f"| {np.median(ratio):.2f} ({ratio.min():.2f}, {ratio.max():.2f}) |"
        )


if __name__ == "__main__":
    main()
