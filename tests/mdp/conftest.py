"""A small catalogue and random lives of users, for the tests of the decision problem."""

import numpy as np
import pytest

from mdp.catalog import Catalog, simple_items, simple_variants
from mdp.clock import DAY, HOUR, zone_codes
from mdp.events import Kind, event_order, events_array
from mdp.hashing import STYLE_BUCKETS, hash_ids
from mdp.observation import Requests
from mdp.reasons import catalog_reasons
from mdp.response import HEADS, ResponseModel
from mdp.state import TASTE, TRAITS, apply, new_histories
from mdp.wording import WORDING

START = 20_000 * DAY
AT = 20_021 * DAY + 7 * HOUR
"""When decisions are made."""
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "")


@pytest.fixture
def catalog() -> Catalog:
    items = simple_items(
        [f"i{n}" for n in range(6)], np.linspace(5, 50, 6), ["a", "a", "b", "b", "c", "c"]
    )
    return Catalog(items, simple_variants(["v0", "v1", "v2"], ["plain", "urgent", "warm"]))


@pytest.fixture
def model(catalog) -> ResponseModel:
    """A response model with random parameters for all but the last item and variant."""
    rng = np.random.default_rng(7)
    H = len(HEADS)

    def draw(*shape: int) -> np.ndarray:
        return (0.3 * rng.normal(size=shape)).astype(np.float32)

    weights = {
        name: draw(H)
        for name in ResponseModel.__dataclass_fields__
        if name.endswith("_weight") and name not in ("item_weight", "variant_weight")
    }
    return ResponseModel(
        **weights,
        base=np.array([-2, -1, -2, -3, -5], np.float32),
        weekday=draw(7, H),
        hour=draw(24, H),
        item_weight=draw(2, H),
        item_center=np.array([3, 0], np.float32),
        item_scale=np.array([1, 0.2], np.float32),
        item_hash=catalog.items.hashes[:5],
        item_effect=draw(5, H),
        item_taste=draw(5, TASTE),
        category_hash=hash_ids(["a", "b", "c"]),
        category_taste=draw(3, TASTE),
        variant_hash=catalog.variants.hashes[:2],
        variant_effect=draw(2, H),
        style=draw(STYLE_BUCKETS, H),
        half_lives=np.array([3, 7, 10, 30], np.float32),
        variant_weight=draw(len(WORDING), H),
    )


@pytest.fixture
def traits() -> np.ndarray:
    """Random traits of five users."""
    rng = np.random.default_rng(8)
    traits = np.zeros(5, TRAITS)
    for name in ("taste", "hours", "styles", "openness", "tolerance", "price", "habit"):
        traits[name] = rng.normal(size=traits[name].shape)
    for name in ("openness_var", "tolerance_var", "taste_var"):
        traits[name] = rng.uniform(0, 0.5, len(traits))
    return traits


@pytest.fixture
def lives():
    """Makes `(owner, events)` in order: U users' visits, decisions, sends and outcomes."""

    def make(seed: int, users: int = 5, size: int = 60) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        items = hash_ids([f"i{n}" for n in range(6)])
        events = events_array(size)
        owner = rng.integers(users, size=size)
        events["at"] = START + rng.integers(0, 20 * DAY // HOUR, size) * HOUR
        organic = [Kind.VIEW, Kind.CART, Kind.PURCHASE, Kind.HOLD, Kind.SEND, Kind.CONSENT]
        events["kind"] = rng.choice(organic, size, p=[0.3, 0.1, 0.1, 0.1, 0.35, 0.05])
        events["id"] = rng.permutation(size) + 1
        events["item"] = rng.choice(items, size)
        events["hour"] = rng.integers(24, size=size)
        events["value"] = rng.random(size) < 0.9
        sends = np.flatnonzero(events["kind"] == Kind.SEND)
        events["decision"][sends] = events["id"][sends]
        events["send_at"][sends] = events["at"][sends] + rng.integers(0, 20, len(sends)) * HOUR
        events["style"][sends] = rng.integers(16, size=len(sends))
        follow = events[sends].copy()
        kinds = [Kind.OPENED, Kind.CLICKED, Kind.DISMISSED, Kind.CANCELLED, Kind.FAILED, Kind.MOVED]
        follow["kind"] = rng.choice(kinds, len(sends))
        follow["at"] = follow["send_at"] + rng.integers(-3, 30, len(sends)) * HOUR
        follow["at"] = np.maximum(follow["at"], events["at"][sends])
        follow["id"] = size + 1 + np.arange(len(sends))
        moved = follow["kind"] == Kind.MOVED
        follow["send_at"] = np.where(moved, follow["send_at"] + HOUR, follow["send_at"])
        owner = np.concatenate([owner, owner[sends]])
        events = np.concatenate([events, follow])
        order = event_order(owner, events)
        return owner[order], events[order]

    return make


@pytest.fixture
def requests(catalog, lives) -> Requests:
    owner, events = lives(4)
    early = events["at"] < AT
    histories = new_histories(5)
    apply(histories, owner[early], events[early])
    histories["unsubscribed"][2] = 1
    rng = np.random.default_rng(0)
    items = np.stack([rng.permutation(6)[:4] for _ in range(5)]).astype(np.int32)
    items[1, 3] = -1
    variants = np.tile(np.array([0, 1, 2], np.int32), (5, 1))
    at = np.full(5, AT)
    item, variant = catalog_reasons(catalog, items, variants, at)
    return Requests(histories, at, zone_codes(ZONES), items, variants, item, variant)
