"""The network starts as greedy with a threshold, keeps to the mask, and exports as it is."""

import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from agents.export import exported, to_onnx, weights_of
from agents.network import FactorNetwork, Scores, Soft, fit_scaling, tensors
from agents.offline import Supported
from mdp.errors import BadArtifact
from policies.baselines import Greedy
from policies.composition import Factors, best, distribution
from policies.network import NetworkPolicy


def _network(observation, seed=0, trained=True):
    torch.manual_seed(seed)
    network = FactorNetwork(fit_scaling([observation]), threshold=0.1, hidden=16)
    if trained:
        torch.nn.init.normal_(network.weights.weight, 0, 0.1)
    return network


def _factors(network, observation):
    with torch.no_grad():
        parts = Scores(network)(**tensors(observation))
    return Factors(*(part.double().numpy() for part in parts))


def test_untrained_network_is_greedy_with_the_threshold(make_observation):
    seen = make_observation(200, 5, 3)
    greedy = best(Greedy(threshold=0.1).scores(seen), seen["action_mask"])
    assert 0 < (greedy == 0).mean() < 1
    network = _network(seen, trained=False)
    assert (best(_factors(network, seen), seen["action_mask"]) == greedy).all()
    with torch.no_grad():
        network.trust += 0.3  # a part of the skip connection: learning can change the choice
        network.threshold += 1.0
    assert (best(_factors(network, seen), seen["action_mask"]) != greedy).any()


def test_soft_policy_sends_by_the_sigmoid_of_the_margin(make_observation):
    seen = make_observation(50)
    network = _network(seen)
    soft = Soft(network, send=3.0, choice=20.0)
    made = distribution(_factors(soft, seen), seen["action_mask"], 1.0, 0.0)
    with torch.no_grad():
        advantages, _ = network(tensors(seen))
        top = advantages.pair.flatten(1).amax(1) + advantages.hour.amax(1)
        expected = torch.sigmoid(3.0 * (top - advantages.hold)) * advantages.sendable
    np.testing.assert_allclose(made.send, expected.numpy(), atol=1e-4)
    assert made.send[0] == 0


def test_scaling_ignores_what_is_masked(make_observation):
    seen = make_observation(50)
    spoilt = {name: array.copy() for name, array in seen.items()}
    spoilt["candidates"][spoilt["action_mask"][:, :3] == 0] = 1e6
    np.testing.assert_array_equal(
        fit_scaling([seen]).center["candidates"], fit_scaling([spoilt]).center["candidates"]
    )


EXPORT = """
import hashlib
import torch
from agents.export import to_onnx
from agents.network import FactorNetwork, Soft, fit_scaling
from envs.vector import PushVectorEnv
from simulator.worlds.logit import LogitShop
shop = LogitShop().simulator(8, 0)
seen = PushVectorEnv(shop.believing(shop), 4, 5).reset(seed=0)[0]
torch.manual_seed(0)
network = Soft(FactorNetwork(fit_scaling([seen]), 0.1, hidden=8))
print(hashlib.sha256(to_onnx(network, seen)).hexdigest())
"""


@pytest.mark.slow
def test_another_process_exports_the_same_bytes():
    found = {
        subprocess.run(
            [sys.executable, "-c", EXPORT],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@pytest.mark.parametrize("kind", ["plain", "soft"])
def test_scores_go_with_their_items_and_variants(make_observation, kind):
    seen = make_observation(40, 5, 4)
    network = Soft(_network(seen)) if kind == "soft" else _network(seen)
    items, variants = np.array([3, 0, 4, 1, 2]), np.array([2, 3, 1, 0])
    mask = seen["action_mask"]
    other = seen | {
        "candidates": seen["candidates"][:, items],
        "variants": seen["variants"][:, variants],
        "pairs": seen["pairs"][:, items][:, :, variants],
        "action_mask": np.concatenate([mask[:, items], mask[:, 5 + variants], mask[:, 9:]], 1),
    }
    before, after = _factors(network, seen), _factors(network, other)
    np.testing.assert_allclose(after.pair, before.pair[:, items][:, :, variants], atol=1e-4)
    np.testing.assert_allclose(after.hold, before.hold, atol=1e-4)
    np.testing.assert_allclose(after.hour, before.hour, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [pytest.param("plain", 1e-5, marks=pytest.mark.slow), ("soft", 1e-4)],
)
def test_onnx_equals_torch_for_any_shape(make_observation, kind, tolerance):
    network = _network(make_observation(40))
    scorer = Soft(network) if kind == "soft" else network
    graph = to_onnx(scorer, make_observation(1, 1, 1))
    assert not re.search(rb"0x[0-9a-f]{6}|\.py", graph)  # addresses and paths of this process
    # A soft policy's scores are 50 times as large; its probabilities are what must agree.
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    policy = NetworkPolicy(graph=graph, name="n", temperature=1.0, floor=0.0)
    compiled = replace(policy, weights=weights_of(scorer))
    for N, K, V in ((1, 1, 1), (7, 1, 4), (9, 6, 1), (30, 12, 5)):
        seen = make_observation(N, K, V)
        got = session.run(None, seen)
        expected = Scores(scorer)(**tensors(seen))
        for mine, theirs in zip(got, expected, strict=True):
            reference = theirs.detach().numpy()
            np.testing.assert_allclose(mine, reference, rtol=1e-5, atol=tolerance)
        fast, expected = compiled.scores(seen), _factors(scorer, seen)
        for name in ("hold", "pair", "hour"):
            np.testing.assert_allclose(
                getattr(fast, name), getattr(expected, name), rtol=1e-5, atol=tolerance
            )
        actions = np.minimum(np.arange(N), K * V * 24)
        theirs = distribution(_factors(scorer, seen), seen["action_mask"], 1.0, 0.0)
        np.testing.assert_allclose(
            policy.propensity(seen, actions), theirs.probability(actions), atol=1e-5
        )
        np.testing.assert_allclose(
            compiled.propensity(seen, actions), theirs.probability(actions), atol=1e-5
        )


def test_compiled_scores_dont_depend_on_who_else_is_scored(make_observation):
    seen = make_observation(30, 5, 4)
    weights = weights_of(Soft(_network(seen)))
    policy = NetworkPolicy(graph=b"", weights=weights, name="n", temperature=1.0)
    together = policy.scores(seen)
    for n in range(30):
        alone = policy.scores({name: array[n : n + 1] for name, array in seen.items()})
        for name in ("hold", "pair", "hour"):
            assert getattr(alone, name)[0].tobytes() == getattr(together, name)[n].tobytes()


def test_a_network_that_is_not_compiled_runs_its_graph(make_observation):
    seen = make_observation(6, 2, 3)
    bounded = Supported(_network(seen), Soft(_network(seen)), 0.3)
    policy = exported(bounded, seen, "n", None)
    assert policy.weights is None
    np.testing.assert_allclose(
        policy.scores(seen).pair, _factors(bounded, seen).pair, rtol=1e-5, atol=1e-4
    )


def test_parameters_of_another_size_are_refused(make_observation):
    seen = make_observation(6)
    weights = weights_of(_network(seen))
    assert weights is not None
    policy = NetworkPolicy(graph=b"", weights=weights[:-1], name="n", temperature=None)
    with pytest.raises(BadArtifact, match="parameters"):
        policy.scores(seen)
