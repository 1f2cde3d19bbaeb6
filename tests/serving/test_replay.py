"""A stored decision is made again: to the bit from its snapshot, and by its policy."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mdp.clock import DAY
from mdp.errors import BadArtifact
from mdp.guardrails import Guardrails
from policies.bandits import FEATURES, LinearThompson
from policies.baselines import Greedy, Random, Table
from policies.mixture import Mixture
from policies.saved import PolicyBundle, load_policy, save_policy
from scripts.cli import main
from serving.replay import replay, snapshot_data, stored
from serving.snapshot import _HEAD, _PART, _REMOVED, unpack
from serving.store import reading, writing
from serving.tables import DECISIONS, IDEMPOTENCY, SNAPSHOTS
from serving.upkeep import prune
from tests.serving.conftest import OPEN_RULES

TIMED = (SNAPSHOTS, IDEMPOTENCY)
SOFT = Table(
    send=0.6,
    items=np.array([3.0, 2.0, 1.0, 1.0, 1.0, 1.0]),
    variants=np.array([2.0, 1.0, 1.0]),
    hours=1.0 + np.arange(24) % 5,
)
RNG = np.random.default_rng(0)
VOTING = LinearThompson(
    center=np.zeros(FEATURES),
    scale=np.ones(FEATURES),
    mean=np.zeros(FEATURES),
    table=RNG.normal(size=(256, FEATURES)),
)


def mixed_batch(client, users=60):
    """Decisions with lists of many lengths, decided together and so padded."""
    asks = [
        {
            "user_id": f"u{n}",
            "candidates": [f"i{i}" for i in range(1 + n % 6)],
            "variants": [f"v{i}" for i in range(1 + n % 3)],
        }
        for n in range(users)
    ]
    return client.post("/v1/decisions:batch", json={"requests": asks}).json()["decisions"]


@pytest.mark.parametrize(
    "policy",
    [
        SOFT,
        Random(hold=0.3),
        VOTING,
        Mixture(running=Random(hold=0.3), new=SOFT, share=0.4),
        Mixture(running=VOTING, new=SOFT, share=0.4),
    ],
    ids=lambda policy: policy.name,
)
def test_every_decision_of_a_mixed_batch_replays_to_the_bit(shop, policy):
    with shop.server(
        shop.policy("p", policy, quiet_start="22:00", quiet_end="08:00", floor=0.3)
    ) as client:
        all_replay(client, within=1e-9)


def all_replay(client, within: float) -> list[str]:
    """Ids of a mixed batch's decisions, each of which replays: choice and propensity to the bit,
    its scores within a difference."""
    made = mixed_batch(client)
    assert {row["action"] for row in made} == {"send", "hold"}
    with reading(client.app.state.service.engine) as connection:
        for row in made:
            again = replay(connection, row["decision_id"])
            assert again["same"]
            assert again["replayed"]["propensity"] == row["propensity"]
            assert again["model"]["largest_difference"] < within
    return [row["decision_id"] for row in made]


def small_network(path, form):
    """A saved network with a response model, its last layer random in place of trained."""
    import torch

    from agents.export import exported
    from agents.network import FactorNetwork, Soft, fit_scaling
    from simulator.kernel import Kernel
    from simulator.worlds.logit import LogitShop

    world = LogitShop().simulator(60, 0)
    shop = world.believing(world)
    seen = Kernel(shop, np.arange(60)).view().observation
    torch.manual_seed(0)
    network = FactorNetwork(fit_scaling([seen]), threshold=0.1, hidden=16)
    torch.nn.init.normal_(network.weights.weight, 0, 0.1)
    soft = form != "greedy"
    policy = exported(Soft(network) if soft else network, seen, "net", 1.0 if soft else None)
    if form == "graph":
        policy = replace(policy, weights=None)
    rules = Guardrails(**OPEN_RULES, floor=0.2)
    save_policy(path, PolicyBundle(policy, shop.additive_model, shop.beliefs, guardrails=rules))
    return path


@pytest.mark.slow  # importing torch and making the graph take a while
@pytest.mark.parametrize("form", ["greedy", "soft", "graph"])
def test_a_network_with_a_response_model_replays(shop, form):
    """Choice and propensity to the bit; its scores of what it saw, by the graph too, to 1e-5."""
    with shop.server(small_network(shop.path / "net", form)) as client:
        made = all_replay(client, within=1e-5)
        with reading(client.app.state.service.engine) as connection:
            for decision in made:
                assert stored(connection, decision)[1].pairs.any()  # predicted


def test_a_mixture_s_logged_propensity_is_its_policy_s_probability(shop):
    """Whichever of the two drew it; both take turns."""
    mixture = Mixture(running=Random(hold=0.3), new=SOFT, share=0.4)
    path = shop.policy("mix", mixture, floor=0.1)
    policy = replace(load_policy(path).policy, floor=0.1)
    with shop.server(path) as client:
        made = mixed_batch(client)
        turns = []
        with reading(client.app.state.service.engine) as connection:
            for row in made:
                _, snapshot = stored(connection, row["decision_id"])
                seen = snapshot.observation()
                action, propensity = snapshot.again()
                assert row["propensity"] == propensity
                chances = policy.probabilities(seen)[0]
                assert chances.sum() == pytest.approx(1.0)
                assert propensity == pytest.approx(chances[action], rel=1e-12)
                turns.append(snapshot.part)
        assert {0, 1} == set(turns)


def first_snapshot(client):
    """The bytes that are stored of one decision."""
    (row, *_) = mixed_batch(client, 6)
    with reading(client.app.state.service.engine) as connection:
        return snapshot_data(connection, row["decision_id"])


@pytest.mark.parametrize("form", [1, 2])
def test_snapshots_of_earlier_forms_are_read(shop, form):
    with shop.server(shop.policy("p", SOFT)) as client:
        data = first_snapshot(client)
    snapshot = unpack(data)
    end = _HEAD.size + _PART.size
    kept = data[1 : _HEAD.size if form == 1 else end]
    old = unpack(bytes([form]) + kept + data[end + _REMOVED.size :])
    for name, value in vars(snapshot).items():
        np.testing.assert_array_equal(getattr(old, name), value, err_msg=name)
    assert old.again() == snapshot.again()


def test_a_snapshot_is_small_and_one_cut_off_is_refused(shop):
    with shop.server(shop.policy("p", SOFT)) as client:
        data = first_snapshot(client)
    assert len(data) < 2000
    with pytest.raises(BadArtifact):
        unpack(data[:-3])


def test_a_decision_says_what_was_seen_and_drawn(shop):
    with shop.server(shop.policy("p", SOFT)) as client:
        (row, *_) = mixed_batch(client, 1)
        shown = client.get(f"/v1/decisions/{row['decision_id']}").json()["snapshot"]
    assert len(shown["draw"]) == 5
    assert shown["user"]["days_known"] == 0.0
    assert np.array(shown["scores"]["pairs"]).shape == (1, 1)


def test_the_command_tells_a_decision_that_was_tampered_with(shop, tmp_path, capsys):
    with shop.server(shop.policy("p", SOFT)) as client:
        made = mixed_batch(client)
        engine = client.app.state.service.engine
        sent = next(row for row in made if row["action"] == "send")["decision_id"]
        command = ["replay", sent, "--store", shop.store, "--json"]
        assert main(command) == 0
        assert json.loads(capsys.readouterr().out)["same"]
        save_policy(tmp_path / "other", PolicyBundle(Greedy(), None, None))
        assert main([*command, "--policy", str(tmp_path / "other")]) == 1
        with writing(engine) as connection:
            connection.execute(DECISIONS.update().values(propensity=0.5))
        assert main(command[:-1]) == 1
        assert "NOT the same" in capsys.readouterr().out
        with writing(engine) as connection:
            connection.execute(SNAPSHOTS.delete())
        assert main(command) == 1
        assert "has no snapshot" in capsys.readouterr().err


def test_snapshots_and_keys_are_kept_for_their_time(shop):
    with shop.server(shop.policy("p", SOFT), snapshot_days=2, idempotency_days=5) as client:
        client.post("/v1/decisions", json={"user_id": "u"}, headers={"Idempotency-Key": "k"})
        service = client.app.state.service
        kept = []
        for days in (1, 3, 6):
            prune(service.engine, service.settings, shop.clock.now + days * DAY)
            with reading(service.engine) as connection:
                kept.append([len(connection.execute(t.select()).all()) for t in TIMED])
    assert kept == [[1, 1], [0, 1], [0, 0]]


def test_no_snapshot_is_kept_where_none_is_wanted(shop):
    with shop.server(shop.policy("p", SOFT), snapshot_days=0) as client:
        (row, *_) = mixed_batch(client, 1)
        assert client.get(f"/v1/decisions/{row['decision_id']}").json()["snapshot"] is None
