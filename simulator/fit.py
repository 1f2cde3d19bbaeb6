"""Fits a simulator to a shop's log: tastes, response heads, habits, candidates, logging policy.

The model is maximum a posteriori throughout, and observations carry its predictions, means over
all that a user may be. Outcomes are drawn from an ensemble: what all users share, fitted again to
users drawn with replacement, under priors drawn anew. Widths of the users' effects, what covariates
tell of these, and half-lives of recency are the likeliest on the earlier pushes; how good that is
the last days before `until` tell; both on at most `SAMPLE` users. Then all days of all users are
used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch

from ingestion.freed import give_back
from ingestion.log import NONE, Log, epoch_us
from ingestion.replay import replay
from mdp.clock import DAY, zone_name
from mdp.guardrails import Guardrails
from mdp.hashing import hash_ids
from mdp.item_words import shared_words
from mdp.observation import observe
from mdp.response import HEADS, ITEM_FEATURES, ResponseModel
from mdp.reward import Reward
from mdp.state import TRAITS
from mdp.wording import WORDING
from simulator.covariates import covariates_of
from simulator.description import Drift, Simulator, Users, own_beliefs
from simulator.fit_calibration import calibrated, shifts
from simulator.fit_candidates import candidates_of
from simulator.fit_delays import delays_of
from simulator.fit_drift import half_life_of
from simulator.fit_heads import Sizes, refit_heads
from simulator.fit_logging import logging_policy
from simulator.fit_lull import lull_and_habits
from simulator.fit_organic import organic_of
from simulator.fit_response import heads_of, response_of
from simulator.fit_sends import sends_of, standard, standard_copy
from simulator.fit_special import set_aside, with_special_days
from simulator.fit_tastes import Counts, Tastes, fit_tastes
from simulator.fit_tuning import Tuned, slopes_of, tuned
from simulator.habits import Habits
from simulator.head_terms import USERS_EFFECTS
from simulator.heads_prior import REMEMBERED, WORSE, drawn_means
from simulator.material import Material, acts_of, material_of, sample_of
from simulator.newcomers import arrivals_of
from simulator.special_days import calendar_of
from simulator.threads import both, one_thread, side_by_side

UNSEEN = 0.1
"""Share of the users who are left out of the fit that is judged."""
MEMBERS = 5
"""Models of the ensemble that outcomes are drawn from."""
RARE = 0.01
"""Probability of an hour below which it matters little how much rarer it is."""


@dataclass(frozen=True)
class Fit:
    """A fitted simulator, and what it rests on."""

    simulator: Simulator
    sample: np.ndarray
    """Rows of the users (N,) int64, ascending, by whom it was tuned and is judged."""
    tuned: Tuned
    """What was found with the pushes to those."""
    pushes: int
    """Pushes of the log that it was fitted to."""
    told: dict[str, dict[str, float]]
    """By covariate and effect, which share of how much users differ follows from it; empty where
    covariates tell nothing."""

    @property
    def judged_by(self) -> tuple[str, ...]:
        """Ids (N,) of the users by whom it is judged."""
        return tuple(self.simulator.users.ids[row] for row in self.sample)


def silent(step: str) -> None:
    """Reports nothing."""


def fit(
    log: Log, until: int | None = None, seed: int = 0, report: Callable[[str], None] = silent
) -> Fit:
    """Fit a simulator to what a log knew at `until` (default: `split_time`).

    report: is told each step. Raises `NotEnoughData`.
    """
    return fit_to(material_of(log, until), seed, report)


@one_thread()
def fit_to(material: Material, seed: int = 0, report: Callable[[str], None] = silent) -> Fit:
    """`fit` to what was taken from a log already, which by then need not be in memory."""
    users = _users(material)
    report("habits and tastes")
    acts = acts_of(material)
    price, until = material.catalog.items.price, material.until
    special = material.special
    aside = set_aside(special, material.began // DAY, until // DAY)
    lull, habits = lull_and_habits(users, material.events, acts, price, until, aside)
    counts = len(material.catalog.items), len(material.catalog.variants)
    sizes = Sizes(len(users), *counts, len(special.names))
    met = Counts.of(acts.owner, acts.item[:, None], (sizes.users, sizes.items))
    tastes = _tastes(material, met, seed)
    profile = _profile(habits)
    some = sample_of(sizes.users, seed)
    unseen = np.random.default_rng([seed, 1]).random(len(some)) < UNSEEN
    covariates = covariates_of(material.rest.people, habits, tastes.user, material.until)
    few = replace(sizes, users=len(some))
    found = tuned(
        material if len(some) == sizes.users else material.of_users(some),
        replace(tastes, user=tastes.user[some]),
        profile[some],
        covariates.of_users(some),
        few,
        unseen,
        report,
    )
    give_back()
    report("response heads")
    sends = replace(sends_of(material, tastes, profile, found.lives), knee=found.sends.knee)
    prior = None if found.prior is None else found.prior.over(covariates)
    whole = replace(found, sends=sends, prior=prior)
    heads, slope = both(partial(heads_of, whole, sizes), partial(slopes_of, found, few))
    found, whole = replace(found, slope=slope), replace(whole, slope=slope)
    traits, shift = response_of(heads, whole, _traits(tastes, profile))
    give_back()
    report("ensemble")
    again = _drawn_again(heads, whole, sizes, traits, seed)
    model, *members = (
        _model(material, tastes, one, found)
        for one in (calibrated(heads, sends, found.slope, shift), *again)
    )
    pushes = len(sends.user)
    del sends, whole, again  # as large as what the log gave
    give_back()
    organic = replace(organic_of(habits, tastes, met), lull=lull)
    if len(aside):  # else habits are those of special days too
        organic = with_special_days(organic, special, users, acts)
    category = _categories(material)[0]
    half_life = half_life_of(acts, category, material.until, seed)
    report("habit of good days")
    traits["habit"] = _habit(material, model, traits)
    simulator = Simulator(
        catalog=material.catalog,
        users=users,
        traits=traits,
        response=model,
        organic=organic,
        histories=replay(material.events),
        start=material.until,
        recommender=candidates_of(material, acts),
        logging=logging_policy(material),
        members=tuple(members),
        delays=delays_of(material),
        model=model,
        drift=None if half_life is None else Drift.among(half_life, traits, organic),
        calendar=calendar_of(material.rest),
        arrivals=arrivals_of(
            users.signed_up,
            epoch_us(material.rest.tables["items"]["listed_at"]),
            material.began,
            material.until,
        ),
    )
    simulator = replace(
        simulator,
        beliefs=own_beliefs(simulator),
        manifest={
            "trained_until": material.until,
            "scaling": _scaling(model),
            "seed": seed,
        },
    )
    told = {} if prior is None else prior.as_fitted(heads).shares(asdict(found.widths))
    return Fit(simulator, some, found, pushes, told)


def _users(material: Material) -> Users:
    table = material.rest.people
    locale = table["locale"]
    return Users(
        ids=material.events.user_ids,
        zones=tuple(zone_name(int(code)) or "" for code in material.events.zone),
        signed_up=epoch_us(table["signed_up_at"]),
        locales=tuple(locale.fillna("").astype(object)) if locale.notna().any() else (),
    )


def _tastes(material: Material, met: Counts, seed: int) -> Tastes:
    decisions = material.decisions
    logged = material.rest.meta.candidates != NONE
    lists = decisions.items if logged else decisions.items[:, :0]
    offered = Counts.of(decisions.owner, lists, met.shape)
    words = shared_words(material.catalog.items)
    return fit_tastes(met, offered, *_categories(material), words, seed)


def _categories(material: Material) -> tuple[np.ndarray, int]:
    """The categories of the items (I,) int64, and how many there are."""
    names, category = np.unique(material.catalog.items.categories, return_inverse=True)
    return category.astype(np.int64), len(names)


def _profile(habits: Habits) -> np.ndarray:
    """How likely each user is to be about at each hour: log probabilities (U, 24) float32, of
    mean 0."""
    profile = np.log(habits.hours + RARE)
    return (profile - profile.mean(1, keepdims=True)).astype(np.float32)


def _drawn_again(
    heads: dict[str, np.ndarray], found: Tuned, sizes: Sizes, traits: np.ndarray, seed: int
) -> list[dict[str, np.ndarray]]:
    """Heads fitted again to users drawn with replacement, whose days hang together, under priors
    drawn anew, each at the level of its own users."""
    rng = np.random.default_rng([seed, MEMBERS])
    users, sends = sizes.users, found.sends
    # Balanced: all together every user counts as often, so that their mean is none of luck's.
    rows = rng.permutation(np.tile(np.arange(users), MEMBERS)).reshape(MEMBERS, users)
    drawn = [np.bincount(row, minlength=users).astype(np.float32) for row in rows]
    own = {name: torch.from_numpy(value) for name, value in heads.items()}
    means = [drawn_means(own, found.widths, rng) for _ in drawn]

    def refitted(member: int) -> dict[str, np.ndarray]:
        return refit_heads(heads, sends, sizes, found.widths, drawn[member], means[member])

    again = side_by_side(refitted, range(MEMBERS))
    out = []
    for one, times in zip(_around(heads, again), drawn, strict=True):
        shift = shifts(calibrated(one, sends, found.slope), sends, traits, times)
        out.append(calibrated(one, sends, found.slope, shift))
    return out


def _around(
    heads: dict[str, np.ndarray], drawn: list[dict[str, np.ndarray]]
) -> list[dict[str, np.ndarray]]:
    """Drawn heads, what users share moved together so that its mean is that of `heads`: that of a
    few draws is off by luck, and all that is simulated would be.

    Earlier pushes help in none, as in no fit: where they do nothing in `heads`, they would in some.
    """
    shared = drawn[0].keys() - set(USERS_EFFECTS)
    off = {name: np.mean([one[name] for one in drawn], 0) - heads[name] for name in shared}
    out = [one | {name: one[name] - off[name] for name in shared} for one in drawn]
    for one in out:
        for name in (f"{each}_weight" for each in REMEMBERED):
            one[name] = WORSE * np.maximum(WORSE * one[name], 0.0)
    return out


def _model(
    material: Material, tastes: Tastes, heads: dict[str, np.ndarray], found: Tuned
) -> ResponseModel:
    catalog = material.catalog
    _, center, scale = standard(material)
    _, variant_center, variant_scale = standard_copy(material)
    names = np.unique(catalog.items.categories)
    own = {
        name: heads[name]
        for name in (
            *("base", "weekday", "hour", "weekday_hour"),
            *("item_weight", "item_effect", "variant_effect"),
        )
    }
    weights = {
        name: heads[name]
        for name in ResponseModel.__dataclass_fields__
        if name.endswith("_weight") and name in heads and name not in own
    }
    arrays = {
        **own,
        **weights,
        "style": heads["style"],
        "special_effect": heads["special"][material.special.name],
        "item_center": center,
        "item_scale": scale,
        "variant_center": variant_center,
        "variant_scale": variant_scale,
        "item_taste": tastes.item,
        "category_taste": tastes.category,
        "word_taste": tastes.word,
        "half_lives": found.lives,
        "threshold": found.sends.knee[None],
        # Levels are those of draws of the users, so what policies see must be the mean over these.
        "uncertainty_weight": np.ones(len(HEADS)),
    }
    return ResponseModel(
        **{name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()},
        item_hash=catalog.items.hashes,
        category_hash=hash_ids(names),
        word_hash=tastes.word_hash,
        variant_hash=catalog.variants.hashes,
        special_day=material.special.day,
    )


def _scaling(model: ResponseModel) -> dict[str, dict[str, float]]:
    """What each item's and variant's feature was standardised by, fitted before `trained_until`."""
    names = (*ITEM_FEATURES, *WORDING)
    center = (*model.item_center, *model.variant_center)
    fitted = zip(names, center, (*model.item_scale, *model.variant_scale), strict=True)
    return {name: {"mean": float(mean), "std": float(std)} for name, mean, std in fitted}


def _traits(tastes: Tastes, profile: np.ndarray) -> np.ndarray:
    """Traits (U,) `TRAITS` as far as pushes say nothing of them."""
    traits = np.zeros(len(profile), TRAITS)
    traits["taste"], traits["hours"] = tastes.user, profile
    traits["taste_var"] = tastes.variance
    return traits


def _habit(material: Material, model: ResponseModel, traits: np.ndarray) -> np.ndarray:
    """Mean, spread and 80 % quantile of each user's best predicted value over the logged
    decisions (U, 3) float32, shrunk to the average user's."""
    owner = material.decisions.owner
    free = Guardrails(per_calendar_day=None, per_7d=None, min_hours=0, item_cooldown_days=0)
    bound, value = model.bind(material.catalog), np.zeros(len(owner))
    for part in material.parts(np.arange(len(owner))):
        asked = material.requests(part)
        seen = observe(asked, material.catalog, free, Reward(), bound, traits[owner[part]])
        value[part] = seen.observation["pairs"][..., 0].max((1, 2))
    count = np.bincount(owner, minlength=len(traits))
    mean = (np.bincount(owner, value, len(traits)) + 3 * value.mean()) / (count + 3)
    square = np.bincount(owner, (value - mean[owner]) ** 2, len(traits))
    spread = np.sqrt((square + 3 * value.var()) / (count + 3))
    order = np.lexsort((value, owner))
    begin = np.searchsorted(owner[order], np.arange(len(traits)))
    place = np.minimum(begin + (0.8 * count).astype(np.int64), len(order) - 1)
    high = np.where(count > 0, value[order][place], np.quantile(value, 0.8))
    return np.stack([mean, spread, high], 1).astype(np.float32)
