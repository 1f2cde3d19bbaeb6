"""How long a user's list of candidates takes: by itself, for all users at once, from the server.

    python -m benchmarks.lists [--users 4285] [--items 3954]

Made-up lists of the size that `pushwise fit` keeps (50 items a user, 20 neighbours an item, 100
popular ones); defaults: Online Retail II's users and items. Half of those asked for have lists, the
others are new, with 20 items that they met. The server is one process on SQLite, asked over one
connection with a network policy: what it takes holds a list, the decision and a commit to disk.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks.crashes import free_port, served
from benchmarks.serving import load, prepared, processor
from generation.candidates.prepare import DEPTH, NEIGHBOURS, POPULAR
from generation.candidates.ranked import Ranked
from mdp.catalog import Catalog, simple_items, simple_variants
from mdp.hashing import hash_ids
from mdp.state import new_histories
from policies.saved import SavedRecommender

NOW = 1_764_000_000_000_000


@dataclass(frozen=True)
class Args:
    """How much there is."""

    users: int = 4285
    """users with lists"""
    items: int = 3954
    """items of the catalogue"""
    seconds: float = 6.0
    """of asking the server"""


def main(args: Args) -> None:
    """Make lists, ask for them, print."""
    ranked = made_up(args.users, args.items)
    users, states = _asked(ranked)
    at = np.full(len(users), NOW)
    ranked.candidates(users[:2], states[:2], at[:2])
    one = [_spent(ranked, slice(n, n + 1), users, states, at) for n in range(len(users))]
    everyone = min(_spent(ranked, slice(None), users, states, at) for _ in range(3))
    size = sum(array.nbytes for array in ranked.arrays().values()) / 1e6
    print(f"{args.users:,} users, {args.items:,} items, arrays of {size:.1f} MB")
    print(f"one user's list: median {np.median(one):.2f} ms of the processor, ", end="")
    print(f"p99 {np.quantile(one, 0.99):.2f}; those of {len(users):,} users: {everyone:.0f} ms")
    for name, (times, spent) in from_server(ranked, args.seconds).items():
        print(
            f"POST /v1/decisions, {name}: {spent:.1f} ms of the processor; on the clock median "
            f"{np.median(times):.1f}, p99 {np.quantile(times, 0.99):.1f}; {len(times):,} requests"
        )


def made_up(users: int, items: int) -> Ranked:
    """Lists at random: what they hold does not change how long they take."""
    rng = np.random.default_rng(0)
    ids = [f"thing-{n:05d}" for n in range(items)]
    catalog = Catalog(
        simple_items(ids, np.ones(items), ["c"] * items), simple_variants(["v"], ["plain"])
    )
    hashes = catalog.items.hashes
    return Ranked(
        user_hash=np.sort(hash_ids(f"user-{n:07d}" for n in range(users))),
        guess=hashes[rng.integers(0, items, (users, DEPTH))],
        item_hash=np.sort(hashes),
        near=hashes[rng.integers(0, items, (items, NEIGHBOURS))],
        weight=rng.random((items, NEIGHBOURS), np.float32),
        popular=hashes[rng.choice(items, min(POPULAR, items), replace=False)],
        fitted_at=NOW,
        catalog=catalog,
    )


def _asked(ranked: Ranked) -> tuple[np.ndarray, np.ndarray]:
    """Users (N,) uint64, every second a new one, and their states (N,)."""
    rng = np.random.default_rng(1)
    users = ranked.user_hash.copy()
    users[1::2] += 1
    states = new_histories(len(users))
    known = states["known"]
    known["item"] = ranked.item_hash[rng.integers(0, len(ranked.item_hash), known["item"].shape)]
    known["last_at"] = NOW - rng.integers(1, 10**12, known["last_at"].shape)
    return users, states


def _spent(
    ranked: Ranked, some: slice, users: np.ndarray, states: np.ndarray, at: np.ndarray
) -> float:
    """Milliseconds of the processor for some users' lists."""
    began = time.thread_time()
    rows = ranked.candidates(users[some], states[some], at[some])
    taken = 1000 * (time.thread_time() - began)
    if (rows < 0).any():
        raise RuntimeError("a list is not full")
    return taken


def from_server(ranked: Ranked, seconds: float) -> dict[str, tuple[np.ndarray, float]]:
    """By where a request's list comes from: milliseconds of each request (n,), each of another
    user, and milliseconds of the server's processor a request."""
    ids = list(ranked.catalog.items.ids)
    rows: list[dict[str, Any]] = [
        {"item_id": name, "title": name, "category": "c", "brand": "b", "price": 1.0}
        for name in ids
    ]
    with tempfile.TemporaryDirectory() as directory:
        store = f"sqlite:///{directory}/store.sqlite"
        prepared(Path(directory), store, SavedRecommender(ranked.kind, ranked.arrays()), rows)
        port = free_port()
        server = served(store, port, 1)
        try:
            numbers = count()
            own, given = _bodies(numbers, []), _bodies(numbers, ids)
            asyncio.run(load(port, own, 1, 1.0))
            found = {}
            for name, bodies in (("the server's own lists", own), ("lists in the request", given)):
                began = processor(server)
                times = asyncio.run(load(port, bodies, 1, seconds))[1]
                found[name] = times, 1000 * (processor(server) - began) / len(times)
            return found
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _bodies(numbers: Iterator[int], items: list[str]) -> Iterator[bytes]:
    for n in numbers:
        ask: dict[str, Any] = {"user_id": f"user-{n:07d}"}
        if items:
            ask["candidates"] = [items[(n + k) % len(items)] for k in range(10)]
        yield json.dumps(ask).encode()


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
