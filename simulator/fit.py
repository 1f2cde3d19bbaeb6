"""Fits a simulator to a shop's log: tastes, response heads, habits, candidates, logging policy.

The model is maximum a posteriori throughout, and observations carry its predictions. Outcomes are
drawn from an ensemble: what all users share, fitted again to users drawn with replacement. Widths
of the users' effects and half-lives of recency are the likeliest on the earlier pushes; how good
that is the last days before `until` tell; both on at most `SAMPLE` users. Then all days of all
users are used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from generation.candidates.base import Recommender
from generation.candidates.logged import Logged
from generation.candidates.own_popular import OwnPopular
from ingestion.log import NONE, Log, epoch_us
from ingestion.replay import replay
from ingestion.splits import of_users, split_time
from mdp.catalog import Catalog
from mdp.clock import local_day, zone_name
from mdp.guardrails import Guardrails
from mdp.hashing import hash_ids
from mdp.observation import observe
from mdp.recency import recency_of
from mdp.response import HEADS, ResponseModel, item_features
from mdp.reward import Reward
from mdp.state import TRAITS, features
from simulator.description import Simulator, Users, own_beliefs
from simulator.fit_calibration import calibrated, shifts, slopes
from simulator.fit_delays import delays_of
from simulator.fit_heads import (
    DISMISS,
    OPEN,
    UNSUBSCRIBE,
    Sends,
    Sizes,
    Widths,
    cost,
    fit_heads,
    log_loss,
    predicted,
    refit_heads,
)
from simulator.fit_logging import logging_policy
from simulator.fit_priors import likeliest_priors
from simulator.fit_tastes import Counts, Tastes, fit_concentration, fit_tastes
from simulator.fit_widths import likeliest_widths
from simulator.habits import SATED_FOR, Acts, Habits, habits_of
from simulator.material import Material, acts_of, material_of, sample_of
from simulator.organic import Organic

HELD_OUT = 0.2
"""Share of the pushes, the latest, that the fit is judged on."""
UNSEEN = 0.1
"""Share of the users who are left out of the fit that is judged."""
TRIED = ((1.0, 2.0, 3.0, 4.5, 7.0, 10.0), (2.0, 4.0, 7.0, 14.0), (7.0, 14.0, 28.0))
"""Half-lives in days that are tried of fatigue, wear and repetition."""
PLAIN = np.array([3.0, 7.0, 14.0, 30.0])
"""Half-lives of fatigue, wear, repetition and bought to start from, days."""
JUDGED = (OPEN, DISMISS, UNSUBSCRIBE)
"""Heads that choose half-lives: those that every push asks."""
EVERY = tuple(range(len(HEADS)))
REMEMBERED = ("fatigue", "repetition", "wear", "bought", "views")
"""What half-lives and histories say of a push."""
ROUNDS = 3
"""Times that the priors are set by the fit, and the fit made again under them."""
COLD, WARM = 150, 40
"""Iterations of a fit from scratch, and from another fit's parameters."""
MEMBERS = 5
"""Models of the ensemble that outcomes are drawn from."""
OWN_ITEMS = 32
RARE = 0.01
"""Probability of an hour below which it matters little how much rarer it is."""


@dataclass(frozen=True)
class Fit:
    """A fitted simulator, and how well its heads predict later days."""

    simulator: Simulator
    held_out: Sends
    """The later pushes (S), as the heads see them."""
    held_out_probability: np.ndarray
    """Predicted from the earlier pushes alone (S, 5)."""
    unseen_users: Sends
    """Pushes (S',) to users that those probabilities were not fitted to."""
    unseen_users_probability: np.ndarray
    """Predicted for them (S', 5)."""
    known: Sends
    """The earlier pushes to the other users: what both were predicted from."""
    metrics: dict[str, dict[str, float | None]]
    """Log-loss of each head on them, beside that of the earlier days' rate; None without any."""
    pushes: int
    """Pushes of the log that it was fitted to."""


