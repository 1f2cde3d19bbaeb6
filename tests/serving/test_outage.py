"""A database that is gone for a while under load: clear answers meanwhile, and nothing is lost."""

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from itertools import count
from typing import Any, NamedTuple

import pytest

from benchmarks.crashes import free_port, prepared, served
from serving.clocks import wall_clock
from serving.schemas import iso

GONE, THREADS, PAUSE = 10.0, 4, 0.1
"""Seconds without the database, clients, and seconds between the requests of one."""


class Answer(NamedTuple):
    """What came back of a request, and what was asked."""

    key: str
    path: str
    began: float
    status: int
    kind: str | None
    retry_after: str | None
    body: Any


def asked(port: int, key: str, at: str) -> list[Answer]:
    """An event of a user, and a decision for them under the key."""
    user, answers = f"u{key}", []
    event = {"user_id": user, "item_id": "i1", "event": "view", "event_id": key, "at": at}
    requests = {
        "/v1/events": {"events": [event]},
        "/v1/decisions": {"user_id": user, "candidates": ["i0"]},
    }
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        for path, body in requests.items():
            began = time.monotonic()
            headers = {"content-type": "application/json", "idempotency-key": key}
            connection.request("POST", path, json.dumps(body), headers)
            got = connection.getresponse()
            told = got.getheader("content-type"), got.getheader("retry-after")
            answers.append(Answer(key, path, began, got.status, *told, json.loads(got.read())))
    return answers


def under_load(cluster: Any, port: int, at: str) -> tuple[list[Answer], float]:
    """What clients were answered while the database went and came back, and when it was back."""
    answers: list[Answer] = []
    broken: list[Exception] = []
    over = threading.Event()

    def load(number: int) -> None:
        for n in count():
            if over.is_set():
                return
            try:
                answers.extend(asked(port, f"{number}-{n}", at))
            except Exception as error:
                broken.append(error)
                return
            time.sleep(PAUSE)

    threads = [threading.Thread(target=load, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(3)
        cluster.stop()
        try:
            time.sleep(GONE)
        finally:
            cluster.start()
        back = time.monotonic()
        time.sleep(4)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not broken
    return answers, back


def check_clear(answers: Iterable[Answer]) -> None:
    """Each is what was asked for, or problem details that say when to come back."""
    for answer in answers:
        if answer.status == 503:
            assert (answer.kind, answer.retry_after) == ("application/problem+json", "1")
            assert answer.body["status"] == 503
            assert answer.body["detail"]
        else:
            assert answer.status == {"/v1/events": 202, "/v1/decisions": 200}[answer.path]


@pytest.mark.slow
def test_ten_seconds_without_the_database_lose_nothing(cluster, tmp_path):
    store, port, at = cluster.database(), free_port(), iso(wall_clock())
    prepared(tmp_path, store)
    server = served(store, port, 2)
    try:
        answers, back = under_load(cluster, port, at)
        check_clear(answers)
        refused = {answer.key for answer in answers if answer.status == 503}
        assert len(refused) > THREADS
        assert all(answer.status != 503 for answer in answers if answer.began > back + 1)
        assert {a.path for a in answers if a.began > back + 1} == {"/v1/events", "/v1/decisions"}
        again = {
            (answer.key, answer.path): answer
            for key in dict.fromkeys(answer.key for answer in answers)
            for answer in asked(port, key, at)
        }
        check_clear(again.values())
        for answer in answers:
            held = again[answer.key, answer.path].body
            if answer.status == 200:
                assert held == answer.body
            elif answer.status == 202:
                assert held["duplicates"] == 1
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            connection.request("GET", "/v1/ledger")
            ledger = json.loads(connection.getresponse().read())
        decided = len({answer.key for answer in answers})
        assert (ledger["decisions"]["total"], ledger["unbalanced"]) == (decided, 0)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        with suppress(ProcessLookupError):
            server.wait(60)
