"""PostgreSQL's partitions: made in time, dropped when over, and nothing is refused or lost."""

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, inspect, select, text
from sqlalchemy.exc import IntegrityError

from mdp.clock import DAY, HOUR
from policies.baselines import Random
from serving import partitions as module
from serving.monthly import archive_months
from serving.partitions import default_of, keep_partitions, misplaced, part_of, parts
from serving.schemas import iso
from serving.store import open_store, reading, writing
from serving.tables import DECISIONS, OUTCOMES, SNAPSHOTS
from serving.upkeep import prune
from tests.serving.conftest import NOON
from tests.serving.test_archive import RULES, histories, ids, joined, lived, read_log
from tests.serving.test_daily import counted
from tests.serving.test_export import ASK, assert_replays, exported, post
from tests.serving.test_store import copied_back, of_revision

JANUARY = 1768478400000000  # 15 January 2026, 12:00


def names(engine):
    with reading(engine) as connection:
        return [part.name for part in parts(connection)]


def in_default(engine, table=DECISIONS):
    with reading(engine) as connection:
        return connection.scalar(select(func.count()).select_from(default_of(table)))


def sending(shop, **changes):
    return shop.server(shop.policy("p", Random(hold=1e-9), floor=0.0, **RULES), **changes)


@pytest.mark.parametrize(
    ("table", "at", "name", "end"),
    [
        ("decisions", JANUARY, "decisions_2026_01", datetime(2026, 2, 1, tzinfo=UTC)),
        ("outcomes", JANUARY - 31 * DAY, "outcomes_2025_12", datetime(2026, 1, 1, tzinfo=UTC)),
        ("snapshots", JANUARY, "snapshots_2026_01_15", datetime(2026, 1, 16, tzinfo=UTC)),
    ],
)
def test_a_partition_is_a_month_or_a_day(table, at, name, end):
    part = part_of(table, at)
    assert (part.name, part.next.start) == (name, end)
    assert part_of(table, part.begin) == part_of(table, part.end - 1) == part
    assert part_of(table, part.end) == part.next


def test_sqlite_has_none(tmp_path, shop):
    engine = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    keep_partitions(engine, shop.settings(), NOON)
    assert not [name for name in inspect(engine).get_table_names() if name[-1].isdigit()]
    with reading(engine) as connection:
        assert misplaced(connection, NOON) == {}
    engine.dispose()


def test_partitions_come_and_go_and_a_missing_one_refuses_nothing(postgresql_shop, monkeypatch):
    shop = postgresql_shop
    metric = 'pushwise_default_partition_rows{table="decisions"}'
    with sending(shop, snapshot_days=2) as client:
        engine, settings = client.app.state.service.engine, client.app.state.service.settings
        assert names(engine) == [
            "decisions_2026_02", "decisions_2026_03", "outcomes_2026_02", "outcomes_2026_03",
            "snapshots_2026_02_16", "snapshots_2026_02_17",
        ]  # fmt: skip
        first = post(client, "/v1/decisions", **ASK)
        assert (in_default(engine), counted(client)[metric]) == (0, 0)
        shop.clock.now += 50 * DAY  # and no upkeep has run
        sent = post(client, "/v1/decisions", **ASK)
        shop.clock.now += HOUR
        assert (in_default(engine), in_default(engine, SNAPSHOTS)) == (1, 1)
        assert counted(client)[metric] == 1
        monkeypatch.setattr(module, "MOST", 0)
        prune(engine, settings, shop.clock.now)
        assert (in_default(engine), counted(client)[metric]) == (1, 1)  # too much to move
        monkeypatch.undo()
        prune(engine, settings, shop.clock.now)
        assert (in_default(engine), in_default(engine, SNAPSHOTS)) == (0, 0)
        assert counted(client)[metric] == 0
        assert names(engine)[-2:] == ["snapshots_2026_04_07", "snapshots_2026_04_08"]
        assert {"decisions_2026_02", "decisions_2026_04", "decisions_2026_05"} < {*names(engine)}
        shown = [client.get(f"/v1/decisions/{row['decision_id']}").json() for row in (first, sent)]
        assert [row["snapshot"] is None for row in shown] == [True, False]
        told = [
            {"decision_id": r["decision_id"], "outcome": "opened", "at": r["send_at"]}
            for r in shown
        ]
        assert post(client, "/v1/outcomes", outcomes=[*told, told[0]])["duplicates"] == 1
        copy = select(DECISIONS).where(DECISIONS.c.decision_id == first["decision_id"])
        again = DECISIONS.insert().from_select(DECISIONS.c.keys(), copy)
        with writing(engine) as connection, pytest.raises(IntegrityError):
            connection.execute(again)


