"""Training goes on from a saved policy: at its scores, in another simulator, and resumable."""

from dataclasses import replace

import numpy as np
import pytest

from agents.continuing import network_of
from agents.judging import deciding
from agents.learning import learn
from agents.offline import PriceSettings
from agents.training import prepared, train
from mdp.errors import BadInput, BadSetting
from policies.network import NetworkPolicy
from policies.saved import PolicyBundle, load_policy, save_policy
from simulator.kernel import Kernel
from simulator.worlds.logit import LogitShop

ALGORITHMS = ("ppo", "dqn")


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory) -> dict[str, PolicyBundle]:
    """The trained policies, saved and read again."""
    path, out = tmp_path_factory.mktemp("saved"), {}
    for algo, bundle in trained.items():
        save_policy(path / algo, bundle)
        out[algo] = load_policy(path / algo)
    return out


@pytest.fixture(scope="module")
def later():
    """Another fit: other users, who respond otherwise."""
    simulator = LogitShop().simulator(80, 1)
    return simulator.believing(simulator)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_it_starts_at_the_policys_scores(later, quick, tiny, saved, algo):
    ready = prepared(later, tiny[algo], 4, saved[algo])
    seen = Kernel(ready.simulator, np.arange(40), 0).view().observation
    own, start = saved[algo].policy.scores(seen), deciding(ready.network).scores(seen)
    for part in ("hold", "pair", "hour"):
        mine, theirs = getattr(start, part), getattr(own, part)
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)
    before = network_of(saved[algo], algo).state_dict()
    critic = [name for name in before if "critic" in name or "value" in name]
    after = ready.network.state_dict()
    assert any(not np.array_equal(before[name], after[name]) for name in critic)


@pytest.mark.slow
def test_it_goes_on_and_can_be_resumed(later, quick, tiny, saved, tmp_path):
    settings = replace(tiny["ppo"], hidden=32)  # the policy's own width holds
    whole = train(later, "ppo", 4, settings, run=tmp_path, start_from=saved["ppo"])
    assert whole.manifest["from"] == saved["ppo"].hash
    assert whole.manifest["settings"]["hidden"] == 8
    resumed = train(later, "ppo", 4, settings, run=tmp_path, resume=True, start_from=saved["ppo"])
    assert isinstance(whole.policy, NetworkPolicy)
    assert isinstance(resumed.policy, NetworkPolicy)
    assert resumed.policy.graph == whole.policy.graph
    with pytest.raises(BadInput, match="of a run with from"):
        train(later, "ppo", 4, replace(settings, hidden=8), run=tmp_path, resume=True)


def test_what_cannot_be_gone_on_from_is_refused(later, tiny, saved):
    with pytest.raises(BadSetting, match="is of ppo, whose network dqn can't train: go on by ppo"):
        learn(later, "dqn", settings=tiny["dqn"], start_from=saved["ppo"])
    without = replace(saved["dqn"], learned={})
    with pytest.raises(BadSetting, match="keeps no network"):
        learn(later, "dqn", settings=tiny["dqn"], start_from=without)
    with pytest.raises(BadSetting, match="leave out --from"):
        learn(later, "greedy", start_from=saved["ppo"])


@pytest.mark.slow
def test_what_was_learned_from_a_log_can_be_gone_on_from(shop, log):
    price = learn(shop, "price", log, settings=PriceSettings(steps=20, batch_size=64, hidden=8))
    seen = Kernel(shop, np.arange(20), 0).view().observation
    network = network_of(price, "dqn")
    np.testing.assert_allclose(
        deciding(network).scores(seen).hold, price.policy.scores(seen).hold, rtol=1e-5, atol=1e-5
    )