def silent(step: str) -> None:
    """Reports nothing."""


def fit(
    log: Log, until: int | None = None, seed: int = 0, report: Callable[[str], None] = silent
) -> Fit:
    """Fit a simulator to what a log knew at `until` (default: `split_time`).

    report: is told each step. Raises `NotEnoughData`.
    """
    torch.set_num_threads(1)
    material = material_of(log, split_time(log) if until is None else until)
    users = _users(material)
    report("habits and tastes")
    acts = acts_of(material)
    habits = habits_of(users, acts, material.catalog.items.price, material.until)
    sizes = Sizes(len(users), len(material.catalog.items), len(material.catalog.variants))
    met = Counts.of(acts.owner, acts.item[:, None], (sizes.users, sizes.items))
    tastes = _tastes(material, met, seed)
    profile = _profile(habits)
    some = sample_of(sizes.users, seed)
    unseen = np.random.default_rng([seed, 1]).random(len(some)) < UNSEEN
    widths, lives, metrics, seen = _tuned(
        _of_users(material, some),
        replace(tastes, user=tastes.user[some]),
        profile[some],
        replace(sizes, users=len(some)),
        unseen,
        report,
    )
    report("response heads")
    sends = sends_of(material, tastes, profile, lives)
    heads = fit_heads(sends, sizes, widths, EVERY, COLD)
    traits = _traits(material, tastes, profile, heads, sends, widths)
    report("ensemble")
    again = [refit_heads(heads, sends, sizes, widths, n) for n in _drawn_again(len(users), seed)]
    slope = slopes(*seen[:2])
    shift = shifts(calibrated(heads, sends, slope), sends, traits)
    model, *members = (
        _model(material.catalog, tastes, calibrated(one, sends, slope, shift), lives)
        for one in (heads, *again)
    )
    report("habit of good days")
    traits["habit"] = _habit(material, model, traits)
    simulator = Simulator(
        catalog=material.catalog,
        users=users,
        traits=traits,
        response=model,
        organic=organic_of(habits, tastes, met),
        histories=replay(material.events),
        start=material.until,
        recommender=_recommender(material, acts),
        logging=logging_policy(material),
        members=tuple(members),
        delays=delays_of(material),
        model=model,
    )
    simulator = replace(
        simulator,
        beliefs=own_beliefs(simulator),
        manifest={"trained_until": material.until, "metrics": metrics, "seed": seed},
    )
    return Fit(simulator, *seen, metrics, len(sends.user))


def _users(material: Material) -> Users:
    table = material.log.tables["users"].drop_duplicates("user_id").sort_values("user_id")
    locale = table["locale"]
    return Users(
        ids=material.events.user_ids,
        zones=tuple(zone_name(int(code)) or "" for code in material.events.zone),
        signed_up=epoch_us(table["signed_up_at"]),
        locales=tuple(locale.fillna("").astype(object)) if locale.notna().any() else (),
    )


def _of_users(material: Material, rows: np.ndarray) -> Material:
    """What the log gives to learn from of some users (N,), ascending, alone."""
    ids = material.events.user_ids
    if len(rows) == len(ids):
        return material
    return material_of(of_users(material.log, [ids[row] for row in rows]), material.until)


def _tastes(material: Material, met: Counts, seed: int) -> Tastes:
    decisions = material.decisions
    logged = material.log.meta.candidates != NONE
    lists = decisions.items if logged else decisions.items[:, :0]
    offered = Counts.of(decisions.owner, lists, met.shape)
    names, category = np.unique(material.catalog.items.categories, return_inverse=True)
    return fit_tastes(met, offered, category.astype(np.int64), len(names), seed)


def _profile(habits: Habits) -> np.ndarray:
    """How likely each user is to be about at each hour: log probabilities (U, 24) float32, of
    mean 0."""
    profile = np.log(habits.hours + RARE)
    return (profile - profile.mean(1, keepdims=True)).astype(np.float32)


