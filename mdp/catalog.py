"""The catalogue as arrays: items and copy variants, addressed by row within one process.

Rows are never stored; files and logs hold ids, and History holds hashes of ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mdp.clock import NEVER
from mdp.hashing import content_hash, hash_ids, style_bucket

DEFAULT_MARGIN = 0.25
APPROVED = "approved"


@dataclass(frozen=True)
class Items:
    """What can be pushed: I items."""

    ids: tuple[str, ...]
    """Item ids (I,)."""
    titles: tuple[str, ...]
    """Titles (I,)."""
    categories: tuple[str, ...]
    """Category names (I,)."""
    brands: tuple[str, ...]
    """Brand names (I,)."""
    price: np.ndarray
    """Price (I,) float32, currency units."""
    list_price: np.ndarray
    """Price before discount (I,) float32; the price where there is none."""
    margin: np.ndarray
    """Share of the price that is earned (I,) float32."""
    stock: np.ndarray
    """Units in stock (I,) float32; infinite where not given."""
    available_until: np.ndarray
    """Instant from which the item can't be bought (I,) int64, `NEVER` for none."""
    hashes: np.ndarray = field(init=False)
    """Hashes of the ids (I,) uint64."""
    shown: np.ndarray = field(init=False, repr=False)
    """What an observation shows of an item whoever is asked: logarithm of the price, discount and
    margin (I, 3) float32."""
    worth: np.ndarray = field(init=False, repr=False)
    """What selling one earns (I,) float32, currency units."""
    by_hash: np.ndarray = field(init=False, repr=False)
    """Rows (I,) int64 in the order of their hashes."""
    row: dict[str, int] = field(init=False, repr=False)
    """Row by item id."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hashes", hash_ids(self.ids))
        object.__setattr__(self, "by_hash", np.argsort(self.hashes))
        price = np.maximum(self.price, 0.01)
        listed = np.maximum(np.maximum(self.list_price, self.price), 0.01)
        shown = np.stack([np.log(price), 1.0 - self.price / listed, self.margin], 1)
        object.__setattr__(self, "shown", shown.astype(np.float32))
        object.__setattr__(self, "worth", (self.margin * self.price).astype(np.float32))
        object.__setattr__(self, "row", {item: i for i, item in enumerate(self.ids)})

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Variants:
    """How it can be said: W variants of copy, templates with `{item}`, `{price}`, …"""

    ids: tuple[str, ...]
    """Variant ids (W,)."""
    styles: tuple[str, ...]
    """Style names (W,)."""
    locales: tuple[str, ...]
    """Locales (W,), "" for any."""
    titles: tuple[str, ...]
    """Title templates (W,)."""
    bodies: tuple[str, ...]
    """Body templates (W,)."""
    items: tuple[str, ...]
    """The one item that the copy is for (W,), "" for any."""
    segments: tuple[str, ...]
    """The one segment that the copy is for (W,), "" for any."""
    statuses: tuple[str, ...]
    """approved, draft or rejected (W,)."""
    refused: np.ndarray = field(init=False)
    """Whether the status is another than approved (W,) bool."""
    buckets: np.ndarray = field(init=False)
    """Style buckets (W,) int8."""
    hashes: np.ndarray = field(init=False)
    """Hashes of the ids (W,) uint64."""
    row: dict[str, int] = field(init=False, repr=False)
    """Row by variant id."""

    def __post_init__(self) -> None:
        buckets = np.array([style_bucket(style) for style in self.styles], np.int8)
        refused = np.array([status != APPROVED for status in self.statuses], bool)
        object.__setattr__(self, "refused", refused)
        object.__setattr__(self, "buckets", buckets)
        object.__setattr__(self, "hashes", hash_ids(self.ids))
        object.__setattr__(self, "row", {variant: i for i, variant in enumerate(self.ids)})

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Catalog:
    """Items and variants of a shop."""

    items: Items
    variants: Variants
    currency: str | None = None
    """What prices are in, such as GBP; None where the shop does not say."""

    @property
    def hash(self) -> str:
        """Content hash of all that a decision depends on."""
        items, variants = self.items, self.variants
        return content_hash(
            [items.ids, items.titles, items.categories, items.brands],
            items.price,
            items.list_price,
            items.margin,
            items.stock,
            items.available_until,
            [variants.ids, variants.styles, variants.locales, variants.titles, variants.bodies],
            [variants.items, variants.segments, variants.statuses],
        )


def simple_items(ids: Sequence[str], price: np.ndarray, categories: Sequence[str]) -> Items:
    """Items that only have an id, a price (I,) and a category: titles are the ids."""
    price = np.asarray(price, np.float32)
    size = len(ids)
    return Items(
        ids=tuple(ids),
        titles=tuple(ids),
        categories=tuple(categories),
        brands=("",) * size,
        price=price,
        list_price=price,
        margin=np.full(size, DEFAULT_MARGIN, np.float32),
        stock=np.full(size, np.inf, np.float32),
        available_until=np.full(size, NEVER),
    )


def simple_variants(ids: Sequence[str], styles: Sequence[str]) -> Variants:
    """Approved variants for any item, segment and locale."""
    size = len(ids)
    return Variants(
        ids=tuple(ids),
        styles=tuple(styles),
        locales=("",) * size,
        titles=("{item}",) * size,
        bodies=("{price}",) * size,
        items=("",) * size,
        segments=("",) * size,
        statuses=(APPROVED,) * size,
    )
