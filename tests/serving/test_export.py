"""The exported log is what `check` reads, and its replay gives the stored histories."""

import io

import numpy as np
import pandas as pd
import pytest

from ingestion.check import ERROR, findings
from ingestion.log import Log, LogMeta
from ingestion.parse import log_of
from ingestion.read import meta_of
from ingestion.replay import replay, to_events
from mdp.clock import DAY, HOUR, MINUTE
from policies.baselines import Random
from serving import export
from serving.export import LOGGED
from serving.schemas import iso
from serving.store import reading
from serving.users import all_user_ids, read_users
from tests.serving.conftest import NOON

ASK = {"user_id": "u", "candidates": ["i0", "i1"]}


def exported(client) -> Log:
    """The server's log as read from its CSV."""
    texts = {name: client.get(f"/v1/logs/{name}").text for name in LOGGED}
    meta = client.get("/v1/logs/log.json").json()
    frames = {
        name: pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        for name, text in texts.items()
    }
    return log_of(frames, LogMeta(default_timezone=meta["default_timezone"]))


def assert_replays(client) -> None:
    """The export has no error, and every user's replayed history is the stored one."""
    log = exported(client)
    # Outcomes and events come at random times here, before their send or the user's sign-up.
    assert [each.message for each in findings(log) if each.severity == ERROR] == []
    users = to_events(log)
    with reading(client.app.state.service.engine) as connection:
        names = all_user_ids(connection)
        stored = read_users(connection, names)
    assert tuple(names) == users.user_ids
    for user, history in zip((stored[name] for name in names), replay(users), strict=True):
        assert history.tobytes() == user.history, user.user_id


def post(client, path, **body):
    response = client.post(path, json=body)
    assert response.status_code in (200, 202), response.text
    return response.json()


def view(client, at, user="u"):
    event = {"user_id": user, "item_id": "i1", "event": "view", "at": iso(at)}
    assert post(client, "/v1/events", events=[event])["accepted"] == 1


def test_an_empty_store(shop):
    with shop.server(shop.policy("p")) as client:
        assert_replays(client)


def test_users_whose_consent_nobody_knows(shop):
    with shop.server(shop.policy("p"), unknown_consent=None) as client:
        view(client, shop.clock.now)
        post(client, "/v1/decisions", **ASK, timezone="Asia/Tokyo")
        assert post(client, "/v1/decisions", **{**ASK, "user_id": "w"})["reason"] == (
            "consent_unknown"
        )
        assert_replays(client)
        shop.clock.now += HOUR
        client.put("/v1/users/u", json={"consent": True})
        assert_replays(client)


@pytest.mark.parametrize("default", [None, "UTC"])
def test_a_zone_that_comes_with_a_later_request(shop, default):
    """The hours that were counted by another clock are counted again."""
    with shop.server(shop.policy("p"), default_timezone=default) as client:
        view(client, shop.clock.now - DAY)
        post(client, "/v1/decisions", **ASK, timezone="Asia/Tokyo")
        assert client.get("/v1/users/u").json()["timezone"] == "Asia/Tokyo"
        assert "users,u,timezone,Asia/Tokyo" in client.get("/v1/logs/changes").text
        assert_replays(client)


def test_cancelling_while_a_user_is_ahead_of_the_clock(shop):
    rules = {"quiet_start": "11:00", "quiet_end": "14:00"}
    with shop.server(shop.policy("p", Random(hold=1e-9), floor=0.0, **rules)) as client:
        view(client, shop.clock.now + 3 * MINUTE)
        sent = post(client, "/v1/decisions", **ASK)
        assert sent["decided_at"] > iso(shop.clock.now)
        post(client, f"/v1/decisions/{sent['decision_id']}:cancel")
        assert_replays(client)


