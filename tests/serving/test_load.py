"""Loading a log into a store, and deciding for everyone from the command line."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from ingestion.catalog import catalog_of
from ingestion.parted import parted
from ingestion.read import load_checked
from ingestion.replay import replay, to_events
from ingestion.write import write_log
from mdp.errors import BadInput, BadSetting
from mdp.guardrails import Guardrails
from mdp.state import HISTORY
from policies.baselines import Hold, Random
from policies.saved import PolicyBundle, SavedRecommender, save_policy
from scripts.cli import main
from serving.app import create_app
from serving.catalog import read_catalog
from serving.clocks import wall_clock
from serving.history import rebuilt
from serving.load import last_instant, load_log
from serving.settings import read_settings
from serving.starting import prepare
from serving.store import all_settings, open_store, reading
from serving.tables import DECISIONS, EVENTS, ITEMS, OUTCOMES, USERS, VARIANTS
from serving.users import all_user_ids, read_users
from simulator.demo import demo
from simulator.worlds import known_world


@pytest.fixture(scope="module")
def made():
    """A small demo shop."""
    return demo(known_world("logit").simulator(30, 2), 6, 2)


@pytest.fixture(scope="module")
def logs(made, tmp_path_factory):
    """Its log."""
    path = tmp_path_factory.mktemp("shop") / "logs"
    write_log(path, made.tables, made.meta)
    return path


def test_the_store_holds_the_logs_states(logs, tmp_path):
    log = load_checked(logs)
    engine = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    counts = load_log(engine, [log])
    assert counts["users"] == 30
    assert counts["decisions"] == len(log.tables["decisions"])
    with reading(engine) as connection:
        rows = connection.execute(USERS.select().order_by(USERS.c.user_id)).all()
    states = np.concatenate([np.frombuffer(row.history, HISTORY) for row in rows])
    assert states.tobytes() == replay(to_events(log)).tobytes()
    with pytest.raises(BadInput, match="holds 30 users already"):
        load_log(engine, [log])
    engine.dispose()


def test_a_log_in_parts_gives_the_store_of_the_whole(logs, tmp_path):
    def rows(parts):
        engine = open_store(f"sqlite:///{tmp_path / f'{parts}.sqlite'}")
        with parted(logs, parts) as log:
            counts = load_log(engine, (part for part, _ in log.parts()))
            assert last_instant(log.span) == last_instant(load_checked(logs))
        with reading(engine) as connection:
            found = {
                table.name: sorted(map(repr, connection.execute(table.select())))
                for table in (USERS, EVENTS, DECISIONS, OUTCOMES, ITEMS, VARIANTS)
            }
        engine.dispose()
        return counts, found

    assert rows(3) == rows(1)


def test_prices_are_written_in_the_logs_currency(logs, tmp_path):
    settings = read_settings(
        store=f"sqlite:///{tmp_path / 'store.sqlite'}",
        log_level="error",
        unknown_consent=True,
        default_timezone="UTC",
    )
    engine = open_store(settings.store)
    load_log(engine, [load_checked(logs)])
    engine.dispose()
    policy = tmp_path / "always"
    rules = Guardrails(quiet_start="00:00", quiet_end="00:00", per_7d=None, floor=0.0)
    save_policy(policy, PolicyBundle(Random(hold=1e-9, floor=0.0), None, None, guardrails=rules))
    for own, sign in ((None, "£"), ("SEK", "SEK ")):
        given = settings.model_copy(update={"currency": own})
        prepare(given, policy, None, wall_clock())
        with TestClient(create_app(given)) as client:
            ask = {"user_id": "new", "candidates": ["item-001"], "variants": ["copy-1"]}
            sent = client.post("/v1/decisions", json={**ask, "dry_run": True}).json()
            assert f"Now {sign}" in sent["body"]
            assert client.get("/v1/logs/log.json").json()["currency"] == (own or "GBP")


def test_copy_that_the_rules_block_is_loaded_as_a_draft(logs, tmp_path, capsys, monkeypatch):
    log = load_checked(logs)
    bodies = ["Only a few left", "Cures cancer", "Yours for {price}."]
    variants = log.tables["variants"].assign(body=(bodies * 2)[: len(log.tables["variants"])])
    variants["status"] = ["approved"] * 3 + ["draft"] * 3
    write_log(tmp_path / "doubtful", {**log.tables, "variants": variants}, log.meta)

    def loaded(name: str) -> tuple[list[str], str]:
        store = f"sqlite:///{tmp_path / name}"
        assert main(["load", str(tmp_path / "doubtful"), "--store", store]) == 0
        engine = open_store(store)
        with reading(engine) as connection:
            statuses = read_catalog(connection, None).variants.statuses
        engine.dispose()
        return list(statuses), capsys.readouterr().out

    statuses, said = loaded("judged.sqlite")
    assert statuses == ["approved", "draft", "approved", "draft", "draft", "draft"]
    assert "loaded as a draft, see `pushwise copy review" in said
    assert ": copy-2\n" in said
    assert ": copy-1\n" in said
    monkeypatch.setenv("PUSHWISE_MODERATE_COPY", "false")
    statuses, said = loaded("trusted.sqlite")
    assert statuses == ["approved"] * 3 + ["draft"] * 3
    assert "copy-" not in said


def test_an_outcome_that_the_log_tells_twice_counts_once(logs, tmp_path, capsys):
    log = load_checked(logs)
    outcomes = log.tables["outcomes"]
    tables = {**log.tables, "outcomes": pd.concat([outcomes, outcomes.iloc[:2]])}
    write_log(tmp_path / "twice", tables, log.meta)
    store = f"sqlite:///{tmp_path / 'store.sqlite'}"
    assert main(["load", str(tmp_path / "twice"), "--store", store]) == 0
    assert "of no use to a server: 2 outcomes" in capsys.readouterr().out
    engine = open_store(store)
    with reading(engine) as connection:
        for user in read_users(connection, all_user_ids(connection)).values():
            assert rebuilt(connection, user).history == user.history
    engine.dispose()


def test_another_shops_log_is_refused_and_a_doubtful_policy_warned_of(made, logs, tmp_path, capsys):
    seen = made.truth.believing(made.truth)
    own = PolicyBundle(Hold(), seen.additive_model, seen.beliefs)
    for name, later in (("own", 0), ("other", 3)):
        days = [None if day is None else day + later for day in seen.sign_up_days]
        manifest = {"signed_up": days, "standing": {"minus": {"hold": {"low": -0.1}}}}
        save_policy(tmp_path / name, replace(own, manifest=manifest))
        policy, store = str(tmp_path / name), f"sqlite:///{tmp_path / name}.sqlite"
        out = str(tmp_path / f"{name}.csv")
        status = 0 if name == "own" else 1
        assert main(["load", str(logs), "--store", store, "--policy", policy]) == status
        assert main(["decide", policy, "--logs", str(logs), "--out", out]) == status
    printed, said = capsys.readouterr()
    assert printed.count("does not show that this policy earns more than sending nothing") == 1
    assert said.count(f"the log is not of the shop that {tmp_path / 'other'} was trained for") == 2
    assert not (tmp_path / "other.csv").exists()


def test_deciding_on_a_log_and_on_a_store_gives_everyone_one_decision(logs, tmp_path, capsys):
    popular = catalog_of(load_checked(logs)).items.hashes[:8]
    recommender = SavedRecommender("own_popular", {"popular": popular, "size": np.array([6])})
    policy = tmp_path / "half"
    save_policy(policy, PolicyBundle(Random(hold=0.5), None, None, recommender=recommender))
    out = tmp_path / "decisions.csv"
    assert main(["decide", str(policy), "--logs", str(logs), "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert table["user_id"].nunique() == len(table) == 30
    assert set(table["action"]) == {"send", "hold"}
    fresh = table[~table["repeated"]]  # the log's holds of that date bind
    at = pd.to_datetime(fresh["decided_at"], format="ISO8601").astype("datetime64[us, UTC]")
    assert (at.astype("int64") >= last_instant(load_checked(logs))).all()
    actions = []
    for seed in ("0", "0", "1"):
        command = ["decide", str(policy), "--logs", str(logs), "--out", str(out), "--seed", seed]
        assert main(command) == 0
        made = pd.read_csv(out)
        actions.append(made[["user_id", "item_id", "variant_id", "send_at", "propensity"]])
    assert actions[0].equals(actions[1])
    assert not actions[0].equals(actions[2])

    store = f"sqlite:///{tmp_path / 'store.sqlite'}"
    load = ["load", str(logs), "--store", store, "--policy", str(policy)]
    assert main(load) == 0
    parquet = str(tmp_path / "decisions.parquet")
    assert main(["decide", str(policy), "--store", store, "--out", parquet]) == 0
    again = pd.read_parquet(parquet)
    held = again[again["action"] == "hold"]["user_id"]
    assert "30 users" in capsys.readouterr().out

    other = tmp_path / "hold"
    save_policy(other, PolicyBundle(Hold(), None, None))
    parquet = str(tmp_path / "other.parquet")  # a night of its own
    assert main(["decide", str(other), "--store", store, "--out", parquet]) == 0
    later = pd.read_parquet(parquet).set_index("user_id")
    assert later.loc[held, "repeated"].all()
    assert "hold" in set(later["policy"])  # of those whom no hold binds
    engine = open_store(store)
    with reading(engine) as connection:
        assert all_settings(connection)["policy"] == "half"
    engine.dispose()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["decide", "{policy}", "--out", "x.csv"], "either --logs LOGS or --store"),
        (["decide", "{policy}", "--logs", "{logs}", "--out", "x.txt"], "end it with .csv"),
        (
            ["decide", "{policy}", "--logs", "{logs}", "--out", "x.csv", "--at", "2026-01-01"],
            "without an offset",
        ),
        (["load", "{logs}", "--store", "mysql://x"], "the store is"),
        (["load", "{logs}", "--store", "sqlite:///x.db", "--policy", "{logs}"], "no saved policy"),
        (["serve", "{logs}"], "no saved policy"),
        (["serve", "{policy}", "--host", "0.0.0.0"], "PUSHWISE_API_KEYS"),
        (["serve", "{policy}", "--port", "70000"], "--port is 70000"),
        (["serve", "{policy}", "--workers", "0"], "--workers is 0"),
        (["serve", "{policy}", "--store", "sqlite:///{policy}/manifest.json"], "not a database"),
        (["decide", "{policy}", "--store", "sqlite:///y.db", "--out", "x.csv"], "no store"),
        (["decide", "{policy}", "--logs", "{logs}", "--out", "no/x.csv"], "no directory no"),
    ],
)
def test_bad_input_is_one_sentence(words, message, logs, shop, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    places = {"logs": logs, "policy": shop.policy("half", Random(hold=0.5))}
    assert main([word.format(**places) for word in words]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG_LEVEL", "loud"),
        ("DEFAULT_TIMEZONE", "Mars/Olympus"),
        ("UNKNOWN_CONSENT", "perhaps"),
        ("MAX_BATCH", "0"),
    ],
)
def test_a_bad_setting_is_named(name, value, monkeypatch):
    monkeypatch.setenv(f"PUSHWISE_{name}", value)
    with pytest.raises(BadSetting, match=f"PUSHWISE_{name} is '{value}'"):
        read_settings()


def test_the_api_is_described(always):
    paths = json.loads(always.get("/openapi.json").text)["paths"]
    assert "/v1/decisions:batch" in paths
