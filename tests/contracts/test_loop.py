"""The loop closes, twice: a log is fitted, the policy serves, its own log is fitted, and again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from ingestion.catalog import catalog_of
from ingestion.log import Log
from ingestion.logged_decisions import decisions_of, requests_of
from ingestion.parse import log_of
from ingestion.read import load_checked
from ingestion.replay import replay, to_events
from ingestion.write import write_log
from mdp.actions import encode
from mdp.clock import DAY
from mdp.observation import observe
from mdp.state import HISTORY
from policies.baselines import Greedy
from policies.saved import PolicyBundle, SavedRecommender, load_policy, save_policy
from serving.app import create_app
from serving.load import load_log
from serving.schemas import iso
from serving.settings import read_settings
from serving.starting import prepare
from serving.store import open_store, reading
from serving.tables import USERS
from simulator.demo import demo
from simulator.fit import fit
from simulator.kernel import Kernel
from simulator.worlds import known_world

SHOPPERS, DAYS_LOGGED, DAYS_SERVED = 60, 14, 5


def fitted_policy(path: Path, log: Log, until: int) -> Path:
    """Fit a simulator to a log and save greedy on it."""
    sim = fit(log, until).simulator
    recommender = SavedRecommender(sim.recommender.kind, sim.recommender.arrays())
    rules = replace(sim.guardrails, floor=0.1)
    policy = Greedy(threshold=-0.05, floor=rules.floor)
    bundle = PolicyBundle(
        policy, sim.additive_model, sim.beliefs, sim.reward, rules, recommender,
        {"trained_until": until},
    )  # fmt: skip
    save_policy(path, bundle)
    return path


def micros(text: str) -> int:
    """Microseconds UTC of an ISO 8601 time."""
    return int(np.datetime64(text.removesuffix("Z"), "us").astype(np.int64))


class World:
    """Users who live in the truth and are served over HTTP."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.names: dict[tuple[str, int], str] = {}
        self.told = {"events": 0, "outcomes": 0}

    def live(self, server: TestClient, days: int) -> None:
        """Ask for every user's decision, let them respond, and tell the server, day by day."""
        for _ in range(days):
            self._day(server)

    def _day(self, server: TestClient) -> None:
        kernel = self.kernel
        catalog, users = kernel.simulator.catalog, kernel.simulator.users
        view, requests = kernel.view(), kernel.requests()
        actions, propensity = np.zeros(kernel.N, np.int64), np.ones(kernel.N)
        asked = np.flatnonzero(~kernel.unsubscribed)
        body = []
        for n in asked:
            items = [catalog.items.ids[i] for i in requests.items[n] if i >= 0]
            ask = {"user_id": users.ids[kernel.rows[n]], "at": iso(int(kernel.at[n]))}
            body.append({**ask, **({"candidates": items} if items else {})})
        answer = server.post("/v1/decisions:batch", json={"requests": body})
        assert answer.status_code == 200, answer.text
        for n, given in zip(asked, answer.json()["decisions"], strict=True):
            self.names[(given["user_id"], int(kernel.at[n]))] = given["decision_id"]
            propensity[n] = given["propensity"]
            if given["action"] == "send":
                k = list(requests.items[n]).index(catalog.items.row[given["item_id"]])
                v = list(requests.variants[n]).index(catalog.variants.row[given["variant_id"]])
                when = list(view.mask.send_at[n]).index(micros(given["send_at"]))
                slots = np.array([[k], [v], [when]])
                width = requests.variants.shape[1]
                actions[n] = encode(slots[0], slots[1], slots[2], width)[0]
        step = kernel.step(actions, propensity)
        np.testing.assert_array_equal(step.executed, actions)
        self._tell(server)

    def _tell(self, server: TestClient) -> None:
        tables = self.kernel.tables()
        decided = tables["decisions"]
        at = decided["decided_at"].astype("int64")
        name = {
            row: self.names[(user, int(instant))]
            for row, user, instant in zip(decided.decision_id, decided.user_id, at, strict=True)
        }
        outcomes = tables["outcomes"].sort_values("at", kind="stable")
        outcomes["decision_id"] = outcomes["decision_id"].map(name)
        for table, frame, wanted in (
            ("events", tables["events"], ["event_id", "user_id", "item_id", "event", "value"]),
            ("outcomes", outcomes, ["decision_id", "outcome"]),
        ):
            plain = frame[wanted].astype(object).where(frame[wanted].notna(), None)
            instants = [iso(int(instant)) for instant in frame["at"].astype("int64")]
            rows = plain.assign(at=instants).to_dict("records")
            reply = server.post(f"/v1/{table}", json={table: rows})
            assert reply.status_code == 202, reply.text
            assert reply.json()["rejected"] == []


