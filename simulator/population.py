"""Populations of any size, lived block by block: memory grows with the block, not with the users.

Users beyond the simulator's own are those again under ids of their own. All draws, the policy's
included, are keyed by seed, user id and day, so lives differ, and blocks of another size change
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from generation.candidates.base import Around
from mdp.errors import BadSetting
from policies.base import Policy
from policies.composition import UNIFORMS
from policies.saved import TraitStore
from simulator.description import Simulator
from simulator.kernel import Kernel
from simulator.newcomers import newcomers
from simulator.randomness import POLICY, keys, uniforms

TOTALS = ("subscribed", "value", "sends", "opens", "clicks", "unsubscribes", "revenue")
"""What is added up each day: users subscribed in its evening, expected reward, pushes, opens,
clicks, unsubscribes, and the amount paid, organic purchases included."""
UNIT = 1e-6
"""Totals are whole numbers of this: sums of such don't depend on how users fall into blocks."""


@dataclass(frozen=True)
class Block:
    """Users who are lived together: number `first` to `last - 1`."""

    first: int
    last: int
    arrives: int | None = None
    """Day on which they arrive; None for those who are there from the start."""

    @property
    def users(self) -> int:
        """How many they are."""
        return self.last - self.first


@dataclass(frozen=True)
class Lived:
    """What a block of users lived."""

    users: int
    totals: np.ndarray
    """(days, `TOTALS`) int64, in `UNIT`s."""
    tables: dict[str, pd.DataFrame] | None
    """The log's tables, user after user and then by time; None where nothing was recorded."""
    until: int
    """Instant up to which every user lived."""


@dataclass(frozen=True)
class _Namesakes(Around):
    """A recommender that knows users by other ids."""

    hashes: np.ndarray
    """Hashes of the users' ids (N,) uint64, ascending."""
    known_as: np.ndarray
    """Hashes (N,) uint64 that the recommender knows them by."""

    def candidates(self, user_hash: np.ndarray, states: np.ndarray, at: np.ndarray) -> np.ndarray:
        known_as = self.known_as[np.searchsorted(self.hashes, user_hash)]
        return self.recommender.candidates(known_as, states, at)


def blocks(users: int, size: int, arriving: Sequence[int] = ()) -> Iterator[Block]:
    """Users in blocks of at most `size`, and after them the newcomers of each day, so many as
    `arriving` says."""
    for option, value in (("--users", users), ("--block", size)):
        if value < 1:
            raise BadSetting(f"{option} is {value}; it must be at least 1")
    for number, day in ((users, None), *zip(arriving, range(len(arriving)), strict=True)):
        for first in range(0, number, size):
            yield Block(first, min(first + size, number), day)


def block_of(simulator: Simulator, first: int, last: int) -> Simulator:
    """The simulator of users number `first` to `last - 1` alone. Number n is the simulator's user
    n modulo U; drawn for the second time `x` is called `x#2`, and so on."""
    number = np.arange(first, last)
    rows, turns = number % len(simulator.users), number // len(simulator.users)
    own = simulator.users.ids
    ids = tuple(
        own[row] if turn == 0 else f"{own[row]}#{turn + 1}"
        for row, turn in zip(rows.tolist(), turns.tolist(), strict=True)
    )
    return with_users(simulator, rows, ids)


def with_users(simulator: Simulator, rows: np.ndarray, ids: tuple[str, ...]) -> Simulator:
    """The simulator of its users `rows` (N,) alone, repeats allowed, under other ids (N,)."""
    some, known_as = simulator.of_users(rows, ids), simulator.users.hashes[rows]
    order = np.argsort(some.users.hashes)
    hashes, beliefs = some.users.hashes[order], simulator.beliefs
    if beliefs is not None:
        beliefs = TraitStore(hashes, beliefs.rows(known_as[order])[0], beliefs.default)
    return replace(
        some,
        recommender=_Namesakes(simulator.recommender, hashes, known_as[order]),
        beliefs=beliefs,
    )


def live(
    simulator: Simulator, policy: Policy, seed: int, days: int, who: Block, record: bool
) -> Lived:
    """Let a policy decide for a block of users over `days` days, for newcomers from the day on
    which they arrive.

    record: keep what happens as tables, and not only its totals.
    """
    if who.arrives is None:
        block = block_of(simulator, who.first, who.last)
    else:
        block = newcomers(simulator, who.arrives, who.first, who.last, seed)
    absent = who.arrives or 0
    kernel = Kernel(block, np.arange(who.users), seed, days - absent, record)
    kernel.reset(np.ones(kernel.N, bool), kernel.rows, seed, absent)
    seeds, totals = np.full(kernel.N, seed, np.uint64), [[0.0] * len(TOTALS)] * absent
    while not kernel.done:
        key = keys(seeds, POLICY, block.users.hashes, kernel.day)
        parts = policy.distribution(kernel.view().observation)
        actions = parts.drawn(np.stack([uniforms(key, n) for n in range(UNIFORMS)], 1))
        there = ~kernel.unsubscribed
        step = kernel.step(actions, parts.probability(actions), policy.name)
        still = ~kernel.unsubscribed
        day = (still, step.expected, step.sent, step.opened, step.clicked, there & ~still)
        totals.append([float(np.rint(each / UNIT).sum()) for each in (*day, step.revenue)])
    tables = _by_user(kernel.tables(), block) if record else None
    until = int(kernel.at.min())
    return Lived(kernel.N, np.array(totals).astype(np.int64), tables, until)


def _by_user(tables: dict[str, pd.DataFrame], block: Simulator) -> dict[str, pd.DataFrame]:
    """Tables with the rows of users one user after the other."""
    place = pd.Series(np.arange(len(block.users)), index=pd.Index(block.users.ids, dtype=object))
    decisions = tables["decisions"]
    of_decision = decisions.set_index("decision_id")["user_id"]
    owners = {
        "events": tables["events"]["user_id"],
        "decisions": decisions["user_id"],
        "outcomes": tables["outcomes"]["decision_id"].map(of_decision),
    }
    order = {name: np.argsort(place[ids].to_numpy(), kind="stable") for name, ids in owners.items()}
    return tables | {name: tables[name].iloc[rows] for name, rows in order.items()}
