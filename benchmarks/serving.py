"""The server's speed beside a bare FastAPI endpoint; run with `make bench-serving`.

    python -m benchmarks.serving [--seconds 6] [--rounds 5] [--store sqlite|postgresql] [--scaling]

One worker each. The bare endpoint takes and gives the same models and does nothing. Both are
called in turns by one process over keep-alive connections, and rates are compared by their ratio
within a round, as seconds are noisy on a shared machine. Every decision is for a user who has
not been asked yet: K = 10 candidates, V = 6 variants, 24 hours, a network in ONNX with a response
model, guardrails on, committed to disk before the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.export import exported
from agents.network import FactorNetwork, Soft, fit_scaling
from benchmarks.crashes import ROOT, free_port, served
from mdp.guardrails import Guardrails
from policies.saved import PolicyBundle, SavedRecommender, save_policy
from serving.catalog import put_rows
from serving.clocks import wall_clock
from serving.settings import read_settings
from serving.starting import prepare
from serving.store import open_store, writing
from serving.tables import ITEMS, VARIANTS
from simulator.kernel import Kernel
from simulator.worlds import known_world

K, V = 10, 6


def prepared(
    path: Path,
    store: str,
    recommender: SavedRecommender | None = None,
    more: Sequence[dict[str, Any]] = (),
) -> list[str]:
    """A store with a catalogue and a network policy; returns the item ids.

    recommender: makes lists where a request names none. more: rows of further items.
    """
    world = known_world("logit").simulator(500, 0)
    seen = world.believing(world)
    view = Kernel(seen, np.arange(500)).view()
    torch.manual_seed(0)
    network = Soft(FactorNetwork(fit_scaling([view.observation]), threshold=0.1), 3.0, 20.0)
    policy = exported(network, view.observation, "network", 1.0)
    rules = replace(Guardrails(), floor=0.02)
    save_policy(
        path / "network",
        PolicyBundle(policy, seen.additive_model, seen.beliefs, seen.reward, rules, recommender),
    )
    prepare(read_settings(store=store), path / "network", None, wall_clock())
    items = world.catalog.items
    engine = open_store(store)
    with writing(engine) as connection:
        rows: list[dict[str, Any]] = [
            {
                "item_id": items.ids[n], "title": items.titles[n], "category": items.categories[n],
                "brand": items.brands[n], "price": float(items.price[n]),
            }
            for n in range(len(items))
        ]  # fmt: skip
        put_rows(connection, ITEMS, [*rows, *more], wall_clock())
        copy: list[dict[str, Any]] = [
            {"variant_id": f"v{n}", "style": f"s{n}", "title": "{item}", "body": "Now {price}"}
            for n in range(V)
        ]
        put_rows(connection, VARIANTS, copy, wall_clock())
    engine.dispose()
    return list(items.ids)


def requests(items: list[str]) -> Iterator[bytes]:
    """Bodies of single requests, each about another user."""
    for n in count():
        some = [items[(n + k) % len(items)] for k in range(K)]
        yield json.dumps({"user_id": f"user-{n:07d}", "candidates": some}).encode()


def message(path: str, body: bytes) -> bytes:
    """An HTTP request."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes
) -> bytes:
    """The body of the answer, which must be 200."""
    writer.write(sent)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{head.decode()} {body.decode()}")
    return body


