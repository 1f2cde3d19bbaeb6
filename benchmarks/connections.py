"""Ten thousand connections at once; run with `make proof-connections`.

    python -m benchmarks.connections [--connections 10000]

One worker on SQLite. All connections are opened; a tenth sends half a request and stays silent;
over each of the others a decision is asked for, 64 at a time, while all stay open. It shows how
many got their answer, how long a decision over one more connection took before, while and after
they were open, the slow ones' answer (408), and the server's memory.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.crashes import free_port, prepared, served

SLOW = 5
"""Seconds that a body may take."""
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def request(user: str, length: int = 0) -> bytes:
    """A request for a decision; length: what it says of its body, if that is not the truth."""
    body = b'{"user_id": "%s", "candidates": ["i0", "i1"]}' % user.encode()
    head = b"POST /v1/decisions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    return head + b"content-length: %d\r\n\r\n" % (length or len(body)) + body


async def answered(connection: Connection, sent: bytes) -> int:
    """The status of the answer to what is sent."""
    reader, writer = connection
    writer.write(sent)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    return int(head.split()[1])


async def opened(port: int, number: int) -> list[Connection]:
    """So many connections, a hundred at a time, as the kernel's queue of new ones is short."""
    out: list[Connection] = []
    while len(out) < number:
        some = (asyncio.open_connection("127.0.0.1", port) for _ in range(100))
        out += await asyncio.gather(*some)
    return out


async def one_more(port: int, user: str) -> float:
    """Milliseconds of one decision over a connection of its own."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    status = await answered((reader, writer), request(user))
    writer.close()
    assert status == 200, status
    return 1000 * (time.perf_counter() - began)


def memory(pid: int) -> float:
    """Megabytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


async def shown(port: int, pid: int, number: int) -> None:
    """Prints what happens."""
    alone = [await one_more(port, f"before-{n}") for n in range(20)]
    print(f"alone: {sorted(alone)[10]:.1f} ms a decision, {memory(pid):.0f} MB")
    everyone = await opened(port, number)
    slow, others = everyone[: number // 10], everyone[number // 10 :]
    silent = [asyncio.create_task(answered(c, request("slow", 1000))) for c in slow]
    beside = [await one_more(port, f"while-{n}") for n in range(20)]
    print(f"{len(everyone)} open: {sorted(beside)[10]:.1f} ms, {memory(pid):.0f} MB")
    free = asyncio.Semaphore(64)

    async def ask(n: int, connection: Connection) -> int:
        async with free:
            return await answered(connection, request(f"user-{n}"))

    statuses = Counter(await asyncio.gather(*(ask(n, c) for n, c in enumerate(others))))
    print(f"asked over {len(others)} of them: {dict(statuses)}")
    print(f"half a request over {len(slow)}: {dict(Counter(await asyncio.gather(*silent)))}")
    for _, writer in everyone:
        writer.close()
    after = [await one_more(port, f"after-{n}") for n in range(20)]
    print(f"closed: {sorted(after)[10]:.1f} ms, {memory(pid):.0f} MB")


def main() -> None:
    """Starts a server and shows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    number = parser.parse_args().connections
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.environ["PUSHWISE_BODY_SECONDS"] = str(SLOW)
    with tempfile.TemporaryDirectory() as directory:
        store = f"sqlite:///{directory}/store.sqlite"
        prepared(Path(directory), store)
        port = free_port()
        server = served(store, port, 1)
        try:
            asyncio.run(shown(port, server.pid, number))
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


if __name__ == "__main__":
    main()
