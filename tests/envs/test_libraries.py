"""The environments under the libraries that people train with."""

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import DQN, PPO

from envs.sb3 import SB3VecEnv
from envs.wrappers import CampaignBudget, FactoredActions, FlatObservation

ROOT = Path(__file__).parents[2]
EXAMPLE, CONSTRAINTS = ROOT / "examples" / "actor_critic.py", ROOT / "constraints.txt"


@pytest.fixture(autouse=True)
def _logs(monkeypatch, tmp_path):
    monkeypatch.setenv("SB3_LOGDIR", str(tmp_path))  # else among the temporary files, for ever


def test_stable_baselines3_runs_on_every_environment(make):
    env = SB3VecEnv(make.vector(4, days=5))
    PPO("MultiInputPolicy", env, n_steps=8, batch_size=16, n_epochs=1, device="cpu").learn(32)
    small: dict[str, Any] = {
        "learning_starts": 4,
        "buffer_size": 50,
        "batch_size": 4,
        "device": "cpu",
    }
    DQN("MlpPolicy", FlatObservation(make(days=5)), **small).learn(20)
    PPO(
        "MlpPolicy",
        FactoredActions(FlatObservation(make(days=5))),
        n_steps=16,
        batch_size=16,
        n_epochs=1,
        device="cpu",
    ).learn(16)


def test_maskable_ppo_never_picks_a_masked_action(make):
    contrib = pytest.importorskip("sb3_contrib", reason="sb3-contrib is not installed")
    from sb3_contrib.common.maskable.utils import get_action_masks

    vector = CampaignBudget(make.vector(4, days=5), sends=6)
    env = SB3VecEnv(vector)
    model = contrib.MaskablePPO(
        "MultiInputPolicy", env, n_steps=8, batch_size=16, n_epochs=1, device="cpu"
    )
    model.learn(32)
    observation: Any = env.reset()
    for _ in range(6):
        masks = get_action_masks(env)
        assert masks.shape == (4, vector.action_masks().shape[1])
        actions, _ = model.predict(observation, action_masks=masks)
        assert masks[np.arange(4), actions].all()
        observation, *_ = env.step(actions)
    single = FactoredActions(FlatObservation(make(days=5)))
    contrib.MaskablePPO("MlpPolicy", single, n_steps=16, batch_size=16, device="cpu").learn(16)


def test_the_single_file_example_runs(make):
    example = runpy.run_path(str(EXAMPLE))
    settings = example["Settings"](make.id, num_envs=16, steps=12, env=make.arguments | {"days": 5})
    curve = example["train"](settings)
    assert curve.shape == (12,)
    assert np.isfinite(curve).all()
    assert curve.any()


TORCHRL = ("torchrl", "tensordict", "pyvers", "importlib_metadata", "zipp", "lazy-importer")


@pytest.mark.slow
def test_torchrl_rolls_out(make, tmp_path, monkeypatch):
    """In a folder of its own that is looked into last: it brings a package `benchmarks`, too."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "-c", str(CONSTRAINTS)]
    subprocess.run([*pip, "--target", str(tmp_path), *TORCHRL], check=True)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    from torchrl.envs import GymWrapper

    env = GymWrapper(make(days=5), categorical_action_encoding=True)
    rollout = env.rollout(8)
    assert 1 <= len(rollout) <= 5
    assert rollout["user"].shape[1:] == make().observation_space["user"].shape
    assert bool(rollout["next", "done"][-1])
