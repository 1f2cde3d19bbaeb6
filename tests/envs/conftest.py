"""Every registered environment, with the arguments it needs."""

from collections.abc import Callable

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
    return {"pushwise/Push-v0": {"simulator": path}, "pushwise/LogitShop-v0": {"users": 40}}


@pytest.fixture(params=envs.ENTRY_POINTS)
def make(request, arguments) -> Callable[..., gymnasium.Env]:
    """Makes the environment, `make.vector` its vector environment."""

    def single(**changes) -> gymnasium.Env:
        return gymnasium.make(request.param, **(arguments[request.param] | changes))

    def vector(num_envs: int, **changes) -> gymnasium.vector.VectorEnv:
        more = arguments[request.param] | changes
        return gymnasium.make_vec(request.param, num_envs=num_envs, **more)

    single.id, single.vector = request.param, vector
    return single
