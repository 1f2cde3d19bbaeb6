"""kill -9 under load, again and again: nothing acknowledged is lost; run with `make proof-crashes`.

    python -m benchmarks.crashes --rounds 50 --store sqlite|postgresql

Two workers serve eight clients who ask for decisions with idempotency keys and tell outcomes and
events. At a random moment all processes are killed; then the store is looked into, and the server
starts again on it. What was being asked when it died is asked once more with the same key.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from mdp.guardrails import Guardrails
from policies.baselines import Random
from policies.saved import PolicyBundle, save_policy
from serving.catalog import put_rows
from serving.clocks import wall_clock
from serving.history import rebuilt
from serving.ledger import ledger
from serving.schemas import iso
from serving.settings import read_settings
from serving.starting import prepare
from serving.store import open_store, reading, writing
from serving.tables import DECISIONS, EVENTS, IDEMPOTENCY, ITEMS, OUTCOMES, VARIANTS
from serving.users import all_user_ids, read_users

CAP, CLIENTS = 3, 8
ROOT = Path(__file__).parents[1]


@dataclass
class Told:
    """What the clients know, over all rounds."""

    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Acknowledged answers by idempotency key."""
    open: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Requests without an answer, by key."""
    outcomes: set[tuple[str, str]] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    asked: int = 0
    """Requests so far: eight in a row, by all clients together, are for one user."""
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Findings:
    """What is wrong after a kill; all zero is right."""

    kills: int = 0
    decisions: int = 0
    asked_again: int = 0
    lost: int = 0
    """Acknowledged decisions, outcomes and events that the store does not hold as told."""
    doubled: int = 0
    """Keys that were decided for twice."""
    over_cap: int = 0
    """Users with more sends than the cap."""
    unbalanced: int = 0
    wrong_states: int = 0
    """Users whose state is not what their stored events give."""


def prepared(path: Path, store: str) -> None:
    """A store with a catalogue and an active policy."""
    rules = Guardrails(
        quiet_start="00:00", quiet_end="00:00", per_calendar_day=None, per_7d=CAP, min_hours=0.0,
        item_cooldown_days=0.0, floor=0.0,
    )  # fmt: skip
    save_policy(
        path / "policy", PolicyBundle(Random(hold=0.2, floor=0.0), None, None, guardrails=rules)
    )
    prepare(read_settings(store=store), path / "policy", None, wall_clock())
    engine = open_store(store)
    items = [
        {"item_id": f"i{n}", "title": "t", "category": "c", "brand": "b", "price": 9.0}
        for n in range(6)
    ]
    with writing(engine) as connection:
        put_rows(connection, ITEMS, items, wall_clock())
        copy = [{"variant_id": "v", "style": "plain", "title": "{item}", "body": ""}]
        put_rows(connection, VARIANTS, copy, wall_clock())
    engine.dispose()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def served(store: str, port: int, workers: int, *more: str) -> subprocess.Popen[bytes]:
    """A server in a process group of its own, once it answers."""
    setting = {
        "PUSHWISE_UNKNOWN_CONSENT": "1",
        "PUSHWISE_DEFAULT_TIMEZONE": "UTC",
        "PUSHWISE_LOG_LEVEL": "error",
    }
    words = ["serve", "--store", store, "--port", str(port), "--workers", str(workers), *more]
    server = subprocess.Popen(
        [sys.executable, "-m", "scripts.cli", *words],
        cwd=ROOT, env={**os.environ, **setting}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(server, port)
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        raise
    return server


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    """Return once it answers."""
    while True:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode}")
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
                if ask(connection, "GET", "/readyz")[0] == 200:
                    return
        except (OSError, ValueError):  # not there, or not JSON yet
            time.sleep(0.1)


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: Any = None,
    key: str | None = None,
) -> tuple[int, Any]:
    """Status and body of a request."""
    headers = {"content-type": "application/json", **({"idempotency-key": key} if key else {})}
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def client(port: int, told: Told, seed: int, turn: int) -> None:
    """Ask and tell until the connection breaks."""
    rng = np.random.default_rng(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    number = 0
    try:
        while True:
            number += 1
            name = f"{seed}-{number}"
            with told.lock:
                user = f"u{turn}-{told.asked // CLIENTS}"
                body = {"user_id": user, "candidates": [f"i{n}" for n in range(6)]}
                told.asked += 1
                told.open[name] = body
            status, answer = ask(connection, "POST", "/v1/decisions", body, name)
            assert status == 200, answer
            with told.lock:
                told.decisions[name] = answer
                del told.open[name]
            now = iso(wall_clock())
            if answer["action"] == "send" and rng.random() < 0.3:
                decision = answer["decision_id"]
                outcome = {"decision_id": decision, "outcome": "delivered", "at": now}
                status, _ = ask(connection, "POST", "/v1/outcomes", {"outcomes": [outcome]})
                assert status == 202
                with told.lock:
                    told.outcomes.add((decision, "delivered"))
            if rng.random() < 0.2:
                event = {"user_id": user, "item_id": "i1", "event": "view", "at": now}
                event["event_id"] = name
                status, _ = ask(connection, "POST", "/v1/events", {"events": [event]})
                assert status == 202
                with told.lock:
                    told.events.add(name)
    except (OSError, http.client.HTTPException):
        connection.close()


def looked_into(store: str, told: Told, findings: Findings) -> None:
    """Compare the store with what the clients were told."""
    engine = open_store(store)
    with reading(engine) as connection:
        rows = {row.decision_id: row for row in connection.execute(select(DECISIONS))}
        outcomes = {(row.decision_id, row.outcome) for row in connection.execute(select(OUTCOMES))}
        events = {row.event_id for row in connection.execute(select(EVENTS))}
        keys = {row.key: row.response for row in connection.execute(select(IDEMPOTENCY))}
        users = read_users(connection, all_user_ids(connection))
        for user in users.values():
            findings.wrong_states += rebuilt(connection, user).history != user.history
        findings.unbalanced += ledger(connection, wall_clock())["unbalanced"]
    engine.dispose()
    for key, answer in told.decisions.items():
        row = rows.get(answer["decision_id"])
        if row is None or keys.get(key) != answer or row.propensity != answer["propensity"]:
            findings.lost += 1
    findings.lost += len(told.outcomes - outcomes) + len(told.events - events)
    fresh = Counter(answer["decision_id"] for answer in keys.values() if not answer["repeated"])
    findings.doubled += sum(count > 1 for count in fresh.values())
    findings.doubled += len(rows) - len(fresh)  # a row that belongs to no key
    sends = Counter(row.user_id for row in rows.values() if row.item_id)
    findings.over_cap += sum(count > CAP for count in sends.values())
    findings.decisions = len(rows)


def crashed(path: Path, store: str, rounds: int, seed: int, workers: int = 2) -> Findings:
    """Kill the server `rounds` times, at moments drawn with `seed`."""
    prepared(path, store)
    rng, told, findings = np.random.default_rng(seed), Told(), Findings()
    for turn in range(rounds):
        port = free_port()
        server = served(store, port, workers)
        again, told.open = told.open, {}
        for key, body in again.items():
            with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
                status, answer = ask(connection, "POST", "/v1/decisions", body, key)
            assert status == 200, answer
            told.decisions[key] = answer
            findings.asked_again += 1
        threads = [
            threading.Thread(target=client, args=(port, told, seed + CLIENTS * turn + n, turn))
            for n in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(float(rng.uniform(0.05, 1.5)))
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        for thread in threads:
            thread.join()
        findings.kills += 1
        looked_into(store, told, findings)
    return findings


def main() -> None:
    """Prints what was found."""
    from tests.serving.postgresql import running

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        if args.store == "sqlite":
            found = crashed(path, f"sqlite:///{path / 'store.sqlite'}", args.rounds, args.seed)
        else:
            with running() as cluster:
                found = crashed(path, cluster.database(), args.rounds, args.seed)
    print(f"{args.store}, {args.rounds} kills, seed {args.seed}:")
    for name, value in vars(found).items():
        print(f"  {name:<13} {value}")


if __name__ == "__main__":
    main()
