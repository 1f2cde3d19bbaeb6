"""What the server says of why it decided so."""

import numpy as np
import pytest

from mdp.guardrails import Guardrails
from mdp.observation import observe
from policies.baselines import Greedy
from policies.composition import UNIFORMS
from serving.explaining import EXPECTED, explanation
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
    said = explanation(snapshot, items, variants, (items[2], variants[1]))
    assert said["masked"] == {"hours": {"quiet_hours": 10}}
    assert view.prediction is not None
    pairs = view.prediction.pair[3]
    np.testing.assert_allclose(
        [said["expected"][name] for name in EXPECTED], pairs[2, 1], atol=1e-5
    )
    top = np.sort(pairs[..., 0], axis=None)[:-4:-1]
    np.testing.assert_allclose([send["value"] for send in said["best"]], top, atol=1e-5)
    item, variant = np.unravel_index(pairs[..., 0].argmax(), pairs.shape[:2])
    best = said["best"][0]
    assert (best["item_id"], best["variant_id"]) == (items[item], variants[variant])
    assert 8 <= said["best_hour"] < 22
    held = explanation(snapshot, items, variants, None)
    assert "expected" not in held
    for send, instead in zip(said["best"], held["best"], strict=True):
        assert (send["item_id"], send["value"]) == (instead["item_id"], instead["value"])
        assert send["more_than_chosen"] == pytest.approx(send["value"] - pairs[2, 1, 0], abs=1e-5)
        assert instead["more_than_chosen"] == instead["value"]


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
        assert shown["why"] == {"masked": {"hours": {"quiet_hours": 14}}}
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
