"""What each trait of users is worth to a policy, and each part of the response model.

    python -m benchmarks.traits --world logit

In a shop of `benchmarks.limits`, tables print the share of the oracle planner's true value that is
left to greedy and to the planner who know the truth but for one thing: a trait of every user that
is hidden (the average user's takes its place), the traits that are as an ideal observer infers them
from the same log, the traits that are as the fit believes them, and a whole part of the response
model, users' traits and all, that is the fit's. The first says what a trait is worth, the second
how much of it a log of this size tells, the third how much of that the fit finds, the fourth what
the shared effects cost beside. A world whose truth is not additive has of the fourth only the whole
model, whose form costs something too; of *seasonal* a table says what the parts of its form are
worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from agents.comparing import Entry
from benchmarks.limits import Shop
from benchmarks.observer import INFERRED as TRAITS
from mdp.response import HEADS, ResponseModel
from simulator.description import Simulator
from simulator.kernel import Kernel
from simulator.truths import SeasonalTruth

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
            *("word_hash", "word_taste"),
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

SEASONAL = {"weekday × hour": "week", "season and holidays": "year", "turning tastes": "turn"}
"""What the form of *seasonal* has that the additive model lacks."""
LIVING, DAYS = 500, 42
"""Users of a comparison, and days of a life."""
SINGLE = tuple((name,) for name in TRAITS)
SOME = (*SINGLE, TRAITS[1:], TRAITS)
Row = tuple[str, tuple[Entry, Entry]]
"""Of what a policy does not know, and greedy and the planner."""


@dataclass(frozen=True)
class Args:
    """Of which shop."""

    out: Path = Path("runs/agents")
    """where shops' logs and fits are, or go"""
    world: str = "logit"
    """name of its known-truth world"""
    seed: int = 0
    """seed of the shop"""


def main(args: Args) -> None:
    """Hide, live, print."""
    shop = Shop.of(args.out, args.world, args.seed, LIVING, DAYS)
    oracle = shop.seen(shop.truth.response, shop.truth.traits)
    whole = shop.worth(oracle[1]).mean()
    for title, rows in TABLES.items():
        print(f"\n| {title} | greedy + threshold | planner |\n|---|---|---|")
        for name, entries in rows(shop):
            left = " | ".join(f"{shop.worth(entry).mean() / whole:.0%}" for entry in entries)
            print(f"| {name} | {left} |", flush=True)


def hidden(shop: Shop) -> Iterator[Row]:
    """Who take the average user's for some traits of every user."""
    truth = shop.truth
    for names in ((), *SINGLE, TRAITS[2:]):
        traits = truth.traits.copy()
        for name in names:
            traits[name] = traits[name].mean(0)
        yield ", ".join(names) or "nothing", shop.seen(truth.response, traits)


def observed(shop: Shop) -> Iterator[Row]:
    """Who take for them what an ideal observer infers."""
    mean, drawn = shop.observed()
    for names in SOME:
        believed, possible = shop.truth.traits.copy(), shop.truth.traits.copy()
        for name in names:
            believed[name], possible[name] = mean[name], drawn[name]
        yield ", ".join(names), shop.seen(shop.truth.response, believed, possible)


def fitted(shop: Shop) -> Iterator[Row]:
    """Who take for them what the fit believes."""
    for names in SOME:
        traits = shop.users_as_fitted(names)
        yield ", ".join(names), shop.seen(shop.truth.response, traits)


def of_model(shop: Shop) -> Iterator[Row]:
    """Who know all but a part of the truth's form, or have a part of the fit's model for it."""
    truth, model, traits = shop.truth, shop.fitted.response, shop.fitted_traits
    assert isinstance(model, ResponseModel)
    if isinstance(truth.response, SeasonalTruth):
        for part, name in SEASONAL.items():
            nothing = np.zeros_like(getattr(truth.response, name))
            plain = replace(truth.response, **{name: nothing})
            yield f"{part} unknown", shop.seen(plain, truth.traits)
    for part in PARTS if isinstance(truth.response, ResponseModel) else ():
        yield part, shop.seen(*_mixed(truth, model, traits, (part,)))
    yield "all", shop.seen(model, traits)


TABLES: dict[str, Callable[[Shop], Iterator[Row]]] = {
    "hidden of every user": hidden,
    "of every user as an ideal observer infers it": observed,
    "of every user as fitted, in the truth's units": fitted,
    "of the model and its traits as fitted": of_model,
}


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
