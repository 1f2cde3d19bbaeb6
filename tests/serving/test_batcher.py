"""The queue before the decider: it goes on whatever becomes of those who asked."""

import asyncio
import threading

import pytest

from serving import batcher as batcher_module
from serving.batcher import BESIDE, Batcher
from serving.commit import Keyed
from serving.schemas import Ask


def one(user):
    return [Keyed(Ask(user_id=user))]


def test_a_client_who_leaves_stops_nobody():
    entered, leave = threading.Event(), threading.Event()
    seen: list[str] = []

    def decide(requests):
        seen.extend(keyed.ask.user_id for keyed in requests)
        entered.set()
        leave.wait()
        return [{} for _ in requests]

    batcher = Batcher(decide)

    async def asked():
        first = batcher.submit(one("first"))
        await asyncio.to_thread(entered.wait)
        gone, last = batcher.submit(one("gone")), batcher.submit(one("last"))
        gone.cancel()
        leave.set()
        return await asyncio.wait_for(asyncio.gather(first, last), 60)

    assert asyncio.run(asked()) == [[{}], [{}]]
    assert seen == ["first", "last"]
    batcher.close()


def test_what_fails_fails_for_those_who_asked_and_the_thread_goes_on():
    def decide(requests):
        if requests[0].ask.user_id == "bad":
            raise ValueError("no")
        return [{"user": keyed.ask.user_id} for keyed in requests]

    batcher = Batcher(decide)

    async def asked():
        with pytest.raises(ValueError, match="no"):
            await batcher.submit(one("bad"))
        return await asyncio.gather(batcher.submit(one("a") + one("b")), batcher.submit(one("c")))

    assert asyncio.run(asked()) == [[{"user": "a"}, {"user": "b"}], [{"user": "c"}]]
    batcher.close()


def test_requests_that_wait_together_are_one_group_and_a_long_one_holds_up_nobody(monkeypatch):
    """The batcher's clock stands until all have asked, however long this machine lets them wait."""
    now, leave = [0.0], threading.Event()
    monkeypatch.setattr(batcher_module, "monotonic", lambda: now[0])
    groups: list[list[str]] = []

    def decide(requests):
        names = [keyed.ask.user_id for keyed in requests]
        groups.append(names)
        if names == ["long"]:
            leave.wait()
        return [{"user": name} for name in names]

    batcher = Batcher(decide, decide)

    async def asked():
        long = batcher.submit(one("long"))
        while not groups:
            await asyncio.sleep(0)
        short = [batcher.submit(one(name)) for name in "abc"]
        now[0] += BESIDE
        answers = await asyncio.wait_for(asyncio.gather(*short), 60)
        leave.set()
        return [*answers, await long]

    assert asyncio.run(asked()) == [[{"user": name}] for name in ("a", "b", "c", "long")]
    assert groups == [["long"], ["a", "b", "c"]]
    batcher.close()


def test_the_thread_that_decided_last_is_woken():
    used: set[str] = set()

    def decide(requests):
        used.add(threading.current_thread().name)
        return [{} for _ in requests]

    batcher = Batcher(decide, decide)
    for n, thread in enumerate(batcher._threads):
        thread.name = f"decide {n}"

    async def asked():
        for _ in range(5):
            while len(batcher._idle) < 2:
                await asyncio.sleep(0.001)
            await batcher.submit(one("u"))

    asyncio.run(asked())
    batcher.close()
    assert len(used) == 1
