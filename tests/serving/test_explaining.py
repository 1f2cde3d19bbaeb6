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
