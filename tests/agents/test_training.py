"""Training learns, repeats itself, keeps to the mask, and leaves a policy without torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents import judging
from agents.dqn import DQNSettings, build_dqn
from agents.judging import TorchPolicy
from agents.learning import learn
from agents.network import FactorNetwork, Soft, fit_scaling
from agents.paying import ExpectedRewards
from agents.ppo import PPOSettings, build_ppo
from agents.rollouts import population, rollout
from agents.training import train
from envs.vector import PushVectorEnv
from mdp.clock import NEVER
from mdp.errors import BadSetting
from mdp.reward import Reward
from mdp.shop import KEPT
from policies.baselines import Greedy
from policies.network import NetworkPolicy
from policies.saved import PolicyBundle, load_policy, save_policy
from simulator.kernel import Kernel

RNG = np.random.default_rng(0)
ALGORITHMS = ("ppo", "dqn")


@pytest.mark.slow  # as `test_resumed_is_the_same_to_the_bit` shows too
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_same_seed_same_policy(shop, quick, tiny, trained, algo):
    again = train(shop, algo, 3, tiny[algo])
    mine, before = again.policy, trained[algo].policy
    assert isinstance(mine, NetworkPolicy)
    assert mine.graph == before.graph
    assert again.manifest["metrics"] == trained[algo].manifest["metrics"]
    assert again.traits is not None
    np.testing.assert_array_equal(again.traits.traits, trained[algo].traits.traits)


@pytest.mark.parametrize("algo", ["ppo", "dqn", "greedy"])
def test_a_reward_that_credits_every_purchase_is_refused(shop, algo):
    # The judges sum what pushes are expected to bring, which such a reward does not pay.
    with pytest.raises(BadSetting, match="reward credit is 'all'"):
        learn(replace(shop, reward=Reward(credit="all")), algo)


@pytest.mark.slow
def test_an_interrupted_run_leaves_its_best_policy_so_far(shop, quick, tiny, trained, monkeypatch):
    monkeypatch.setattr(judging, "BETWEEN_CHECKPOINTS", 0.0)
    kept: list[PolicyBundle] = []
    again = train(shop, "dqn", 3, tiny["dqn"], checkpoint=kept.append)
    assert again.policy == trained["dqn"].policy  # keeping checkpoints changes nothing
    values = [bundle.manifest["metrics"]["value"] for bundle in kept]
    assert values == sorted(values)
    assert values[-1] == again.manifest["metrics"]["value"]

    def interrupt(bundle: PolicyBundle) -> None:
        kept.append(bundle)
        raise KeyboardInterrupt

    kept.clear()
    with pytest.raises(KeyboardInterrupt):
        train(shop, "ppo", 3, tiny["ppo"], checkpoint=interrupt)
    assert kept[0].policy.act(Kernel(shop, np.arange(4)).view().observation, RNG)[0].shape == (4,)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_saved_policy_decides_as_the_bundle_within_the_mask(shop, trained, algo, tmp_path):
    save_policy(tmp_path / "policy", trained[algo])
    loaded = load_policy(tmp_path / "policy")
    assert loaded.policy.kind == "network"
    assert (loaded.policy.temperature is None) == (algo == "dqn")
    sim = replace(shop, model=loaded.model, beliefs=loaded.traits)
    kernel, draws = Kernel(sim, population(sim, 50, 0), 5, 10), np.random.default_rng(0)
    sent = 0
    while not kernel.done:
        seen = kernel.view().observation
        actions, propensity = loaded.policy.act(seen, draws)
        np.testing.assert_allclose(
            propensity, trained[algo].policy.propensity(seen, actions), atol=1e-9
        )
        step = kernel.step(actions)
        assert not step.illegal.any()
        sent += step.sent.sum()
    assert sent > 0


def _scored(policy, shop, **of_catalog):
    """What a policy sees of a catalogue with other items or variants, and its scores."""
    catalog = replace(shop.catalog, **of_catalog)
    seen = Kernel(replace(shop, catalog=catalog), np.arange(60), 4, 5).view().observation
    return seen, policy.scores(seen)


def _ids(name, of):
    return tuple(f"{name}-{n}" for n in range(len(of)))


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_an_item_never_seen_is_scored_by_its_features(shop, trained, algo):
    policy, items = trained[algo].policy, shop.catalog.items
    new = replace(items, ids=_ids("new", items))
    other = replace(items, ids=_ids("other", items))
    price = items.price.copy()
    price[0] *= 3.0
    seen, scores = _scored(policy, shop, items=new)
    np.testing.assert_array_equal(_scored(policy, shop, items=other)[1].pair, scores.pair)
    changed, dearer = _scored(policy, shop, items=replace(new, price=price))
    it = (changed["candidates"] != seen["candidates"]).any(-1)
    there = it.any(1)
    assert 0 < there.sum() < len(there)
    np.testing.assert_array_equal(dearer.pair[~there], scores.pair[~there])
    assert (np.abs(dearer.pair - scores.pair)[it] > 1e-3).any(-1).all()


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_a_variant_never_seen_is_scored_by_its_features(shop, trained, algo):
    policy, variants = trained[algo].policy, shop.catalog.variants
    new = replace(variants, ids=_ids("new", variants))
    other = replace(variants, ids=_ids("other", variants))
    alike = {name: getattr(variants, name) for name in ("styles", "titles", "bodies")}
    alike = {name: (said[1], *said[1:]) for name, said in alike.items()}
    seen, scores = _scored(policy, shop, variants=new)
    np.testing.assert_array_equal(_scored(policy, shop, variants=other)[1].pair, scores.pair)
    changed, twins = _scored(policy, shop, variants=replace(new, **alike))
    np.testing.assert_array_equal(twins.pair[:, :, 0], twins.pair[:, :, 1])
    it = (changed["variants"] != seen["variants"]).any(-1)
    assert it[:, 0].any()
    assert not it[:, 1:].any()
    differs = (np.abs(twins.pair - scores.pair).swapaxes(1, 2)[it] > 1e-3).any(-1)
    assert differs.mean() > 0.9  # of some users the two styles may please alike


def test_a_policy_knows_its_shop_s_users_again(shop, trained):
    for bundle in trained.values():
        known = bundle.shop
        assert known is not None
        both = np.isin(shop.shop.users, known.users[known.signed_up != NEVER])
        assert both.sum() == KEPT


def test_training_never_leaves_the_mask(shop, tiny):
    illegal = []

    class Watched(PushVectorEnv):
        def step(self, actions):
            out = super().step(actions)
            illegal.append(out[4]["illegal"].any())
            return out

    env = ExpectedRewards(Watched(shop, 16, 6), 1.0)
    network = Soft(FactorNetwork(fit_scaling([env.reset()]), 0.1, hidden=8), choice=0.1)
    build_ppo(env, network, tiny["ppo"], 0).learn(256)
    assert len(illegal) >= 16
    assert not any(illegal)


@pytest.fixture(scope="module")
def tiring(shop):
    """A shop whose sends make later ones fail, and users leave."""
    weight = np.array([-0.8, 0, 0, 0, 1.0], np.float32)
    sim = replace(shop, response=replace(shop.response, fatigue_weight=weight))
    return sim.believing(replace(sim, model=None, beliefs=None))


def test_ppo_learns_what_a_send_costs_later(tiring):
    """From sending whatever pays today, which the toy's fatigue punishes, to sending less."""
    settings = PPOSettings(
        steps=24_576,
        users=128,
        days=28,
        batch_size=512,
        learning_rate=3e-3,
        target_kl=0.1,
        hidden=16,
    )
    torch.manual_seed(0)
    env = ExpectedRewards(PushVectorEnv(tiring, settings.users, settings.days), 1.0)
    network = Soft(FactorNetwork(fit_scaling([env.reset()]), 0.0, hidden=16))
    rows = population(tiring, 200, 9)
    start = rollout(tiring, Greedy(), rows, 9, 28)
    build_ppo(env, network, settings, 0).learn(settings.steps)
    end = rollout(tiring, TorchPolicy(network=network.network), rows, 9, 28)
    assert end.sends.mean() < start.sends.mean()
    assert end.value.mean() > 1.05 * start.value.mean()


@pytest.mark.slow
def test_dqn_learns_what_a_send_costs_later(tiring):
    """The same by DQN, from its own exploration alone."""
    settings = DQNSettings(
        steps=16_384,
        users=128,
        days=28,
        replay=16_384,
        learning_starts=1_024,
        learning_rate=1e-3,
        critic_rate=3e-3,
        batch_size=256,
        gradient_steps=8,
        tau=0.02,
        hidden=16,
    )
    torch.manual_seed(0)
    env = ExpectedRewards(PushVectorEnv(tiring, settings.users, settings.days), 1.0)
    network = FactorNetwork(fit_scaling([env.reset()]), 0.0, hidden=16)
    rows = population(tiring, 200, 9)
    start = rollout(tiring, Greedy(), rows, 9, 28)
    build_dqn(env, network, settings, 0).learn(settings.steps)
    end = rollout(tiring, TorchPolicy(network=network), rows, 9, 28)
    assert end.sends.mean() < 0.8 * start.sends.mean()
    assert end.value.mean() > 1.2 * start.value.mean()