def sends_of(material: Material, tastes: Tastes, profile: np.ndarray, lives: np.ndarray) -> Sends:
    """The log's pushes as the heads see them; lives: half-lives (4,), days."""
    sent = np.flatnonzero(material.decisions.sent)
    out = _bare(material, tastes, profile, sent)
    for part in material.parts(sent):
        some = out.only(part)
        some = _remembering(some, material.catalog, _states(material, sent[part]), lives)
        for name in REMEMBERED:
            getattr(out, name)[part] = getattr(some, name)
    return out


def _states(material: Material, which: np.ndarray) -> np.ndarray:
    """Histories (N,) `HISTORY` that some decisions, by index (N,), found, decayed until then."""
    asked = material.requests(which)
    return features(asked.histories, asked.decided_at)


def _remembering(sends: Sends, catalog: Catalog, states: np.ndarray, lives: np.ndarray) -> Sends:
    """The pushes (S,) with the recency that histories (S,) give under half-lives (4,), days."""
    recency = recency_of(
        states,
        sends.decided_at,
        sends.item.astype(np.int32)[:, None],
        sends.variant.astype(np.int32)[:, None],
        catalog.items.hashes,
        catalog.variants.buckets,
        lives,
    )
    found = {name: getattr(recency, name).reshape(len(states)) for name in REMEMBERED}
    return replace(sends, **found)


def _bare(material: Material, tastes: Tastes, profile: np.ndarray, sent: np.ndarray) -> Sends:
    """The pushes of decisions `sent`, by index (S,), as if nothing was remembered before them."""
    catalog, some = material.catalog, material.decisions.only(sent)
    rows = np.arange(len(sent))
    item, variant = some.items[rows, some.k], some.variants[rows, some.v]
    standard, _, _ = _standard(catalog)
    followed = material.followed
    outcome = np.stack(
        [
            followed.opened | followed.clicked,
            followed.clicked,
            followed.value > 0,
            followed.dismissed,
            followed.unsubscribed,
        ],
        1,
    )[sent]
    zone = material.events.zone[some.owner]
    return Sends(
        user=some.owner.astype(np.int64),
        item=item.astype(np.int64),
        variant=variant.astype(np.int64),
        bucket=catalog.variants.buckets[variant].astype(np.int64),
        hour=some.h.astype(np.int64),
        weekday=(local_day(some.decided_at, zone) + 3) % 7,
        item_features=standard[item].astype(np.float32),
        liking=(tastes.user[some.owner] * tastes.item[item]).sum(1).astype(np.float32),
        profile=profile[some.owner, some.h],
        **{name: np.zeros(len(sent), np.float32) for name in REMEMBERED},
        outcome=outcome.astype(np.float32),
        decided_at=some.decided_at,
    )


