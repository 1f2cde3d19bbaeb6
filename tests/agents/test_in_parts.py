"""Learning in parts."""

import tempfile

from stable_baselines3.common.callbacks import ConvertCallback

from agents.network import FactorNetwork, Soft, fit_scaling
from agents.ppo import PartialPPO, PPOSettings, build_ppo
from envs.sb3 import SB3VecEnv
from envs.vector import PushVectorEnv


def test_learning_leaves_nothing_among_temporary_files(shop, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    vector = PushVectorEnv(shop, 4, 5)
    network = Soft(FactorNetwork(fit_scaling([vector.reset(seed=0)[0]]), 0.1, hidden=8))
    settings = PPOSettings(rollout=2, batch_size=8, epochs=1)
    model: PartialPPO = build_ppo(SB3VecEnv(vector), network, settings, 0)
    model.learn_part(1, 8, 0, ConvertCallback(None))
    assert model.num_timesteps == 8
    assert list(tmp_path.iterdir()) == []
