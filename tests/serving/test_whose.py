"""A policy that was trained for another shop never comes to decide."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mdp.clock import DAY, NEVER
from mdp.errors import BadInput
from mdp.guardrails import Guardrails
from mdp.hashing import hash_ids
from mdp.response import ResponseModel
from mdp.state import TRAITS
from policies.baselines import Hold
from policies.saved import PolicyBundle, TraitStore, save_policy
from serving.batch import open_night
from serving.schemas import iso
from serving.starting import prepare
from simulator.worlds.logit import LogitShop
from tests.serving.conftest import ITEMS, NOON, OPEN_RULES
from tests.serving.test_control import SENDS, decide, put

USERS = [f"u{n}" for n in range(8)]
SIGNED_UP = {user: NOON - (40 + n) * DAY for n, user in enumerate(USERS)}


def trained(shop, name, users, items, days=0):
    """A saved policy of a shop; its users signed up so many days later than the store's."""
    world = LogitShop().simulator(8, 0)
    hashes = hash_ids(users)
    order = np.argsort(hashes)
    default = np.zeros((), TRAITS)
    traits = TraitStore(hashes[order], np.full(len(users), default), default)
    told = [SIGNED_UP.get(users[n], NEVER) for n in order]
    signed_up = [None if at == NEVER else at // DAY + days for at in told]
    model = world.response
    assert isinstance(model, ResponseModel)
    known = np.resize(hash_ids(items), len(model.item_hash))
    bundle = PolicyBundle(
        Hold(),
        replace(model, item_hash=known),
        traits,
        guardrails=Guardrails(**OPEN_RULES, floor=0.0),
        manifest={"signed_up": signed_up, "trained_until": NOON},
    )
    save_policy(shop.path / name, bundle)
    return shop.path / name


def own(shop, name="own"):
    return trained(shop, name, [*USERS, "gone"], [row["item_id"] for row in ITEMS])


OTHERS: dict[str, dict[str, Any]] = {
    "no user and no item is known": {"users": ["x", "y"], "items": ["far"]},
    "of 8 users whom both name, 8 signed up on other days": {
        "users": USERS, "items": ["i0"], "days": 100,
    },
}  # fmt: skip


def serving(shop):
    client = shop.server(shop.policy("live", SENDS, floor=0.0))
    for user, at in SIGNED_UP.items():
        put(client, f"/v1/users/{user}", signed_up_at=iso(at), timezone="UTC", consent=True)
    return client


@pytest.mark.parametrize("why", OTHERS)
@pytest.mark.parametrize("kind", ["shop", "postgresql_shop"])
def test_another_shops_policy_is_refused_by_name_and_the_one_before_goes_on(kind, why, request):
    shop = request.getfixturevalue(kind)
    other = trained(shop, "other", **OTHERS[why])
    with serving(shop) as client:
        client.post("/v1/policies", json={"path": str(other)}).raise_for_status()
        refusals = [
            client.post("/v1/policies/other:activate"),
            client.put("/v1/experiment", json={"shadow": "other"}),
        ]
        for refused, field in zip(refusals, ("name", "shadow"), strict=True):
            assert (refused.status_code, refused.json()["field"]) == (409, field)
            assert "shop that policy other was trained for: " + why in refused.json()["detail"]
        with pytest.raises(BadInput, match=f"policy other was trained for: {why}"):
            prepare(shop.settings(), other, None, shop.clock())
        with pytest.raises(BadInput, match=f"policy other was trained for: {why}"):
            open_night(shop.settings(), other, shop.path / "n.csv", None, 0, shop.clock())
        assert client.get("/readyz").json()["policy"] == "live"
        assert decide(client, user_id="u3")["policy"] == "live"


@pytest.mark.parametrize("kind", ["shop", "postgresql_shop"])
def test_the_shops_own_policy_decides(kind, request):
    shop = request.getfixturevalue(kind)
    with serving(shop) as client:
        client.post("/v1/policies", json={"path": str(own(shop))}).raise_for_status()
        client.post("/v1/policies/own:activate").raise_for_status()
        assert decide(client, user_id="u3")["policy"] == "own"


def test_a_sign_up_that_may_be_made_of_the_first_event_tells_nothing(shop):
    """Users of whom the store heard first by an event may have signed up long before."""
    with shop.server(shop.policy("live", SENDS, floor=0.0)) as client:
        events = [
            {"user_id": user, "item_id": "i0", "event": "view", "at": iso(NOON - 100 * DAY)}
            for user in USERS
        ]
        client.post("/v1/events", json={"events": events}).raise_for_status()
        client.post("/v1/policies", json={"path": str(own(shop))}).raise_for_status()
        client.post("/v1/policies/own:activate").raise_for_status()


def test_any_policy_may_start_an_empty_store(shop):
    said = prepare(shop.settings(), own(shop), None, shop.clock())
    assert said.in_force == ["policy own is in force"]
