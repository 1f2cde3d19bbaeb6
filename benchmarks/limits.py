"""What a policy loses that knows a shop's truth except for one thing.

    python -m benchmarks.limits --users 3000 --seed 0
    python -m benchmarks.limits --world hazard --brief

Takes a demo shop after 42 days under its own policy and the fit to its log. Tables print the share
of the oracle planner's true value that is left to greedy and to the planner who know the truth but
for one thing: a trait of every user that is hidden (the average user's takes its place), the traits
that are as an ideal observer infers them from the same log, the traits that are as the fit believes
them, and a whole part of the response model, users' traits and all, that is the fit's. The first
says what a trait is worth, the second how much of it a log of this size tells, the third how much
of that the fit finds, the fourth what the shared effects cost beside. A world whose truth is not
additive has of the fourth only the whole model, whose form costs something too; there is no ideal
observer of *anyway*, whose users are not the others'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from agents.rollouts import population, rollout
from agents.search import USERS as SEARCHED
from agents.search import best_threshold
from benchmarks.observer import INFERRED as TRAITS
from benchmarks.observer import Observer, log_of
from benchmarks.proof import pushwise
from ingestion.read import load_checked
from mdp.response import HEADS, ResponseModel, Truth
from mdp.state import TASTE
from policies.base import Policy
from policies.baselines import Greedy
from policies.planner import planner
from simulator.best_days import with_habits
from simulator.description import Simulator, own_beliefs
from simulator.kernel import Kernel
from simulator.material import material_of
from simulator.saved import load_simulator
from simulator.worlds import known_world
from simulator.worlds.population import demo_goods

LOGGED = 53
"""Days of the log, of which the fit sees the first four fifths: 42."""
PARTS: dict[str, tuple[tuple[str, ...], tuple[str, ...], slice]] = {
    "user and fatigue": (
        ("base", "weekday", "openness_weight", "tolerance_weight", "fatigue_weight"),
        ("openness", "tolerance"),
        slice(0, 1),
    ),
    "item": (
        (
            *("item_weight", "item_center", "item_scale", "item_hash", "item_taste"),
            *("item_effect", "category_hash", "category_taste", "taste_weight", "price_weight"),
            *("repetition_weight", "bought_weight", "views_weight"),
        ),
        ("taste", "price"),
        slice(2, 4),
    ),
    "copy": (
        (
            *("variant_hash", "variant_effect", "style", "styles_weight", "wear_weight"),
            *("variant_weight", "variant_center", "variant_scale"),
        ),
        ("styles",),
        slice(1, 2),
    ),
    "hour": (("hour", "hours_weight"), ("hours",), slice(0, 0)),
}
"""Of each part of the additive model: its parameters, the traits that they multiply, and which of
the half-lives are its own."""


@dataclass(frozen=True)
class Args:
    """Of which shop."""

    out: Path = Path("runs/limits")
    """where its logs and their fit go"""
    world: str = "logit"
    """name of its known-truth world"""
    users: int = 3000
    """users of the shop"""
    seed: int = 0
    """seed of the shop"""
    lives: int = 2
    """lives of each of 500 users in a comparison"""
    days: int = 42
    """days of a life"""
    brief: bool = False
    """only what is true, all traits as inferred and as fitted, and the whole model as fitted"""


@dataclass(frozen=True)
class Shop:
    """A shop whose truth is known, and how policies are judged in it."""

    truth: Simulator
    rows: np.ndarray
    """Users (N,) int64 of a comparison."""
    args: Args

    def values(
        self, model: Truth, traits: np.ndarray, drawn: np.ndarray | None = None
    ) -> tuple[float, float]:
        """True value per user of greedy with the best threshold, and of the planner, who see the
        shop through a model and traits (U,) `TRAITS`, and search in what they imagine: users of
        just these traits, or of those `drawn` (U,) from what they hold for possible."""
        imagined = replace(self.truth, traits=traits, response=model, model=model)
        imagined = replace(imagined, beliefs=own_beliefs(imagined))
        if drawn is not None:
            imagined = replace(imagined, traits=drawn)
        threshold = best_threshold(imagined, self.args.seed)
        believed = with_habits(imagined, threshold, self.args.seed).beliefs
        seen = replace(self.truth, model=model, beliefs=believed)
        plan = planner(model, seen.reward)
        return self._worth(seen, Greedy(threshold=threshold)), self._worth(seen, plan)

    def _worth(self, seen: Simulator, policy: Policy) -> float:
        bare = replace(policy, floor=0.0)
        lives = range(1, self.args.lives + 1)
        worth = [rollout(seen, bare, self.rows, n, self.args.days).value for n in lives]
        return float(np.mean(worth))


def main(args: Args) -> None:
    """Hide, live, print."""
    logs, sim = args.out / "logs", args.out / "sim"
    size = ("--users", str(args.users), "--days", str(LOGGED), "--seed", str(args.seed))
    if not (sim / "card" / "card.json").exists():  # what is there already is taken
        pushwise("demo", logs, "--world", args.world, *size)
        pushwise("fit", logs, "--out", sim)
    truth, fitted = load_simulator(logs / "truth"), load_simulator(sim)
    shop = Shop(truth, population(truth, 500, args.seed), args)
    model, traits = fitted.response, _in_the_order_of(truth, fitted)
    assert isinstance(model, ResponseModel)
    whole = shop.values(truth.response, truth.traits)
    single = tuple((name,) for name in TRAITS)
    some = (*(() if args.brief else single), TRAITS[1:], TRAITS)

    def row(name: str, values: tuple[float, float]) -> None:
        shares = " | ".join(f"{value / whole[1]:.0%}" for value in values)
        print(f"| {name} | {shares} |", flush=True)

    _head("hidden of every user")
    row("nothing", whole)
    for names in () if args.brief else (*single, TRAITS[2:]):
        hidden = truth.traits.copy()
        for name in names:
            hidden[name] = hidden[name].mean(0)
        row(", ".join(names), shop.values(truth.response, hidden))

    if args.world != "anyway":
        _head("of every user as an ideal observer infers it")
        mean, drawn = observed(shop, logs)
        for names in some:
            believed, possible = truth.traits.copy(), truth.traits.copy()
            for name in names:
                believed[name], possible[name] = mean[name], drawn[name]
            row(", ".join(names), shop.values(truth.response, believed, possible))

    _head("of every user as fitted, in the truth's units")
    for names in some:
        believed = truth.traits.copy()
        for name in names:
            believed[name] = _in_units_of(truth.traits[name], traits[name])
        row(", ".join(names), shop.values(truth.response, believed))

    _head("of the model and its traits as fitted")
    additive = isinstance(truth.response, ResponseModel)
    for part in PARTS if additive and not args.brief else ():
        mixed, own = _mixed(truth, model, traits, (part,))
        row(part, shop.values(mixed, own))
    row("all", shop.values(model, traits))


def observed(shop: Shop, logs: Path) -> tuple[np.ndarray, np.ndarray]:
    """Traits (U,) that an ideal observer infers from the log that the fit is made to, and (U,) that
    it draws from what it holds for possible; of the users that matter, who live or whom a threshold
    is searched for."""
    truth, args = shop.truth, shop.args
    observer = Observer(
        truth.response.bind(truth.catalog),
        demo_goods(np.random.default_rng([args.seed, 11])),  # as the world drew them
        known_world(args.world).recommender_noise,
        np.unique(truth.catalog.variants.buckets),
    )
    some = np.union1d(shop.rows, population(truth, SEARCHED, args.seed))
    seen = log_of(material_of(load_checked(logs)), truth).of_users(some)
    found = truth.traits.copy(), truth.traits.copy()
    inferred = observer.inferred(seen, np.random.default_rng(args.seed))
    for out, own in zip(found, inferred, strict=True):
        out[some] = own
    return found


def _head(title: str) -> None:
    print(f"\n| {title} | greedy + threshold | planner |\n|---|---|---|")


def _in_the_order_of(truth: Simulator, fitted: Simulator) -> np.ndarray:
    """The fit's traits (U,) in the order of the truth's users."""
    row_of = {user: row for row, user in enumerate(fitted.users.ids)}
    return fitted.traits[[row_of[user] for user in truth.users.ids]]


def _in_units_of(true: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """A trait as fitted, on the scale on which it comes nearest to the true one; tastes, whose axes
    are nobody's, turned too."""
    apart, around = fitted - fitted.mean(0), true - true.mean(0)
    if true.ndim > 1 and true.shape[1] == TASTE:
        return true.mean(0) + apart @ np.linalg.lstsq(apart, around)[0]
    slope = float((apart * around).sum() / max(float((apart**2).sum()), 1e-9))
    return true.mean(0) + slope * apart


