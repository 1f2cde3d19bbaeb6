"""Old rows leave the store as a log: each once, whatever stops it, and nothing else changes."""

import json
import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ingestion.check import ERROR, findings
from ingestion.merge import together
from ingestion.parse import log_of
from ingestion.read import meta_of, read_log
from ingestion.replay import replay as replay_events
from ingestion.replay import to_events
from ingestion.write import replace_tables, write_log
from mdp.clock import DAY
from mdp.errors import BadInput
from policies.baselines import Random
from scripts.cli import main
from serving import archive as module
from serving.archive import archive
from serving.export import table_frame
from serving.history import rebuilt
from serving.ledger import ledger
from serving.monthly import archive_months
from serving.replay import replay
from serving.schemas import iso
from serving.store import open_store, reading
from serving.users import all_user_ids, read_users
from tests.serving.conftest import NOON, Shop
from tests.serving.test_export import ASK, exported, post

ROWS = {
    "events": ["event_id", "at"],
    "decisions": ["decision_id", "hours"],
    "outcomes": ["decision_id", "outcome", "at"],
}
KINDS = ["delivered", "opened", "clicked", "failed", "dismissed"]
RULES = {"per_calendar_day": 2, "min_hours": 0.5, "item_cooldown_days": 0.0}


def lived(client, shop, days=14, seed=0):
    """Days of four users, with events that come late and consent that changes."""
    rng = np.random.default_rng(seed)
    later: list[tuple[int, list[dict]]] = []
    for day in range(days):
        asks = [{**ASK, "user_id": f"u{n}"} for n in range(4)]
        made = post(client, "/v1/decisions:batch", requests=asks)["decisions"]
        shop.clock.now += DAY // 2
        views = [
            {"user_id": row["user_id"], "item_id": "i1", "event": "view", "at": iso(at)}
            for row in made
            for at in shop.clock.now - rng.integers(DAY, size=2)
        ]
        post(client, "/v1/events", events=views)
        outcomes = [
            {"decision_id": row["decision_id"], "outcome": kind, "at": iso(shop.clock.now + n)}
            for row in made
            if row["action"] == "send"
            for n, kind in enumerate(rng.choice(KINDS, size=2, replace=False))
        ]
        # Now and then one comes days later, and its user's cut is before the decision.
        slow = [o | {"at": iso(shop.clock.now + 3 * DAY)} for o in outcomes if rng.random() < 0.1]
        post(client, "/v1/outcomes", outcomes=outcomes)
        shop.clock.now += DAY // 2
        if day % 7 == 3:
            client.put(f"/v1/users/u{day % 4}", json={"consent": day % 2 == 0}).raise_for_status()
        later.append((day + 4, slow))
        for due in [told for when, told in later if when == day and told]:
            post(client, "/v1/outcomes", outcomes=due)


def move(client, shop, out, days):
    """Archive what is older than so many days."""
    service, now = client.app.state.service, shop.clock.now
    return archive(service.engine, service.settings, now - days * DAY, out, now)


def histories(engine):
    """Every user's, once it is seen that a rebuild gives the same."""
    with reading(engine) as connection:
        users = read_users(connection, all_user_ids(connection))
        for user in users.values():
            assert rebuilt(connection, user).history == user.history
        return {name: user.history for name, user in users.items()}


def ids(log):
    """Every row that can leave, by table."""
    return {
        name: sorted(map(tuple, log.tables[name][columns].astype(str).to_numpy()))
        for name, columns in ROWS.items()
    }


def joined(*logs):
    return log_of(*together(logs)[:2])


