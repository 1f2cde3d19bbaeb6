"""What the server says of why it decided so."""

import numpy as np
import pytest

from mdp.actions import decode
from mdp.guardrails import Guardrails
from mdp.observation import observe
from policies.baselines import Greedy, Table
from policies.composition import UNIFORMS
from serving.explaining import EXPECTED, explanation
from serving.schemas import iso
from serving.snapshot import packed, taken_in_turns, unpack
from simulator.kernel import Kernel
from simulator.worlds.logit import LogitShop
from tests.serving.conftest import ITEMS, VARIANTS


def test_a_send_says_what_the_model_expects_and_what_was_ruled_out():
    shop = LogitShop().simulator(8, 0)
    requests = Kernel(shop, np.arange(8)).requests()
    rules = Guardrails(quiet_start="22:00", quiet_end="08:00")
    model = shop.response.bind(shop.catalog)
    view = observe(requests, shop.catalog, rules, shop.reward, model, shop.traits)
    policy = Greedy()
    turns = taken_in_turns(policy, view.observation, np.zeros((8, UNIFORMS)))
    size = (requests.items.shape[1], requests.variants.shape[1])
    snapshot = unpack(packed(view, turns, [size] * 8)[3])
    items = [shop.catalog.items.ids[row] for row in requests.items[3]]
    variants = [shop.catalog.variants.ids[row] for row in requests.variants[3]]
    at = int(snapshot.send_at[12])
    said = explanation(snapshot, items, variants, (items[2], variants[1], at))
    assert said["masked"] == {"hours": {"quiet_hours": 10}}
    assert view.prediction is not None
    pairs = view.prediction.pair[3]
    np.testing.assert_allclose(
        [said["expected"][name] for name in EXPECTED], pairs[2, 1], atol=1e-5
    )
    assert 8 <= said["best_hour"] < 22
    held = explanation(snapshot, items, variants, None)
    assert "expected" not in held
    for send in held["alternatives"]:
        k, v = items.index(send["item_id"]), variants.index(send["variant_id"])
        assert send["value"] == pytest.approx(pairs[k, v, 0], abs=1e-5)


def test_the_alternatives_are_the_actions_that_the_policy_scored_highest():
    """By its probabilities of all flat actions, which are in the order of its scores."""
    shop = LogitShop().simulator(4, 0)
    requests = Kernel(shop, np.arange(4)).requests()
    rules = Guardrails(quiet_start="22:00", quiet_end="08:00")
    view = observe(requests, shop.catalog, rules, shop.reward)
    rng = np.random.default_rng(0)
    K, V = requests.items.shape[1], requests.variants.shape[1]
    weights = [rng.random(size) for size in (K, V, 24)]
    policy = Table(send=0.5, items=weights[0], variants=weights[1], hours=weights[2])
    turns = taken_in_turns(policy, view.observation, np.zeros((4, UNIFORMS)))
    snapshot = unpack(packed(view, turns, [(K, V)] * 4)[1])
    chance = policy.probabilities(view.observation)[1]
    items, variants = [f"i{n}" for n in range(K)], [f"v{n}" for n in range(V)]
    ranked = np.argsort(-chance)
    best, chosen = ranked[0], ranked[2]
    k, v, h = (int(part) for part in decode(chosen, K, V))
    said = explanation(snapshot, items, variants, (items[k], variants[v], snapshot.send_at[h]))
    others = [action for action in ranked if action != chosen][:6]
    assert best == 0  # the hold, of half the probability, is the first of them
    for shown, action in zip(said["alternatives"], others, strict=True):
        if action == 0:
            assert (shown["action"], shown["item_id"], shown["send_at"]) == ("hold", None, None)
        else:
            k, v, h = (int(part) for part in decode(action, K, V))
            assert (shown["item_id"], shown["variant_id"]) == (items[k], variants[v])
            assert shown["send_at"] == iso(snapshot.send_at[h])
        odds = np.log(chance[chosen] / chance[action])
        assert shown["lost"] == pytest.approx(odds, abs=2e-5)
        assert shown["lost"] == pytest.approx(said["score"] - shown["score"], abs=2e-5)
        assert "value" not in shown


