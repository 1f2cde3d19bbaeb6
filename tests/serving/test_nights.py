"""A nightly batch that is interrupted loses nothing: the same command goes on with its night."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import func, insert, select

from mdp.clock import DAY, HOUR
from mdp.errors import BadInput, PushwiseError
from scripts import decide
from scripts.cli import main
from serving.batch import decided, open_night
from serving.decisions_file import decisions_file
from serving.nights import unfinished
from serving.store import open_store, reading, writing
from serving.tables import DECISIONS, IDEMPOTENCY, NIGHTS, OUTCOMES
from serving.upkeep import prune
from serving.users import new_user, write_users
from tests.serving.test_batch import recommending

ROOT = Path(__file__).parents[2]


def filled(shop, users, **changes):
    """A store with users, and its policy."""
    policy = recommending(shop, floor=0.0, quiet_start="00:00", quiet_end="00:00", **changes)
    shop.server(policy).close()
    engine = open_store(shop.store)
    with writing(engine) as connection:
        names = [f"u{n:05d}" for n in range(users)]
        write_users(connection, [new_user(name, shop.clock.now, True, "UTC") for name in names])
    engine.dispose()
    return policy


def command(shop, policy, out):
    return ["decide", str(policy), "--store", shop.store, "--out", str(out)]


def looked_up(shop, query):
    engine = open_store(shop.store)
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    engine.dispose()
    return rows


def sends_by_user(shop):
    sent = DECISIONS.c.item_id.is_not(None)
    of = select(DECISIONS.c.user_id, DECISIONS.c.decision_id).where(sent)
    return sorted(map(tuple, looked_up(shop, of)))


@pytest.mark.parametrize(("kind", "ending"), [("shop", "csv"), ("postgresql_shop", "parquet")])
def test_the_same_command_goes_on_and_repeats_what_was_decided(
    kind, ending, request, monkeypatch, capsys
):
    shop = request.getfixturevalue(kind)
    policy, out = filled(shop, 40), shop.path / f"night.{ending}"
    monkeypatch.setattr(decide, "CHUNK", 10)
    settings, now = shop.settings(), round(time.time() * 1e6)
    parts = decided(open_night(settings, policy, out, None, 0, now).night, 10)
    early = [*next(parts).answers, *next(parts).answers]
    parts.close()  # and nobody has what was decided
    assert main(command(shop, policy, out)) == 0
    said = capsys.readouterr()
    assert "40 users" in said.out
    assert "20 decided before" in said.out
    assert "goes on" in said.err
    rows = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    assert [row["decision_id"] for row in early] == rows.decision_id[:20].tolist()
    sent = rows[rows.action == "send"]
    assert sorted(zip(sent.user_id, sent.decision_id, strict=True)) == sends_by_user(shop)
    assert rows.user_id.is_unique
    whole = out.read_bytes()
    assert main(command(shop, policy, out)) == 0  # cron, twice
    assert out.read_bytes() == whole
    assert len(sends_by_user(shop)) == len(sent)
    assert [file.name for file in shop.path.iterdir() if ".part" in file.name] == []


def test_a_send_that_was_called_off_is_not_handed_out_again(shop, capsys):
    policy, out = filled(shop, 12), shop.path / "night.csv"
    assert main(command(shop, policy, out)) == 0
    sent = pd.read_csv(out).query("action == 'send'").decision_id.tolist()[:4]
    at = round(time.time() * 1e6)
    told = [
        (0, "cancelled", 1), (1, "failed", 1), (2, "failed", 1), (2, "moved", 2),
        (3, "delivered", 1),
    ]  # fmt: skip
    rows = [
        {"decision_id": sent[n], "outcome": outcome, "at": at + later, "joined": 1}
        for n, outcome, later in told
    ]
    engine = open_store(shop.store)
    with writing(engine) as connection:
        connection.execute(insert(OUTCOMES), rows)
    engine.dispose()
    capsys.readouterr()
    assert main(command(shop, policy, out)) == 0
    said = capsys.readouterr().out  # between these, how many sends of an hour that has passed
    assert "12 decided before, " in said
    assert said.endswith("2 called off since\n")
    actions = pd.read_csv(out).set_index("decision_id").action
    assert actions[sent].tolist() == ["cancelled", "failed", "send", "send"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shop", "postgresql_shop"])
def test_a_batch_that_is_killed_loses_no_send(kind, request, capsys):
    shop = request.getfixturevalue(kind)
    policy, out = filled(shop, 4000), shop.path / "night.parquet"
    words = [sys.executable, "-m", "scripts.cli", *command(shop, policy, out)]
    batch = subprocess.Popen(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    count = select(func.count()).select_from(DECISIONS)
    while looked_up(shop, count)[0][0] < 1000:
        assert batch.poll() is None
        time.sleep(0.01)
    os.kill(batch.pid, signal.SIGKILL)
    batch.wait()
    assert not out.exists()
    lost = sends_by_user(shop)
    assert 100 < len(lost) < 4000
    assert main(command(shop, policy, out)) == 0
    assert " decided before" in capsys.readouterr().out
    rows = pd.read_parquet(out)
    sent = rows[rows.action == "send"]
    held = sorted(zip(sent.user_id, sent.decision_id, strict=True))
    assert held == sends_by_user(shop)
    assert set(lost) <= set(held)
    assert (len(rows), rows.user_id.nunique()) == (4000, 4000)


def test_a_file_is_of_one_night_and_one_policy(shop, capsys):
    policy, out = filled(shop, 3), shop.path / "night.csv"
    settings = shop.settings()
    first = open_night(settings, policy, out, None, 0, shop.clock.now).night
    for later, same in ((11 * HOUR, True), (13 * HOUR, False)):
        again = open_night(settings, policy, out, None, 1, shop.clock.now + later)
        assert (again.night.number == first.number, again.since is not None) == (same, same)
    other = open_night(settings, policy, shop.path / "b.csv", None, 0, shop.clock.now + 13 * HOUR)
    assert [row.number for row in other.unfinished] == [first.number, first.number + 1]
    with pytest.raises(BadInput, match="in which p decides: name another file"):
        open_night(settings, recommending(shop, "q"), out, None, 0, shop.clock.now + 14 * HOUR)
    with pytest.raises(BadInput, match="name another file"):
        open_night(settings, policy, out, shop.clock.now, 0, shop.clock.now + 14 * HOUR)
    assert main(command(shop, policy, shop.path / "c.csv")) == 0
    (row,) = looked_up(shop, select(NIGHTS).where(NIGHTS.c.out == str(shop.path / "c.csv")))
    assert row.whole_at >= row.began_at
    engine = open_store(shop.store)
    with reading(engine) as connection:
        assert len(unfinished(connection, shop.clock.now + 14 * HOUR)) == 3
    engine.dispose()


def test_answers_of_a_night_are_kept_for_a_day(postgresql_shop):
    shop = postgresql_shop
    policy, shop.clock.now = filled(shop, 3), round(time.time() * 1e6)
    assert main(command(shop, policy, shop.path / "night.csv")) == 0
    keys = [row.key for row in looked_up(shop, select(IDEMPOTENCY))]
    assert Counter(key[:8] for key in keys) == {"night\n1\n": 3}
    with shop.server(policy) as client:
        client.post("/v1/decisions", json={"user_id": "u"}, headers={"Idempotency-Key": "night"})
    engine, kept = open_store(shop.store), []
    for later in (DAY // 2, DAY + HOUR):
        prune(engine, shop.settings(), shop.clock.now + later)
        kept.append(len(looked_up(shop, select(IDEMPOTENCY))))
    engine.dispose()
    assert kept == [4, 1]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_that_is_not_whole_leaves_the_one_before(tmp_path, ending):
    out = tmp_path / f"night.{ending}"
    out.write_text("of before")
    with suppress(PushwiseError), decisions_file(out) as add:
        add([])
        raise PushwiseError
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [
        (out.name, "of before")
    ]
