"""Everyone is decided for, wherever the parts are."""

import shutil
from importlib.util import find_spec
from uuid import uuid4

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
from serving.batch import decided, open_night
from serving.schemas import iso
from serving.settings import read_settings
from tests.serving.test_control import batch, put

DRAWN = ("user_id", "item_id", "variant_id", "send_at", "propensity", "reason")


def recommending(shop, name="p", hold=0.3, **rules):
    """A policy that chooses among the six items."""
    popular = hash_ids(f"i{n}" for n in range(6))
    saved = SavedRecommender("own_popular", {"popular": popular, "size": np.array([6])})
    save_policy(
        shop.path / name,
        PolicyBundle(
            Random(hold=hold), None, None, guardrails=Guardrails(**rules), recommender=saved
        ),
    )
    return shop.path / name


def backwards(work, night, parts):
    """The last part first, as other processes might."""
    parts = list(parts)
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
        now = shop.clock.now
        opening = open_night(settings, policy, tmp_path / "f.csv", now, 3, now)
        parts = list(decided(opening.night, 7, spread))
        assert ([len(part.answers) for part in parts], opening.users) == ([7, 7, 7, 4], 25)
        made.append([[row[name] for name in DRAWN] for part in parts for row in part.answers])
    assert made[0] == made[1]
    assert {row[1] is None for row in made[0]} == {True, False}
    assert len({row[0] for row in made[0]}) == 25


def night(shop, policy, capsys):
    """Status of the command, rows that it wrote and what it said, each time a night of its own."""
    out = shop.path / f"{uuid4()}.csv"
    status = main(["decide", str(policy), "--store", shop.store, "--out", str(out)])
    return status, pd.read_csv(out) if out.exists() else None, capsys.readouterr().err


def test_a_store_knows_a_policy_by_its_name_and_learns_of_others(shop, tmp_path, capsys):
    live, mine = recommending(shop), shop.policy("mine", Random(hold=0.3))
    with shop.server(live) as client:
        copied = shutil.copytree(live, tmp_path / "copies" / "p")
        for n, named in enumerate(["p", live, copied, mine]):
            client.put(f"/v1/users/u{n}", json={"timezone": "UTC", "consent": True})
            rows = night(shop, named, capsys)[1].set_index("user_id")
            assert rows.policy[f"u{n}"] == ("mine" if named is mine else "p")
        known = client.get("/v1/policies").json()["policies"]
        assert [(each["name"], each["path"], each["active"]) for each in known] == [
            ("mine", str(mine), False), ("p", str(live), True),
        ]  # fmt: skip
        newest = client.get("/v1/audit").json()["entries"][0]
        assert (newest["who"], newest["action"]) == ("decide", "add policy")
        assert client.get("/readyz").json()["policy"] == "p"


def test_what_a_name_does_not_mean_is_refused_in_a_sentence(shop, tmp_path, capsys):
    with shop.server(recommending(shop)) as client:
        client.put("/v1/users/u", json={"timezone": "UTC", "consent": True})
    status, rows, said = night(shop, "nope", capsys)
    assert (status, rows) == (1, None)
    assert "nope is no directory, and there is no policy 'nope' in the store" in said
    (tmp_path / "other").mkdir()
    status, rows, said = night(shop, shop.policy("other/p", Random(hold=0.5)), capsys)
    assert (status, rows) == (1, None)
    assert "the store knows another policy by the name 'p'" in said
    (shop.path / "p" / "arrays.safetensors").unlink()
    status, rows, said = night(shop, "p", capsys)
    assert (status, rows) == (1, None)
    assert "p/arrays.safetensors is missing" in said


def test_challenger_shadow_holdout_and_kills_are_the_stores(shop, capsys):
    at_night = recommending(shop, "night", hold=1e-9, floor=0.0)
    with shop.server(shop.policy("live")) as client:
        for name in ("tried", "beside"):
            path = str(recommending(shop, name, hold=1e-9, floor=0.0))
            client.post("/v1/policies", json={"path": path}).raise_for_status()
        put(client, "/v1/guardrails", holdout={"share": 0.2})
        split = {"policy": "tried", "share": 0.5, "salt": "s"}
        put(client, "/v1/experiment", challenger=split, shadow="beside")
        for n in range(100):
            client.put(f"/v1/users/u{n}", json={"timezone": "UTC", "consent": True})
        on_demand = {row["user_id"]: row["arm"] for row in batch(client, range(100), dry_run=True)}
        rows = night(shop, at_night, capsys)[1]
        assert dict(zip(rows.user_id, rows.arm, strict=True)) == on_demand
        assert set(zip(rows.arm, rows.policy, rows.action, strict=True)) == {
            ("policy", "night", "send"),
            ("challenger:tried", "tried", "send"),
            ("holdout", "night", "hold"),
        }
        shown = client.get("/v1/experiment").json()
        assert shown["sample_ratio"]["alarm"] is False
        assert shown["shadow_decisions"]["total"] == (rows.arm != "holdout").sum()
        put(client, "/v1/kill", on=True, policy="night")
        again = night(shop, at_night, capsys)[1]
        assert set(again.arm[rows.arm == "policy"]) == {"killed"}
        assert set(again.arm[rows.arm == "challenger:tried"]) == {"challenger:tried"}
        assert client.get("/readyz").json()["policy"] == "live"


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
