"""Policies and baselines side by side: same users, same draws, paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from agents.learning import learn
from agents.rollouts import Outcome, population, rollout
from agents.search import best_threshold
from ingestion.log import Log
from mdp.errors import BadInput
from mdp.reward import Reward
from mdp.shop import need_same_shop
from policies.base import Policy
from policies.baselines import Greedy, Hold, Popular, Random, StaticRule
from policies.planner import planner
from policies.saved import PolicyBundle
from simulator.best_days import with_habits
from simulator.description import Simulator
from simulator.fidelity_goals import margin_of, spread_of, unsure

BANDITS = ("linucb", "thompson", "recovering")
REFERENCE = "fitted greedy + threshold"
ORACLE = "oracle planner"
NORMAL = 1.96
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Entry:
    """A policy and what its observations are made with."""

    policy: Policy
    simulator: Simulator
    """The simulator to live in, with the beliefs that this policy has."""


@dataclass(frozen=True)
class Row:
    """One policy's line; money in the shop's currency, totals over the days compared."""

    policy: str
    value: float
    """Expected reward per user."""
    low: float
    """95 % interval over users, each with all its seeds."""
    high: float
    difference: float
    """Value minus that of `REFERENCE`, on the same users and draws."""
    difference_low: float
    difference_high: float
    share_of_oracle: float | None
    """Value over the oracle's; only on a truth."""
    sends_per_week: float
    """Per user."""
    open_rate: float | None
    """Opens per send."""
    click_rate: float | None
    """Clicks per send."""
    unsubscribes: float
    """Per 1,000 users."""
    subscribed: float
    """Share of users still subscribed at the end."""
    revenue_minus_hold: float
    """Amount paid per user, organic purchases included, minus that under hold."""
    simulated: float | None
    """Value by the model that the policy sees with, for the same users and draws; only on a
    truth."""
    simulated_minus_true: float | None
    simulated_minus_true_low: float | None
    simulated_minus_true_high: float | None
    members: tuple[float, ...]
    """Value per user under each member of the ensemble alone; none on a truth."""

    @property
    def spread(self) -> float:
        """Standard deviation of the value over the members; 0 without any."""
        return spread_of(self.members)

    @property
    def margin(self) -> float:
        """Half of the 95 % interval that the members leave; 0 without any."""
        return margin_of(self.members)

    @property
    def unsure(self) -> bool:
        """Whether the members differ by more than the interval."""
        return unsure(self.members, self.high - self.value)


def entries(
    simulator: Simulator,
    bundles: Mapping[str, PolicyBundle],
    known_truth: bool,
    seed: int = 0,
    log: Log | None = None,
) -> dict[str, Entry]:
    """All rows' policies by name; the exploration floor is 0 for each.

    A policy lives under its own guardrails, all else under those of the first policy, or the
    simulator's without one. Baselines that need a model use that of the first policy likewise;
    first is who has searched for baselines, which who learned from logs alone has not.
    log: what bandits learn from, before the first policy's `trained_until`; without one there are
    none.
    What was searched was searched there, never on the truth that the comparison is made on.
    All are paid by the first policy's reward; raises `BadInput` for one that plans for another.
    """
    name_of_first = leading(bundles)
    first = None if name_of_first is None else bundles[name_of_first]
    place = simulator
    if first is not None:
        place = replace(simulator, guardrails=first.guardrails, reward=first.reward)
    _need_one_reward(place.reward, bundles)
    fitted = place if first is None else believing(place, first)
    out = {
        "hold": Entry(Hold(), place),
        "random": Entry(Random(), place),
        "logging": Entry(place.logging, place),
        "popular": Entry(Popular(), place),
    }
    found = {} if first is None else first.manifest.get("baselines", {})
    if "static_rule" in found:
        out["best static rule"] = Entry(StaticRule(**found["static_rule"]), place)
    model = fitted.model
    if model is not None:
        out["fitted greedy"] = Entry(Greedy(), fitted)
        threshold = found.get("threshold")
        if threshold is None and not known_truth:
            threshold = best_threshold(fitted, seed)
        if threshold is not None:
            out[REFERENCE] = Entry(Greedy(threshold=threshold), fitted)
            if first is None:  # a saved policy's traits have them
                fitted = with_habits(fitted, threshold, seed)
        out["fitted planner"] = Entry(planner(model, fitted.reward), fitted)
    if log is not None:
        until = simulator.manifest if first is None else first.manifest
        out |= _bandits(replace(fitted, manifest=until), place, log, seed)
    for name, bundle in bundles.items():
        own = replace(place, guardrails=bundle.guardrails)
        out[name] = Entry(bundle.policy, believing(own, bundle))
    if known_truth:
        out |= _oracles(place, seed)
    return {name: replace(e, policy=replace(e.policy, floor=0.0)) for name, e in out.items()}


