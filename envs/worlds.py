"""Environments over known-truth worlds, which need no arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from gymnasium.vector import AutoresetMode

from envs.episodes import Source, count_of
from envs.push import PushEnv
from envs.vector import PushVectorEnv
from mdp.errors import BadSetting
from mdp.guardrails import Guardrails
from mdp.reward import Reward
from policies.planner import Planner, planner
from simulator.best_days import with_habits
from simulator.description import Simulator
from simulator.kernel import Kernel
from simulator.payment import Step
from simulator.worlds import known_world
from simulator.worlds.base import lived

LIVED_DAYS = 28
"""Days under the logging policy before a world's episodes start."""
THRESHOLD = 0.3
"""What a send must be worth while users' habits are measured for the oracle, currency units."""


@lru_cache(maxsize=4)
def world(name: str, users: int, seed: int) -> Simulator:
    """A known-truth world whose users have lived `LIVED_DAYS` under its logging policy."""
    return lived(known_world(name).simulator(users, seed), LIVED_DAYS, seed)[0]


@lru_cache(maxsize=4)
def _habitual(name: str, users: int, seed: int) -> Simulator:
    """The world whose true traits hold the users' habits, with which the planner plans."""
    shop = world(name, users, seed)
    believed = with_habits(shop.believing(shop), THRESHOLD, seed).beliefs
    assert believed is not None
    traits = shop.traits.copy()
    traits["habit"] = believed.rows(shop.users.hashes)[0]["habit"]
    return replace(shop, traits=traits)


def _shop(name: str, users: int, seed: int, oracle: bool) -> Simulator:
    count_of("users", users, "a shop")
    count_of("world_seed", seed, "a shop", least=0)
    return (_habitual if oracle else world)(name, users, seed)


@dataclass(frozen=True)
class _Oracle:
    """The planner that knows the truth."""

    policy: Planner

    @classmethod
    def of(cls, simulator: Simulator) -> _Oracle:
        """Of a world; raises `BadSetting` where it would plan for another reward than is paid."""
        if simulator.reward.credit != "attributed":
            raise BadSetting(
                "reward credit is 'all', but the oracle plans for attributed purchases alone: "
                "leave out oracle, or use credit='attributed'"
            )
        return cls(planner(simulator.response, simulator.reward))

    def actions(self, kernel: Kernel) -> np.ndarray:
        """What it would do now (N,) int64, flat actions."""
        observation = kernel.true_view().observation
        return self.policy.act(observation, np.random.default_rng(0))[0]


class _WorldEnv(PushEnv):
    """What the single environments of known-truth worlds share."""

    world_name: ClassVar[str]

    def __init__(
        self,
        users: int = 500,
        world_seed: int = 0,
        days: int = 28,
        model: Source | None = None,
        reward: Reward | None = None,
        guardrails: Guardrails | None = None,
        render_mode: str | None = None,
        oracle: bool = False,
        newcomers: float = 0.0,
    ) -> None:
        shop = _shop(self.world_name, users, world_seed, oracle)
        super().__init__(shop, days, model, reward, guardrails, render_mode, newcomers)
        self._oracle = _Oracle.of(self.simulator) if oracle else None

    def _info(self, *args: Any) -> dict[str, Any]:
        info = super()._info(*args)
        if self._oracle is not None:
            info["oracle"] = int(self._oracle.actions(self.kernel)[0])
        return info


class _WorldVectorEnv(PushVectorEnv):
    """What the vector environments of known-truth worlds share."""

    world_name: ClassVar[str]

    def __init__(
        self,
        num_envs: int = 1,
        users: int = 500,
        world_seed: int = 0,
        days: int = 28,
        model: Source | None = None,
        reward: Reward | None = None,
        guardrails: Guardrails | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        oracle: bool = False,
        newcomers: float = 0.0,
    ) -> None:
        shop = _shop(self.world_name, users, world_seed, oracle)
        super().__init__(shop, num_envs, days, model, reward, guardrails, autoreset_mode, newcomers)
        self._oracle = _Oracle.of(self.simulator) if oracle else None

    def _infos(self, step: Step | None, present: np.ndarray, *args: Any) -> dict[str, Any]:
        infos = super()._infos(step, present, *args)
        if self._oracle is not None:
            infos["oracle"] = self._oracle.actions(self.kernel)
            infos["_oracle"] = present
        return infos


