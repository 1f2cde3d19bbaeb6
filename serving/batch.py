"""Decides for every user of a store, by the server's own decision service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine

from ingestion.spread import Spread, in_turn
from policies.saved import load_policy
from serving.commit import Keyed
from serving.decide import Decider
from serving.delivery import delivery_of
from serving.problems import Problem
from serving.registry import Registry
from serving.schemas import Ask, iso
from serving.settings import Settings
from serving.store import open_store, reading
from serving.users import all_user_ids

Part = tuple[int, list[str]]
"""Its number, and its users."""


@dataclass(frozen=True)
class Night:
    """What is the same for all parts."""

    settings: Settings
    policy: Path
    at: int | None
    """Instant to decide at, microseconds UTC; None: now."""
    seed: int
    """Of the draws, which each part makes for itself: so they don't depend on where it is made."""


def decide_all(
    night: Night, chunk: int, progress: Callable[[int, int], None], spread: Spread = in_turn
) -> list[dict[str, Any]]:
    """Answers for all users, `chunk` at a time; a user who can't be decided for has an `error`.

    The policy decides here alone: the one that is active in the store stays so. Raises
    `BadArtifact` for a policy that can't be loaded, `BadSetting` where there is no store.

    progress: is told how many of how many are done. spread: where the parts are decided (default:
    here, one after the other). The answers are the same, unless a budget of sends for the whole
    shop runs out, which those get who come first.
    """
    load_policy(night.policy)  # refused here, once
    engine = open_store(night.settings.store, make=False)
    with reading(engine) as connection:
        users = all_user_ids(connection)
    engine.dispose()
    starts = range(0, len(users), chunk)
    parts = [(n, users[begin : begin + chunk]) for n, begin in enumerate(starts)]
    answers: list[dict[str, Any]] = []
    try:
        for rows in spread(decide_part, night, parts):
            answers += rows
            progress(len(answers), len(users))
    finally:
        if _opened.cache_info().currsize:  # in this process
            _opened(night)[0].dispose()
            _opened.cache_clear()
    return answers


def delivery_in(settings: Settings) -> str:
    """Who delivers the sends of a store, `pushwise` or `shop`; raises `BadSetting` where there is
    no store, or where the settings say otherwise than it does."""
    engine = open_store(settings.store, make=False)
    try:
        with reading(engine) as connection:
            return delivery_of(connection, settings)
    finally:
        engine.dispose()


def decide_part(night: Night, part: Part) -> list[dict[str, Any]]:
    """Answers for the users of one part."""
    engine, registry = _opened(night)
    number, users = part
    rng = np.random.default_rng([night.seed, number])
    when = {} if night.at is None else {"at": iso(night.at)}
    asks = [Keyed(Ask.model_validate({"user_id": user, **when})) for user in users]
    given = Decider(engine, registry, night.settings, rng).decide(asks)
    return [
        {"user_id": user, "error": str(answer)} if isinstance(answer, Problem) else dict(answer)
        for user, answer in zip(users, given, strict=True)
    ]


@lru_cache(maxsize=1)
def _opened(night: Night) -> tuple[Engine, Registry]:
    """The store and the policy, once a process."""
    fixed = night.policy.name, load_policy(night.policy)
    registry = Registry(fixed, night.settings.currency)
    return open_store(night.settings.store, make=False), registry
