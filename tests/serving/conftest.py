"""A small shop behind a server: a store in a file, a policy, a clock that the test sets."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from mdp.clock import DAY, HOUR
from mdp.guardrails import Guardrails
from policies.base import Policy
from policies.baselines import Random
from policies.saved import PolicyBundle, save_policy
from serving.app import create_app
from serving.settings import Settings, read_settings
from serving.starting import prepare
from tests.serving.postgresql import Cluster, binaries, running

NOON = 20_500 * DAY + 12 * HOUR
ITEMS = [
    {
        "item_id": f"i{n}",
        "title": f"Item {n}",
        "category": "abc"[n % 3],
        "brand": "Acme",
        "price": 10.0 + n,
    }
    for n in range(6)
]
VARIANTS = [
    {"variant_id": f"v{n}", "style": style, "title": "{item}!", "body": "Only {price} at {brand}"}
    for n, style in enumerate(["plain", "urgent", "warm"])
]
OPEN_RULES: dict[str, Any] = {"quiet_start": "00:00", "quiet_end": "00:00"}


@dataclass
class Clock:
    """The server's clock, microseconds UTC: `now` goes on with the running clock as the test says;
    whoever sets it makes it jump."""

    now: int = NOON
    ahead: int = 0

    def __call__(self) -> int:
        return self.now

    def running(self) -> int:
        return self.now - self.ahead

    def jump(self, by: int) -> None:
        self.now, self.ahead = self.now + by, self.ahead + by


@dataclass
class Shop:
    """Makes policies, stores and servers under one directory."""

    path: Path
    store: str
    clock: Clock = field(default_factory=Clock)

    def policy(self, name: str, policy: Policy | None = None, **rules: Any) -> Path:
        rules = {**OPEN_RULES, **rules}
        bundle = PolicyBundle(
            policy or Random(hold=0.3), None, None, guardrails=Guardrails(**rules)
        )
        save_policy(self.path / name, bundle)
        return self.path / name

    def settings(self, **changes: object) -> Settings:
        given = {"store": self.store, "log_level": "error", "unknown_consent": True, **changes}
        return read_settings(**given)

    def server(self, policy: Path, **changes: object) -> TestClient:
        settings = self.settings(**{"default_timezone": "UTC", **changes})
        prepare(settings, policy, None, self.clock())
        client = TestClient(create_app(settings, self.clock), raise_server_exceptions=False)
        client.put("/v1/items", json={"items": ITEMS}).raise_for_status()
        client.put("/v1/variants", json={"variants": VARIANTS}).raise_for_status()
        return client


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL cluster, started for the tests that want one."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian's package: postgresql)")
    with running() as cluster:
        yield cluster


@pytest.fixture
def shop(tmp_path, request) -> Shop:
    """In SQLite; with PUSHWISE_TEST_STORE=postgresql in PostgreSQL, as the whole suite can run."""
    store = f"sqlite:///{tmp_path / 'store.sqlite'}"
    if os.environ.get("PUSHWISE_TEST_STORE") == "postgresql":
        store = request.getfixturevalue("cluster").database()
    return Shop(tmp_path, store)


@pytest.fixture
def postgresql_shop(tmp_path, cluster) -> Shop:
    return Shop(tmp_path, cluster.database())


@pytest.fixture
def always(shop) -> Iterator[TestClient]:
    """A server that sends wherever it may."""
    with shop.server(shop.policy("always", Random(hold=1e-9), floor=0.0)) as client:
        yield client
