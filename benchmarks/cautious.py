"""What caution and budgets cost and keep, in truth: PPO under each, on known-truth shops.

    python -m benchmarks.agents --shops 1 --worlds logit hazard
    python -m benchmarks.cautious runs/agents/logit-0 runs/agents/hazard-0

Takes shops as `benchmarks.agents` leaves them, trains PPO in the fit with each setting, and lets it
live with the fitted users and with the true ones. Shares are of the true value of the planner that
knows the truth; the gap is simulated minus true value, as a share of the same. Budgets are per user
and week, unsubscribes per 1,000 users and week. Prints Markdown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from tyro.conf import Positional

from agents.comparing import NORMAL, ORACLE, believing, entries, sample
from agents.learning import learn
from agents.ppo import PPOSettings
from agents.rollouts import Outcome, rollout
from policies.base import Policy
from policies.saved import PolicyBundle
from simulator.description import Simulator
from simulator.saved import load_simulator

SETTINGS: dict[str, dict[str, float]] = {
    "plain": {},
    "pessimism 0.5": {"pessimism": 0.5},
    "pessimism 1": {"pessimism": 1.0},
    "send budget 1.5": {"send_budget": 1.5},
    "unsubscribe budget 5": {"unsubscribe_budget": 5.0},
}


@dataclass(frozen=True)
class Args:
    """Of which shops."""

    shops: Positional[tuple[Path, ...]]
    """directories with logs/truth and sim"""
    steps: int = 150_000
    """user-days that each is trained for"""
    seed: int = 0
    """training seed"""
    users: int = 1000
    """users who live under each policy"""
    lives: int = 2
    """lives of each of them"""
    days: int = 28
    """days of a life"""


def main(args: Args) -> None:
    """Every shop, a row a setting."""
    print(
        "| shop | PPO with | true share | minus plain, points | simulated − true, points "
        "| sends a week, simulated / true | unsubscribes per 1,000 and week, the same | price |\n"
        + "|---" * 8
        + "|"
    )
    for place in args.shops:
        sim, truth = load_simulator(place / "sim"), load_simulator(place / "logs" / "truth")
        best = entries(truth, {}, True)[ORACLE]
        oracle = float(_lived(best.simulator, best.policy, args).value.mean())
        plain = None
        for name, changed in SETTINGS.items():
            settings = replace(PPOSettings(steps=args.steps), **changed)  # type: ignore[arg-type]
            bundle = learn(sim, "ppo", seed=args.seed, settings=settings)
            policy = replace(bundle.policy, floor=0.0)
            true, simulated = (_lived(believing(at, bundle), policy, args) for at in (truth, sim))
            plain = true if plain is None else plain
            cells = [*_cells(true, simulated, plain, oracle, args), _prices(bundle)]
            print(f"| {place.name} | {name} | {' | '.join(cells)} |", flush=True)


def _cells(
    true: Outcome, simulated: Outcome, plain: Outcome, oracle: float, args: Args
) -> list[str]:
    """What a policy is worth and what it uses; plain: who was told nothing. oracle: true value."""
    weeks = args.days / 7
    both = (simulated, true)
    return [
        _points(true.value / oracle, args),
        _points((true.value - plain.value) / oracle, args),
        f"{100 * float(simulated.value.mean() - true.value.mean()) / oracle:+.1f}",
        " / ".join(f"{life.sends.mean() / weeks:.2f}" for life in both),
        " / ".join(f"{1000 * life.risk.mean() / weeks:.1f}" for life in both),
    ]


def _lived(simulator: Simulator, policy: Policy, args: Args) -> Outcome:
    """The same users and draws for every policy."""
    rows = sample(simulator, args.users, 0)
    return Outcome.joined(
        [rollout(simulator, policy, rows, n, args.days) for n in range(1, args.lives + 1)]
    )


def _points(values: np.ndarray, args: Args) -> str:
    """Mean and 95 % half-width over users of shares (lives · N,), in points."""
    own = 100 * values.reshape(args.lives, -1).mean(0)
    return f"{own.mean():.1f} ±{NORMAL * own.std(ddof=1) / len(own) ** 0.5:.1f}"


def _prices(bundle: PolicyBundle) -> str:
    limits = bundle.manifest["budgets"].items()
    return ", ".join(f"{limit['price']:.3f} a {name}" for name, limit in limits) or "–"


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