def test_a_decision_is_shown_with_its_explanation(shop):
    rules = {"quiet_start": "20:00", "quiet_end": "10:00", "item_cooldown_days": 3.0, "floor": 1.0}
    with shop.server(shop.policy("rules", **rules)) as client:
        client.put("/v1/guardrails", json={"caps": {"per_calendar_day": "none"}, "gaps": {}})
        decisions = [
            client.post("/v1/decisions", json={"user_id": f"u{n}", "candidates": ["i1"]}).json()
            for n in range(12)
        ]
        sent = next(made for made in decisions if made["action"] == "send")
        shown = client.get(f"/v1/decisions/{sent['decision_id']}").json()
        why = shown["why"]
        assert why["masked"] == {"hours": {"quiet_hours": 14}}
        assert "expected" not in why
        *sends, hold = sorted(why["alternatives"], key=lambda other: other["action"] == "hold")
        assert (hold["action"], len(sends)) == ("hold", 5)
        chosen = [shown[name] for name in ("item_id", "variant_id", "send_at")]
        named = [[send[name] for name in ("item_id", "variant_id", "send_at")] for send in sends]
        assert chosen not in named
        assert {send[0] for send in named} == {"i1"}
        assert all("10:00" <= send[2][11:16] < "20:00" for send in named)
        again = client.post(
            "/v1/decisions", json={"user_id": sent["user_id"], "candidates": ["i1", "i2"]}
        ).json()
        why = client.get(f"/v1/decisions/{again['decision_id']}").json()["why"]
        assert why["masked"]["items"] == {"item_cooldown": 1}
        client.put("/v1/kill", json={"on": True}).raise_for_status()
        killed = client.post("/v1/decisions", json={"user_id": "other"}).json()
        assert client.get(f"/v1/decisions/{killed['decision_id']}").json()["why"] is None
        assert "masked" not in client.get("/v1/logs/decisions").text


def test_what_the_catalogue_or_a_kill_switch_took_off_the_lists_is_named(always):
    gone = [{**ITEMS[1], "stock": 0}, {**ITEMS[2], "available_until": "2020-01-01T00:00:00Z"}]
    always.put("/v1/items", json={"items": gone}).raise_for_status()
    draft = {**VARIANTS[1], "status": "draft"}
    german = {**VARIANTS[0], "variant_id": "v-de", "locale": "de"}
    always.put("/v1/variants", json={"variants": [draft, german]}).raise_for_status()
    always.put("/v1/users/u", json={"locale": "en", "preferences": "-a"}).raise_for_status()
    for stopped in ({"item_id": "i4"}, {"variant_id": "v2"}):
        always.put("/v1/kill", json={"on": True, **stopped}).raise_for_status()

    def removed(**body):
        made = always.post("/v1/decisions", json={"user_id": "u", **body}).json()
        return made, always.get(f"/v1/decisions/{made['decision_id']}").json()["why"].get("removed")

    items = {
        "i0": "preference", "i1": "out_of_stock", "i2": "not_available", "i4": "killed",
    }  # fmt: skip
    made, why = removed(candidates=[f"i{n}" for n in range(6)], variants=["v0", "v1", "v2", "v-de"])
    assert why == {
        "items": items | {"i3": "preference"},
        "variants": {"v1": "not_approved", "v2": "killed", "v-de": "locale"},
    }
    assert (made["action"], made["item_id"], made["variant_id"]) == ("send", "i5", "v0")
    _, why = removed(
        user_id="other", candidates=["i5"]
    )  # who names no copy hears of what is stopped
    assert why == {"variants": {"v2": "killed"}}
    always.put("/v1/kill", json={"on": False, "variant_id": "v2"}).raise_for_status()
    made, why = removed(user_id="nobody", candidates=["i4"])
    assert (made["reason"], why) == ("no_candidates", {"items": {"i4": "killed"}})
    assert removed(user_id="third", candidates=["i5"])[1] is None
