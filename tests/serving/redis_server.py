"""A Redis server of the tests' own, in memory alone."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from redis import Redis


def is_installed() -> bool:
    """Whether there is a Redis server to start."""
    return shutil.which("redis-server") is not None


@dataclass
class Server:
    """A Redis server over a socket in its own directory."""

    path: Path
    databases: Iterator[int] = field(default_factory=count)
    process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it, with nothing in it."""
        socket = self.path / "redis.sock"
        words = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", ""]
        words += ["--databases", "64", "--dir", str(self.path)]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        while not socket.exists():
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop it, so that all that it held is lost."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait()

    def url(self) -> str:
        """The URL of a database that nobody has used."""
        return f"unix://{self.path / 'redis.sock'}?db={next(self.databases)}"

    @staticmethod
    def reached(url: str) -> Redis:
        """A client."""
        return Redis.from_url(url)


@contextmanager
def running() -> Iterator[Server]:
    """A server while the context lasts; there must be one."""
    path = Path(tempfile.mkdtemp(prefix="pushwise-redis-"))
    server = Server(path)
    try:
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(path, ignore_errors=True)