def _need_one_reward(reward: Reward, bundles: Mapping[str, PolicyBundle]) -> None:
    for name, bundle in bundles.items():
        if bundle.model is not None and bundle.reward != reward:
            raise BadInput(
                f"{name} was trained for another reward, {bundle.reward.to_mapping()} where the "
                f"first has {reward.to_mapping()}: compare policies of one reward"
            )


def leading(bundles: Mapping[str, PolicyBundle]) -> str | None:
    """Name of the policy whose guardrails and model baselines and oracles have: the first that
    searched for baselines, else the first; None where there is none."""
    return min(bundles, key=lambda name: "baselines" not in bundles[name].manifest, default=None)


def under_other_rules(bundles: Mapping[str, PolicyBundle]) -> list[str]:
    """Names of the policies whose guardrails are others than the leading one's; exploration
    floors, which no policy here has, apart."""
    first = leading(bundles)
    if first is None:
        return []
    rules = {name: replace(each.guardrails, floor=0.0) for name, each in bundles.items()}
    return [name for name in bundles if rules[name] != rules[first]]


def believing(simulator: Simulator, bundle: PolicyBundle) -> Simulator:
    """The simulator seen with the response model, the traits and the reward that a policy carries;
    raises `BadInput` for one of another shop."""
    if (known := bundle.shop) is not None:
        need_same_shop(
            simulator.shop,
            known,
            bundle.trained_until,
            f"the simulator is not of the shop that the policy ({bundle.policy.name}) was trained "
            "for",
            "give a policy trained in a fit to this shop's log",
        )
    if bundle.model is None or bundle.traits is None:
        return simulator
    return replace(simulator, model=bundle.model, beliefs=bundle.traits, reward=bundle.reward)


def _bandits(fitted: Simulator, place: Simulator, log: Log, seed: int) -> dict[str, Entry]:
    """What bandits make of a log, seeing what the first policy sees."""
    if fitted.model is None:
        raise BadInput("bandits see with a policy's model: give a saved policy beside --logs")
    bundles = {name: learn(fitted, name, log, seed) for name in BANDITS}
    return {name: Entry(each.policy, believing(place, each)) for name, each in bundles.items()}


def _oracles(simulator: Simulator, seed: int) -> dict[str, Entry]:
    """Who know the truth: the threshold is searched on it, and the planner plans with it."""
    knowing = simulator.believing(replace(simulator, model=None, beliefs=None))
    threshold = best_threshold(knowing, seed)
    knowing = with_habits(knowing, threshold, seed)
    return {
        "oracle greedy + threshold": Entry(Greedy(threshold=threshold), knowing),
        ORACLE: Entry(planner(simulator.response, simulator.reward), knowing),
    }


def run_entry(entry: Entry, rows: np.ndarray, seeds: Sequence[int], days: int) -> Outcome:
    """One policy's life with all users `rows` (N,) under each seed; (seeds · N,) each."""
    return Outcome.joined(
        [rollout(entry.simulator, entry.policy, rows, seed, days) for seed in seeds]
    )