def do_anything(client, shop, rng, decisions):
    """One request of any kind that changes what the store knows of one of three users."""
    user, now = f"u{rng.integers(3)}", shop.clock.now
    what = rng.choice(["decide", "decide", "view", "view", "outcome", "cancel", "user"])
    if what == "decide":
        zone = rng.choice(["Asia/Tokyo", "America/New_York"]) if rng.random() < 0.2 else None
        answer = post(client, "/v1/decisions", **{**ASK, "user_id": user}, timezone=zone)
        decisions += [answer["decision_id"]] if answer["action"] == "send" else []
    elif what == "view":
        view(client, now - int(rng.choice([0, 0, -3 * MINUTE, HOUR, 3 * DAY])), user)
    elif what == "outcome" and decisions:
        kind = rng.choice(["delivered", "failed", "cancelled", "opened", "clicked", "dismissed"])
        at = iso(now - int(rng.integers(3)) * HOUR)
        told = {"decision_id": rng.choice(decisions), "outcome": kind, "at": at}
        post(client, "/v1/outcomes", outcomes=[told])
    elif what == "cancel" and decisions:
        client.post(f"/v1/decisions/{rng.choice(decisions)}:cancel")
    elif what == "user":
        body = {"consent": bool(rng.random() < 0.8), "timezone": rng.choice(["UTC", "Asia/Tokyo"])}
        client.put(f"/v1/users/{user}", json=body).raise_for_status()


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_in_whatever_order(shop, seed):
    rng = np.random.default_rng(seed)
    decisions: list[str] = []
    rules = {"per_calendar_day": 2, "min_hours": 0.5, "item_cooldown_days": 0.0}
    policy = shop.policy("p", Random(hold=0.1), **rules)
    known = {"unknown_consent": [None, True][seed % 2], "default_timezone": ["UTC", None][seed % 2]}
    with shop.server(policy, **known) as client:
        for _ in range(240):
            shop.clock.now += int(rng.integers(2 * HOUR))
            do_anything(client, shop, rng, decisions)
        assert_replays(client)
        assert len(decisions) > 5
        counts = client.get("/v1/ledger").json()["decisions"]
        assert counts.pop("total") == sum(counts.values())


@pytest.mark.slow
def test_ten_thousand_decisions_with_loss_repetition_and_disorder(shop):
    """Feeds lose a fifth, tell a tenth twice, and are late by up to four days."""
    rng = np.random.default_rng(0)
    rules = {"per_calendar_day": None, "per_7d": 5, "min_hours": 0.0, "item_cooldown_days": 0.0}
    with shop.server(shop.policy("p", Random(hold=0.2), floor=0.1, **rules)) as client:
        late: list[tuple[int, str, dict]] = []
        told = 0
        for day in range(21):
            asks = [{**ASK, "user_id": f"u{n}"} for n in range(500)]
            rows = post(client, "/v1/decisions:batch", requests=asks)["decisions"]
            shop.clock.now += DAY
            for row in rows:
                if rng.random() < 0.5:
                    at = shop.clock.now - int(rng.integers(DAY))
                    event = {"user_id": row["user_id"], "item_id": "i2", "event": "view"}
                    late.append((day, "events", {**event, "at": iso(at)}))
                if row["action"] == "send":
                    for outcome in ("delivered", "opened", "clicked", "failed"):
                        at = shop.clock.now + int(rng.integers(DAY))
                        told_as = {"decision_id": row["decision_id"], "outcome": outcome}
                        if rng.random() < 0.4:
                            late.append((day, "outcomes", {**told_as, "at": iso(at)}))
            late.append((day, "outcomes", {**late[-1][2], "decision_id": "of another shop"}))
            shop.clock.now += DAY
            late = [entry for entry in late if rng.random() > 0.05]
            due = [entry for entry in late if rng.random() < 0.5 or day - entry[0] > 3]
            late = [entry for entry in late if entry not in due]
            for table in ("events", "outcomes"):
                mine = [entry for _, of, entry in due if of == table and "outcome" in entry]
                mine += [entry for _, of, entry in due if of == table == "events"]
                mine += [entry for entry in mine if rng.random() < 0.1]
                told += table == "outcomes" and len(mine)
                order = rng.permutation(len(mine))
                post(client, f"/v1/{table}", **{table: [mine[n] for n in order]})
        assert_replays(client)
        ledger = client.get("/v1/ledger").json()
    assert ledger["decisions"]["total"] > 10_000
    outcomes = ledger["outcomes"]
    assert (ledger["unbalanced"], outcomes["received"]) == (0, told)
    assert min(outcomes["orphan"], outcomes["duplicate"], outcomes["joined"]) > 0


