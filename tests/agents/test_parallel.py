"""PPO in several processes: the same policy whoever does the work."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import ConvertCallback

from agents.learning import learn
from agents.network import FactorNetwork, Soft, fit_scaling
from agents.paying import ExpectedRewards
from agents.ppo import PPOSettings, build_ppo
from envs.vector import PushVectorEnv
from mdp.errors import BadSetting

pytest.importorskip("ray", reason="Ray is not installed")

from agents import parallel  # after the check that Ray is there

SETTINGS = PPOSettings(
    users=32, days=8, hidden=8, rollout=8, batch_size=128, epochs=2, learning_rate=1e-3
)


def start(shop):
    """An environment, and a network to begin with."""
    torch.manual_seed(0)
    env = ExpectedRewards(PushVectorEnv(shop, SETTINGS.users, SETTINGS.days), 1.0)
    env.seed(3)
    return env, Soft(FactorNetwork(fit_scaling([env.reset()]), 0.1, hidden=8))


def test_a_shards_gradient_is_that_of_ppo(shop, monkeypatch):
    """The step that Stable-Baselines3's own PPO takes on the same rows."""
    env, network = start(shop)
    one = replace(SETTINGS, batch_size=256, epochs=1)
    shard = parallel.Shard(shop, network, one, 1.0, 0)
    shard.begin(1, 5, env.prices)
    with torch.no_grad():
        before = torch.nn.utils.parameters_to_vector(network.parameters()).numpy().copy()
    shard.collect(before)
    slope = shard.slopes(before, 0, 0, 1)
    assert slope.divergence == pytest.approx(0.0, abs=1e-6)
    model = shard._model
    gradients: list[torch.Tensor] = []

    def keep():
        gradients.extend(
            torch.zeros_like(each) if each.grad is None else each.grad.clone()
            for each in model.policy.parameters()
        )

    monkeypatch.setattr(model.policy.optimizer, "step", keep)
    model.max_grad_norm = 1e9
    model.train()
    curves = model.logger.name_to_value
    assert len(slope.losses) == 5
    for name, value in slope.losses.items():
        assert value == pytest.approx(curves[f"train/{name}"], rel=1e-3, abs=1e-6), name
    own = torch.nn.utils.parameters_to_vector(gradients).numpy()
    np.testing.assert_allclose(slope.gradient, own, rtol=1e-3, atol=1e-6)
    assert np.abs(own).max() > 1e-4


class Here:
    """Stands for an actor, in this process."""

    def __init__(self, process):
        self.call = self
        self._process = process

    def remote(self, *args):
        return self._process.call(*args)


def learned(shop, split):
    """The network after a part, its shards divided as said."""
    env, network = start(shop)
    own = replace(SETTINGS, users=4, batch_size=16)
    model = build_ppo(env, network, SETTINGS, 0, parallel.ParallelPPO)
    made = (parallel.Process((shop, network), own, 1.0, numbers) for numbers in split)
    model.actors = [Here(process) for process in made]
    model.learn_part(1, 512, 7, ConvertCallback(None))
    assert model.num_timesteps == 512
    curves = model.logger.name_to_value
    assert curves["train/value_loss"] > 0
    assert {"train/approx_kl", "train/loss", "train/explained_variance"} <= set(curves)
    return network.state_dict()


def test_the_policy_is_the_same_whoever_holds_the_shards(shop, monkeypatch):
    monkeypatch.setattr(parallel.ray, "get", list)
    one = learned(shop, [list(range(8))])
    three = learned(shop, [[0, 1, 2], [3, 4, 5], [6, 7]])
    before = start(shop)[1].state_dict()
    assert any(not torch.equal(before[name], one[name]) for name in one)
    for name, value in one.items():
        assert torch.equal(value, three[name]), name


@pytest.mark.slow
def test_ray_learns_what_one_process_does(shop, monkeypatch):
    env, network = start(shop)
    with parallel.parallel_ppo(env, network, SETTINGS, 0, 2) as model:
        model.learn_part(1, 512, 7, ConvertCallback(None))
    monkeypatch.setattr(parallel.ray, "get", list)
    for name, value in learned(shop, [list(range(8))]).items():
        assert torch.equal(value, network.state_dict()[name]), name


def test_what_cannot_be_shared_is_refused_before_anything_is_searched(shop, capsys):
    for changed, workers, message in (
        ({}, 9, "--workers is 9; it can be 1 to 8"),
        ({"users": 12}, 2, "users is 12; with --workers it must be a multiple of 8"),
    ):
        with pytest.raises(BadSetting, match=message):
            learn(shop, "ppo", settings=replace(SETTINGS, **changed), workers=workers)
    assert "searching" not in capsys.readouterr().err