def _mixed(
    truth: Simulator, model: ResponseModel, traits: np.ndarray, parts: Sequence[str]
) -> tuple[ResponseModel, np.ndarray]:
    """The true model and traits with parts of a fit's in their places.

    Only the sum over the parts has a level that can be known, so the base makes up for what the
    fit's parts have on average more or less than the truth's.
    """
    assert isinstance(truth.response, ResponseModel)
    out, own = truth.response, truth.traits.copy()
    for part in parts:
        names, users, lives = PARTS[part]
        half_lives = out.half_lives.copy()
        half_lives[lives] = model.half_lives[lives]
        changed = {name: getattr(model, name) for name in names}
        out = replace(out, half_lives=half_lives, **changed)
        for name in users:
            own[name] = traits[name]
    kernel = Kernel(truth, np.arange(len(truth.users)), 0, 1)
    levels = [
        _level(one.bind(truth.catalog), believed, kernel)
        for one, believed in ((truth.response, truth.traits), (out, own))
    ]
    return replace(out, base=(out.base + levels[0] - levels[1]).astype(np.float32)), own


def _level(bound: object, traits: np.ndarray, kernel: Kernel) -> np.ndarray:
    """Mean logits (5,) over users and what they might be sent on the coming day."""
    asked = kernel.requests()
    terms = bound.terms(  # type: ignore[attr-defined]
        asked.histories, traits, asked.items, asked.variants, asked.decided_at, asked.zone
    )
    parts = (terms.item, terms.variant, terms.hour)
    level = terms.base.mean(0) + sum(part.mean((0, 1)) for part in parts)
    assert level.shape == (len(HEADS),)
    return level


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
