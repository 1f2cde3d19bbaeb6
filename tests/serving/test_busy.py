"""A server whose threads, connections or store are busy."""

import asyncio
from contextlib import ExitStack

import httpx2
from sqlalchemy import text

from serving.app import create_app
from serving.service import EXPORTS, prepare
from serving.store import CONNECTIONS, reading, writing

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
    engine.pool._timeout = 0.01
    with ExitStack() as stack:
        for _ in range(sum(CONNECTIONS.values())):
            stack.enter_context(reading(engine))
        for answer in (
            always.post("/v1/decisions", json=ASK),
            always.get("/v1/guardrails"),
            always.get("/readyz"),
        ):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert always.post("/v1/decisions", json=ASK).status_code == 200


def test_healthz_answers_while_the_store_hangs(postgresql_shop):
    settings = postgresql_shop.settings(default_timezone="UTC")
    prepare(settings, postgresql_shop.policy("p"), None, postgresql_shop.clock())
    app = create_app(settings, postgresql_shop.clock)

    async def asked() -> tuple[httpx2.Response, bool, httpx2.Response]:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
            with writing(app.state.service.engine) as connection:
                connection.execute(text("LOCK TABLE api_keys"))
                waiting = asyncio.create_task(client.get("/v1/guardrails"))
                await asyncio.sleep(0.1)
                well = await client.get("/healthz")
                waits = not waiting.done()
            return well, waits, await waiting

    well, waits, late = asyncio.run(asked())
    app.state.service.close()
    assert (well.status_code, waits, late.status_code) == (200, True, 200)
