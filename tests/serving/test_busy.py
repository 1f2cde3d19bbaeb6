"""A server whose threads, connections or store are busy."""

import asyncio
import threading
from contextlib import ExitStack

import httpx2
import pytest
from anyio.to_thread import current_default_thread_limiter
from sqlalchemy import text

from serving.access import KNOWN_FOR
from serving.app import create_app
from serving.metrics import DIRECTORY
from serving.observing import Observer
from serving.service import EXPORTS, REQUESTS
from serving.starting import prepare
from serving.store import CONNECTIONS, reading, writing
from serving.upkeep import Every

ASK = {"user_id": "u", "candidates": ["i0", "i1"]}


def test_only_so_many_exports_at_once(always):
    exports = always.app.state.service.exports
    with ExitStack() as stack:
        for _ in range(EXPORTS):
            assert always.get("/v1/logs/users").status_code == 200
            stack.enter_context(exports.one())
        for path in ("/v1/logs/users", "/v1/ledger"):
            refused = always.get(path)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert always.post("/v1/decisions", json=ASK).status_code == 200
    assert always.get("/v1/logs/users").status_code == 200


def test_a_lack_of_connections_is_told_as_busy(always):
    engine = always.app.state.service.engine
    with ExitStack() as stack:
        for _ in range(sum(CONNECTIONS.values())):  # the server's own watches take one now and then
            stack.enter_context(reading(engine))
        engine.pool._timeout = 0.01
        for answer in (
            always.post("/v1/decisions", json=ASK),
            always.get("/v1/guardrails"),
            always.get("/readyz"),
        ):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert always.post("/v1/decisions", json=ASK).status_code == 200


def test_who_waits_for_a_connection_gets_the_next_one(always):
    engine, got = always.app.state.service.engine, threading.Event()

    def wait() -> None:
        with reading(engine):
            got.set()

    waiting = threading.Thread(target=wait)
    with ExitStack() as others, ExitStack() as one:
        one.enter_context(reading(engine))
        for _ in range(sum(CONNECTIONS.values()) - 1):
            others.enter_context(reading(engine))
        waiting.start()
        assert not got.wait(0.2)
        one.close()
        assert got.wait(60)
    waiting.join()


@pytest.mark.parametrize(
    ("table", "waits_for_it", "path"),
    [
        ("api_keys", "/v1/guardrails", "/healthz"),
        ("api_keys", "/v1/guardrails", "/metrics"),
        ("decisions", "/v1/ledger", "/metrics"),
    ],
)
def test_what_needs_no_store_answers_while_it_hangs(postgresql_shop, table, waits_for_it, path):
    settings = postgresql_shop.settings(default_timezone="UTC")
    prepare(settings, postgresql_shop.policy("p"), None, postgresql_shop.clock())
    app = create_app(settings, postgresql_shop.clock)

    async def asked() -> tuple[httpx2.Response, bool, httpx2.Response]:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
            assert (await client.get(path)).status_code == 200
            app.gate._access._read_at -= KNOWN_FOR
            with writing(app.state.service.engine) as connection:
                connection.execute(text(f"LOCK TABLE {table}"))
                waiting = asyncio.create_task(client.get(waits_for_it))
                await asyncio.sleep(0.1)
                well = await asyncio.wait_for(client.get(path), 60)
                waits = not waiting.done()
            return well, waits, await waiting

    well, waits, late = asyncio.run(asked())
    app.state.service.close()
    assert (well.status_code, waits, late.status_code) == (200, True, 200)


def test_metrics_answer_while_every_thread_of_the_requests_waits(postgresql_shop):
    settings = postgresql_shop.settings(default_timezone="UTC")
    prepare(settings, postgresql_shop.policy("p"), None, postgresql_shop.clock())
    app = create_app(settings, postgresql_shop.clock)

    async def asked() -> int:
        current_default_thread_limiter().total_tokens = REQUESTS
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
            assert (await client.get("/metrics")).status_code == 200
            with writing(app.state.service.engine) as connection:
                connection.execute(text("LOCK TABLE users"))
                waiting = [
                    asyncio.create_task(client.get("/v1/users/u")) for _ in range(REQUESTS + 1)
                ]
                await asyncio.sleep(0.1)
                status = (await asyncio.wait_for(client.get("/metrics"), 60)).status_code
                assert not any(one.done() for one in waiting)
            await asyncio.gather(*waiting)
            return status

    status = asyncio.run(asked())
    app.state.service.close()
    assert status == 200


def test_of_workers_that_share_their_figures_one_counts(always, tmp_path, monkeypatch):
    service = always.app.state.service
    first, second = Observer(service), Observer(service)
    monkeypatch.setenv(DIRECTORY, str(tmp_path))
    assert [first._is_mine(), second._is_mine(), first._is_mine()] == [True, False, True]
    first.close()
    assert second._is_mine()
    second.close()


def test_a_thread_with_rest_begins_at_once():
    done = threading.Event()
    every = Every("test", 3600, done.set, rest=1.0)
    every.start()
    assert done.wait(30)
    every.close()
