"""The queue before the decider: it goes on whatever becomes of those who asked."""

import threading

from serving.batcher import Batcher
from serving.commit import Keyed
from serving.schemas import Ask


def test_a_client_who_leaves_stops_nobody():
    entered, leave = threading.Event(), threading.Event()
    seen: list[str] = []

    def decide(requests):
        seen.extend(keyed.ask.user_id for keyed in requests)
        entered.set()
        leave.wait()
        return [{} for _ in requests]

    batcher = Batcher(decide)
    first = batcher.submit([Keyed(Ask(user_id="first"))])
    entered.wait()
    gone = batcher.submit([Keyed(Ask(user_id="gone"))])
    last = batcher.submit([Keyed(Ask(user_id="last"))])
    assert gone.cancel()
    assert not first.cancel()
    leave.set()
    assert (first.result(10), last.result(10)) == ([{}], [{}])
    assert seen == ["first", "last"]
    batcher.close()
