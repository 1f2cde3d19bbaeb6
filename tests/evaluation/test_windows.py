"""Decisions whose outcomes may still follow are left out, so what is slow is not worth less."""

import numpy as np
import pandas as pd
import pytest

from evaluation.logs import assess_policy
from evaluation.replayed import replayed
from evaluation.specification import parse
from ingestion.log import Log, LogMeta
from ingestion.parse import log_of
from mdp.guardrails import Guardrails
from policies.baselines import Table
from policies.saved import PolicyBundle

START = pd.Timestamp("2026-03-01T09:00:00Z")
USERS, DAYS, RATE = 1500, 20, 0.3
DELAYS = np.array([1.0, 40.0])
"""Hours until a click, by variant."""


def log_until(until: pd.Timestamp) -> Log:
    """A log of one push per user, of either variant by a coin; what happens after `until` is not
    in it. Both variants are clicked as often, one after 1 h and one after 40 h."""
    rng = np.random.default_rng(11)
    variant = rng.integers(0, 2, USERS)
    at = START + pd.to_timedelta(rng.integers(0, DAYS, USERS), unit="D")
    clicked = rng.random(USERS) < RATE
    ids = np.array([f"u{n}" for n in range(USERS)])
    decisions = pd.DataFrame(
        {
            "decision_id": np.char.add("d", ids),
            "user_id": ids,
            "decided_at": at,
            "item_id": "lamp",
            "variant_id": np.array(["fast", "slow"])[variant],
            "send_at": at,
            "propensity": 0.5,
            "policy": "coin",
            "candidates": "lamp",
            "variants": "fast|slow",
            "hours": "9",
        }
    )
    clicks = pd.DataFrame(
        {
            "decision_id": decisions["decision_id"],
            "outcome": "clicked",
            "at": at + pd.to_timedelta(DELAYS[variant], unit="h"),
            "value": np.nan,
        }
    )[clicked]
    opens = clicks.assign(outcome="opened")
    outcomes = pd.concat([opens, clicks], ignore_index=True)
    item = {"item_id": ["lamp"], "title": "Lamp", "category": "light", "brand": "a", "price": 9.0}
    texts = {"locale": None, "title": "{item}", "body": "{item}"}
    users = {"user_id": ids, "timezone": "UTC", "signed_up_at": START - pd.Timedelta(days=9)}
    events = {"user_id": ["u0"], "item_id": "lamp", "event": "view", "value": np.nan}
    return log_of(
        {
            "users": pd.DataFrame(users),
            "items": pd.DataFrame(item),
            "variants": pd.DataFrame({"variant_id": ["fast", "slow"], "style": "plain", **texts}),
            "events": pd.DataFrame({**events, "at": START}),
            "decisions": decisions[decisions["decided_at"] <= until],
            "outcomes": outcomes[outcomes["at"] <= until],
        },
        LogMeta(complete_until=until),
    )


def value_of(variant: int, log: Log) -> tuple[float, int]:
    """IPS of always sending one variant, and the rows it rests on."""
    rules = Guardrails().updated({"exploration": {"floor": 0.0}})
    policy = Table(send=1.0, variants=np.eye(2)[variant])
    bundle = PolicyBundle(policy, None, None, guardrails=rules)
    found = assess_policy(replayed(log), bundle, "one variant", None, parse("snips"))
    return found.estimates[0].value.value, found.rows


@pytest.mark.parametrize("day", [7, 13, 20])
def test_fast_and_slow_arms_of_equal_value_come_out_equal(day):
    """To the digit what the whole log says of the same decisions, and equal but for chance."""
    until = START + pd.Timedelta(days=day, hours=5)
    log, everything = log_until(until), log_until(START + pd.Timedelta(days=60))
    whole = everything.replace_tables(decisions=log.tables["decisions"])
    whole = Log(whole.tables, LogMeta(complete_until=until))
    fast, slow = value_of(0, log), value_of(1, log)
    assert (fast, slow) == (value_of(0, whole), value_of(1, whole))
    rows = fast[1]
    assert rows > 80
    reward = 0.2  # of a click; a send costs 0.01
    error = reward * (2 * RATE * (1 - RATE) / (rows / 2)) ** 0.5
    assert abs(fast[0] - slow[0]) < 3 * error


def test_without_the_window_the_slow_arm_would_look_worse():
    """The same log, were its last days counted."""
    until = START + pd.Timedelta(days=7, hours=5)
    decisions, outcomes = (log_until(until).tables[name] for name in ("decisions", "outcomes"))
    clicked = decisions["decision_id"].isin(
        outcomes["decision_id"][outcomes["outcome"] == "clicked"]
    )
    rate = clicked.groupby(decisions["variant_id"]).mean()
    assert rate["slow"] < 0.85 * rate["fast"]
