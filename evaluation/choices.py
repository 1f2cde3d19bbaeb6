"""What a policy, or the log itself, chooses for decisions of a log: by hour, category, style."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.special import logsumexp

from evaluation.replayed import Replayed, some
from mdp.actions import HOURS
from mdp.observation import USER, Requests, observe
from policies.baselines import predicted
from policies.composition import Distribution
from policies.saved import PolicyBundle, with_floor

_CHUNK = 1024
_SENDS, _VIEWS = (USER.index(name) for name in ("sends_7d", "organic_views_30d"))


@dataclass(frozen=True, eq=False)
class Chosen:
    """What one policy would do with n decisions; probabilities, without exploration."""

    send: np.ndarray
    """(n,)"""
    hour: np.ndarray
    """Of each hour (n, 24); sums to `send`."""
    offered: np.ndarray
    """Codes of the items that could be pushed (n, K) int64."""
    item: np.ndarray
    """Of each of them (n, K), likewise."""
    category: np.ndarray
    """Of each category (n, C), likewise."""
    style: np.ndarray
    """Of each style (n, S), likewise."""
    margin: np.ndarray
    """Score of the best send over a hold's (n,); log-odds where the policy draws; NaN where no
    send is allowed."""
    best: np.ndarray
    """Predicted reward of the best send now, currency units (n,); 0 without a model."""
    late: np.ndarray
    """Pushes of late (n,)."""
    views: np.ndarray
    """Visits of late (n,), half-life 30 days."""


@dataclass(frozen=True, eq=False)
class Names:
    """What items and copy are called in a picture."""

    category: np.ndarray
    """Code of each item's category (I,) int64."""
    categories: tuple[str, ...]
    style: np.ndarray
    """Code of each variant's style (W,) int64."""
    styles: tuple[str, ...]


def names_of(replay: Replayed) -> Names:
    """Categories and styles of the catalogue."""
    categories, category = np.unique(replay.catalog.items.categories, return_inverse=True)
    table = replay.log.tables["variants"].set_index("variant_id")["style"].fillna("")
    own = [str(table.get(name, "")) or name for name in replay.catalog.variants.ids]
    styles, style = np.unique(own, return_inverse=True)
    return Names(category, tuple(categories.tolist()), style, tuple(styles.tolist()))


def logged(replay: Replayed, rows: np.ndarray, names: Names) -> Chosen:
    """What the log did, as probabilities of 0 and 1."""
    found = replay.decisions.only(rows)
    n, sent = np.arange(len(rows)), found.sent
    item = found.items[n, found.k] if found.items.shape[1] else np.zeros(len(n), np.int32)
    variant = found.variants[n, found.v] if found.variants.shape[1] else np.zeros(len(n), np.int32)

    def flags(code: np.ndarray, size: int) -> np.ndarray:
        return (sent[:, None] & (code[:, None] == np.arange(size))).astype(np.float64)

    none = np.zeros(len(rows))
    return Chosen(
        sent.astype(np.float64),
        flags(found.h, HOURS),
        item.astype(np.int64)[:, None],
        sent.astype(np.float64)[:, None],
        flags(names.category[item], len(names.categories)),
        flags(names.style[variant], len(names.styles)),
        np.full(len(rows), np.nan),
        none,
        none,
        none,
    )


def faced(replay: Replayed, bundle: PolicyBundle, rows: np.ndarray, names: Names) -> Chosen:
    """What a policy would do, under its own guardrails."""
    requests = replay.requests(rows)
    traits = None
    if bundle.traits is not None:
        traits = bundle.traits.rows(replay.users.hashes[replay.decisions.owner[rows]])[0]
    model = None if bundle.model is None else bundle.model.bind(replay.catalog)
    policy, parts = with_floor(bundle, 0.0), []
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, min(start + _CHUNK, len(rows)))
        asked, own = some(requests, part), None if traits is None else traits[part]
        view = observe(asked, replay.catalog, bundle.guardrails, bundle.reward, model, own)
        seen = view.observation
        seen["action_mask"][:, -HOURS:] &= replay.hours[rows[part]]
        parts.append(_of(policy.distribution(seen), policy.temperature, seen, asked, names))
    return Chosen(
        *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Chosen))
    )


def _of(
    found: Distribution,
    temperature: float | None,
    seen: dict[str, np.ndarray],
    requests: Requests,
    names: Names,
) -> Chosen:
    can = found.masked.sendable
    send = np.where(can, found.send, 0.0)
    N, K = requests.items.shape
    V = requests.variants.shape[1]
    pair = found.pair.reshape(N, K, V) * send[:, None, None]
    scores = found.masked
    margin = np.full(N, np.nan)
    pairs, hours, hold = scores.pair[can], scores.hour[can], scores.hold[can]
    if temperature is None:
        margin[can] = pairs.max(1, initial=-np.inf) + hours.max(1) - hold
    else:  # from the scores, as the probability of a sure send is 1 to the last bit
        T = temperature
        margin[can] = logsumexp(pairs / T, 1) + logsumexp(hours / T, 1) - hold / T
    user = seen["user"].astype(np.float64)
    item = pair.sum(2)
    best = predicted(seen)[0].reshape(N, -1).max(1, initial=-np.inf) if K and V else np.zeros(N)
    return Chosen(
        send,
        found.hour * send[:, None],
        requests.items.astype(np.int64),
        item,
        _grouped(item, names.category[requests.items], len(names.categories)),
        _grouped(pair.sum(1), names.style[requests.variants], len(names.styles)),
        margin,
        best,
        np.expm1(user[:, _SENDS]),
        np.expm1(user[:, _VIEWS]),
    )


def _grouped(weights: np.ndarray, code: np.ndarray, size: int) -> np.ndarray:
    """Sums (n, size) of weights (n, M) by code (n, M)."""
    out = np.zeros((len(weights), size))
    np.add.at(out, (np.arange(len(weights))[:, None], code), weights)
    return out
