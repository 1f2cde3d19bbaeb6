"""Every registered environment, with the arguments it needs."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import pytest

import envs
from simulator.saved import save_simulator
from simulator.worlds.base import lived
from simulator.worlds.logit import LogitShop

envs.register()


@pytest.fixture(scope="session")
def sim():
    """A small shop, believing its own response model as a fit does."""
    shop = lived(LogitShop().simulator(40, 6), 5, 6)[0]
    return shop.believing(shop)


@pytest.fixture(scope="session")
def arguments(tmp_path_factory, sim) -> dict[str, dict]:
    """Arguments of each environment by id."""
    path = tmp_path_factory.mktemp("sim") / "sim"
    save_simulator(path, sim)
    known = {name: {"users": 40} for name in envs.ENTRY_POINTS if name != "pushwise/Push-v0"}
    return {"pushwise/Push-v0": {"simulator": path}, **known}


@dataclass(frozen=True)
class Maker:
    """Makes one environment, single when called."""

    id: str
    arguments: dict[str, Any]

    def __call__(self, **changes: Any) -> gymnasium.Env:
        return gymnasium.make(self.id, **(self.arguments | changes))

    def vector(self, num_envs: int, **changes: Any) -> Any:
        return gymnasium.make_vec(self.id, num_envs=num_envs, **(self.arguments | changes))


@pytest.fixture(params=envs.ENTRY_POINTS)
def make(request, arguments) -> Maker:
    return Maker(request.param, arguments[request.param])
