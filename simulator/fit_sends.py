"""A log's pushes as the response heads see them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mdp.catalog import Catalog
from mdp.local_time import local_day
from mdp.recency import recency_of
from mdp.response import item_features
from mdp.state import features
from mdp.wording import standard_wording, wording
from simulator.fit_delays import waits_of
from simulator.fit_tastes import Tastes
from simulator.material import Material
from simulator.sends import Sends

REMEMBERED = ("fatigue", "repetition", "wear", "bought", "views")
"""What half-lives and histories say of a push."""


def sends_of(material: Material, tastes: Tastes, profile: np.ndarray, lives: np.ndarray) -> Sends:
    """The log's pushes as the heads see them; lives: half-lives (4,), days."""
    sent = np.flatnonzero(material.decisions.sent)
    out = bare(material, tastes, profile, sent)
    for part in material.parts(sent):
        some = out.only(part)
        some = remembering(some, material.catalog, states_of(material, sent[part]), lives)
        for name in REMEMBERED:
            getattr(out, name)[part] = getattr(some, name)
    return out


def states_of(material: Material, which: np.ndarray) -> np.ndarray:
    """Histories (N,) `HISTORY` that some decisions, by index (N,), found, decayed until then."""
    asked = material.requests(which)
    return features(asked.histories, asked.decided_at)


def remembering(sends: Sends, catalog: Catalog, states: np.ndarray, lives: np.ndarray) -> Sends:
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


def bare(material: Material, tastes: Tastes, profile: np.ndarray, sent: np.ndarray) -> Sends:
    """The pushes of decisions `sent`, by index (S,), as if nothing was remembered before them."""
    catalog, some = material.catalog, material.decisions.only(sent)
    rows = np.arange(len(sent))
    item, variant = some.items[rows, some.k], some.variants[rows, some.v]
    measured, _, _ = standard(material)
    said, _, _ = standard_copy(material)
    day = local_day(some.decided_at, material.events.zone[some.owner])
    return Sends(
        user=some.owner.astype(np.int64),
        item=item.astype(np.int64),
        variant=variant.astype(np.int64),
        bucket=catalog.variants.buckets[variant].astype(np.int64),
        hour=some.h.astype(np.int64),
        weekday=(day + 3) % 7,
        special=material.special.rows(day),
        item_features=measured[item].astype(np.float32),
        wording=said,
        liking=(tastes.user[some.owner] * tastes.item[item]).sum(1).astype(np.float32),
        profile=profile[some.owner, some.h],
        **{name: np.zeros(len(sent), np.float32) for name in REMEMBERED},
        outcome=outcomes_of(material, sent),
        decided_at=some.decided_at,
        come=come_of(material, sent),
    )


def outcomes_of(material: Material, sent: np.ndarray) -> np.ndarray:
    """Opened, clicked, bought, dismissed, unsubscribed (S, 5) float32 of decisions `sent` (S,)."""
    return material.outcome[sent].astype(np.float32)


def come_of(material: Material, sent: np.ndarray) -> np.ndarray:
    """Whether each of these had the time to come before `material.until` (S, 5) bool: a push whose
    answer may still come was not refused."""
    return material.decisions.send_at[sent, None] + waits_of(material) <= material.until


def standard(material: Material) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardised item features (I, 2), and the means (2,) and standard deviations (2,) of the
    items offered before `material.until`: what a shop sells later changes nothing."""
    raw = item_features(material.catalog)
    center, scale = _spread(raw, material.decisions.items)
    return (raw - center) / scale, center, scale


def standard_copy(material: Material) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardised wording of the variants (W, F), and the means (F,) and standard deviations (F,)
    of those offered before `material.until`."""
    variants = material.catalog.variants
    raw = wording(variants.titles, variants.bodies)
    center, scale = _spread(raw, material.decisions.variants)
    return standard_wording(raw, center, scale), center, scale


def _spread(raw: np.ndarray, lists: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (F,) and standard deviations (F,) of features (n, F) over the rows in lists (N, K)."""
    offered = np.zeros(len(raw), bool)
    offered[lists[lists >= 0]] = True
    center, scale = (part(raw[offered], 0) for part in (np.mean, np.std))
    return center, np.where(scale > 1e-6, scale, 1.0)
