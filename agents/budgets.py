"""Budgets of sends and unsubscribes, held by Lagrange multipliers.

A multiplier is a price: what a send, or an unsubscribe, costs in training on top of the reward. At
the right prices the policy that earns most after paying them is, of those within the budgets, the
one that earns most (E. Altman, Constrained Markov Decision Processes, 1999). The search for prices
begins at those that hold the planner within the budgets, and goes on while the agent is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from agents.rollouts import population, rollout
from mdp.errors import BadSetting
from policies.planner import Planner
from simulator.description import Simulator

USERS, DAYS = 400, 42
TOLERANCE = 0.02
"""Share of a budget that the policy may be above it."""
HALVINGS = 8
PACE = 0.3
"""Of a price's scale, that an excess of all the budget moves it by."""
NAMES = ("send", "unsubscribe")


@dataclass(frozen=True)
class Prices:
    """Currency, on top of the reward."""

    send: float = 0.0
    """Of one send."""
    unsubscribe: float = 0.0
    """Of one unsubscribe."""


@dataclass(frozen=True)
class Budget:
    """What a policy may use; None for no limit."""

    send: float | None = None
    """Sends per user and week."""
    unsubscribe: float | None = None
    """Unsubscribes per 1,000 users and week."""

    def __post_init__(self) -> None:
        for name in NAMES:
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise BadSetting(f"the {name} budget is {limit}; it must be above 0")

    @property
    def limited(self) -> tuple[str, ...]:
        """Names of what has a limit."""
        return tuple(name for name in NAMES if getattr(self, name) is not None)

    def excess(self, sends: float, unsubscribes: float) -> float:
        """How far a policy is beyond its budgets, as a share of them; 0 within the tolerance."""
        used = {"send": sends, "unsubscribe": unsubscribes}
        over = [used[name] / getattr(self, name) - 1.0 for name in self.limited]
        worst = max(over, default=0.0)
        return worst if worst > TOLERANCE else 0.0

    def moved(self, prices: Prices, sends: float, unsubscribes: float, scales: Prices) -> Prices:
        """Prices after one step of dual ascent: higher for what is beyond its budget, lower for
        what is within, never below 0. scales: how large a price is that matters."""
        used = {"send": sends, "unsubscribe": unsubscribes}
        changed = {}
        for name in self.limited:
            over = min(used[name] / getattr(self, name) - 1.0, 1.0)
            step = PACE * getattr(scales, name) * over
            changed[name] = max(getattr(prices, name) + step, 0.0)
        return replace(prices, **changed)

    def said(self, prices: Prices, sends: float, unsubscribes: float) -> dict[str, Any]:
        """Limits, use, whether that is within the tolerance, and prices, as a manifest holds
        them."""
        used = {"send": sends, "unsubscribe": unsubscribes}
        return {
            name: {
                "budget": getattr(self, name),
                "used": used[name],
                "kept": used[name] <= (1.0 + TOLERANCE) * getattr(self, name),
                "price": getattr(prices, name),
            }
            for name in self.limited
        }


def first_prices(
    simulator: Simulator, plan: Planner, budget: Budget, scales: Prices, seed: int
) -> Prices:
    """The lowest prices that hold a planner within the budgets: one after the other by bisection,
    twice where both are limited, since each changes what the other must be."""
    rows = population(simulator, USERS, seed)
    prices = Prices()

    def used(name: str, tried: Prices) -> float:
        life = rollout(simulator, priced(plan, tried), rows, seed, DAYS)
        weeks = DAYS / 7
        total = life.sends.mean() if name == "send" else 1000 * life.risk.mean()
        return float(total) / weeks

    for _ in range(max(2 * len(budget.limited) - 2, 1) if budget.limited else 0):
        for name in budget.limited:
            prices = _lowest(prices, name, getattr(budget, name), getattr(scales, name), used)
    return prices


def _lowest(
    prices: Prices,
    name: str,
    limit: float,
    scale: float,
    used: Callable[[str, Prices], float],
) -> Prices:
    """The prices with the lowest one of `name` under which no more than the limit is used."""
    if used(name, replace(prices, **{name: 0.0})) <= limit:
        return replace(prices, **{name: 0.0})
    low, high = 0.0, scale
    for _ in range(HALVINGS):
        if used(name, replace(prices, **{name: high})) <= limit:
            break
        low, high = high, 2.0 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        within = used(name, replace(prices, **{name: middle})) <= limit
        low, high = (low, middle) if within else (middle, high)
    return replace(prices, **{name: high})


def priced(plan: Planner, prices: Prices) -> Planner:
    """The planner that pays the prices."""
    return replace(plan, prices=tuple(asdict(prices).values()))
