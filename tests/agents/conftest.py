"""Observations that look like the simulator's, without one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import judging, runs, search, start, training
from agents.dqn import DQNSettings
from agents.logged import Logged, logged
from agents.ppo import PPOSettings
from ingestion.log import Log
from ingestion.read import load_checked
from ingestion.splits import split_time
from ingestion.write import write_log
from mdp.observation import NAMES, Observation
from policies.saved import PolicyBundle
from simulator.demo import demo
from simulator.description import Simulator
from simulator.saved import save_simulator
from simulator.worlds.logit import LogitShop


def _observation(N: int = 6, K: int = 3, V: int = 2, seed: int = 0) -> Observation:
    """N decisions with random features and masks; the first allows nothing, the last all."""
    rng = np.random.default_rng(seed)
    item, variant, hour = (rng.random((N, size)) < 0.7 for size in (K, V, 24))
    item[0], item[-1], variant[-1], hour[-1] = False, True, True, True
    sizes = {"user": (N,), "candidates": (N, K), "variants": (N, V), "hours": (N, 24)}
    arrays = {
        name: rng.normal(size=(*size, len(NAMES[name]))).astype(np.float32)
        for name, size in sizes.items()
    }
    parts = rng.random((N, K, V, 6)).astype(np.float32) * 0.3
    parts[..., 0] -= 0.1
    arrays["pairs"] = parts * (item[:, :, None] & variant[:, None, :])[..., None]
    arrays["hours"][..., 3] = rng.normal(0.1, 0.1, (N, 24)) * hour
    arrays["action_mask"] = np.concatenate([item, variant, hour], 1).astype(np.int8)
    return arrays


@pytest.fixture(scope="session")
def make_observation() -> Callable[..., Observation]:
    """Makes an observation of N decisions with K candidates and V variants."""
    return _observation


@pytest.fixture(scope="session")
def shop() -> Simulator:
    """A small known-truth shop that believes in itself."""
    simulator = LogitShop().simulator(120, 0)
    return simulator.believing(simulator)


@pytest.fixture(scope="session")
def shop_dir(shop: Simulator, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A saved simulator that is its own truth, and 24 days of its log."""
    path = tmp_path_factory.mktemp("shop")
    made = demo(shop, 24, 5)
    write_log(path / "logs", made.tables, made.meta)
    until = {"trained_until": split_time(load_checked(path / "logs"))}
    save_simulator(path / "sim", replace(made.truth, manifest=until))
    return path / "sim", path / "logs"


@pytest.fixture(scope="session")
def log(shop_dir: tuple[Path, Path]) -> Log:
    """The log."""
    return load_checked(shop_dir[1])


@pytest.fixture(scope="session")
def data(shop: Simulator, log: Log) -> Logged:
    """The log's decisions as the shop's own beliefs see them."""
    return logged(log, shop)


@contextmanager
def _quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "USERS", 20)
        patch.setattr(search, "DAYS", 5)
        patch.setattr(search, "FACTORS", (0.0, 1.0, 2.0))
        patch.setattr(start, "USERS", 30)
        patch.setattr(start, "DAYS", 10)
        patch.setattr(start, "EPOCHS", 3)
        patch.setattr(judging, "USERS", 30)
        patch.setattr(judging, "DAYS", 8)
        patch.setattr(runs, "PARTS", 3)
        yield


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Searches and judgements of training on fewer users and days."""
    with _quickly():
        yield


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """Settings of a training that takes no time, by algorithm."""
    size = {"steps": 384, "users": 16, "days": 8, "hidden": 8}
    return {
        "ppo": PPOSettings(**size, rollout=8, batch_size=64, epochs=1),
        "dqn": DQNSettings(**size, replay=256, learning_starts=64),
    }


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The run's folder of each of `trained`."""
    return {algo: tmp_path_factory.mktemp(algo) / "run" for algo in ("ppo", "dqn")}


@pytest.fixture(scope="session")
def trained(
    shop: Simulator, tiny: dict[str, Any], folders: dict[str, Path]
) -> dict[str, PolicyBundle]:
    """Policies that were trained without a pause, by algorithm; seed 3."""
    with _quickly():
        return {
            algo: training.train(shop, algo, 3, settings, ["pushwise", "train"], run=folders[algo])
            for algo, settings in tiny.items()
        }