def test_attributes_of_several_types_are_text(shop):
    values = {"a": 1, "b": "x", "c": True, "d": None}
    with shop.server(shop.policy("p")) as client:
        for user, value in values.items():
            body = {"attributes": {"mixed": value, "number": 1.5}}
            client.put(f"/v1/users/{user}", json=body).raise_for_status()
        content = client.get("/v1/logs/users?format=parquet").content
        frame = pd.read_parquet(io.BytesIO(content)).set_index("user_id")
        assert frame["mixed"].dropna().to_dict() == {"a": "1", "b": "x", "c": "true"}
        assert frame["number"].tolist() == [1.5] * 4
        assert_replays(client)


def table(client, name, form="csv", **given):
    """A table of the log as exported, or of a range of it."""
    answer = client.get(f"/v1/logs/{name}", params={"format": form, **given})
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    if form == "csv":
        return pd.read_csv(io.BytesIO(answer.content), dtype=str)
    return pd.read_parquet(io.BytesIO(answer.content))


def busy_day(client, shop):
    """A day with a decision, an event, an outcome and a change every two hours; two cuts."""
    start = shop.clock.now
    for n in range(12):
        shop.clock.now += 2 * HOUR
        user = f"u{n % 3}"
        answer = post(client, "/v1/decisions", **{**ASK, "user_id": user})
        view(client, shop.clock.now, user)
        told = {"decision_id": answer["decision_id"], "outcome": "opened"}
        post(client, "/v1/outcomes", outcomes=[{**told, "at": iso(shop.clock.now)}])
        client.put(f"/v1/users/{user}", json={"locale": f"l{n}"}).raise_for_status()
    # The first is the instant of the first rows, which belong to what comes after it.
    return iso(start + 2 * HOUR), iso(start + 13 * HOUR)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_ranges_of_the_log_make_it_up(shop, form, monkeypatch):
    monkeypatch.setattr(export, "PART", 4)
    rules = {"per_calendar_day": None, "min_hours": 0.0, "item_cooldown_days": 0.0}
    with shop.server(shop.policy("p", Random(hold=1e-9), floor=0.0, **rules)) as client:
        first, second = busy_day(client, shop)
        for name, when in export.WHEN.items():
            whole = table(client, name, form)
            parts = [
                table(client, name, form, to=first),
                table(client, name, form, **{"from": first, "to": second}),
                table(client, name, form, **{"from": second}),
            ]
            assert [part[when].dtype for part in parts] == [whole[when].dtype] * 3
            assert len(parts[1]) + len(parts[2]) > 0  # hours are drawn, so either may be empty
            pd.testing.assert_frame_equal(
                pd.concat(parts, ignore_index=True), whole, check_dtype=False
            )
            assert len(table(client, name, form, **{"from": first, "to": first})) == 0
        assert len(table(client, "decisions", form, to=first)) == 0
        assert client.get(f"/v1/logs/log.json?to={first}").json()["complete_until"] == first
        assert_replays(client)


def test_an_export_without_room_is_told(always, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export.tempfile, "TemporaryFile", full)
    refused = always.get("/v1/logs/decisions")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "No space left" in refused.json()["detail"]


def test_the_log_says_which_share_is_held_out_since_when(always, shop):
    def said():
        meta = meta_of(always.get("/v1/logs/log.json").json())
        assert meta.holdout_since is not None
        return meta.holdout_share, (meta.holdout_since - pd.Timestamp(NOON, tz="UTC", unit="us"))

    changes = [
        ({"holdout": {"share": 0.2}}, 0.2, 1),
        ({"caps": {"per_7d": 5}}, 0.2, 1),
        ({"holdout": {"salt": "other"}}, 0.2, 3),
    ]
    assert said() == (0.0, pd.Timedelta(0))
    for change, share, hours in changes:
        shop.clock.now += HOUR
        always.put("/v1/guardrails", json=change).raise_for_status()
        assert said() == (share, pd.Timedelta(hours=hours))


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("events?from=yesterday", "from"),
        ("events?to=2026-01-01T00:00:00", "to"),
        ("events?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
        ("users?to=2026-01-01T00:00:00Z", "to"),
        ("log.json?from=2026-01-01T00:00:00Z", "from"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(always, path, field):
    refused = always.get(f"/v1/logs/{path}")
    assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text
