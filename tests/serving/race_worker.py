"""One server process of the race: asks for decisions from several threads, prints its answers."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson

from serving.commit import Answer, Keyed
from serving.problems import Problem
from serving.schemas import Ask
from serving.service import open_service
from serving.settings import read_settings

USERS = 6


def main(store: str, ready: str, go: str, threads: str, asks: str) -> None:
    """Say that this process is ready, wait for the word, then ask."""
    service = open_service(read_settings(store=store, unknown_consent=True, default_timezone="UTC"))
    Path(ready).touch()
    while not Path(go).exists():
        pass

    async def asked(user: str) -> list[Answer]:
        ask = Ask(user_id=user, candidates=[f"i{n}" for n in range(6)])
        return await service.batcher.submit([Keyed(ask)])

    def one(user: str) -> dict:
        (answer,) = asyncio.run(asked(user))
        assert not isinstance(answer, Problem), answer
        return dict(answer)

    with ThreadPoolExecutor(int(threads)) as pool:
        users = [f"u{n % USERS}" for n in range(USERS * int(asks))]
        sys.stdout.buffer.write(orjson.dumps(list(pool.map(one, users))))
    service.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