def _standard(catalog: Catalog) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardised item features (I, 2), their means (2,) and standard deviations (2,)."""
    raw = item_features(catalog)
    center, scale = raw.mean(0), raw.std(0)
    scale = np.where(scale > 1e-6, scale, 1.0)
    return (raw - center) / scale, center, scale


def _tuned(
    material: Material,
    tastes: Tastes,
    profile: np.ndarray,
    sizes: Sizes,
    unseen: np.ndarray,
    report: Callable[[str], None],
) -> tuple[
    Widths,
    np.ndarray,
    dict[str, dict[str, float | None]],
    tuple[Sends, np.ndarray, Sends, np.ndarray, Sends],
]:
    """Widths and half-lives likeliest on the earlier pushes, and how all heads do on the later
    ones and for users (U,) bool that are left out."""
    at = material.decisions.decided_at[material.decisions.sent]
    split = np.quantile(at, 1 - HELD_OUT)
    early, late = at <= split, at > split

    report("half-lives of fatigue, wear-out and repetition")
    lives, start = _half_lives(material, tastes, profile, sizes, early)
    sends = sends_of(material, tastes, profile, lives)
    report("how much users differ")
    widths = likeliest_widths(start, sends.only(early), sizes.users)
    for _ in range(ROUNDS):
        start = fit_heads(sends.only(early), sizes, widths, EVERY, WARM, start)
        widths = likeliest_priors(start, sends.only(early), widths)
    strange = unseen[sends.user]
    known, judged = sends.only(early & ~strange), sends.only(late & ~strange)
    heads = fit_heads(known, sizes, widths, EVERY, COLD)
    probability = predicted(heads, judged)
    metrics: dict[str, dict[str, float | None]] = {}
    for head, name in enumerate(HEADS):
        mine, earlier = judged.asked[:, head], known.asked[:, head]
        outcome = judged.outcome[mine, head]
        rate = known.outcome[earlier, head].mean() if earlier.any() else 0.0
        metrics[name] = {
            "pushes": float(mine.sum()),
            "log_loss": log_loss(probability[mine, head], outcome),
            "log_loss_of_rate": log_loss(np.full(len(outcome), rate), outcome),
        }
        if not len(outcome):  # JSON has no NaN
            metrics[name] |= {"log_loss": None, "log_loss_of_rate": None}
    others = sends.only(strange)
    return widths, lives, metrics, (judged, probability, others, predicted(heads, others), known)


def _half_lives(
    material: Material, tastes: Tastes, profile: np.ndarray, sizes: Sizes, early: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Half-lives (4,) with the highest posterior on the pushes `early` (S,) bool, one after the
    other, and parameters fitted with them. Later pushes would judge worse: with time all decayed
    counts grow, so on them luck of a few days passes for a half-life."""
    lives, best, widths = PLAIN.copy(), np.inf, Widths()
    heads = None
    sent = np.flatnonzero(material.decisions.sent)
    bare, states = _bare(material, tastes, profile, sent), _states(material, sent)
    for place, values in enumerate(TRIED):
        for value in values:
            tried = lives.copy()
            tried[place] = value
            sends = _remembering(bare, material.catalog, states, tried).only(early)
            # From scratch it takes long to come so near that costs can be compared.
            steps = COLD if heads is None else WARM
            found = fit_heads(sends, sizes, widths, JUDGED, steps, heads)
            worth = cost(found, sends, widths, JUDGED)
            if worth < best:
                best, lives, heads = worth, tried, found
    assert heads is not None
    return lives, heads


def _drawn_again(users: int, seed: int) -> np.ndarray:
    """How often each user counts in each member of the ensemble (MEMBERS, U) float32: the
    bootstrap over users, whose days hang together."""
    rng = np.random.default_rng([seed, MEMBERS])
    return rng.multinomial(users, np.full(users, 1 / users), MEMBERS).astype(np.float32)


def _model(
    catalog: Catalog, tastes: Tastes, heads: dict[str, np.ndarray], lives: np.ndarray
) -> ResponseModel:
    _, center, scale = _standard(catalog)
    names = np.unique(catalog.items.categories)
    own = {
        name: heads[name]
        for name in ("base", "weekday", "hour", "item_weight", "item_effect", "variant_effect")
    }
    weights = {
        name: heads[name]
        for name in ResponseModel.__dataclass_fields__
        if name.endswith("_weight") and name not in own
    }
    arrays = {
        **own,
        **weights,
        "style": heads["style"],
        "item_center": center,
        "item_scale": scale,
        "item_taste": tastes.item,
        "category_taste": tastes.category,
        "half_lives": lives,
    }
    return ResponseModel(
        **{name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()},
        item_hash=catalog.items.hashes,
        category_hash=hash_ids(names),
        variant_hash=catalog.variants.hashes,
    )


