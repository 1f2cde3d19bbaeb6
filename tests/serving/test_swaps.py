"""Policies swapped under load, and a server that is asked to stop: no request fails."""

import http.client
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from benchmarks.crashes import ask, free_port, prepared, served
from mdp.guardrails import Guardrails
from mdp.response import ResponseModel
from policies.baselines import Greedy
from policies.saved import PolicyBundle, save_policy
from serving.clocks import wall_clock
from serving.ledger import ledger
from serving.schemas import iso
from serving.store import open_store, reading
from serving.tables import DECISIONS
from simulator.description import own_beliefs
from simulator.worlds.logit import LogitShop
from tests.serving.conftest import ITEMS, NOON, OPEN_RULES, Shop

EACH = 20
"""Requests for each swap."""
AT = iso(NOON)
Asked = Callable[[str, str, Any], tuple[int, Any]]
"""Method, path and body to status and answer."""


def policies_of(path: Path, users: int) -> tuple[dict[str, Path], dict[str, Any]]:
    """Three policies that choose by what they believe of the same users, and what to ask: two with
    a model and traits of their own, and the first one's model with other traits."""
    worlds = [LogitShop().simulator(users, seed) for seed in range(3)]
    believed = [(0, 0), (1, 1), (0, 2)]
    rules = Guardrails(**OPEN_RULES, floor=0.0)
    paths = {}
    for n, (model, traits) in enumerate(believed):
        response, beliefs = worlds[model].response, own_beliefs(worlds[traits])
        assert isinstance(response, ResponseModel)
        bundle = PolicyBundle(Greedy(), response, beliefs, guardrails=rules)
        paths[f"p{n}"] = path / f"p{n}"
        save_policy(paths[f"p{n}"], bundle)
    lists = {"candidates": [item["item_id"] for item in ITEMS], "at": AT}
    return paths, {name: {"user_id": name, **lists} for name in worlds[0].users.ids}


def chosen(row: Mapping[str, Any]) -> tuple[Any, ...]:
    names = ("action", "item_id", "variant_id", "send_at", "propensity", "title", "body")
    return tuple(row[name] for name in names)


def unswapped(path: Path, paths: dict[str, Path], asks: dict[str, Any]) -> dict[str, Any]:
    """What each policy chooses for each user where it alone decides."""
    out = {}
    for name, policy in paths.items():
        (path / f"alone-{name}").mkdir()
        alone = Shop(path, f"sqlite:///{path / f'alone-{name}' / 'store.sqlite'}")
        with alone.server(policy, trust_request_time=True) as client:
            body = {"requests": list(asks.values())}
            rows = client.post("/v1/decisions:batch", json=body).json()["decisions"]
        out[name] = {row["user_id"]: chosen(row) for row in rows}
    return out


def swap_under_load(asked: Asked, asks: dict[str, Any], swaps: int) -> list[Any]:
    """Make policies active in turn while clients ask; returns all answers about decisions."""
    questions, allowed = iter(asks.values()), threading.Semaphore(0)
    answers: list[Any] = []

    def load():
        while allowed.acquire() and (question := next(questions, None)) is not None:
            answers.append(asked("POST", "/v1/decisions", question))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for n in range(swaps):
            name = f"p{n % 3}"
            allowed.release(EACH - 1)
            assert asked("POST", f"/v1/policies/{name}:activate", None)[0] == 200
            # Whichever worker answers, it is in force.
            answers.append(asked("POST", "/v1/decisions", next(questions)))
            assert answers[-1][1]["policy"] == name
    finally:
        allowed.release(len(asks))
        for thread in threads:
            thread.join()
    return answers


def check_each(answers: list[Any], expected: dict[str, Any]) -> None:
    """Every answer is what its own policy chooses, and of another's choices hardly any."""
    assert {status for status, _ in answers} == {200}
    rows = [row for _, row in answers]
    assert {row["policy"] for row in rows} == set(expected)
    assert {row["repeated"] for row in rows} == {False}
    for row in rows:
        assert chosen(row) == expected[row["policy"]][row["user_id"]]
    for name, others in combinations(expected, 2):
        same = [expected[name][u] == expected[others][u] for u in expected[name]]
        assert sum(same) < len(same) / 2


def test_each_answer_is_of_one_policy_while_they_are_swapped(shop):
    """Of its response model and its traits, in one process."""
    paths, asks = policies_of(shop.path, users=20 * EACH)
    expected = unswapped(shop.path, paths, asks)
    with shop.server(paths["p0"], trust_request_time=True) as client:

        def asked(method, path, body):
            response = client.request(method, path, json=body)
            return response.status_code, response.json()

        for path in paths.values():
            assert asked("POST", "/v1/policies", {"path": str(path)})[0] == 201
        answers = swap_under_load(asked, asks, swaps=20)
    assert len(answers) == len(asks)
    check_each(answers, expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shop", "postgresql_shop"])
def test_a_hundred_swaps_over_http_under_load_fail_no_request(kind, request, monkeypatch):
    """Two workers, each of which holds its own copy of what is in force."""
    shop = request.getfixturevalue(kind)
    paths, asks = policies_of(shop.path, users=100 * EACH)
    expected = unswapped(shop.path, paths, asks)
    shop.server(paths["p0"]).app.state.service.close()  # a store with its catalogue
    monkeypatch.setenv("PUSHWISE_TRUST_REQUEST_TIME", "1")
    port = free_port()
    server = served(shop.store, port, 2)

    def asked(method, path, body):
        """Over a connection of its own, to whichever worker takes it."""
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            return ask(connection, method, path, body)

    try:
        for path in paths.values():
            assert asked("POST", "/v1/policies", {"path": str(path)})[0] == 201
        answers = swap_under_load(asked, asks, swaps=100)
        assert asked("GET", "/v1/ledger", None)[1]["unbalanced"] == 0
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)
    assert len(answers) == len(asks)
    check_each(answers, expected)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_is_asked_to_stop_answers_what_it_has_taken(tmp_path, workers):
    """As systemd asks: the first process alone is told, which tells its workers."""
    store, port = f"sqlite:///{tmp_path / 'store.sqlite'}", free_port()
    prepared(tmp_path, store)
    server = served(store, port, workers)
    told, broken, asked = [], [], threading.Event()

    def load(number):
        """Ask until the server takes no more; an answer that was begun must come."""
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            for n in range(10_000):
                try:
                    body = {"user_id": f"u{number}-{n}", "candidates": ["i0"]}
                    told.append(ask(connection, "POST", "/v1/decisions", body))
                except ConnectionError:  # of RemoteDisconnected too
                    return
                except Exception as error:
                    broken.append(error)
                    raise
                if len(told) > 200:
                    asked.set()

    threads = [threading.Thread(target=load, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    try:
        assert asked.wait(60)
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait(60) in (0, -signal.SIGTERM)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        for thread in threads:
            thread.join()
    assert not broken
    assert {status for status, _ in told} == {200}
    engine = open_store(store)
    with reading(engine) as connection:  # what was decided was answered, and the other way round
        decided = connection.scalars(select(DECISIONS.c.decision_id)).all()
        assert ledger(connection, wall_clock())["unbalanced"] == 0
    engine.dispose()
    assert sorted(decided) == sorted(row["decision_id"] for _, row in told)
