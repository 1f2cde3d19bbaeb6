"""The recommender of a fitted simulator: what its users are offered."""

from __future__ import annotations

import numpy as np

from generation.candidates.base import Recommender, catalog_rows
from generation.candidates.collaborative import MOST_ITEMS
from generation.candidates.interactions import Interactions, interactions_among
from generation.candidates.logged import Logged
from generation.candidates.own_popular import OwnPopular
from generation.candidates.prepare import ranked_of
from ingestion.log import NONE
from mdp.events import Kind
from simulator.habits import Acts
from simulator.material import Material


def candidates_of(material: Material, acts: Acts) -> Recommender:
    """The lists that the log showed, where it shows any; else the hybrid's lists for everyone."""
    catalog, decisions = material.catalog, material.decisions
    logged = material.rest.meta.candidates != NONE
    size = max(decisions.items.shape[1], 1) if logged else 10
    popular = OwnPopular.fit(
        catalog.items.hashes[acts.item], acts.at, catalog, material.until, size
    )
    if not logged and len(acts.item) and len(catalog.items) <= MOST_ITEMS:
        return ranked_of(_interactions(material), catalog, size)
    if not logged:
        return popular
    return Logged.fit(material.events.hashes[decisions.owner], decisions.items, popular)


def _interactions(material: Material) -> Interactions:
    """All views, carts and purchases, those that a push brought among them."""
    events, owner = material.events.events, material.events.owner
    rows = np.flatnonzero((events["kind"] >= Kind.VIEW) & (events["kind"] <= Kind.PURCHASE))
    items = catalog_rows(material.catalog, events["item"][rows]).astype(np.int64)
    rows, items = rows[items >= 0], items[items >= 0]
    return interactions_among(
        material.rest,
        material.events.user_ids,
        owner[rows],
        items,
        events["at"][rows],
        events["kind"][rows] == Kind.PURCHASE,
        material.until,
    )