def test_a_month_is_dropped_once_it_is_archived(postgresql_shop, tmp_path):
    """What has to stay moves to the default partition, while nobody reads the whole log."""
    shop = postgresql_shop
    with sending(shop) as client:
        service = client.app.state.service
        engine = service.engine
        shop.clock.now = NOON + 11 * DAY
        users = [{**ASK, "user_id": user} for user in ("u", "v")]
        post(client, "/v1/decisions:batch", requests=users)
        shop.clock.now += DAY  # 28 February
        late, _ = post(client, "/v1/decisions:batch", requests=users)["decisions"]
        clicked = {"decision_id": late["decision_id"], "outcome": "clicked"}
        shop.clock.now += DAY
        post(client, "/v1/outcomes", outcomes=[{**clicked, "at": iso(shop.clock.now)}])
        shop.clock.now += 40 * DAY
        before, states = exported(client), histories(engine)
        months = tmp_path / "months"
        with reading(engine, whole=True):
            (done,) = archive_months(engine, service.settings, months, shop.clock.now)
        assert done.decisions == 3
        assert "decisions_2026_02" in names(engine)
        keep_partitions(engine, service.settings, shop.clock.now)
        assert not [name for name in names(engine) if name[-7:] == "2026_02"]
        assert (in_default(engine), in_default(engine, OUTCOMES)) == (1, 1)
        assert client.get(f"/v1/decisions/{late['decision_id']}").status_code == 200
        assert client.get("/v1/ledger").json()["unbalanced"] == 0
        assert histories(engine) == states
        assert ids(joined(exported(client), read_log(months / "2026-02"))) == ids(before)
        assert counted(client)['pushwise_default_partition_rows{table="decisions"}'] == 0


def test_several_at_once_make_each_partition_once(postgresql_shop):
    settings, engines = postgresql_shop.settings(), []
    failed = []

    def start():
        try:
            engines.append(open_store(postgresql_shop.store))
            keep_partitions(engines[-1], settings, NOON)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(names(engines[0])) == 6
    for engine in engines:
        engine.dispose()


@pytest.mark.slow
def test_a_store_of_several_months_is_converted(postgresql_shop, cluster, tmp_path):
    """Every row is there as before; months are made from then on, and the old ones leave."""
    shop = postgresql_shop
    with sending(shop) as client:
        lived(client, shop, days=75)
        before, ledger = exported(client), client.get("/v1/ledger").json()
    old = cluster.database()
    copied_back(shop.store, old, "0010")
    shop.store = old
    with sending(shop) as client:
        service = client.app.state.service
        engine = service.engine
        assert client.get("/v1/ledger").json() == ledger
        assert ids(exported(client)) == ids(before)
        assert in_default(engine) > 100
        assert "decisions_2026_05" in names(engine)  # this month's few rows were moved
        lived(client, shop, days=40, seed=1)
        assert_replays(client)
        before, states = exported(client), histories(engine)
        shop.clock.now += 60 * DAY
        months = tmp_path / "months"
        done = list(archive_months(engine, service.settings, months, shop.clock.now))
        assert sum(row.decisions for row in done) > 300
        assert not [name for name in names(engine) if name < "decisions_2026_07"]
        logs = [read_log(path) for path in sorted(months.iterdir())]
        assert ids(joined(exported(client), *logs)) == ids(before)
        assert histories(engine) == states
        assert client.get("/v1/ledger").json()["unbalanced"] == 0


def test_a_converted_store_is_like_a_new_one(cluster):
    """The parents, their keys and indexes; `test_store.py` compares the columns."""
    urls = cluster.database(), cluster.database()
    of_revision(urls[1], "0010")
    found = []
    for url in urls:
        engine = open_store(url)
        with reading(engine) as connection:
            kinds = "SELECT relname, pg_get_partkeydef(oid) FROM pg_class WHERE relkind = 'p'"
            indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE indexdef LIKE '% ONLY %'"
            found.append(
                [sorted(map(tuple, connection.execute(text(q)))) for q in (kinds, indexes)]
            )
        engine.dispose()
    assert found[0] == found[1]
    assert [len(rows) for rows in found[0]] == [3, 4]