_SHARED = """
    ## Action Space
    `Discrete(1441)`: 0 holds; `1 + (k·6 + v)·24 + h` sends candidate k of 10 with variant v of 6
    at local hour h. An action that the mask forbids is a hold.

    ## Observation Space
    As in `PushEnv`, with K = 10 candidates and V = 6 variants. What predicts is 0, unless `model`
    is given.

    ## Starting State
    A user drawn uniformly, after 28 days under the shop's logging policy.

    ## Rewards
    As in `PushEnv`.

    ## Episode End
    As in `PushEnv`.

    ## Information
    As in `PushEnv`; with `oracle`, also `oracle`: the flat action that a planner who knows the
    truth would take now. It plans over fatigue alone, so it is a strong reference, not a bound.

    ## Arguments
    `users`: size of the shop. `world_seed`: which shop of its kind. `days`, `model`, `reward`,
    `guardrails`, `render_mode`, `newcomers` as in `PushEnv`. `oracle`: whether `info` says what the
    oracle would do; it costs a prediction and a plan a step, and needs a reward that credits
    attributed purchases.

    ## Version History
    v0: first version.
    """
"""The headings that all known-truth environments have in common."""


class LogitShopEnv(_WorldEnv):
    """A demo shop whose truth is additive on the logit scale.

    ## Description
    `PushEnv` over the known-truth world `simulator.worlds.logit`: users differ in taste, active
    hours, time zone, price sensitivity, tolerance, openness and the styles they respond to. What a
    send costs is fatigue, wear-out and unsubscribes, so what looks best today is not best for long.
    """

    world_name = "logit"


class HazardShopEnv(_WorldEnv):
    """A demo shop where a few pushes cost nothing, and one too many costs the user.

    ## Description
    `PushEnv` over the known-truth world `simulator.worlds.hazard`: dismissals and unsubscribes are
    complementary log-log hazards, fatigue acts only above a threshold of the user's own, and what
    an item adds to a click saturates.
    """

    world_name = "hazard"


class SeasonalShopEnv(_WorldEnv):
    """A demo shop where what works depends on when, and does not stay.

    ## Description
    `PushEnv` over the known-truth world `simulator.worlds.seasonal`: good hours depend on the
    weekday, seasons and holidays lift responses, tastes turn within months, copy and items wear
    out soon.
    """

    world_name = "seasonal"


class BuyAnywayShopEnv(_WorldEnv):
    """A demo shop whose regulars buy anyway.

    ## Description
    `PushEnv` over the known-truth world `simulator.worlds.anyway`: regulars open, click and buy,
    and would mostly have bought without the push. Under the default reward they look best; with
    `reward=Reward(credit="all")` the step pays every purchase, holds included, and what a policy
    earns beyond one that holds is what its pushes add.
    """

    world_name = "anyway"


class LogitShopVectorEnv(_WorldVectorEnv):
    """`num_envs` users of a `LogitShopEnv` at once; see `PushVectorEnv`."""

    world_name = "logit"


class HazardShopVectorEnv(_WorldVectorEnv):
    """`num_envs` users of a `HazardShopEnv` at once; see `PushVectorEnv`."""

    world_name = "hazard"


class SeasonalShopVectorEnv(_WorldVectorEnv):
    """`num_envs` users of a `SeasonalShopEnv` at once; see `PushVectorEnv`."""

    world_name = "seasonal"


class BuyAnywayShopVectorEnv(_WorldVectorEnv):
    """`num_envs` users of a `BuyAnywayShopEnv` at once; see `PushVectorEnv`."""

    world_name = "anyway"


for _env in (LogitShopEnv, HazardShopEnv, SeasonalShopEnv, BuyAnywayShopEnv):
    _env.__doc__ = (_env.__doc__ or "").rstrip() + "\n" + _SHARED
