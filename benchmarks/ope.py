"""Bias, error and coverage of every off-policy estimator where the truth is known.

A shop's world with users who differ, 4 contexts and 12 actions of 4 kinds, and eight target
policies from the logging policy itself to a greedy one. The reward model is a logistic regression
without interactions, cross-fitted by user, so it is wrong as such models are. True values come from
integrating over users. Prints Markdown.

    python -m benchmarks.ope --runs 200 --seed 0
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import tyro
from rich.console import Console
from rich.progress import track

from evaluation.assessment import assess
from evaluation.intervals import Intervals
from evaluation.marginal import cell_weights
from evaluation.regression import cross_fitted_rewards
from evaluation.sample import Sample
from evaluation.specification import parse

CONTEXTS, ACTIONS, KINDS, ROWS = 4, 12, 4, 4
"""Decisions of each user: ROWS."""
KIND = np.arange(ACTIONS) // (ACTIONS // KINDS)
_TASTE = 0.5
_NODES, _WEIGHTS = np.polynomial.hermite.hermgauss(40)
ESTIMATORS = (
    "ips,snips,ips:clip=10,ips:clip=slope,sg_ips:0.1,dm,dr,sndr,switch_dr:10,switch_dr:slope,"
    "dros:10,dros:slope,sg_dr:0.1,mips,snmips"
)


@dataclass(frozen=True)
class World:
    """Rewards are 1 with probability σ(-2 + taste + effect), taste ~ N(0, 0.5²) by user."""

    seed: int = 0
    """of the effects"""
    effect: np.ndarray = field(init=False)
    """Of action in context (4, 12): what its kind does, and what is its own."""
    logging: np.ndarray = field(init=False)
    """Probabilities (4, 12): softer than what is known of the kinds."""

    def __post_init__(self) -> None:
        rng = np.random.default_rng([31, self.seed])
        kinds = rng.normal(0, 0.6, (CONTEXTS, KINDS))[:, KIND]
        own = rng.normal(0, 0.3, (CONTEXTS, ACTIONS))
        object.__setattr__(self, "effect", kinds + own)
        odds = np.exp(0.8 * kinds + rng.normal(0, 0.5, (CONTEXTS, ACTIONS)))
        object.__setattr__(self, "logging", odds / odds.sum(1, keepdims=True))

    def targets(self) -> dict[str, np.ndarray]:
        """Policies (4, 12) by name, from near the logging policy to far."""
        greedy = np.eye(ACTIONS)[self.effect.argmax(1)]
        rare = np.eye(ACTIONS)[self.logging.argmin(1)]
        best = {
            f"{s:.0%} greedy": (1 - s) * self.logging + s * greedy for s in (0.05, 0.2, 0.5, 0.8)
        }
        return {
            "logging": self.logging,
            **best,
            "uniform": np.full((CONTEXTS, ACTIONS), 1 / ACTIONS),
            "greedy": greedy,
            "90% the rarest": 0.1 * self.logging + 0.9 * rare,
        }

    def truth(self, policy: np.ndarray) -> float:
        """Value of a policy (4, 12), integrated over users."""
        taste = np.sqrt(2) * _TASTE * _NODES
        means = (_WEIGHTS / np.sqrt(np.pi)) @ _clicks(taste, self.effect.ravel()).reshape(40, -1)
        return float((means.reshape(CONTEXTS, ACTIONS) * policy).sum(1).mean())

    def draw(self, rows: int, rng: np.random.Generator) -> Iterator[tuple[str, Sample]]:
        """One log against each target."""
        users = rows // ROWS
        user = np.repeat(np.arange(users), ROWS)
        context = rng.integers(0, CONTEXTS, rows)
        shares = self.logging[context].cumsum(1)
        action = (shares > rng.random((rows, 1))).argmax(1)
        taste = rng.normal(0, _TASTE, users)[user]
        p = 1 / (1 + np.exp(2 - taste - self.effect[context, action]))
        reward = (rng.random(rows) < p).astype(float)
        seen = np.eye(CONTEXTS)[context][:, 1:]
        for name, target in self.targets().items():
            q, v = cross_fitted_rewards(seen, action, reward, target[context], user=user)
            propensity = self.logging[context, action]
            weights = target[context, action] / propensity
            yield (
                name,
                Sample(
                    reward=reward,
                    propensity=propensity,
                    target_propensity=target[context, action],
                    user=user,
                    q_logged=q,
                    v_target=v,
                    marginal_weight=cell_weights(weights, context * KINDS + KIND[action]),
                ),
            )


def _clicks(taste: np.ndarray, effect: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(2 - taste[:, None] - effect))


@dataclass(frozen=True)
class Args:
    """How much to draw."""

    runs: int = 200
    """logs drawn of each size"""
    sizes: tuple[int, ...] = (1000, 4000, 16000)
    """decisions in a log"""
    seed: int = 0
    """seed of all that is drawn"""


@dataclass(frozen=True, eq=False)
class Studied:
    """What happened in R logs of one size, with P policies and E estimators."""

    size: int
    value: np.ndarray
    """(R, P, E) float64"""
    covered: np.ndarray
    """Whether the bootstrap's and the closed form's interval hold the truth (2, R, P, E) bool."""
    effective: np.ndarray
    """Effective sample sizes (R, P)."""
    verdicts: list[list[str]]
    """(R, P)"""


def study(world: World, size: int, runs: int, seed: int) -> Studied:
    """Draw logs and estimate every policy by every estimator."""
    estimators = parse(ESTIMATORS)
    truth = [world.truth(policy) for policy in world.targets().values()]
    shape = (runs, len(truth), len(estimators))
    value, covered = np.zeros(shape), np.zeros((2, *shape), bool)
    effective = np.zeros(shape[:2])
    verdicts: list[list[str]] = []
    console = Console(stderr=True)
    for run in track(range(runs), f"{size:,} rows", console=console, transient=True):
        rng = np.random.default_rng([seed, size, run])
        verdicts.append([])
        for place, (name, sample) in enumerate(world.draw(size, rng)):
            for which, how in enumerate((Intervals(seed=run), Intervals("analytic"))):
                found = assess(sample, name, estimators, how=how)
                for column, each in enumerate(found.estimates):
                    value[run, place, column] = each.value.value
                    covered[which, run, place, column] = not each.value.excludes(truth[place])
            assert found.diagnostics is not None
            effective[run, place] = found.diagnostics.effective_sample_size
            verdicts[-1].append(found.verdict.answer)
    return Studied(size, value, covered, effective, verdicts)


def report(world: World, found: list[Studied]) -> None:
    """Print the tables."""
    names = [each.label for each in parse(ESTIMATORS)]
    targets = world.targets()
    truth = np.array([world.truth(policy) for policy in targets.values()])
    middle = found[len(found) // 2]
    print(f"Policies ({middle.size:,} decisions; effective sample size, verdicts):\n")
    print("| policy | true value | ESS | better | worse | no_difference | cannot_tell |")
    print("|---|---|---|---|---|---|---|")
    for place, name in enumerate(targets):
        answers = [row[place] for row in middle.verdicts]
        shares = " | ".join(
            f"{answers.count(answer) / len(answers):.0%}"
            for answer in ("better", "worse", "no_difference", "cannot_tell")
        )
        print(
            f"| {name} | {truth[place]:.4f} | {middle.effective[:, place].mean():,.0f} | {shares} |"
        )
    print(f"\nBias and root-mean-square error, ×1000 ({middle.size:,} decisions):\n")
    print("| estimator |", " | ".join(targets), "|")
    print("|---" * (1 + len(targets)), "|", sep="")
    error = middle.value - truth[:, None]
    bias, spread = error.mean(0) * 1e3, np.sqrt((error**2).mean(0)) * 1e3
    for column, name in enumerate(names):
        cells = " | ".join(
            f"{bias[place, column]:+.1f}, {spread[place, column]:.1f}"
            for place in range(len(truth))
        )
        print(f"| {name} | {cells} |")
    print(
        f"\nShare of 95 % intervals (bootstrap) that hold the truth, {middle.size:,} decisions:\n"
    )
    print("| estimator |", " | ".join(targets), "|")
    print("|---" * (1 + len(targets)), "|", sep="")
    for column, name in enumerate(names):
        shares = " | ".join(f"{share:.0%}" for share in middle.covered[0].mean(0)[:, column])
        print(f"| {name} | {shares} |")
    print(
        "\nThe same by size: the least and the most over the policies, where the effective sample"
    )
    print("size is 100 or more; and Kendall's rank correlation of estimated and true values:\n")
    header = [f"{each.size:,}: bootstrap | closed form | rank" for each in found]
    print("| estimator |", " | ".join(header), "|")
    print("|---" * (1 + 3 * len(found)), "|", sep="")
    for column, name in enumerate(names):
        print(f"| {name} |", " | ".join(_by_size(each, column, truth) for each in found), "|")


def _by_size(found: Studied, column: int, truth: np.ndarray) -> str:
    enough = found.effective.mean(0) >= 100
    cells = []
    for own in found.covered:
        shares = own[:, enough, column].mean(0)
        cells.append(f"{shares.min():.0%} to {shares.max():.0%}")
    ranks = [_kendall(row, truth) for row in found.value[:, :, column]]
    return " | ".join([*cells, f"{np.mean(ranks):.2f}"])


def _kendall(one: np.ndarray, two: np.ndarray) -> float:
    a = np.sign(one[:, None] - one)
    b = np.sign(two[:, None] - two)
    return float((a * b).sum() / max(1, len(one) * (len(one) - 1)))


def main(args: Args) -> None:
    """Study every size and print the tables."""
    world = World()
    report(world, [study(world, size, args.runs, args.seed) for size in args.sizes])


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
