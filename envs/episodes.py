"""Episodes: whose they are, what they draw, and what settings they run under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mdp.errors import BadInput, BadSetting, NotEnoughData
from mdp.guardrails import Guardrails
from mdp.reward import Reward
from simulator.description import Simulator
from simulator.kernel import Kernel
from simulator.newcomers import with_newcomers
from simulator.randomness import EPISODE, keys, words
from simulator.saved import load_simulator

Source = Simulator | str | Path
"""A simulator, or the directory of a saved one."""


def settled(
    simulator: Source | None,
    days: int,
    model: Source | None,
    reward: Reward | None,
    guardrails: Guardrails | None,
    newcomers: float,
) -> Simulator:
    """The simulator with an environment's arguments put over it; raises `BadSetting`."""
    count_of("days", days, "an episode")
    for name, value, form, how in (
        ("reward", reward, Reward, "from mdp.reward"),
        ("guardrails", guardrails, Guardrails, "a file's are policies.rules_file.read_guardrails"),
    ):
        if value is not None and not isinstance(value, form):
            raise BadSetting(f"{name} is {value!r}; give a {form.__name__} ({how})")
    if simulator is None:
        raise BadSetting(
            "an environment needs a shop: give simulator=, the directory that `pushwise fit` "
            "wrote; those of a known truth, such as pushwise/LogitShop-v0, need none"
        )
    chosen = simulator if isinstance(simulator, Simulator) else load_simulator(simulator)
    if model is not None:
        chosen = chosen.believing(model if isinstance(model, Simulator) else load_simulator(model))
    return replace(
        with_newcomers(chosen, newcomers),
        reward=chosen.reward if reward is None else reward,
        guardrails=chosen.guardrails if guardrails is None else guardrails,
    )


def count_of(name: str, value: Any, of: str, least: int = 1) -> int:
    """An argument that counts something; raises `BadSetting` for what is no whole number or too
    low. of: what needs the least of them."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise BadSetting(f"{name} is {value!r}; {of} needs a whole number of at least {least}")
    return int(value)


def seeds_of(seed: Any, size: int) -> int | list[int | None] | None:
    """What a vector environment of `size` rows is reset with: one seed, one for each row (None
    for a row that goes on), or None. Raises `BadInput` for anything else."""
    if seed is None or _seed(seed):
        return seed if seed is None else int(seed)
    rows = list(seed) if isinstance(seed, Sequence | np.ndarray) else []
    if len(rows) != size or not all(row is None or _seed(row) for row in rows):
        raise BadInput(f"seed is {seed!r}; give one whole number from 0 on, or {size}, one a row")
    return [None if row is None else int(row) for row in rows]


def _seed(value: Any) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and 0 <= value < 2**63


@dataclass
class Episodes:
    """Draws the user and the kernel's seed of each row's next episode.

    Both are hashes of the row's own seed and the episode's number, so a row of a vector
    environment meets the same episodes as a single environment with its seed.
    """

    eligible: np.ndarray
    """Rows of the users who can be pushed at all (M,) int64."""
    seed: np.ndarray
    """(N,) uint64"""
    number: np.ndarray
    """Episodes begun so far (N,) int64."""
    distinct: bool = False
    """Whether rows that begin together get different users, none twice before all had a turn."""

    @classmethod
    def of(cls, simulator: Simulator, size: int) -> Episodes:
        """For `size` rows; raises `NotEnoughData` where all users have unsubscribed."""
        eligible = np.flatnonzero(simulator.pushable)
        if not len(eligible):
            raise NotEnoughData("none of the simulator's users may be pushed: fit one with others")
        return cls(eligible, np.zeros(size, np.uint64), np.zeros(size, np.int64))

    def reseed(self, seeds: np.ndarray, where: np.ndarray | None = None) -> None:
        """Begin anew under seeds (N,), in the rows `where` (N,) bool alone if given."""
        chosen = np.ones(len(self.seed), bool) if where is None else where
        self.seed = np.where(chosen, np.asarray(seeds).astype(np.uint64), self.seed)
        self.number[chosen] = 0

    def next(self, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Users (M,) int64 and kernel seeds (M,) uint64 of the episodes that begin in the rows
        `where` (N,) bool."""
        key = keys(
            self.seed[where], EPISODE, np.zeros(int(where.sum()), np.uint64), self.number[where]
        )
        self.number[where] += 1
        if self.distinct and len(key):
            order = np.random.default_rng(int(words(key[:1], 0)[0])).permutation(self.eligible)
            return np.resize(order, len(key)), words(key, 1)
        place = words(key, 0) % np.uint64(len(self.eligible))
        return self.eligible[place.astype(np.int64)], words(key, 1)


OPTIONS = ("user_id", "start_day", "member")


def begin(
    kernel: Kernel,
    episodes: Episodes,
    where: np.ndarray,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Begin the next episode in the rows `where` (N,) bool.

    options: `user_id`, `start_day` and `member`, each one value or one a row (N,). The draws of
    the rows' other episodes are the same with and without them. Raises `BadInput` for an option
    that isn't known and for a value that can't be.
    """
    options, simulator = options or {}, kernel.simulator
    for name in options:
        if name not in OPTIONS:
            raise BadInput(f"unknown reset option {name!r}; known: {', '.join(OPTIONS)}")
    given = {name: _each(name, value, where) for name, value in options.items()}
    start, member = given.get("start_day", 0), given.get("member")
    _within("start_day", start, 36_500, "days after the simulator's start")
    if member is not None:
        _within("member", member, max(len(simulator.members), 1) - 1, "members of the ensemble")
    named = None
    if "user_id" in given:
        named = np.array([_row(simulator, name) for name in given["user_id"].tolist()], np.int64)
    rows, seeds = episodes.next(where)
    kernel.reset(where, rows if named is None else named, seeds, start, member)


def _each(name: str, value: Any, where: np.ndarray) -> np.ndarray:
    """The option's value of each row (M,) that begins."""
    values = np.asarray(value, object if name == "user_id" else None)
    if values.ndim and values.shape != where.shape:
        raise BadInput(
            f"reset option {name!r} has shape {values.shape}; give one value, or {len(where)}"
        )
    return np.broadcast_to(values, where.shape)[where]


def _within(name: str, values: Any, highest: int, of: str) -> None:
    wrong = [
        value
        for value in np.atleast_1d(values).tolist()
        if type(value) is not int or not 0 <= value <= highest
    ]
    if wrong:
        raise BadInput(f"reset option {name!r} is {wrong[0]!r}; it counts {of}, 0 … {highest}")


def _row(simulator: Simulator, user_id: Any) -> int:
    try:
        row = simulator.users.ids.index(user_id)
    except ValueError as error:
        raise BadInput(f"the simulator has no user {user_id!r}") from error
    if not simulator.pushable[row]:
        raise BadInput(f"user {user_id!r} may not be pushed, so there is nothing to decide")
    return row
