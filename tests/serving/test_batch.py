"""Everyone is decided for, wherever the parts are."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from ingestion.spread import in_turn
from mdp.guardrails import Guardrails
from mdp.hashing import hash_ids
from policies.baselines import Random
from policies.saved import PolicyBundle, SavedRecommender, save_policy
from scripts import decide
from scripts.cli import main
from serving.batch import Night, decide_all
from serving.schemas import iso
from serving.settings import read_settings

DRAWN = ("user_id", "item_id", "variant_id", "send_at", "propensity", "reason")


def recommending(shop):
    """A policy that chooses among the six items."""
    popular = hash_ids(f"i{n}" for n in range(6))
    saved = SavedRecommender("own_popular", {"popular": popular, "size": np.array([6])})
    save_policy(
        shop.path / "p",
        PolicyBundle(Random(hold=0.3), None, None, guardrails=Guardrails(), recommender=saved),
    )
    return shop.path / "p"


def backwards(work, night, parts):
    """The last part first, as other processes might."""
    done = {number: work(night, (number, users)) for number, users in reversed(parts)}
    return (done[number] for number, _ in parts)


def test_parts_are_decided_the_same_in_any_order(shop, tmp_path):
    policy = recommending(shop)
    made = []
    for name, spread in (("here", in_turn), ("backwards", backwards)):
        shop.store = f"sqlite:///{tmp_path / name}.sqlite"
        with shop.server(policy) as client:
            for n in range(25):
                client.put(f"/v1/users/u{n}", json={"timezone": "UTC", "consent": True})
        settings = read_settings(store=shop.store, trust_request_time=True)
        told: list[tuple[int, int]] = []
        night = Night(settings, policy, shop.clock.now, seed=3)
        rows = decide_all(night, 7, lambda *far, told=told: told.append(far), spread)
        assert told == [(7, 25), (14, 25), (21, 25), (25, 25)]
        made.append([[row[name] for name in DRAWN] for row in rows])
    assert made[0] == made[1]
    assert {row[1] is None for row in made[0]} == {True, False}
    assert len({row[0] for row in made[0]}) == 25


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `ray`")
@pytest.mark.filterwarnings("ignore")
def test_ray_tasks_decide_the_same(shop, tmp_path, monkeypatch):
    """The command, in two processes of Ray and in this one."""
    policy = recommending(shop)
    monkeypatch.setattr(decide, "CHUNK", 7)
    made = []
    for name, more in (("here", []), ("ray", ["--ray"])):
        store = f"sqlite:///{tmp_path / name}.sqlite"
        shop.store = store
        with shop.server(policy) as client:
            for n in range(25):
                client.put(f"/v1/users/u{n}", json={"timezone": "UTC", "consent": True})
        out = tmp_path / f"{name}.parquet"
        words = ["decide", str(policy), "--store", store, "--out", str(out), "--seed", "3"]
        assert main([*words, "--at", iso(shop.clock.now), *more]) == 0
        made.append(pd.read_parquet(out).drop(columns="decision_id"))
    assert len(made[0]) == 25
    assert set(made[0]["action"]) == {"send", "hold"}
    pd.testing.assert_frame_equal(made[0], made[1])
