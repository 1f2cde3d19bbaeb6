"""Clients that send half a request."""

import asyncio

import httpx2
import pytest

from serving.app import create_app
from serving.starting import prepare

HEAD = {"content-type": "application/json"}


@pytest.mark.parametrize("length", [None, "1000"])
def test_a_body_that_does_not_arrive_is_refused_and_others_are_served(shop, length):
    settings = shop.settings(body_seconds=0.2, default_timezone="UTC")
    prepare(settings, shop.policy("p"), None, shop.clock())
    app = create_app(settings, shop.clock)

    async def half():
        yield b'{"user_id": '
        await asyncio.Event().wait()

    async def asked() -> tuple[httpx2.Response, httpx2.Response]:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
            headers = HEAD | ({"content-length": length} if length else {})
            slow = asyncio.create_task(
                client.post("/v1/decisions", content=half(), headers=headers)
            )
            fast = await client.get("/readyz")
            return await slow, fast

    slow, fast = asyncio.run(asked())
    app.state.service.close()
    assert (slow.status_code, slow.json()["field"]) == (408, "body")
    assert slow.headers["connection"] == "close"
    assert fast.status_code == 200