def exported(server: TestClient, path: Path) -> Log:
    """The server's log, as files, read and checked as `pushwise fit` does."""
    path.mkdir()
    for table in ("users", "items", "variants", "events", "decisions", "outcomes", "changes"):
        reply = server.get(f"/v1/logs/{table}", params={"format": "parquet"})
        assert reply.status_code == 200, reply.text
        (path / f"{table}.parquet").write_bytes(reply.content)
    return load_checked(path)


def test_the_servers_own_log_trains_the_next_policy_twice(tmp_path, hasty):
    made = demo(known_world("logit").simulator(SHOPPERS, 5), DAYS_LOGGED, 5)
    log = log_of(made.tables, made.meta)
    end = int(log.tables["decisions"]["decided_at"].astype("int64").max()) + DAY
    write_log(tmp_path / "shop", log.tables, log.meta)
    settings = read_settings(
        store=f"sqlite:///{tmp_path / 'store.sqlite'}", trust_request_time=True, log_level="error"
    )
    engine = open_store(settings.store)
    load_log(engine, [load_checked(tmp_path / "shop")])
    engine.dispose()
    kernel = None
    for turn in (1, 2):
        policy = fitted_policy(tmp_path / f"policy-{turn}", log, end)
        prepare(settings, policy, None, end)
        with TestClient(create_app(settings)) as server:
            if kernel is None:
                kernel = _after(made.truth, log, end)
            World.live(world := World(kernel), server, DAYS_SERVED)
            log = exported(server, tmp_path / f"log-{turn}")
        kernel = _after(made.truth, log, int(kernel.at.min()))
        end = kernel.simulator.start
        served = log.tables["decisions"]["policy"] == f"policy-{turn}"
        assert served.sum() == len(world.names) > 0
        assert log.tables["decisions"]["send_at"][served].notna().sum() > 10
        _states_agree(settings.store, log)
        _propensities_agree(policy, log, served.to_numpy())


def _after(truth, log: Log, start: int) -> Kernel:
    """The truth's users, going on where a log ends."""
    events = to_events(log)
    order = [events.user_ids.index(name) for name in truth.users.ids]
    histories = replay(events)[order]
    later = replace(truth, start=start, histories=histories)
    return Kernel(later, np.arange(len(order)), 99, 2 * DAYS_SERVED, record=True)


def _states_agree(store: str, log: Log) -> None:
    """What the server holds of each user is what the log's replay gives, to the byte."""
    events = to_events(log)
    engine = open_store(store)
    with reading(engine) as connection:
        rows = connection.execute(USERS.select().order_by(USERS.c.user_id)).all()
    engine.dispose()
    live = np.concatenate([np.frombuffer(row.history, HISTORY) for row in rows])
    assert tuple(row.user_id for row in rows) == events.user_ids
    assert live.tobytes() == replay(events).tobytes()


def _propensities_agree(policy: Path, log: Log, served: np.ndarray) -> None:
    """Each propensity in the log is the policy's probability of that action."""
    bundle = load_policy(policy)
    assert bundle.model is not None
    assert bundle.traits is not None
    catalog, events = catalog_of(log), to_events(log)
    decisions = decisions_of(log, catalog, events)
    decisions = decisions.only(served[decisions.rows])
    traits, _ = bundle.traits.rows(events.hashes[decisions.owner])
    requests = requests_of(log, catalog, events, decisions)
    seen = observe(
        requests, catalog, bundle.guardrails, bundle.reward, bundle.model.bind(catalog), traits
    )
    actions = encode(decisions.k, decisions.v, decisions.h, decisions.variants.shape[1])
    again = bundle.policy.propensity(seen.observation, actions)
    assert again == pytest.approx(decisions.propensity, abs=1e-9)