@pytest.mark.parametrize("kind", ["shop", pytest.param("postgresql_shop", marks=pytest.mark.slow)])
def test_archive_and_store_are_one_log_and_nothing_else_changes(kind, request, tmp_path):
    shop = request.getfixturevalue(kind)
    with shop.server(shop.policy("p", Random(hold=0.1), **RULES)) as client:
        lived(client, shop)
        shop.clock.now += 35 * DAY
        before, states = exported(client), histories(client.app.state.service.engine)
        ledger = client.get("/v1/ledger").json()
        first = move(client, shop, tmp_path / "first", 45)
        second = move(client, shop, tmp_path / "second", 40)
        logs = [exported(client), read_log(tmp_path / "first"), read_log(tmp_path / "second")]
        assert histories(client.app.state.service.engine) == states
        after = client.get("/v1/ledger").json()
        assert after["unbalanced"] == 0
        assert after["decisions"]["total"] == ledger["decisions"]["total"]
        assert after["decisions"]["archived"] == first.decisions + second.decisions
        assert after["outcomes"]["archived"] == first.outcomes + second.outcomes
        assert min(first.decisions, first.outcomes, first.events, second.decisions) > 5
        lived(client, shop, days=3, seed=1)  # late events among theirs: users are made again
        states = histories(client.app.state.service.engine)
        now = exported(client)
    for log in logs:
        assert [each.message for each in findings(log) if each.severity == ERROR] == []
    whole = joined(*logs)
    parts = [ids(log) for log in logs]
    for name, rows in ids(before).items():
        assert sorted(row for part in parts for row in part[name]) == rows, name
        assert ids(whole)[name] == rows
    told = before.tables["decisions"].set_index("decision_id")["propensity"].to_dict()
    assert whole.tables["decisions"].set_index("decision_id")["propensity"].to_dict() == told
    assert all(log.meta.complete_until is not None for log in logs[1:])
    events = to_events(joined(now, *logs[1:]))
    again = dict(zip(events.user_ids, replay_events(events), strict=True))
    assert {name: state.tobytes() for name, state in again.items()} == states


class Stopped(BaseException):
    """Stands for a kill."""


@pytest.mark.slow
def test_stopped_at_any_step_each_row_is_in_one_place(tmp_path, monkeypatch):
    """Every write to disk is stopped before in turn; then the same command goes on."""
    shop = Shop(tmp_path, f"sqlite:///{tmp_path / 'store.sqlite'}")
    with shop.server(shop.policy("p", Random(hold=0.1), **RULES)) as client:
        lived(client, shop, days=8)
        before = ids(exported(client))
    engine = open_store(shop.store)
    states = histories(engine)
    engine.dispose()  # so that all is in the file
    shop.clock.now += 40 * DAY
    monkeypatch.setattr(module, "AT_ONCE", 2)
    steps = {name: getattr(os, name) for name in ("fsync", "replace")}
    for stop in range(100):
        left = iter(range(stop))

        def step(name, *args, left=left):
            if next(left, None) is None:
                raise Stopped
            steps[name](*args)

        for name in steps:
            monkeypatch.setattr(module.os, name, partial(step, name))
        file, out = tmp_path / f"{stop}.sqlite", tmp_path / f"log{stop}"
        shutil.copy(tmp_path / "store.sqlite", file)
        engine = open_store(f"sqlite:///{file}")
        settings, when = shop.settings(), shop.clock.now
        try:
            archive(engine, settings, when - 42 * DAY, out, when)
            stopped = False
        except Stopped:
            stopped = True
            for name, do in steps.items():
                monkeypatch.setattr(module.os, name, do)
            archive(engine, settings, when - 42 * DAY, out, when)
        with reading(engine) as connection:
            assert ledger(connection, when)["unbalanced"] == 0
            frames = {name: table_frame(connection, name, settings) for name in ROWS}
        assert histories(engine) == states
        engine.dispose()
        kept, moved = ids(log_of(frames)), ids(read_log(out))
        assert {name: sorted(moved[name] + kept[name]) for name in ROWS} == before
        assert min(len(moved["decisions"]), len(kept["decisions"])) > 5
        if not stopped:
            break
    assert stop > 12


def test_what_comes_late_for_archived_rows(shop, tmp_path):
    with shop.server(shop.policy("p", Random(hold=1e-9), floor=0.0)) as client:
        sent = post(client, "/v1/decisions", **ASK)
        other = post(client, "/v1/decisions", **{**ASK, "user_id": "w"})
        then, name = iso(shop.clock.now), sent["decision_id"]
        shop.clock.now += 50 * DAY
        done = move(client, shop, tmp_path / "log", 40)
        assert (done.decisions, done.done) == (2, 1)
        gone = client.get(f"/v1/decisions/{name}")
        assert (gone.status_code, gone.json()["field"]) == (410, "decision_id")
        assert str(tmp_path / "log") in gone.json()["detail"]
        assert client.post(f"/v1/decisions/{name}:cancel").status_code == 410
        with (
            reading(client.app.state.service.engine) as connection,
            pytest.raises(BadInput, match="archived"),
        ):
            replay(connection, name)
        event = {"user_id": "u", "item_id": "i1", "event": "view", "at": then}
        (refused,) = post(client, "/v1/events", events=[event])["rejected"]
        assert (refused["error"]["status"], refused["error"]["field"]) == (422, "at")
        state = histories(client.app.state.service.engine)
        opened = {"decision_id": name, "outcome": "opened", "at": then}
        receipt = post(client, "/v1/outcomes", outcomes=[opened, opened])
        assert [each["error"]["status"] for each in receipt["rejected"]] == [410, 410]
        assert histories(client.app.state.service.engine) == state
        left = {"decision_id": name, "outcome": "unsubscribed", "at": then}
        assert post(client, "/v1/outcomes", outcomes=[left, left])["accepted"] == 2
        outcomes = client.get("/v1/ledger").json()["outcomes"]
        assert (outcomes["received"], outcomes["late"], outcomes["orphan"]) == (4, 4, 0)
        assert post(client, "/v1/decisions", **ASK)["reason"] == "consent"
        assert len(exported(client).tables["changes"]) == 1  # of consent, once
        assert client.get("/v1/users/w:export").json()["archives"] == [
            {"number": 1, "out": str(tmp_path / "log"), "decisions": 1}
        ]
        assert client.delete("/v1/users/w").status_code == 204
        assert client.get(f"/v1/decisions/{other['decision_id']}").status_code == 404
        ledger = client.get("/v1/ledger").json()
        assert (ledger["decisions"]["archived"], ledger["unbalanced"]) == (1, 0)


