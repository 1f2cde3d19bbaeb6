"""What a log is worth whose policy knew more than the log says, or hardly tried anything.

    python -m benchmarks.confounding

One known-truth shop writes several logs, each under another policy: the usual one, which draws;
one that knows what no log holds, of users or of the moment; a rule that always does the same, with
a week of exploration and without. Each log is fitted, and the fit is asked what policies earn and
decides for the shop's true users, who have lived through that log. Prints Markdown; docs/results.md
holds what it printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

import numpy as np
import tyro
from scipy.special import ndtri

from agents.comparing import NORMAL, REFERENCE, Entry, entries
from agents.rollouts import population
from benchmarks.fidelity import promised, said_by
from benchmarks.limits import Shop
from ingestion.log import NONE, Log
from ingestion.parse import log_of
from mdp.observation import Observation
from policies.base import Policy
from policies.baselines import StaticRule, Table
from policies.composition import Factors
from simulator.demo import demo
from simulator.description import Simulator
from simulator.fidelity import card_of
from simulator.fit import fit
from simulator.randomness import RESPONSE, keys, uniforms
from simulator.worlds import known_world
from simulator.worlds.logit import logging_policy

USUAL, ALONE, PLANNER = "usual: draws", "the same, its sends alone", "fitted planner"
STRENGTH = 1.5
"""Log-odds that a standard deviation of what a policy knows adds to what it does."""
CLEAR = 0.5
"""Correlation of what is known of a moment with whether a push would be opened then."""
COPY = 4
"""Slot of the copy that is kept for good moments."""
TABLE, RULE = logging_policy(), StaticRule()


@dataclass(frozen=True)
class Args:
    """Of which shops."""

    world: str = "logit"
    """name of the known-truth world"""
    seed: int = 0
    """seed of the shop"""
    users: int = 1500
    """users of each shop"""
    days: int = 53
    """days of each log, of which a fit sees the first four fifths: 42"""
    live: int = 28
    """days that policies live"""
    sample: int = 500
    """users who live under each policy, twice"""


@dataclass(frozen=True, kw_only=True)
class Knowing(Table):
    """A table with something more in mind of N users, in log-odds: how often it sends is a matter
    of the first alone."""

    to_send: np.ndarray | float = 0.0
    """(N,)"""
    to_copy: np.ndarray | float = 0.0
    """To the copy that is kept (N,)."""
    to_hour: np.ndarray | float = 0.0
    """(N, 24)"""

    def scores(self, observation: Observation) -> Factors:
        """The table's scores and what is known."""
        usual = super().scores(observation)
        kept = np.arange(usual.pair.shape[2]) == COPY
        copy, hour = (
            told - np.log((np.exp(told) * weights).sum(1) / weights.sum())[:, None]
            for told, weights in (
                (np.multiply.outer(self.to_copy + np.zeros(len(usual.hold)), kept), self.variants),
                (self.to_hour + np.zeros(usual.hour.shape), self.hours),
            )
        )
        return Factors(usual.hold - self.to_send, usual.pair + copy[:, None, :], usual.hour + hour)


