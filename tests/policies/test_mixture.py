"""A mixture's probabilities are those of its two policies, by their shares."""

from dataclasses import replace

import numpy as np
import pytest

from mdp.guardrails import Guardrails
from mdp.observation import observe
from policies.bandits import FEATURES, LinearThompson
from policies.baselines import Greedy, Random, Table
from policies.composition import UNIFORMS
from policies.mixture import Mixture
from policies.saved import PolicyBundle, load_policy, save_policy
from simulator.kernel import Kernel
from simulator.worlds.logit import LogitShop

RUNNING = Table(
    send=0.6, items=1.0 + np.arange(6), variants=np.ones(3), hours=1.0 + np.arange(24) % 5
)


@pytest.fixture(scope="module")
def seen():
    shop = LogitShop().simulator(40, 0)
    requests = Kernel(shop, np.arange(40)).requests()
    rules = Guardrails(quiet_start="22:00", quiet_end="08:00")
    model = shop.response.bind(shop.catalog)
    return observe(requests, shop.catalog, rules, shop.reward, model, shop.traits).observation


@pytest.fixture
def mixture():
    return Mixture(running=Random(hold=0.4), new=Greedy(threshold=0.1), share=0.3, floor=0.1)


def test_probabilities_are_the_policies_by_their_shares(mixture, seen):
    own = mixture.probabilities(seen)
    running, new = (
        replace(x, floor=0.1).probabilities(seen) for x in (mixture.running, mixture.new)
    )
    np.testing.assert_allclose(own, 0.7 * running + 0.3 * new, atol=1e-15)
    np.testing.assert_allclose(own.sum(1), 1.0)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_and_nothing(mixture, seen, share):
    whole = replace(mixture.new if share else mixture.running, floor=0.1)
    own = replace(mixture, share=share)
    np.testing.assert_allclose(own.probabilities(seen), whole.probabilities(seen), atol=1e-15)
    actions, _ = own.act(seen, np.random.default_rng(0))
    again, _ = whole.act(seen, np.random.default_rng(0))
    np.testing.assert_array_equal(actions, again)


def test_draws_are_as_frequent_as_they_say(mixture, seen):
    one = {name: np.repeat(array[:1], 60_000, axis=0) for name, array in seen.items()}
    actions, propensity = mixture.act(one, np.random.default_rng(1))
    chances = mixture.probabilities({name: array[:1] for name, array in seen.items()})[0]
    np.testing.assert_allclose(propensity, chances[actions])
    shares = np.bincount(actions, minlength=len(chances)) / len(actions)
    assert np.abs(shares - chances).max() < 5 * np.sqrt(chances.max() / 60_000)


def test_means_and_marginals_are_those_of_the_probabilities(mixture, seen):
    K, V = seen["pairs"].shape[1:3]
    found, chances = mixture.distribution(seen), mixture.probabilities(seen)
    values = np.random.default_rng(2).normal(size=(40, K, V, 24))
    expected = (chances[:, 1:] * values.reshape(40, -1)).sum(1)
    np.testing.assert_allclose(found.expectation(values), expected)
    base = replace(mixture, floor=0.0)
    sends = base.probabilities(seen)[:, 1:].reshape(40, K * V, 24)
    parts = base.distribution(seen)
    np.testing.assert_allclose(parts.send, sends.sum((1, 2)), atol=1e-12)
    np.testing.assert_allclose(parts.send[:, None] * parts.pair, sends.sum(2), atol=1e-12)
    np.testing.assert_allclose(parts.send[:, None] * parts.hour, sends.sum(1), atol=1e-12)
    assert found.picked(np.full((40, UNIFORMS), 0.69))[0].max() == 0
    which, rest = found.picked(np.full((40, UNIFORMS), 0.85))
    assert which.min() == 1
    np.testing.assert_allclose(rest[:, 0], 0.5)


def test_saved_and_loaded(tmp_path, seen):
    """Arrays of both, of a mixture of mixtures too."""
    of = np.zeros(FEATURES)
    thompson = LinearThompson(center=of, scale=of + 1, mean=of + 0.1, table=np.eye(4, FEATURES))
    inner = Mixture(running=RUNNING, new=thompson, share=0.5)
    policy = Mixture(running=inner, new=Greedy(threshold=0.2), share=0.25, floor=0.05)
    save_policy(tmp_path / "mix", PolicyBundle(policy, None, None))
    loaded = load_policy(tmp_path / "mix")
    assert loaded.manifest["kind"] == "mixture"
    np.testing.assert_array_equal(loaded.policy.probabilities(seen), policy.probabilities(seen))
    other = replace(policy, running=replace(inner, running=replace(RUNNING, send=0.5)))
    save_policy(tmp_path / "other", PolicyBundle(other, None, None))
    assert load_policy(tmp_path / "other").hash != loaded.hash
