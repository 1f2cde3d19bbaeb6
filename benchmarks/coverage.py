"""How often intervals hold the truth, and how often verdicts are wrong, where the truth is known.

Logged bandits are drawn with users who differ, K actions, and targets near to or far from the
logging policy; the true values come from integrating over users. Prints Markdown.

    python -m benchmarks.coverage --runs 400 --seed 0
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import tyro
from rich.console import Console
from rich.progress import track

from evaluation.assessment import assess
from evaluation.intervals import Intervals
from evaluation.sample import Sample
from evaluation.specification import WITH_MODEL, parse

CONTEXTS = 4
_TASTE = 0.5
_INTEGRATION = np.sqrt(2) * _TASTE * np.polynomial.hermite.hermgauss(40)[0]
_WEIGHTS = np.polynomial.hermite.hermgauss(40)[1] / np.sqrt(np.pi)


@dataclass(frozen=True)
class Bandit:
    """A logged bandit. A reward is `amount` with probability σ(-2.5 + taste + effect), of users
    with taste ~ N(0, 0.5²); the action that fits the context has `effect`."""

    name: str
    users: int = 500
    """number of users"""
    rows: int = 8
    """decisions of each user"""
    actions: int = 12
    """number of actions K"""
    effect: float = 1.0
    """of the fitting action, on the logit scale"""
    shift: float = 0.3
    """share of its probability that the target moves to the fitting action"""
    amounts: float = 0.0
    """standard deviation of the log of a reward's amount; 0: always 1"""
    losses: float = 0.0
    """probability that a decision costs 4, whatever was done"""
    logged_error: float = 0.0
    """share by which the log overstates the propensity of the fitting action"""

    def logging(self) -> np.ndarray:
        """Probabilities of the logging policy (K,), the same in every context."""
        weights = 1.0 / (1.0 + np.arange(self.actions))
        return weights / weights.sum()

    def target(self) -> np.ndarray:
        """Probabilities of the target policy (4, K)."""
        fitting = np.eye(self.actions)[self.fitting()]
        return (1 - self.shift) * self.logging() + self.shift * fitting

    def fitting(self) -> np.ndarray:
        """The action that fits each context (4,)."""
        return np.arange(1, CONTEXTS + 1)

    def expected(self, taste: np.ndarray) -> np.ndarray:
        """Expected rewards (n, 4, K) of users with taste (n,)."""
        fitting = np.eye(self.actions)[self.fitting()]
        logits = -2.5 + taste[:, None, None] + self.effect * fitting
        return np.exp(self.amounts**2 / 2) / (1 + np.exp(-logits))

    def truth(self, policy: np.ndarray) -> float:
        """Value of a policy (4, K) or (K,), integrated over users."""
        means = np.einsum("t,tcK->cK", _WEIGHTS, self.expected(_INTEGRATION))
        return float((means * policy).sum(1).mean()) - 4 * self.losses

    def draw(self, rng: np.random.Generator) -> Sample:
        """A log with the predictions of a model that knows effects but no tastes."""
        user = np.repeat(np.arange(self.users), self.rows)
        n = np.arange(len(user))
        context = rng.integers(0, CONTEXTS, len(user))
        action = rng.choice(self.actions, len(user), p=self.logging())
        mean = self.expected(rng.normal(0, _TASTE, self.users))[user, context, action]
        scale = np.exp(self.amounts**2 / 2)
        amount = rng.lognormal(0, self.amounts, len(user)) if self.amounts else 1.0
        believed = self.expected(np.zeros(1))[0]
        propensity, target = self.logging()[action], self.target()[context]
        overstated = np.where(action == self.fitting()[context], 1 + self.logged_error, 1.0)
        reward = (rng.random(len(user)) < mean / scale) * amount
        if self.losses:
            reward = reward - 4.0 * (rng.random(len(user)) < self.losses)
        return Sample(
            reward=reward,
            propensity=propensity * overstated,
            target_propensity=target[n, action],
            user=user,
            q_logged=believed[context, action],
            v_target=(believed[context] * target).sum(1),
        )


