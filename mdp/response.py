"""Response model: the probability of each outcome of a send, additive on the logit scale.

Five heads, each conditional on the one before it, so that a send's outcomes are a chain: open
given send; click given open; purchase given click; dismissal given send and no open;
unsubscribe given send. A head's logit is base + item + variant + hour terms, so K + V + 24
evaluations give the logits of all actions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np

from mdp.additive import terms_all, terms_scratch
from mdp.catalog import Catalog, Items
from mdp.errors import BadArtifact
from mdp.hashing import STYLE_BUCKETS, content_hash, hash_ids
from mdp.item_words import known_words
from mdp.local_time import local_day
from mdp.recency import Recency, recency_of
from mdp.special_days import NO_DAYS, by_day
from mdp.state import TASTE, TRAITS
from mdp.wording import WORDING, standard_wording, wording

HEADS = ("open", "click", "purchase", "dismiss", "unsubscribe")
ITEM_FEATURES = ("log_price", "discount")
_SPECIAL = ("special_day", "special_effect")


@dataclass(frozen=True)
class Terms:
    """Additive logits of N decisions, one column a head (H = 5), float32."""

    base: np.ndarray
    """(N, H)"""
    item: np.ndarray
    """(N, K, H)"""
    variant: np.ndarray
    """(N, V, H)"""
    hour: np.ndarray
    """(N, 24, H)"""
    recency: Recency
    cloglog: np.ndarray = field(
        default_factory=lambda: np.zeros(len(HEADS), np.bool_), metadata={"rows": False}
    )
    """Heads (H,) bool whose terms are on the complementary log-log scale, p = 1 - exp(-exp(η)),
    in place of the logit's."""


class Response(Protocol):
    """What answers "how would these users respond": a fitted model or a world's truth."""

    @property
    def half_lives(self) -> np.ndarray:
        """See `Truth.half_lives`."""
        ...

    def terms(
        self,
        states: np.ndarray,
        traits: np.ndarray,
        items: np.ndarray,
        variants: np.ndarray,
        decided_at: np.ndarray,
        zone: np.ndarray,
        recency: Recency | None = None,
    ) -> Terms:
        """Logits of N decisions.

        states: (N,) `HISTORY` as `state.features` gives it. traits: (N,) `TRAITS`. items: (N, K)
        and variants: (N, V) int32 catalogue rows, -1 for padding. decided_at: (N,) int64.
        zone: (N,) int16. recency: what `half_lives` make of the states, by one who knows it
        already; then the states are not read.
        """
        ...


class Truth(Protocol):
    """Parameters of users' responses, of whatever form: a `ResponseModel`, or a world's truth."""

    kind: ClassVar[str]
    """What the form is called in a saved simulator."""

    @property
    def half_lives(self) -> np.ndarray:
        """Days in which fatigue, wear, repetition and bought halve (4,)."""
        ...

    @property
    def fatigue_weight(self) -> np.ndarray:
        """Times how far fatigue × exp(-tolerance) is above `knee` (H,)."""
        ...

    @property
    def knee(self) -> float:
        """Fatigue × exp(-tolerance) up to which it does nothing."""
        ...

    @property
    def cloglog(self) -> np.ndarray:
        """Heads (H,) bool with the complementary log-log link."""
        ...

    @property
    def hash(self) -> str:
        """Content hash of the parameters."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """All parameters by name."""
        ...

    def bind(self, catalog: Catalog) -> Response:
        """What answers, over a catalogue's rows."""
        ...


