"""Caps hold and no decision is lost while threads and processes decide for the same users."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select

from policies.baselines import Random
from serving.history import rebuilt
from serving.store import reading
from serving.tables import DECISIONS
from serving.users import all_user_ids, read_users

WORKER = Path(__file__).with_name("race_worker.py")
ROOT = Path(__file__).parents[2]
CAP = 3
RULES = {"per_calendar_day": None, "per_7d": CAP, "min_hours": 0.0, "item_cooldown_days": 0.0}


def test_caps_hold_among_threads_and_processes(shop, tmp_path):
    race(shop, tmp_path, processes=2, threads=4, asks=8)


def test_caps_hold_in_postgresql_too(postgresql_shop, tmp_path):
    race(postgresql_shop, tmp_path, processes=2, threads=4, asks=8)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shop", "postgresql_shop"])
def test_four_workers_and_64_clients_put_nobody_over(kind, request, tmp_path):
    race(request.getfixturevalue(kind), tmp_path, processes=4, threads=16, asks=12)


def race(shop, path: Path, processes: int, threads: int, asks: int) -> None:
    """Every process's threads ask `asks` times for each of six users, all at once."""
    policy = shop.policy("p", Random(hold=1e-9), floor=0.0, **RULES)
    with shop.server(policy) as client:
        answers = run_workers(shop.store, path, processes, threads, asks)
        engine = client.app.state.service.engine
        with reading(engine) as connection:
            rows = connection.execute(select(DECISIONS)).all()
            users = read_users(connection, all_user_ids(connection))
            assert len(users) == 6
            for user in users.values():
                assert rebuilt(connection, user).history == user.history
    sends = Counter(row.user_id for row in rows if row.item_id)
    assert sends == dict.fromkeys(users, CAP)
    fresh = [answer["decision_id"] for answer in answers if not answer["repeated"]]
    assert sorted(fresh) == sorted(row.decision_id for row in rows)


def run_workers(store: str, path: Path, processes: int, threads: int, asks: int) -> list[dict]:
    """The answers that all worker processes got, who start together."""
    running = []
    for n in range(processes):
        files = [store, str(path / f"ready{n}"), str(path / "go"), str(threads), str(asks)]
        running.append(
            subprocess.Popen([sys.executable, WORKER, *files], stdout=subprocess.PIPE, cwd=ROOT)
        )
    while not all((path / f"ready{n}").exists() for n in range(processes)):
        assert all(process.poll() is None for process in running)
        time.sleep(0.01)
    (path / "go").touch()
    answers = []
    for process in running:
        answers += orjson.loads(process.communicate()[0])
        assert process.returncode == 0
    return answers
