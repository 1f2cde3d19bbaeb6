"""Policies swapped under load, and a server that is asked to stop: no request fails."""

import http.client
import os
import signal
import threading
from contextlib import closing

import pytest

from benchmarks.crashes import ask, free_port, prepared, served
from policies.baselines import Random
from tests.serving.test_control import ASK


def test_no_request_fails_while_policies_are_swapped(shop):
    """Each answer is wholly of one policy: its name and its propensity go together."""
    chances = {"p0": 0.2, "p1": 0.5, "p2": 0.8}
    paths = [shop.policy(name, Random(hold=hold), floor=0.0) for name, hold in chances.items()]
    answers, stop = [], threading.Event()
    with shop.server(paths[0]) as client:
        for path in paths[1:]:
            client.post("/v1/policies", json={"path": str(path)}).raise_for_status()

        def load(number):
            n = 0
            while not stop.is_set():
                n += 1
                body = {**ASK, "user_id": f"u{number}-{n}", "variants": ["v0"]}
                answers.append(client.post("/v1/decisions", json=body))

        threads = [threading.Thread(target=load, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for n in range(100):
            client.post(f"/v1/policies/p{n % 3}:activate").raise_for_status()
        stop.set()
        for thread in threads:
            thread.join()
    assert {answer.status_code for answer in answers} == {200}
    made = [answer.json() for answer in answers]
    assert {row["policy"] for row in made} == set(chances)
    for row in made:
        held = chances[row["policy"]]
        each = (1 - held) / (2 * 24)
        expected = held if row["action"] == "hold" else each
        assert row["propensity"] == pytest.approx(expected)


@pytest.mark.slow
def test_a_server_that_is_asked_to_stop_answers_what_it_has_taken(tmp_path):
    store, port = f"sqlite:///{tmp_path / 'store.sqlite'}", free_port()
    prepared(tmp_path, store)
    server = served(store, port, 1)
    statuses, asked = [], threading.Event()

    def load(number):
        """Ask until the server takes no more; an answer that was begun must come."""
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            for n in range(10_000):
                try:
                    body = {"user_id": f"u{number}-{n}", "candidates": ["i0"]}
                    statuses.append(ask(connection, "POST", "/v1/decisions", body)[0])
                    asked.set()
                except (ConnectionError, http.client.RemoteDisconnected):
                    return

    threads = [threading.Thread(target=load, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    asked.wait(30)
    os.kill(server.pid, signal.SIGTERM)
    assert server.wait(60) in (0, -signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
