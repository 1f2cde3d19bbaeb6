"""Environments over known-truth worlds, which need no arguments."""

from __future__ import annotations

from functools import lru_cache

from gymnasium.vector import AutoresetMode

from envs.episodes import Source
from envs.push import PushEnv
from envs.vector import PushVectorEnv
from mdp.guardrails import Guardrails
from mdp.reward import Reward
from simulator.description import Simulator
from simulator.worlds import known_world
from simulator.worlds.base import lived

LIVED_DAYS = 28
"""Days under the logging policy before a world's episodes start."""


@lru_cache(maxsize=4)
def world(name: str, users: int, seed: int) -> Simulator:
    """A known-truth world whose users have lived `LIVED_DAYS` under its logging policy."""
    return lived(known_world(name).simulator(users, seed), LIVED_DAYS, seed)[0]


class LogitShopEnv(PushEnv):
    """A demo shop whose truth is additive on the logit scale.

    ## Description
    `PushEnv` over the known-truth world `simulator.worlds.logit`: users differ in taste, active
    hours, time zone, price sensitivity, tolerance, openness and the styles they respond to. What a
    send costs is fatigue, wear-out and unsubscribes, so what looks best today is not best for long.

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
    As in `PushEnv`.

    ## Arguments
    `users`: size of the shop. `world_seed`: which shop of its kind. `days`, `model`, `reward`,
    `guardrails`, `render_mode` as in `PushEnv`.

    ## Version History
    v0: first version.
    """

    def __init__(
        self,
        users: int = 500,
        world_seed: int = 0,
        days: int = 28,
        model: Source | None = None,
        reward: Reward | None = None,
        guardrails: Guardrails | None = None,
        render_mode: str | None = None,
    ) -> None:
        shop = world("logit", users, world_seed)
        super().__init__(shop, days, model, reward, guardrails, render_mode)


class LogitShopVectorEnv(PushVectorEnv):
    """`num_envs` users of a `LogitShopEnv` at once; see `PushVectorEnv`."""

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
    ) -> None:
        shop = world("logit", users, world_seed)
        super().__init__(shop, num_envs, days, model, reward, guardrails, autoreset_mode)