def processor(process: subprocess.Popen[bytes]) -> float:
    """Seconds of the processor that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(
    port: int, bodies: Iterator[bytes], connections: int, seconds: float
) -> tuple[float, np.ndarray]:
    """Requests a second, and milliseconds of each, over so many connections. The requests are made
    before, more than are needed, so that the server need not wait for that."""
    enough = round(min(3_000 * connections, 15_000) * seconds)
    ready = iter([message("/v1/decisions", body) for body in islice(bodies, enough)])
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for sent in ready:
            if (began := time.perf_counter()) >= end:
                break
            await exchange(reader, writer, sent)
            times.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return len(times) / (time.perf_counter() - began), 1000 * np.array(times)


async def batches(port: int, bodies: Iterator[bytes], size: int, seconds: float) -> float:
    """Decisions a second of the batch endpoint over one connection. The batches are made before:
    that takes 4 ms each, in which the server would wait."""
    asks = (b",".join(islice(bodies, size)) for _ in range(round(20_000 * seconds / size)))
    ready = [message("/v1/decisions:batch", b'{"requests": [' + each + b"]}") for each in asks]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    done, began = 0, time.perf_counter()
    while ready and time.perf_counter() - began < seconds:
        await exchange(reader, writer, ready.pop())
        done += size
    writer.close()
    return done / (time.perf_counter() - began)


def started(
    words: Sequence[str | Path], port: int, bodies: Iterator[bytes]
) -> subprocess.Popen[bytes]:
    """A server in a process group of its own, once it answers."""
    more = {"PYTHONPATH": str(ROOT), "BENTOML_DO_NOT_TRACK": "1"}
    server = subprocess.Popen(
        words, cwd=ROOT, env={**os.environ, **more}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while server.poll() is None:
            try:
                asyncio.run(load(port, bodies, 1, 0.5))
                return server
            except (OSError, RuntimeError, asyncio.IncompleteReadError):
                time.sleep(0.5)
        raise RuntimeError(f"{server.args!r} ended with {server.returncode}")
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        raise


def compared(store: str, items: list[str], seconds: float, rounds: int) -> dict[str, np.ndarray]:
    """Figures of each round (rounds,)."""
    port, plain = free_port(), free_port()
    words = [sys.executable, "-m", "benchmarks.serving_bare", str(plain)]
    bodies = requests(items)
    out: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        out.setdefault(name, []).append(value)

    running = [server := served(store, port, 1)]
    try:
        running.append(endpoint := started(words, plain, bodies))
        asyncio.run(load(port, bodies, 16, 1.0))
        for _ in range(rounds):
            began = processor(endpoint)
            bare_rate, bare_times = asyncio.run(load(plain, bodies, 16, seconds))
            bare_cost = 1000 * (processor(endpoint) - began) / len(bare_times)
            began = processor(server)
            rate, times = asyncio.run(load(port, bodies, 16, seconds))
            cost = 1000 * (processor(server) - began) / len(times)
            single, times = asyncio.run(load(port, bodies, 1, seconds))
            many = asyncio.run(batches(port, bodies, 1000, seconds))
            note("bare endpoint, requests a second at 16 connections", bare_rate)
            note("pushwise, requests a second at 16 connections", rate)
            note("pushwise / bare", rate / bare_rate)
            note("bare endpoint, ms of the processor a request", bare_cost)
            note("pushwise, ms of the processor a request", cost)
            note("bare / pushwise, of the processor", bare_cost / cost)
            note("pushwise, requests a second at one connection", single)
            note("pushwise, median ms at one connection", float(np.median(times)))
            note("pushwise, p99 ms at one connection", float(np.quantile(times, 0.99)))
            note("batches of 1,000, decisions a second", many)
            note("batch / single at one connection", many / single)
            note("batch / single at 16 connections", many / rate)
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return {name: np.array(values) for name, values in out.items()}


def scaled(store: str, items: list[str], seconds: float, *more: str) -> dict[int, float]:
    """Requests a second at 32 connections by number of workers; more: words for the server."""
    rates = {}
    bodies = requests(items)
    for workers in (1, 2):
        port = free_port()
        server = served(store, port, workers, *more)
        try:
            asyncio.run(load(port, bodies, 32, 2.0))
            rates[workers], _ = asyncio.run(load(port, bodies, 32, seconds))
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()
    return rates


def show(store: str, items: list[str], args: argparse.Namespace) -> None:
    """Prints medians and ranges, or how workers scale."""
    if args.scaling:
        for name, more in (("processes", ()), ("replicas of Ray Serve", ("--ray",))):
            one, two = scaled(store, items, args.seconds, *more).values()
            print(f"{args.store}, {name}: 1: {one:,.0f}, 2: {two:,.0f} a second, {two / one:.2f}")
        return
    found = compared(store, items, args.seconds, args.rounds)
    print(f"{args.store}, median of {args.rounds} rounds of {args.seconds:g} s (least, most):")
    for name, values in found.items():
        print(f"  {np.median(values):10,.2f}  ({values.min():,.2f}, {values.max():,.2f})  {name}")


def main() -> None:
    """Starts a store and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument(
        "--scaling", action="store_true", help="1 and 2 workers, with and without Ray"
    )
    args = parser.parse_args()
    # Whoever ends this ends its servers too, by the way of an exception.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    from tests.serving.postgresql import running

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        if args.store == "sqlite":
            store = f"sqlite:///{path / 'store.sqlite'}"
            show(store, prepared(path, store), args)
            return
        with running() as cluster:
            store = cluster.database()
            show(store, prepared(path, store), args)


if __name__ == "__main__":
    main()