def test_a_send_that_waits_stays(shop, tmp_path):
    """And all that came after it; what came before goes."""
    with shop.server(shop.policy("p", Random(hold=1e-9), floor=0.0), sender="console") as client:
        made = []
        for _ in range(3):
            made.append(post(client, "/v1/decisions", **ASK)["decision_id"])
            shop.clock.now += DAY
        engine = client.app.state.service.engine
        with engine.begin() as connection:
            connection.exec_driver_sql(
                f"UPDATE outbox SET state = 'sent' WHERE decision_id <> '{made[1]}'"
            )
        shop.clock.now += 50 * DAY
        assert move(client, shop, tmp_path / "log", 40).decisions == 1
        found = [client.get(f"/v1/decisions/{name}").status_code for name in made]
        assert found == [410, 200, 200]


def test_consent_that_becomes_known_after_archiving(shop, tmp_path):
    """What a user who never said is taken for reaches back to their first event."""
    with shop.server(shop.policy("p"), unknown_consent=None) as client:
        event = {"user_id": "u", "item_id": "i1", "event": "view", "at": iso(shop.clock.now)}
        post(client, "/v1/events", events=[event])
        shop.clock.now += 50 * DAY
        assert move(client, shop, tmp_path / "log", 40).events == 1
        (named,) = client.get("/v1/users/u:export").json()["archives"]
        assert (named["out"], named["decisions"]) == (str(tmp_path / "log"), 0)
        client.put("/v1/users/u", json={"consent": True}).raise_for_status()
        histories(client.app.state.service.engine)
        assert post(client, "/v1/decisions", **ASK)["reason"] != "consent_unknown"


def test_the_command(shop, tmp_path, capsys):
    out = tmp_path / "log"
    with shop.server(shop.policy("p", Random(hold=0.5))) as client:
        post(client, "/v1/decisions", **ASK)
        command = ["archive", "--store", shop.store, "--out", str(out), "--before"]
        assert main([*command, "2100-01-01T00:00:00Z"]) == 1
        assert "stays: outcomes may come for 30 days" in capsys.readouterr().err
        assert main([*command, "2026-03-01T00:00:00Z"]) == 0
        assert "1 decisions, 0 outcomes, 0 events" in capsys.readouterr().out
        assert main(["check", str(out)]) == 0
        assert main([*command, "2026-03-01T00:00:00Z"]) == 0
        assert "1 decisions, 0 outcomes, 0 events" in capsys.readouterr().out
        assert main([*command, "2026-03-02T00:00:00Z"]) == 1
        assert "is there already" in capsys.readouterr().err
        assert main([*command, "2026-03-02T00:00:00Z", "--monthly"]) == 1
        assert "either --before TIME or --monthly" in capsys.readouterr().err
        monthly = ["archive", "--store", shop.store, "--out", str(tmp_path), "--monthly"]
        assert main(monthly) == 0
        assert "no month may leave yet" in capsys.readouterr().out