@dataclass(frozen=True, kw_only=True)
class ByDay(Policy):
    """Another policy each time that it is asked, which a demo does once a day for all users."""

    days: Iterator[Policy]
    name: str = "logging"
    temperature: float | None = None

    def scores(self, observation: Observation) -> Factors:
        """The next day's."""
        return next(self.days).scores(observation)

    def act(
        self, observation: Observation, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The next day's."""
        return next(self.days).act(observation, rng)


def moments(truth: Simulator, days: int, seed: int) -> Iterator[np.ndarray]:
    """What is known of each day (U,), of variance 1: whether the user would open a push, dimly."""
    U, rng = len(truth.users), np.random.default_rng([seed, 41])
    for day in range(days):
        key = keys(np.full(U, seed, np.uint64), RESPONSE, truth.users.hashes, np.full(U, day))
        mood = -ndtri(uniforms(key, 0))
        yield CLEAR * mood + (1 - CLEAR**2) ** 0.5 * rng.normal(size=U)


LOGS: dict[str, Callable[[Simulator, np.ndarray, bool], Policy]] = {
    USUAL: lambda truth, told, week: TABLE,
    ALONE: lambda truth, told, week: TABLE,
    "knows who opens, and when": lambda truth, told, week: Knowing(
        **vars(TABLE),
        to_send=STRENGTH * truth.traits["openness"],
        to_hour=STRENGTH * truth.traits["hours"],
    ),
    "knows good moments to send": lambda truth, told, week: Knowing(
        **vars(TABLE), to_send=STRENGTH * told
    ),
    "knows good moments for one copy": lambda truth, told, week: Knowing(
        **vars(TABLE), to_copy=STRENGTH * told
    ),
    "a rule": lambda truth, told, week: RULE,
    "a rule, a week with 5 % exploration": lambda truth, told, week: (
        replace(RULE, floor=0.05) if week else RULE
    ),
    "a rule, a week drawn as usual": lambda truth, told, week: TABLE if week else RULE,
}
"""What each log's policy does on a day, of what is known of the day (U,), and of whether it is in
the last week that a fit sees."""


def written(world: Simulator, name: str, args: Args) -> tuple[Log, Simulator]:
    """The log of a shop under a policy, and its truth where a fit begins."""
    days = (
        LOGS[name](world, told, 0 < 4 * args.days // 5 - day <= 7)
        for day, told in enumerate(moments(world, args.days, args.seed))
    )
    made = demo(replace(world, logging=ByDay(days=days)), args.days, args.seed)
    return log_of(made.tables, made.meta), replace(made.truth, logging=world.logging)


def sends_alone(log: Log) -> Log:
    """A log without propensities, lists and holds."""
    sends = log.tables["decisions"].dropna(subset="send_at")
    bare = sends.drop(columns=["propensity", "candidates", "variants", "hours"])
    meta = replace(log.meta, propensities=NONE, candidates=NONE)
    return log_of({**log.tables, "decisions": bare}, meta)


def main(args: Args) -> None:
    """The shop, a row a log."""
    world = known_world(args.world).simulator(args.users, args.seed)
    logs = {name: written(world, name, args) for name in LOGS}
    there = (population(truth, args.users, 0) for _, truth in logs.values())
    some = np.random.default_rng(args.seed).permutation(reduce(np.intersect1d, there))
    rows, usual = np.sort(some[: args.sample]), None
    print(HEAD, flush=True)
    for name, (log, truth) in logs.items():
        shares, cells = judged(sends_alone(log) if name == ALONE else log, truth, rows, args.live)
        usual = usual or shares
        gains = [gained(shares[who], usual[who]) for who in (REFERENCE, PLANNER)]
        print(f"| {name} | {' | '.join([*gains, *cells])} |", flush=True)


HEAD = (
    "| the log's policy | greedy + threshold, % of the oracle | planner | planner: promised, over "
    "true | eight policies: error | rank correlation | pushes opened | card: value a user and "
    "day, logged | simulated | log-loss over boosting's | AUC |\n" + "|---" * 11 + "|"
)


def judged(
    log: Log, truth: Simulator, rows: np.ndarray, live: int
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Shares (N,) of the oracle's mean value that users `rows` (N,) of the truth bring to who
    decides by a fit to the log; and what the fit promises and its card says."""
    fitted = fit(log)
    card, sim = said_by(card_of(log, fitted)), fitted.simulator
    shop = Shop(Path(), 0, truth, sim, rows, live)
    who = entries(sim, {}, False) | {"static rule": Entry(RULE, sim)}
    true = {name: Entry(e.policy, truth.believing(e.simulator)) for name, e in who.items()}
    worth = {name: shop.worth(entry) for name, entry in true.items()}
    row_of = {user: row for row, user in enumerate(sim.users.ids)}
    there = replace(shop, rows=np.array([row_of[truth.users.ids[row]] for row in rows]))
    said = {name: there.worth(entry).mean() for name, entry in who.items()}
    oracle = shop.worth(shop.seen(truth.response, truth.traits)[1]).mean()
    figures = promised(np.array([*said.values()]), np.array([w.mean() for w in worth.values()]))
    outcomes, sends = log.tables["outcomes"], log.tables["decisions"]["send_at"].notna().sum()
    opened = (outcomes["outcome"] == "opened").sum() / sends
    values = [
        f"{card[f'{name}_mean']:.3f} ±{NORMAL * card[f'{name}_standard_error']:.3f}"
        for name in ("logged", "simulated")
    ]
    return {name: each / oracle for name, each in worth.items()}, [
        f"{said[PLANNER] / worth[PLANNER].mean() - 1:+.0%}",
        f"{figures['error']:.1%}",
        f"{figures['rank_correlation']:.2f}",
        f"{opened:.1%}",
        *values,
        f"{np.mean([*card['over_boosting'].values()]):+.1%}",
        f"{card['auc']:.2f}",
    ]


def gained(share: np.ndarray, usual: np.ndarray) -> str:
    """A mean share, and what it is more than the usual log's, both (N,); ± 95 % over users."""
    gain = 100 * (share - usual)
    half = NORMAL * gain.std(ddof=1) / len(gain) ** 0.5
    more = "" if share is usual else f" ({gain.mean():+.1f} ±{half:.1f})"
    return f"{100 * share.mean():.1f}{more}"


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
