"""The store: migrations lead to the tables that the code knows, in both databases."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, inspect, text
from starlette.testclient import TestClient

from mdp.clock import DAY, HOUR
from mdp.errors import BadSetting
from mdp.hashing import hash_id
from policies.baselines import Random
from serving.app import create_app
from serving.migrations import newest
from serving.prepared import driver_of
from serving.store import (
    BUCKETS,
    WHOLE,
    _engine,
    checkpoint,
    open_store,
    put_setting,
    reading,
    setting,
    writing,
)
from serving.tables import METADATA, REVISION
from serving.users import all_user_ids, new_user, write_users
from tests.serving.test_export import assert_replays, do_anything

STORES = ["shop", "postgresql_shop"]
ASK = {"user_id": "u", "candidates": ["i0", "i1"]}


def of_revision(url: str, last: str = "0001") -> None:
    """An empty store as it was at a revision; the first were not counted yet."""
    import importlib
    import pkgutil

    from alembic.operations import Operations

    from serving.migrations import versions

    names = sorted(module.name for module in pkgutil.iter_modules(versions.__path__))
    engine = _engine(url)
    with writing(engine) as connection:
        with Operations.context(MigrationContext.configure(connection)):
            for name in names[: int(last)]:
                importlib.import_module(f"{versions.__name__}.{name}").upgrade()
        if last != "0001":
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:v)"), {"v": last})
    engine.dispose()


def is_compared(thing, name, kind, reflected, other):
    """Not the default partitions, and no index that only SQLite has."""
    return not (name.endswith("_default") or (name == "snapshots_at" and other is None))


@pytest.mark.parametrize("kind", STORES)
def test_migrating_the_first_store_gives_the_tables_of_a_new_one(kind, request):
    url = request.getfixturevalue(kind).store
    of_revision(url)
    engine = open_store(url)
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == REVISION
        opts = {"compare_type": True, "include_object": is_compared}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, METADATA) == []
    engine.dispose()
    assert newest() == REVISION


def copied_back(url: str, old: str, last: str = "0001") -> None:
    """Put what a store holds into one of a revision, as far as that has room for it."""
    of_revision(old, last)
    uncounted = ["received"] if last == "0001" else []
    engines = _engine(url), _engine(old)
    with reading(engines[0]) as source, writing(engines[1]) as target:
        for table in set(inspect(target).get_table_names()) - {"alembic_version"}:
            target.execute(text(f"DELETE FROM {table}"))  # what migrations put in
            columns = {column["name"] for column in inspect(target).get_columns(table)} - {"number"}
            names = [f'"{name}"' for name in sorted(columns)]
            rows = source.execute(text(f"SELECT {', '.join(names)} FROM {table}")).mappings()
            if found := [dict(row) for row in rows if row.get("name") not in uncounted]:
                values = ", ".join(f":{name}" for name in sorted(columns))
                insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"
                target.execute(text(insert), found)
    for engine in engines:
        engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("kind", STORES)
def test_rows_of_the_first_store_are_migrated_and_served(kind, request, tmp_path):
    shop = request.getfixturevalue(kind)
    rng = np.random.default_rng(2)
    with shop.server(shop.policy("p", Random(hold=0.2))) as client:
        key = {"Idempotency-Key": "k"}
        asked = client.post("/v1/decisions", json=ASK, headers=key).json()
        decisions = [asked["decision_id"]]
        for _ in range(60):
            shop.clock.now += HOUR
            do_anything(client, shop, rng, decisions)
        before = client.get("/v1/ledger").json()
    old = f"sqlite:///{tmp_path / 'old.sqlite'}"
    if kind == "postgresql_shop":
        old = request.getfixturevalue("cluster").database()
    copied_back(shop.store, old)
    settings = shop.settings(store=old, default_timezone="UTC")
    with TestClient(create_app(settings, shop.clock)) as client:
        after = client.get("/v1/ledger").json()
        assert after["decisions"] == before["decisions"]
        assert (after["outcomes"], after["unbalanced"]) == (before["outcomes"], 0)
        assert_replays(client)
        assert client.post("/v1/decisions", json=ASK, headers=key).json() == asked
        shop.clock.now += 8 * DAY
        for user in ("u", "u0", "w"):
            fresh = client.post("/v1/decisions", json={**ASK, "user_id": user})
            assert (fresh.status_code, fresh.json()["repeated"]) == (200, False)
        assert_replays(client)
        assert client.delete("/v1/users/u").status_code == 204
        assert client.get(f"/v1/decisions/{asked['decision_id']}").status_code == 404


@pytest.mark.parametrize("kind", STORES)
def test_a_store_of_a_newer_pushwise_is_refused(kind, request):
    url = request.getfixturevalue(kind).store
    engine = open_store(url)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(BadSetting, match="revision 9999"):
        open_store(url)


def test_a_store_that_is_gone_is_told_and_forgiven(cluster, postgresql_shop, monkeypatch):
    """PostgreSQL stops under the server: 503 with Retry-After, but for the metrics; it starts
    again: all goes on."""
    monkeypatch.setattr("serving.access.KNOWN_FOR", 0.0)  # keys are read again for every request
    with postgresql_shop.server(postgresql_shop.policy("p")) as client:
        assert client.post("/v1/decisions", json=ASK).status_code == 200
        cluster.stop()
        try:
            assert client.get("/metrics").status_code == 200
            gone = client.post("/v1/decisions", json={**ASK, "user_id": "w"})
            assert (gone.status_code, gone.headers["retry-after"]) == (503, "1")
            ready = client.get("/readyz")
            assert (ready.status_code, ready.json()["detail"]) == (503, "the store does not answer")
        finally:
            cluster.start()
        assert client.get("/readyz").status_code == 200
        assert client.post("/v1/decisions", json={**ASK, "user_id": "w"}).status_code == 200


def test_no_connection_outlives_its_engines_disposal(shop):
    """Not even one that somebody uses meanwhile: the file may be another one by then."""
    engine = open_store(shop.store)
    with reading(engine) as connection:
        before = driver_of(connection)
        engine.dispose()
    with reading(engine) as connection:
        assert driver_of(connection) is not before
    engine.dispose()


def test_a_full_disk_is_told_and_forgiven(shop):
    """SQLite refuses to grow the file; nothing that was acknowledged is lost."""
    with shop.server(shop.policy("p")) as client:
        engine = client.app.state.service.engine
        body = {"requests": [{**ASK, "user_id": f"u{n}"} for n in range(300)]}
        first = client.post("/v1/decisions", json=ASK)
        assert first.status_code == 200
        limit_pages(engine, 1)  # not below what it has
        full = client.post("/v1/decisions:batch", json=body)
        assert (full.status_code, full.headers["retry-after"]) == (503, "1")
        limit_pages(engine, 1_000_000)
        assert client.post("/v1/decisions:batch", json=body).status_code == 200
        ledger = client.get("/v1/ledger").json()
        assert (ledger["decisions"]["total"], ledger["unbalanced"]) == (301, 0)


def limit_pages(engine, pages):
    """Have every connection from now on keep to so many pages."""
    event.listen(
        engine, "connect",
        lambda connection, _: connection.execute(f"PRAGMA max_page_count={pages}").close(),
    )  # fmt: skip
    engine.dispose()


def test_a_corrupt_store_is_told_by_name(shop):
    """The process lives, says so, and is not ready; with the backup put back it goes on."""
    with shop.server(shop.policy("p")) as client:
        service = client.app.state.service
        with service.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
        service.engine.dispose()
        file = Path(shop.store.removeprefix("sqlite:///"))
        good = file.read_bytes()
        file.write_bytes(good[:4096] + b"\xff" * (len(good) - 4096))
        assert client.post("/v1/decisions", json=ASK).status_code == 503
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        service.engine.dispose()
        for end in ("-wal", "-shm"):
            Path(f"{file}{end}").unlink(missing_ok=True)
        file.write_bytes(good)
        assert client.post("/v1/decisions", json=ASK).status_code == 200


@pytest.mark.parametrize("kind", STORES)
def test_the_drivers_statements_and_sqlalchemys_are_of_one_transaction(kind, request):
    engine = open_store(request.getfixturevalue(kind).store)
    users = [new_user(name, 0) for name in ("a", "b")]

    def breaks_off() -> None:
        with writing(engine) as connection:
            write_users(connection, users[1:])  # by the driver
            put_setting(connection, "x", 1)  # by SQLAlchemy
            raise KeyError

    with writing(engine) as connection:
        write_users(connection, users[:1])
    with pytest.raises(KeyError):
        breaks_off()
    with reading(engine) as connection:
        assert (all_user_ids(connection), setting(connection, "x")) == (["a"], None)
    with writing(engine) as connection:
        put_setting(connection, "x", 1)
        write_users(connection, users[1:])
    with reading(engine) as connection:
        assert (all_user_ids(connection), setting(connection, "x")) == (["a", "b"], 1)
    engine.dispose()


def test_writers_of_different_users_go_on_side_by_side(postgresql_shop):
    """And those of one user, or of the whole store, do not."""
    engine = open_store(postgresql_shop.store)
    attempt = text("SELECT pg_try_advisory_xact_lock(:n)")
    with writing(engine, ["a"]), writing(engine, ["b"]), engine.begin() as other:
        free = [other.scalar(attempt, {"n": n}) for n in (lock_of("a"), lock_of("c"), WHOLE)]
    assert free == [False, True, False]
    engine.dispose()


def lock_of(user: str) -> int:
    return WHOLE + 1 + hash_id(user) % BUCKETS


def test_a_password_is_not_told():
    with pytest.raises(BadSetting) as error:
        open_store("postgresql://shop:secret@localhost:1/none")
    assert "secret" not in str(error.value)


def test_a_checkpoint_puts_what_was_written_ahead_into_the_file(tmp_path):
    engine = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")

    def in_the_file_alone():
        shutil.copy(tmp_path / "store.sqlite", tmp_path / "copy.sqlite")
        copy = open_store(f"sqlite:///{tmp_path / 'copy.sqlite'}")
        with reading(copy) as connection:
            found = setting(connection, "here")
        copy.dispose()
        return found

    checkpoint(engine)
    with writing(engine) as connection:
        put_setting(connection, "here", 1)
    assert in_the_file_alone() is None
    checkpoint(engine)
    assert in_the_file_alone() == 1
    engine.dispose()


def test_the_connection_that_was_used_last_is_taken_first(tmp_path):
    """SQLite empties the cache of a connection beside which another one wrote."""
    engine = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    with reading(engine) as outer, reading(engine):
        last = outer.connection.driver_connection
    with reading(engine) as connection:
        again = connection.connection.driver_connection
    engine.dispose()
    assert again is last
