"""Users' states in Redis beside the store: used where they are, never believed where they are
behind, and not missed where Redis is gone."""

from collections.abc import Iterator

import pytest
from cryptography.fernet import Fernet
from sqlalchemy.exc import IntegrityError

from mdp.errors import BadSetting
from policies.baselines import Random
from serving import cache
from serving.cache import cache_of, open_cache
from serving.store import writing
from serving.users import new_user, write_users
from tests.serving.conftest import NOON, Shop
from tests.serving.redis_server import Server, is_installed, running
from tests.serving.test_race import race

ASK = {"user_id": "u", "candidates": ["i0", "i1", "i2", "i3"]}
RULES = {"per_calendar_day": None, "per_7d": 2, "min_hours": 0.0, "item_cooldown_days": 0.0}


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    if not is_installed():
        pytest.skip("Redis is not installed (Debian's package: redis-server)")
    with running() as server:
        yield server


def server(shop: Shop, url: str | None):
    """One that sends wherever it may: twice a week."""
    return shop.server(shop.policy("p", Random(hold=1e-9), floor=0.0, **RULES), redis=url)


def settle(client) -> None:
    """Wait until Redis holds what the server wrote."""
    found = cache_of(client.app.state.service.engine)
    if found is not None:
        found.settle()


def decide(client, **body):
    settle(client)
    response = client.post("/v1/decisions", json={**ASK, **body})
    assert response.status_code == 200, response.text
    return response.json()


def looked_up(client) -> dict[str, int]:
    """How many users were looked up in Redis, by what became of that."""
    name = "pushwise_cached_users_total{became="
    lines = client.get("/metrics").text.splitlines()
    found = [line.removeprefix(name).split("} ") for line in lines if line.startswith(name)]
    return {became.strip('"'): int(float(count)) for became, count in found}


@pytest.mark.parametrize("kind", ["shop", "postgresql_shop"])
def test_a_user_written_of_before_comes_from_redis(kind, request, redis, monkeypatch):
    shop = request.getfixturevalue(kind)
    monkeypatch.setattr("serving.decide.read_users", asked := Reads())
    with server(shop, redis.url()) as client:
        client.put("/v1/users/u", json={"locale": "de"}).raise_for_status()
        answers = [decide(client) for _ in range(3)]
        assert [answer["reason"] for answer in answers] == ["policy", "policy", "cap_7d"]
        assert looked_up(client)["hit"] == 3
        assert not any(asked.names)
        assert client.get("/v1/users/u").json()["locale"] == "de"


class Reads:
    """Reads users, and keeps whose."""

    def __init__(self) -> None:
        from serving.users import read_users

        self.names: list[list[str]] = []
        self._read = read_users

    def __call__(self, connection, names):
        self.names.append(sorted(names))
        return self._read(connection, names)


@pytest.mark.parametrize("kind", ["shop", "postgresql_shop"])
def test_what_others_wrote_past_it_counts(kind, request, redis):
    shop = request.getfixturevalue(kind)
    with server(shop, redis.url()) as cached, server(shop, None) as plain:
        assert decide(cached)["action"] == "send"
        assert decide(plain)["action"] == "send"
        assert decide(cached, dry_run=True)["reason"] == "cap_7d"
        held = decide(plain)
        assert held["reason"] == "cap_7d"
        again = decide(cached)  # of its first send alone Redis knew
        assert (again["decision_id"], again["repeated"]) == (held["decision_id"], True)
        assert looked_up(cached)["hit"] == 1
        plain.delete("/v1/users/u").raise_for_status()
        assert decide(cached)["cold_start"]


def test_who_is_erased_leaves_redis_too(shop, redis):
    url = redis.url()
    with server(shop, url) as client:
        decide(client)
        decide(client, user_id="v")
        client.delete("/v1/users/u").raise_for_status()
        settle(client)
        (left,) = redis.reached(url).keys()
        assert left.endswith(b":v")


def test_what_is_encrypted_in_the_store_is_so_in_redis(shop, redis, monkeypatch):
    monkeypatch.setenv("PUSHWISE_FIELD_KEYS", Fernet.generate_key().decode())
    url = redis.url()
    with server(shop, url) as client:
        body = {"attributes": {"push_token": "token-of-ada"}, "preferences": "-abc"}
        client.put("/v1/users/u", json=body).raise_for_status()
        settle(client)
        (key,) = redis.reached(url).keys()
        packed = redis.reached(url).get(key)
        assert b"token" not in packed
        assert b"-abc" not in packed
        decide(client)
        assert client.get("/v1/users/u").json()["attributes"] == {"push_token": "token-of-ada"}


@pytest.mark.parametrize(
    "spoilt",
    [lambda row: b"\xff", lambda row: b"[1]\nrest", lambda row: row[:-1] + bytes([row[-1] ^ 1])],
    ids=["no row", "a row of other columns", "a history with another byte"],
)
def test_what_is_no_users_row_is_read_from_the_store(shop, redis, spoilt):
    url = redis.url()
    with server(shop, url) as client:
        first = decide(client)
        own = redis.reached(url)
        settle(client)
        (key,) = own.keys()
        own.set(key, spoilt(own.get(key)))
        second = decide(client)
        assert client.get(f"/v1/decisions/{second['decision_id']}").json()["turn"] == 1
        assert first["action"] == second["action"] == "send"


def test_without_redis_all_goes_on_and_with_it_again(shop, redis, monkeypatch):
    monkeypatch.setattr(cache, "REST", 0.0)
    with server(shop, redis.url()) as client:
        decide(client)
        redis.stop()
        try:
            assert decide(client)["action"] == "send"
            assert decide(client)["reason"] == "cap_7d"
            assert looked_up(client)["failed"] == 2
        finally:
            redis.start()
        before = looked_up(client).get("hit", 0)
        decide(client, user_id="v")
        decide(client, user_id="v")
        assert looked_up(client)["hit"] == before + 1
    with server(shop, "redis://localhost:1/0") as client:
        assert decide(client, user_id="w")["action"] == "send"


def test_what_is_rolled_back_does_not_come_into_redis(shop, redis):
    url = redis.url()
    with server(shop, url) as client:
        engine = client.app.state.service.engine
        ghost, real = (new_user(name, NOON, True, "UTC") for name in ("ghost", "real"))
        with pytest.raises(IntegrityError), writing(engine) as connection:
            write_users(connection, [ghost, ghost])
        with writing(engine) as connection:
            write_users(connection, [real])
        settle(client)
        (key,) = redis.reached(url).keys()
        assert key.endswith(b":real")


def test_stores_share_a_database_without_mixing(tmp_path, redis):
    url, shops = redis.url(), []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        shops.append(Shop(tmp_path / name, f"sqlite:///{tmp_path / name / 'store.sqlite'}"))
    with server(shops[0], url) as first, server(shops[1], url) as second:
        decide(first)
        assert decide(second)["cold_start"]


def test_caps_hold_with_it_among_threads_and_processes(
    postgresql_shop, redis, tmp_path, monkeypatch
):
    monkeypatch.setenv("PUSHWISE_REDIS", redis.url())
    race(postgresql_shop, tmp_path, processes=2, threads=4, asks=8)


def test_a_url_of_something_else_is_refused_in_a_sentence():
    with pytest.raises(BadSetting, match="PUSHWISE_REDIS is no URL of Redis; use one such as"):
        open_cache("localhost", "sqlite:///x.sqlite", lambda became, users: None)