def as_believed(entry: Entry) -> Entry | None:
    """The policy among the same users, who respond as the model that it sees with says; None where
    it sees with none, or with the truth."""
    place = entry.simulator
    if place.model is None or place.beliefs is None or place.model is place.response:
        return None
    traits = place.beliefs.rows(place.users.hashes)[0]
    responding = replace(
        place, response=place.model, traits=traits, members=(), drift=None, world="fitted"
    )
    return replace(entry, simulator=responding)


def under_members(entry: Entry, rows: np.ndarray, seed: int, days: int) -> tuple[float, ...]:
    """A policy's mean value per user with users `rows` (N,) under each member of its simulator's
    ensemble alone (M,), with the same draws; none where there is no ensemble."""
    place = entry.simulator
    alone = (replace(place, members=(member,)) for member in place.members)
    lived = (rollout(one, entry.policy, rows, seed, days) for one in alone)
    return tuple(float(life.value.mean()) for life in lived)


def compare(
    lives: Mapping[str, Outcome],
    users: int,
    known_truth: bool,
    believed: Mapping[str, Outcome] = NOTHING,
    members: Mapping[str, tuple[float, ...]] = NOTHING,
) -> list[Row]:
    """Rows of the table from each policy's outcomes, in the order given.

    lives: by policy, of the same `users` users under the same seeds. The interval takes each
    user's mean over the seeds as one draw, so users whose seeds agree are not counted twice.
    believed: what the same lives are by `as_believed`, where they were lived.
    members: by policy, `under_members`.
    """
    reference = lives.get(REFERENCE, next(iter(lives.values())))
    oracle = lives[ORACLE].value.mean() if known_truth and ORACLE in lives else None
    hold = lives["hold"].revenue
    return [
        _row(
            name,
            life,
            reference,
            oracle,
            hold,
            users,
            believed.get(name),
            members.get(name, ()),
        )
        for name, life in lives.items()
    ]


def _row(
    name: str,
    life: Outcome,
    reference: Outcome,
    oracle: float | None,
    hold: np.ndarray,
    users: int,
    believed: Outcome | None,
    members: tuple[float, ...],
) -> Row:
    value, low, high = _interval(life.value, users)
    difference, less, more = _interval(life.value - reference.value, users)
    gap: tuple[float | None, ...] = (None,) * 3
    if believed is not None:
        gap = _interval(believed.value - life.value, users)
    sends = float(life.sends.sum())
    return Row(
        policy=name,
        value=value,
        low=low,
        high=high,
        difference=difference,
        difference_low=less,
        difference_high=more,
        share_of_oracle=None if oracle is None or oracle <= 0 else value / float(oracle),
        sends_per_week=float(life.sends.mean()) / life.days * 7,
        open_rate=float(life.opens.sum()) / sends if sends else None,
        click_rate=float(life.clicks.sum()) / sends if sends else None,
        unsubscribes=1000 * float(life.unsubscribed.mean()),
        subscribed=1 - float(life.unsubscribed.mean()),
        revenue_minus_hold=float((life.revenue - hold).mean()),
        simulated=None if believed is None else float(believed.value.mean()),
        simulated_minus_true=gap[0],
        simulated_minus_true_low=gap[1],
        simulated_minus_true_high=gap[2],
        members=members,
    )


def _interval(values: np.ndarray, users: int) -> tuple[float, float, float]:
    by_user = values.reshape(-1, users).mean(0)
    mean = float(by_user.mean())
    half = NORMAL * float(by_user.std(ddof=1)) / users**0.5 if users > 1 else float("inf")
    return mean, mean - half, mean + half


def sample(simulator: Simulator, users: int, seed: int) -> np.ndarray:
    """Rows of the users that the comparison is made on; raises `BadInput` for fewer than 2."""
    rows = population(simulator, users, seed)
    if len(rows) < 2:
        raise BadInput(f"a comparison needs at least 2 users who may be pushed, not {len(rows)}")
    return rows


def as_mapping(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as plain values for JSON."""
    own = ("spread", "margin", "unsure")
    return [{**vars(row), **{name: getattr(row, name) for name in own}} for row in rows]
