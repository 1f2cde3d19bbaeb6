"""What users' states in Redis beside the store save of a decision.

    python -m benchmarks.cache [--rounds 200]

Decides for as many known users at once, on SQLite and on PostgreSQL (over a local socket), without
Redis and with a real one (over a local socket) that holds them all, in turns within one run; each
user is decided for once. Prints medians as Markdown; docs/production.md holds what it printed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.crashes import prepared
from serving.cache import CACHE, UserCache, open_cache
from serving.clocks import wall_clock
from serving.commit import Keyed
from serving.decide import Decider
from serving.problems import Problem
from serving.registry import Registry
from serving.schemas import Ask
from serving.settings import read_settings
from serving.store import open_store, reading, writing
from serving.users import new_user, read_users, write_users

GROUPS = (1, 16, 1000)
LEAST = 8
"""Rounds of the largest group."""


class Deciding:
    """A decider of a store, and users whom it knows and has not decided for."""

    def __init__(self, store: str, name: str, users: int, cache: UserCache | None) -> None:
        self.engine, now = open_store(store), wall_clock()
        if cache is not None:
            self.engine.update_execution_options(**{CACHE: cache})
        self._left = iter(range(users))
        self._name = name
        for start in range(0, users, 1000):
            some = [self._named(n) for n in range(start, min(start + 1000, users))]
            with writing(self.engine) as connection:
                write_users(connection, [new_user(user, now, True, "UTC") for user in some])
        if cache is not None:
            cache.settle()  # what was just written is put in beside whoever wrote it
        self._decider = Decider(self.engine, Registry(), read_settings(store=store))

    def _named(self, n: int) -> str:
        return f"{self._name}-{n}"

    def some(self, group: int) -> list[str]:
        """Users whom nobody has decided for."""
        return [self._named(next(self._left)) for _ in range(group)]

    def decide(self, users: list[str]) -> None:
        """One decision each."""
        answers = self._decider.decide([Keyed(Ask(user_id=user)) for user in users])
        if refused := [answer for answer in answers if isinstance(answer, Problem)]:
            raise refused[0]

    def read(self, users: list[str]) -> None:
        """Read users from the store."""
        with reading(self.engine) as connection:
            read_users(connection, users)


def seconds(do: Callable[[list[str]], None], users: list[str]) -> float:
    """How long that takes."""
    began = time.perf_counter()
    do(users)
    return time.perf_counter() - began


def main() -> None:
    """Prints a table."""
    from tests.serving import postgresql, redis_server

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="of one user; fewer of more")
    args = parser.parse_args()
    if not redis_server.is_installed():
        raise SystemExit("redis-server is not installed (Debian's package: redis-server)")
    rounds = {group: max(LEAST, args.rounds // group) for group in GROUPS}
    users = 2 * sum(group * n for group, n in rounds.items()) + sum(GROUPS)
    print("| users | store | read from it, ms | decided without Redis, ms | with, ms | saved |")
    print("|---|---|---|---|---|---|")
    with (
        tempfile.TemporaryDirectory() as directory,
        postgresql.running() as cluster,
        redis_server.running() as redis,
    ):
        path = Path(directory)
        stores = {"SQLite": f"sqlite:///{path / 'store.sqlite'}", "PostgreSQL": cluster.database()}
        for name, store in stores.items():
            prepared(path, store)
            cache = open_cache(redis.url(), store, lambda became, users: None)
            plain, cached = (
                Deciding(store, one, users, own) for one, own in (("p", None), ("c", cache))
            )
            for group, times in rounds.items():
                took: dict[str, list[float]] = {"read": [], "without": [], "with": []}
                for each in (plain, cached):
                    each.decide(each.some(group))  # compiles, and fills what is kept
                for _ in range(times):
                    took["read"].append(seconds(plain.read, plain.some(group)))
                    took["without"].append(seconds(plain.decide, plain.some(group)))
                    took["with"].append(seconds(cached.decide, cached.some(group)))
                ms = {what: 1000 * float(np.median(of)) for what, of in took.items()}
                saved = 1 - ms["with"] / ms["without"]
                print(
                    f"| {group:,} | {name} | {ms['read']:.2g} | {ms['without']:.3g} | "
                    f"{ms['with']:.3g} | {saved:.0%} |",
                    flush=True,
                )
            cache.close()
            for each in (plain, cached):
                each.engine.dispose()


if __name__ == "__main__":
    main()
