"""For researchers: fit a shop, learn from its log, write a policy of your own, compare in truth.

    python examples/researcher.py --out runs/examples

Takes about a minute and a half. What it leaves in --out the other two examples go on from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import tyro

from agents.comparing import Entry, believing, compare, run_entry, sample
from agents.greedy import greedy_bundle
from agents.learning import learn
from agents.offline import PriceSettings
from ingestion.read import load_checked
from ingestion.write import write_log
from mdp.observation import USER, Observation
from policies.base import Policy
from policies.baselines import Hold, predicted
from policies.composition import Factors
from policies.saved import save_policy
from simulator.demo import demo
from simulator.fit import fit
from simulator.worlds import known_world


@dataclass(frozen=True)
class Args:
    """How large, and where."""

    out: Path = Path("runs/examples")
    """directory for the shop's log and the policies"""
    users: int = 400
    """users of the made-up shop"""
    days: int = 35
    """days of its log"""
    steps: int = 1_000
    """gradient steps of offline Q-learning"""


@dataclass(frozen=True, kw_only=True)
class Tired(Policy):
    """A policy of one's own: scores in, and propensities, guardrails and exploration come free.

    It sends what is predicted to earn most, if that exceeds a price that rises with fatigue."""

    price: float = 0.15
    name: str = "tired"
    temperature: float | None = None
    kind: ClassVar[str] = "greedy"

    def scores(self, observation: Observation) -> Factors:
        """A hold is worth the price."""
        pair, hour = predicted(observation)
        fatigue = observation["user"][:, USER.index("fatigue")]
        return Factors(self.price * (1.0 + fatigue), pair, hour)


def main(args: Args) -> None:
    """All of it."""
    # A shop whose truth is known, its log, and what a fit makes of the log.
    made = demo(known_world("hazard").simulator(args.users, 0), args.days, 0)
    write_log(args.out / "shop", made.tables, made.meta)
    log = load_checked(args.out / "shop")
    simulator = fit(log).simulator

    # Policies: one searched in the simulator, one learned from the log, one made by hand.
    bundles = {
        "greedy": greedy_bundle(simulator),
        "price": learn(simulator, "price", log, settings=PriceSettings(steps=args.steps)),
    }
    for name, bundle in bundles.items():
        save_policy(args.out / name, bundle)

    # All live with the same true users, who answer as they truly would.
    seen = believing(made.truth, bundles["greedy"])
    policies = {name: bundle.policy for name, bundle in bundles.items()}
    policies |= {"hold": Hold(), "logging": made.truth.logging, "tired": Tired()}
    rows = sample(made.truth, args.users, 0)
    lives = {name: run_entry(Entry(each, seen), rows, [1], 28) for name, each in policies.items()}
    for row in compare(lives, len(rows), known_truth=False):
        print(f"{row.policy:8} {row.value:6.2f} ±{row.high - row.value:.2f} true value a user")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