@dataclass(frozen=True)
class ResponseModel:
    """Parameters of an additive response model; H = 5 heads. All float32.

    `bind` aligns them with a catalogue and gives the `Response`.
    """

    base: np.ndarray
    """Intercepts (H,)."""
    weekday: np.ndarray
    """Effect of the local weekday, Monday first (7, H)."""
    hour: np.ndarray
    """Effect of the hour (24, H)."""
    hours_weight: np.ndarray
    """Times the user's hour profile (H,)."""
    openness_weight: np.ndarray
    """Times the user's openness (H,)."""
    tolerance_weight: np.ndarray
    """Times the user's tolerance (H,)."""
    fatigue_weight: np.ndarray
    """Times how far fatigue × exp(-tolerance) is above the threshold (H,)."""
    item_weight: np.ndarray
    """Times the standardised `ITEM_FEATURES` (2, H)."""
    item_center: np.ndarray
    """Means of the item features (2,)."""
    item_scale: np.ndarray
    """Standard deviations of the item features (2,)."""
    item_hash: np.ndarray
    """Hashes of the items that were fitted (I,) uint64."""
    item_effect: np.ndarray
    """Shrunken effect of each fitted item (I, H)."""
    item_taste: np.ndarray
    """Embedding of each fitted item (I, 8)."""
    category_hash: np.ndarray
    """Hashes of the categories that were fitted (C,) uint64."""
    category_taste: np.ndarray
    """Embedding that an item never seen takes from its category (C, 8)."""
    taste_weight: np.ndarray
    """Times the inner product of user taste and item embedding (H,)."""
    price_weight: np.ndarray
    """Times the user's price sensitivity × the item's standardised log price (H,)."""
    repetition_weight: np.ndarray
    """Times repetition (H,)."""
    bought_weight: np.ndarray
    """Times bought (H,)."""
    views_weight: np.ndarray
    """Times the user's own views (H,)."""
    variant_hash: np.ndarray
    """Hashes of the variants that were fitted (W,) uint64."""
    variant_effect: np.ndarray
    """Shrunken effect of each fitted variant (W, H)."""
    style: np.ndarray
    """Effect of a style bucket (16, H)."""
    styles_weight: np.ndarray
    """Times the user's response to the style (H,)."""
    wear_weight: np.ndarray
    """Times wear (H,)."""
    half_lives: np.ndarray
    """Days in which fatigue, wear, repetition and bought halve (4,)."""
    variant_weight: np.ndarray = field(
        default_factory=lambda: np.zeros((len(WORDING), len(HEADS)), np.float32)
    )
    """Times the standardised `WORDING` of a variant (F, H); 0 in models saved without it."""
    variant_center: np.ndarray = field(default_factory=lambda: np.zeros(len(WORDING), np.float32))
    """Means of the wording (F,)."""
    variant_scale: np.ndarray = field(default_factory=lambda: np.ones(len(WORDING), np.float32))
    """Standard deviations of the wording (F,)."""
    weekday_hour: np.ndarray = field(
        default_factory=lambda: np.zeros((7, 24, len(HEADS)), np.float32)
    )
    """Effect of the hour on a weekday, beside that of either (7, 24, H); 0 in models saved without
    it."""
    uncertainty_weight: np.ndarray = field(default_factory=lambda: np.zeros(len(HEADS), np.float32))
    """How far the variances of a user's traits count (H,). 1: predictions are means over all that
    the user may be, as a draw of users has them; 0, as in models saved without it: they are those
    of the user as believed, which are lower where outcomes are rare."""
    threshold: np.ndarray = field(default_factory=lambda: np.zeros(1, np.float32))
    """Fatigue × exp(-tolerance) (1,) up to which it does nothing, at least 0; 0 in models saved
    without it."""
    word_hash: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    """Hashes of the words that fitted items share (Q,) uint64; none in models saved without
    them."""
    word_taste: np.ndarray = field(default_factory=lambda: np.zeros((0, TASTE), np.float32))
    """Embedding that an item never seen takes from each, beside its category's (Q, 8)."""
    special_day: np.ndarray = field(default_factory=lambda: NO_DAYS)
    """Special days, past and to come, local dates since 1970 (D,) int32, ascending; none in models
    saved without them."""
    special_effect: np.ndarray = field(
        default_factory=lambda: np.zeros((0, len(HEADS)), np.float32)
    )
    """What each does beside its weekday (D, H)."""
    kind: ClassVar[str] = "additive"

    def __post_init__(self) -> None:
        H = len(HEADS)
        expected = {
            "base": (H,),
            "weekday": (7, H),
            "hour": (24, H),
            "item_weight": (len(ITEM_FEATURES), H),
            "item_effect": (len(self.item_hash), H),
            "item_taste": (len(self.item_hash), TASTE),
            "category_taste": (len(self.category_hash), TASTE),
            "word_taste": (len(self.word_hash), TASTE),
            "variant_effect": (len(self.variant_hash), H),
            "style": (STYLE_BUCKETS, H),
            "half_lives": (4,),
        }
        expected |= {f.name: (H,) for f in fields(self) if f.name.endswith("_weight")} | {
            "item_weight": (len(ITEM_FEATURES), H),
            "variant_weight": (len(WORDING), H),
            "variant_center": (len(WORDING),),
            "variant_scale": (len(WORDING),),
            "weekday_hour": (7, 24, H),
            "threshold": (1,),
            "special_effect": (len(self.special_day), H),
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if array.shape != shape or not np.isfinite(array).all():
                raise BadArtifact(
                    f"response model: {name} is {array.shape}, expected finite numbers of {shape}"
                )
        if (np.diff(self.special_day) <= 0).any():
            raise BadArtifact("response model: its special days are not ascending")

    def arrays(self) -> dict[str, np.ndarray]:
        """All parameters by name; those of special days where there are any."""
        names = [field.name for field in fields(self)]
        kept = names if len(self.special_day) else [n for n in names if n not in _SPECIAL]
        return {name: getattr(self, name) for name in kept}

    @property
    def knee(self) -> float:
        """See `Truth.knee`."""
        return float(self.threshold[0])

    @property
    def cloglog(self) -> np.ndarray:
        """No head (H,) bool has another link than the logit's."""
        return np.zeros(len(HEADS), np.bool_)

    @property
    def hash(self) -> str:
        """Content hash of the parameters."""
        return content_hash(*self.arrays().values())

    def bind(self, catalog: Catalog) -> BoundModel:
        """The model over a catalogue's rows; items and variants never fitted get no effect of
        their own, only what their features say, and an item never fitted takes the embedding of
        its category and of the words of its title and brand."""
        items, variants = catalog.items, catalog.variants
        features = (item_features(catalog) - self.item_center) / self.item_scale
        effect = _rows(self.item_hash, self.item_effect, items.hashes)
        words = wording(variants.titles, variants.bodies)
        said = standard_wording(words, self.variant_center, self.variant_scale)
        own = _rows(self.variant_hash, self.variant_effect, variants.hashes)
        copy = self.style[variants.buckets] + said @ self.variant_weight + own
        return BoundModel(
            self,
            item_hash=items.hashes,
            item_term=(features @ self.item_weight + effect).astype(np.float32),
            item_taste=self._tastes(items),
            item_price=features[:, 0].astype(np.float32),
            variant_term=copy.astype(np.float32),
            bucket=variants.buckets,
        )

    def _tastes(self, items: Items) -> np.ndarray:
        """Embeddings (I, 8) of items."""
        taste = _rows(self.item_hash, self.item_taste, items.hashes)
        new = np.flatnonzero(~np.isin(items.hashes, self.item_hash))
        category = hash_ids(items.categories[row] for row in new)
        words = known_words(items, new, self.word_hash).summed(self.word_taste, len(new))
        taste[new] = _rows(self.category_hash, self.category_taste, category) + words
        return taste


def item_features(catalog: Catalog) -> np.ndarray:
    """`ITEM_FEATURES` of each item (I, 2) float64, not standardised."""
    items = catalog.items
    price = np.maximum(items.price.astype(np.float64), 0.01)
    listed = np.maximum(items.list_price.astype(np.float64), price)
    return np.stack([np.log(price), 1.0 - price / listed], 1)


def _rows(known: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Rows of `values` by hash, zeros for a hash that is not known."""
    out = np.zeros((len(wanted), values.shape[1]), np.float32)
    if len(known):
        order = np.argsort(known)
        place = np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)
        found = known[order][place] == wanted
        out[found] = values[order][place[found]]
    return out


@dataclass(frozen=True)
class BoundModel:
    """A response model aligned with a catalogue's rows."""

    model: ResponseModel
    item_hash: np.ndarray
    """(I,) uint64"""
    item_term: np.ndarray
    """(I, H)"""
    item_taste: np.ndarray
    """(I, 8)"""
    item_price: np.ndarray
    """Standardised log price (I,)."""
    variant_term: np.ndarray
    """(W, H)"""
    bucket: np.ndarray
    """Style buckets (W,) int8."""

    @property
    def half_lives(self) -> np.ndarray:
        """See `Truth.half_lives`."""
        return self.model.half_lives

    def terms(
        self,
        states: np.ndarray,
        traits: np.ndarray,
        items: np.ndarray,
        variants: np.ndarray,
        decided_at: np.ndarray,
        zone: np.ndarray,
        recency: Recency | None = None,
    ) -> Terms:
        """See `Response.terms`."""
        model, H = self.model, len(HEADS)
        (N, K), V = items.shape, variants.shape[1]
        if traits.dtype != TRAITS or len(traits) != N:
            raise TypeError(f"traits must be ({N},) TRAITS")
        if recency is None:
            recency = recency_of(
                states, decided_at, items, variants, self.item_hash, self.bucket, model.half_lives
            )
        base = np.empty((N, H), np.float32)
        # Heads first in memory: one after the other is how they are worked on.
        item, variant, hour = (np.empty((N, H, M), np.float32) for M in (K, V, 24))
        terms_all(
            self.parameters,
            traits,
            (items, variants),
            local_day(decided_at, zone),
            (recency.fatigue, recency.repetition, recency.wear, recency.bought, recency.views),
            terms_scratch(H, K),
            (base, item, variant, hour),
        )
        item, variant, hour = (array.transpose(0, 2, 1) for array in (item, variant, hour))
        return Terms(base, item, variant, hour, recency)

    @cached_property
    def parameters(self) -> tuple[tuple[np.ndarray, ...], ...]:
        """What `terms_all` takes: of the base, items, variants and hours."""
        model = self.model
        own_item = (self.item_term, self.item_taste, self.item_price)
        of_base = (model.openness_weight, model.tolerance_weight, model.fatigue_weight)
        unsure = (model.taste_weight, model.uncertainty_weight)
        of_item = (model.taste_weight, model.price_weight, model.repetition_weight)
        days = by_day(model.weekday, model.special_day, model.special_effect)
        hours = np.ascontiguousarray((model.hour + model.weekday_hour).transpose(0, 2, 1))
        return (
            (model.base, days, model.special_day, *of_base, *unsure, model.threshold),
            (*own_item, *of_item, model.bought_weight, model.views_weight),
            (self.variant_term, self.bucket, model.styles_weight, model.wear_weight),
            (hours, model.hours_weight),
        )