@pytest.mark.slow
def test_each_month_leaves_for_a_log_of_its_own(shop, tmp_path, monkeypatch):
    """Called every day, killed once; nothing happens in spring, and what is of July has to stay."""
    months = tmp_path / "months"
    with shop.server(shop.policy("p", Random(hold=1e-9), **RULES)) as client:
        service = client.app.state.service

        def called():
            given = archive_months(service.engine, service.settings, months, shop.clock.now)
            return [(Path(row.out).name, row.decisions) for row in given]

        for day in (0, 13, 40, 110, 150):  # from 16 February on
            shop.clock.now = NOON + day * DAY
            post(client, "/v1/decisions:batch", requests=[ASK, {**ASK, "user_id": "v"}])
        shop.clock.now = NOON + 170 * DAY
        before, states = exported(client), histories(service.engine)
        monkeypatch.setattr(module, "_finished", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            called()
        monkeypatch.undo()
        assert not (months / "2026-02").exists()
        assert called() == [("2026-02", 2), ("2026-03", 4), ("2026-06", 2)]
        assert called() == []
        assert histories(service.engine) == states
        logs = [read_log(directory) for directory in sorted(months.iterdir())]
        assert [len(log.tables["decisions"]) for log in logs] == [2, 4, 2]
        assert ids(joined(exported(client), *logs)) == ids(before)


def test_one_log_is_made_of_exports_in_whatever_order(shop, tmp_path):
    """The newest one's values stay, what is in both counts once, and conflicts are counted."""
    with shop.server(shop.policy("p", Random(hold=0.5))) as client:
        for name in ("old", "new"):
            post(client, "/v1/decisions", **{**ASK, "user_id": name})
            client.put("/v1/users/old", json={"locale": f"of {name}"}).raise_for_status()
            held = {"holdout": {"share": 1e-9, "salt": name}}
            client.put("/v1/guardrails", json=held).raise_for_status()
            shop.clock.now += DAY
            log = exported(client)
            meta = meta_of(client.get("/v1/logs/log.json").json())
            write_log(tmp_path / name, log.tables, meta)
    decisions = pd.read_parquet(tmp_path / "old" / "decisions.parquet")
    replace_tables(tmp_path / "old", {"decisions": decisions.assign(policy="another")})
    words = [str(tmp_path / name) for name in ("old", "new")]
    assert main(["import", "pushwise", *words, "--out", str(tmp_path / "all")]) == 0
    whole, account = read_log(tmp_path / "all"), tmp_path / "all" / "import.json"
    assert whole.tables["decisions"]["policy"].tolist() == ["p", "p"]
    assert whole.meta.complete_until == meta.complete_until
    assert (whole.meta.holdout_share, whole.meta.holdout_since) == (1e-9, meta.holdout_since)
    locales = whole.tables["users"].set_index("user_id")["locale"].dropna()
    assert locales.to_dict() == {"old": "of new"}
    met = json.loads(account.read_text())["merged"]
    assert met["decisions: another one of the same id, left out"] == 1
    assert met["users.locale: conflicts, the first kept"] == 1
    again = ["import", "pushwise", words[1], "--out", str(tmp_path / "all"), "--add"]
    assert main(again) == 0
    assert len(read_log(tmp_path / "all").tables["decisions"]) == 2


def test_a_log_cut_off_while_it_was_written_is_refused(shop, tmp_path, monkeypatch):
    with shop.server(shop.policy("p")) as client:
        post(client, "/v1/decisions", **ASK)
        shop.clock.now += 50 * DAY
        monkeypatch.setattr(module, "write_tables", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            move(client, shop, tmp_path / "log", 40)
        with pytest.raises(BadInput, match="is not finished"):
            move(client, shop, tmp_path / "other", 40)
        assert client.delete("/v1/users/u").status_code == 409
        part = tmp_path / "log.part"
        (part / "decisions.csv").rename(part / "away")
        with pytest.raises(BadInput, match="was cut off"):
            move(client, shop, tmp_path / "log", 40)
        part.rename(tmp_path / "away")
        with pytest.raises(BadInput, match="is gone"):
            move(client, shop, tmp_path / "log", 40)
        (tmp_path / "away").rename(part)
        (part / "away").rename(part / "decisions.csv")
        monkeypatch.undo()
        assert move(client, shop, tmp_path / "log", 40).decisions == 1


def test_stopped_when_the_log_has_its_name_already(shop, tmp_path, monkeypatch):
    """A user who came meanwhile, and is last in order, changes nothing of it."""
    with shop.server(shop.policy("p")) as client:
        post(client, "/v1/decisions", **ASK)
        shop.clock.now += 50 * DAY
        monkeypatch.setattr(module, "audit", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            move(client, shop, tmp_path / "log", 40)
        assert (tmp_path / "log").is_dir()
        monkeypatch.undo()
        post(client, "/v1/decisions", **{**ASK, "user_id": "z"})
        done = move(client, shop, tmp_path / "log", 40)
        assert (done.decisions, done.done) == (1, 1)
        entry = client.get("/v1/audit").json()["entries"][0]
        assert (entry["action"], entry["detail"]["decisions"]) == ("archive", 1)
