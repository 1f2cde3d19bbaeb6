"""Prices that hold a policy within budgets."""

from dataclasses import replace

import numpy as np
import pytest

from agents import budgets, start
from agents.budgets import Budget, Prices, first_prices, priced
from agents.ppo import PPOSettings
from agents.rollouts import population, rollout
from agents.training import train
from mdp.errors import BadSetting
from policies.planner import planner
from scripts.train import _said

SCALES = Prices(0.2, 4.0)


@pytest.fixture(scope="module")
def plan(shop):
    return planner(shop.response, shop.reward)


@pytest.fixture(scope="module")
def free(shop, plan):
    """What the planner uses without budgets: sends a week, unsubscribes per 1,000 and week."""
    return used(shop, plan)


def used(shop, policy):
    life = rollout(shop, replace(policy, floor=0.0), population(shop, 60, 0), 0, 14)
    return life.sends.mean() / 2, 1000 * life.risk.mean() / 2


@pytest.fixture(autouse=True)
def quick_search(monkeypatch):
    monkeypatch.setattr(budgets, "USERS", 60)
    monkeypatch.setattr(budgets, "DAYS", 14)


def test_nothing_is_charged_within_the_budgets(shop, plan, free):
    budget = Budget(2 * free[0], 2 * free[1])
    assert first_prices(shop, plan, budget, SCALES, 0) == Prices()


@pytest.mark.parametrize("which", ["send", "unsubscribe"])
def test_a_price_holds_the_planner_within_a_budget(shop, plan, free, which):
    place = ("send", "unsubscribe").index(which)
    budget = Budget(**{which: free[place] / 2})
    prices = first_prices(shop, plan, budget, SCALES, 0)
    now = used(shop, priced(plan, prices))[place]
    assert 0.3 * free[place] < now <= 0.5 * free[place]
    assert [name for name in ("send", "unsubscribe") if getattr(prices, name) > 0] == [which]


def test_prices_rise_beyond_a_budget_and_fall_within():
    budget = Budget(send=2.0)
    dear = budget.moved(Prices(), 3.0, 50.0, SCALES)
    assert dear.send > 0
    assert dear.unsubscribe == 0
    assert budget.moved(dear, 1.0, 50.0, SCALES).send < dear.send
    assert budget.moved(Prices(), 1.0, 0.0, SCALES) == Prices()


def test_a_budget_that_is_not_kept_is_said():
    manifest = {"metrics": {"days": 42, "value": 1.0, "value_at_start": 1.0}, "start": "greedy"}
    budget = Budget(send=2.0, unsubscribe=10.0)
    limits = budget.said(Prices(0.1, 1024.0), 2.02, 10.5)
    assert [limits[name]["kept"] for name in limits] == [True, False]
    lines = _said(manifest | {"budgets": limits}).splitlines()
    assert lines[1] == "  sends per user and week: 2.02 of 2, at a price of 0.100 for one more send"
    assert "10.50 of 10: the budget is not kept, at a price of 1024.000" in lines[2]


def test_excess_is_the_worst_share_beyond_a_budget():
    budget = Budget(send=2.0, unsubscribe=10.0)
    assert budget.excess(2.02, 9.0) == 0.0  # within the tolerance
    assert budget.excess(3.0, 20.0) == pytest.approx(1.0)


@pytest.mark.parametrize("limit", [0.0, -1.0, np.nan])
def test_a_budget_of_nothing_is_refused(limit):
    with pytest.raises(BadSetting, match="must be above 0"):
        Budget(send=limit)


@pytest.mark.slow
def test_training_keeps_to_a_budget(shop, quick, free, monkeypatch):
    monkeypatch.setattr(start, "EPOCHS", 60)  # enough to learn the planner's price of a send
    settings = PPOSettings(
        steps=12288,
        users=16,
        days=8,
        rollout=8,
        batch_size=64,
        epochs=2,
        learning_rate=3e-3,
        hidden=16,
        send_budget=1.0,
    )
    manifest = train(shop, "ppo", 0, settings).manifest
    said = manifest["budgets"]["send"]
    assert free[0] > 1.5
    assert said["price"] > 0
    assert said["used"] == manifest["metrics"]["sends_per_week"]
    assert said["kept"]
    assert 0.5 < said["used"] <= 1.02
