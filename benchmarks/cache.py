"""What a cache of users' states in Redis could save of a decision.

    python -m benchmarks.cache [--users 20000] [--rounds 300]

Reads the states of as many users as are decided for together, in turns within one run: from SQLite,
from PostgreSQL (over a local socket) and from a real Redis (MGET over a local socket, nothing
parsed), and beside that all of deciding for so many on either store. Shows medians.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.crashes import prepared
from serving.clocks import wall_clock
from serving.commit import Keyed
from serving.decide import Decider
from serving.registry import Registry
from serving.schemas import Ask
from serving.settings import read_settings
from serving.store import open_store, reading, writing
from serving.users import new_user, read_users, write_users

GROUPS = (1, 16, 1000)


def filled(store: str, users: int) -> None:
    """Put so many users into a store."""
    engine, now = open_store(store), wall_clock()
    with writing(engine) as connection:
        write_users(connection, [new_user(f"u{n}", now, True, "UTC") for n in range(users)])
    engine.dispose()


@contextmanager
def redis(path: Path) -> Iterator[socket.socket]:
    """A connection to a Redis server of one's own."""
    place = path / "redis.sock"
    words = ["redis-server", "--port", "0", "--unixsocket", str(place), "--save", ""]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        while not place.exists():
            time.sleep(0.05)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(place))
            yield connection
    finally:
        server.terminate()
        server.wait()


def command(*words: bytes) -> bytes:
    """A command in Redis's protocol."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def asked(connection: socket.socket, sent: bytes, size: int) -> None:
    """Send, and wait for an answer of so many bytes."""
    connection.sendall(sent)
    while size > 0:
        size -= len(connection.recv(1 << 20))


def median(rounds: int, do: Callable[[list[str]], object], users: int, group: int) -> float:
    """Milliseconds of reading a group of users, other ones each time."""
    rng, times = np.random.default_rng(group), []
    for _ in range(rounds):
        names = [f"u{n}" for n in rng.integers(users, size=group)]
        began = time.perf_counter()
        do(names)
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))


def main() -> None:
    """Prints a table."""
    from tests.serving.postgresql import running

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=300)
    args = parser.parse_args()
    if shutil.which("redis-server") is None:
        raise SystemExit("redis-server is not installed (Debian's package: redis-server)")
    with tempfile.TemporaryDirectory() as directory, running() as cluster:
        path, stores = Path(directory), {}
        for name, url in (
            ("SQLite", f"sqlite:///{path / 'store.sqlite'}"),
            ("PostgreSQL", cluster.database()),
        ):
            filled(url, args.users)
            stores[name] = url
        state = new_user("u", 0).history
        with redis(path) as connection:
            for n in range(args.users):
                asked(connection, command(b"SET", b"u%d" % n, state), 5)
            one = len(b"$%d\r\n" % len(state)) + len(state) + 2

            def from_redis(names: list[str]) -> None:
                size = len(b"*%d\r\n" % len(names)) + one * len(names)
                asked(connection, command(b"MGET", *(name.encode() for name in names)), size)

            show(args, stores, from_redis, path)


def show(
    args: argparse.Namespace,
    stores: dict[str, str],
    from_redis: Callable[[list[str]], None],
    path: Path,
) -> None:
    """Prints milliseconds by group, in turns."""
    engines = {name: open_store(url) for name, url in stores.items()}

    def reader(name: str) -> Callable[[list[str]], None]:
        def read(names: list[str]) -> None:
            with reading(engines[name]) as connection:
                read_users(connection, names)

        return read

    deciders = {}
    for name, url in stores.items():
        prepared(path, url)
        deciders[name] = Decider(engines[name], Registry(), read_settings(store=url))

    def deciding(name: str) -> Callable[[list[str]], None]:
        def decide(names: list[str]) -> None:
            deciders[name].decide([Keyed(Ask(user_id=user)) for user in set(names)])

        return decide

    for group in GROUPS:
        rounds = max(5, args.rounds // group)
        found = {name: median(rounds, reader(name), args.users, group) for name in engines}
        found["Redis"] = median(rounds, from_redis, args.users, group)
        for name in engines:
            whole = median(rounds, deciding(name), args.users, group)
            found[f"decided on {name}"] = whole
        shown = ", ".join(f"{name} {ms:.3f} ms" for name, ms in found.items())
        print(f"{group} users: {shown}", flush=True)
    for engine in engines.values():
        engine.dispose()


if __name__ == "__main__":
    main()