def _traits(
    material: Material,
    tastes: Tastes,
    profile: np.ndarray,
    heads: dict[str, np.ndarray],
    sends: Sends,
    widths: Widths,
) -> np.ndarray:
    """Traits (U,) `TRAITS`, variances by Laplace's approximation where a head sees them."""
    traits = np.zeros(len(material.events.user_ids), TRAITS)
    traits["taste"], traits["hours"] = tastes.user, profile
    for name in ("styles", "openness", "tolerance", "price"):
        traits[name] = heads[name]
    probability = predicted(heads, sends)
    known = probability * (1 - probability) * sends.asked
    seen = np.bincount(sends.user, known[:, OPEN], minlength=len(traits))
    traits["openness_var"] = 1 / (1 / widths.openness**2 + seen)
    eased = (
        heads["fatigue_weight"][DISMISS] * sends.fatigue * np.exp(-heads["tolerance"][sends.user])
    )
    borne = np.bincount(sends.user, known[:, DISMISS] * (1 + eased) ** 2, minlength=len(traits))
    traits["tolerance_var"] = 1 / (1 / widths.tolerance**2 + borne)
    traits["taste_var"] = tastes.variance
    traits["known"] = 1
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


def organic_of(habits: Habits, tastes: Tastes, met: Counts) -> Organic:
    """Habits with a list of each user's likeliest items; what was met counts beside the taste.

    What users meet is Dirichlet-multinomial about their tastes. What lies beyond the lists is
    drawn from the mean of all users there, so that together they are as likely as they were.
    """
    users, items = met.shape
    size = fit_concentration(met, _preferred(tastes, met))
    length = min(OWN_ITEMS, items)
    own, weight = np.zeros((users, length), np.int32), np.zeros((users, length))
    often = habits.visits.sessions * habits.ends.sum(1) / habits.ends[:, 0]
    popularity = np.full(items, 1e-9)
    for rows in met.blocks():
        score = tastes.preference(rows).astype(np.float64) * size + met.dense(rows)
        score /= score.sum(1, keepdims=True)
        own[rows] = np.argsort(-score, axis=1, kind="stable")[:, :length]
        weight[rows] = np.take_along_axis(score, own[rows], 1)
        np.put_along_axis(score, own[rows], 0.0, 1)
        popularity += often[rows] @ score
    single = {
        name: getattr(habits, name).astype(np.float32)
        for name in ("weekday", "hours", "ends", "buy", "spend")
    }
    visits = habits.visits
    return Organic(
        **single,
        **{
            name: getattr(visits, name).astype(np.float32)
            for name in ("sessions", "shape", "alive", "staying")
        },
        leaving=visits.leaving,
        touches=(habits.ends.sum(1) / habits.ends[:, 0]).astype(np.float32),
        own=weight.sum(1).clip(max=1.0).astype(np.float32),
        own_items=own,
        own_weight=(weight / weight.sum(1, keepdims=True)).astype(np.float32),
        popularity=(popularity / popularity.sum()).astype(np.float32),
        view=habits.view,
        cart=habits.cart,
        satiation=habits.satiation,
        satiation_days=SATED_FOR,
    )


def _preferred(tastes: Tastes, met: Counts) -> np.ndarray:
    """Probability (n,) float32 of what was met, by taste alone."""
    parts = []
    for rows in met.blocks():
        pairs = met.of_pairs(rows)
        parts.append(tastes.preference(rows)[met.user[pairs] - rows.start, met.item[pairs]])
    return np.concatenate(parts)


def _recommender(material: Material, acts: Acts) -> Recommender:
    """The lists that the log showed, where it shows any."""
    catalog, decisions = material.catalog, material.decisions
    logged = material.log.meta.candidates != NONE
    size = max(decisions.items.shape[1], 1) if logged else 10
    popular = OwnPopular.fit(
        catalog.items.hashes[acts.item], acts.at, catalog, material.until, size
    )
    if not logged:
        return popular
    return Logged.fit(material.events.hashes[decisions.owner], decisions.items, popular)
