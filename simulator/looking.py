"""The coming decisions of a kernel's users as a policy sees them, made once for each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np

from mdp.observation import Requests, Sheet, View, new_memory, seen
from mdp.reasons import bound_reasons, copy_reasons
from mdp.state import HISTORY, TRAITS, features, put, taken
from simulator.description import Simulator, offered
from simulator.memory import Memory

_UNKNOWN = np.zeros((0, 0), np.uint8)


@dataclass(frozen=True)
class Now:
    """Where N users are."""

    rows: np.ndarray
    """Rows of the simulator's users (N,) int64."""
    user: np.ndarray
    """Hashes of their ids (N,) uint64."""
    at: np.ndarray
    """Instants of the coming decisions (N,) int64."""
    zone: np.ndarray
    """Zone codes (N,)."""
    histories: np.ndarray
    """States (N,) `HISTORY`."""

    def of(self, which: np.ndarray) -> Now:
        """Of the users `which` (M,) alone."""
        rows, user, at, zone = (x[which] for x in (self.rows, self.user, self.at, self.zone))
        return Now(rows, user, at, zone, taken(self.histories, which))


class Looking:
    """Makes the view of N users' coming decisions when it is first asked for, and keeps it until it
    is told to forget it."""

    def __init__(self, simulator: Simulator, size: int) -> None:
        catalog, users = simulator.catalog, simulator.users
        self._simulator = simulator
        self.model = None if simulator.model is None else simulator.model.bind(catalog)
        """What its observations predict by, bound to the catalogue."""
        self.variants = np.tile(offered(catalog), (size, 1))
        """Variants that each user is offered (N, V)."""
        self.believed = np.zeros(size, TRAITS)
        """Users' traits as the simulator's observations carry them (N,) `TRAITS`."""
        self._copy_reason = copy_reasons(
            catalog,
            np.tile(offered(catalog), (len(users), 1)),
            list(users.locales) or None,
            list(users.segments) or None,
        )
        self._memory = Memory()
        self._kept: tuple[View, np.ndarray] | None = None

    def at(self, now: Now) -> tuple[View, np.ndarray]:
        """The view (N), and its candidates (N, K)."""
        if self._kept is None:
            self._kept = self._made(now, self.believed, self._memory.take)
        return self._kept

    def forget(self) -> None:
        """The users have moved on; arrays that were handed out stay as they are."""
        self._kept = None

    def begin(self, which: np.ndarray, now: Now) -> None:
        """The users `which` (M,) have begun an episode: theirs is made anew in a kept view."""
        if self._simulator.beliefs is not None:
            self.believed[which] = self._simulator.beliefs.rows(now.user[which])[0]
        if len(which) == len(now.rows):
            self._kept = None
        elif self._kept is not None:
            made = self._made(now.of(which), self.believed[which], new_memory)
            for old, new in zip(self._kept, made, strict=True):
                _put(old, which, new)

    def _made(
        self, now: Now, believed: np.ndarray, memory: Callable[[int], np.ndarray]
    ) -> tuple[View, np.ndarray]:
        simulator = self._simulator
        catalog, recommender = simulator.catalog, simulator.recommender
        # What a recommender does not read need not be brought to the instant twice.
        states = features(now.histories, now.at) if recommender.reads_states else now.histories
        items = recommender.candidates(now.user, states, now.at)
        variants = self.variants[: len(now.at)]
        reason = bound_reasons(catalog, items, variants, self._copy_reason[now.rows])
        asked = Requests(now.histories, now.at, now.zone, items, variants, _UNKNOWN, reason)
        (N, K), V = items.shape, variants.shape[1]
        sheet = Sheet.blank(N, K, V, memory)
        guardrails, reward = simulator.guardrails, simulator.reward
        view = seen(sheet, asked, False, catalog, guardrails, reward, self.model, believed)
        return view, sheet.items


def _put(target: Any, rows: np.ndarray, source: Any) -> None:
    """Write the rows of `source`'s arrays into the rows (M,) of `target`'s, by name."""
    if isinstance(target, np.ndarray):
        if target.dtype == HISTORY:
            put(target, rows, source)
        else:
            target[rows] = source
    elif isinstance(target, dict):
        for name in target:
            _put(target[name], rows, source[name])
    elif target is not None:
        for name in _by_row(target.__class__):
            _put(getattr(target, name), rows, getattr(source, name))


@lru_cache
def _by_row(kind: Any) -> tuple[str, ...]:
    """Names of a dataclass's fields that have a row for each decision."""
    return tuple(part.name for part in fields(kind) if part.metadata.get("rows", True))
