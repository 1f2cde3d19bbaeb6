"""The runbook's backups, taken while the server decides, hold all that was acknowledged before."""

import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from sqlalchemy import make_url
from starlette.testclient import TestClient

from serving.app import create_app
from serving.replay import replay
from serving.store import open_store, reading
from tests.serving.test_control import SENDS, batch, decide


def copied_sqlite(url: str, path: Path, cluster) -> str:
    """As the runbook has it."""
    file, copy = url.removeprefix("sqlite:///"), path / "copy.sqlite"
    if shutil.which("sqlite3") is None:
        pytest.skip("sqlite3 is not installed")
    subprocess.run(["sqlite3", file, f".backup {copy}"], check=True)
    return f"sqlite:///{copy}"


def copied_postgresql(url: str, path: Path, cluster) -> str:
    """As the runbook has it, into a database of another name."""
    new, parts = cluster.database(), make_url(url)
    where = ["-h", str(parts.query["host"]), "-U", "postgres"]
    dump, restore = (cluster.programs / name for name in ("pg_dump", "pg_restore"))
    subprocess.run([dump, *where, "-Fc", "-f", path / "dump", str(parts.database)], check=True)
    target = ["-d", str(make_url(new).database)]
    subprocess.run([restore, *where, "--exit-on-error", *target, path / "dump"], check=True)
    return new


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "copied"), [("shop", copied_sqlite), ("postgresql_shop", copied_postgresql)]
)
def test_a_backup_under_load_is_restored(kind, copied, request, tmp_path, cluster):
    shop = request.getfixturevalue(kind)
    rules = {"per_calendar_day": None, "per_7d": 2, "min_hours": 0.0, "item_cooldown_days": 0.0}
    policy = shop.policy("p", SENDS, floor=0.0, **rules)
    with shop.server(policy) as client:
        before = [*batch(client, range(50)), decide(client, user_id="u0")]
        stop = threading.Event()

        def load():
            n = 1000
            while not stop.is_set():
                batch(client, range(n, n + 5))
                n += 5

        thread = threading.Thread(target=load)
        thread.start()
        try:
            copy = copied(shop.store, tmp_path, cluster)
        finally:
            stop.set()
            thread.join()
        whole = client.get("/v1/ledger").json()["decisions"]["total"]
    with TestClient(create_app(shop.settings(store=copy), shop.clock)) as client:
        ledger = client.get("/v1/ledger").json()
        assert ledger["unbalanced"] == 0
        assert len(before) <= ledger["decisions"]["total"] <= whole
        for row in before:
            shown = client.get(f"/v1/decisions/{row['decision_id']}").json()
            assert shown["propensity"] == row["propensity"]
        engine = open_store(copy)
        with reading(engine) as connection:
            assert replay(connection, before[-1]["decision_id"])["same"]
        engine.dispose()
        assert decide(client, user_id="u0", candidates=["i2", "i3"])["reason"] == "cap_7d"