NEAR = Bandit("better, near")
BANDITS = (
    NEAR,
    replace(NEAR, name="better, far", shift=0.9),
    replace(NEAR, name="worse, near", effect=-1.5),
    replace(NEAR, name="worse, far", effect=-1.5, shift=0.9),
    replace(NEAR, name="equal, near", effect=0.0),
    replace(NEAR, name="equal, far", effect=0.0, shift=0.9),
    replace(NEAR, name="equal, hardly changed", effect=0.0, shift=0.02),
    replace(NEAR, name="equal, rare losses", effect=0.0, shift=0.9, users=250, losses=0.005),
    replace(NEAR, name="equal, 60 users", effect=0.0, users=60),
    replace(NEAR, name="worse, 60 users", effect=-1.5, users=60),
    replace(NEAR, name="worse, amounts", effect=-1.5, amounts=1.0, users=2000),
    replace(NEAR, name="equal, amounts", effect=0.0, amounts=1.0, users=2000),
    replace(NEAR, name="better, far, amounts", shift=0.9, amounts=1.5, users=2000),
    replace(NEAR, name="worse, wrong propensities", effect=-1.5, logged_error=0.3),
)


@dataclass(frozen=True)
class Args:
    """How much to draw."""

    runs: int = 400
    """logs drawn of each bandit"""
    seed: int = 0
    """seed of all that is drawn"""


@dataclass(frozen=True)
class Studied:
    """What happened in the runs of one bandit."""

    bandit: Bandit
    difference: float
    """True difference of target and logging policy."""
    covered: dict[str, float]
    """Share of runs whose interval of the difference holds the true one, by estimator."""
    verdicts: dict[str, float]
    """Share of runs by verdict."""

    @property
    def wrong(self) -> float:
        """Share of verdicts on the wrong side: better where it is not, worse where it is not."""
        sign = int(np.sign(self.difference))
        wrong = {1: ("worse",), 0: ("better", "worse"), -1: ("better",)}[sign]
        return sum(self.verdicts.get(name, 0.0) for name in wrong)


def study(bandit: Bandit, runs: int, seed: int) -> Studied:
    """Draw logs and assess each."""
    # Rounded, so that equal policies differ by 0.
    difference = round(bandit.truth(bandit.target()) - bandit.truth(bandit.logging()), 12) + 0.0
    covered: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    for run in range(runs):
        sample = bandit.draw(np.random.default_rng([seed, run]))
        found = assess(sample, bandit.name, parse(WITH_MODEL), how=Intervals(seed=run))
        verdicts[found.verdict.answer] += 1
        for each in found.estimates:
            covered[each.estimator] += not each.difference.excludes(difference)
    return Studied(
        bandit,
        difference,
        {name: count / runs for name, count in covered.items()},
        {name: count / runs for name, count in verdicts.items()},
    )


def main(args: Args) -> None:
    """Study every bandit and print two tables."""
    found = [
        study(bandit, args.runs, args.seed)
        for bandit in track(BANDITS, "coverage", console=Console(stderr=True), transient=True)
    ]
    names = [estimator.label for estimator in parse(WITH_MODEL)]
    print("| bandit | true difference |", " | ".join(names), "|")
    print("|---" * (2 + len(names)), "|", sep="")
    for each in found:
        shares = " | ".join(f"{each.covered[name]:.1%}" for name in names)
        print(f"| {each.bandit.name} | {each.difference:+.4f} | {shares} |")
    answers = ("better", "worse", "no_difference", "cannot_tell")
    print("\n| bandit |", " | ".join(answers), "| on the wrong side |")
    print("|---" * (2 + len(answers)), "|", sep="")
    for each in found:
        shares = " | ".join(f"{each.verdicts.get(name, 0.0):.1%}" for name in answers)
        print(f"| {each.bandit.name} | {shares} | {each.wrong:.1%} |")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
