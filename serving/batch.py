"""Decides for every user of a store, by the server's own decision service, part by part."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Engine, Row, func, select

from ingestion.spread import Spread, in_turn
from serving.activation import keep_holdout
from serving.commit import Answer, Keyed, Replayed
from serving.decide import Decider
from serving.delivery import delivery_of
from serving.known import add_policy, as_added, named_policy, registered
from serving.nights import begin, finish, key, unfinished
from serving.partitions import keep_partitions
from serving.problems import Problem
from serving.registry import Registry
from serving.rows import found_by_key
from serving.schemas import Ask, iso
from serving.settings import Settings
from serving.store import open_store, reading, writing
from serving.tables import OUTCOMES, USERS
from serving.users import user_ids_after
from serving.whose import need_shop_of

WHO = "decide"
"""Who it was, for the audit log and the history of guardrails."""
RELEASING = ("cancelled", "failed", "moved")
"""Outcomes that free a send's caps, or take them again: one that failed and was tried once more."""
Part = tuple[int, list[str]]
"""Its number, and its users."""


@dataclass(frozen=True)
class Night:
    """What is the same for all parts."""

    settings: Settings
    policy: Path
    """Where the policy lies that decides in place of the active one. Challenger, shadow, holdout
    and kill switches are the store's."""
    number: int
    """Of the store's nights."""
    at: int | None
    """Instant to decide at, microseconds UTC; None: now."""
    seed: int
    """Of the draws, which each part makes for itself: so they don't depend on where it is made."""


class Opening(NamedTuple):
    """A night, and what there is to say of it."""

    night: Night
    since: int | None
    """When an earlier run began it; None: it is new."""
    delivered: str
    """By whom: `pushwise` or `shop`."""
    users: int
    unfinished: Sequence[Row[Any]]
    """Other nights of late whose file is not whole."""


class Decided(NamedTuple):
    """What became of the users of one part."""

    answers: list[dict[str, Any]]
    """A send of an earlier run that was called off meanwhile has the action `cancelled` or
    `failed`: nobody is to send it."""
    before: int
    """Answers that an earlier run of the night got."""
    refused: list[tuple[str, str]]
    """Users who can't be decided for, and why."""


def open_night(
    settings: Settings, policy: Path, out: Path, at: int | None, seed: int, now: int
) -> Opening:
    """The night that a file is for; a run of it that was interrupted goes on.

    policy: its directory, or its name where the store knows it; one that it does not know is added,
    as the log's rows will name it.

    Raises `BadSetting` where there is no store, or where the settings say otherwise than it does of
    who delivers, `BadArtifact` and `BadInput` for a policy as `named_policy`, `need_shop_of` and
    `add_policy` do, and for a file as `begin` does.
    """
    engine = open_store(settings.store, make=False)
    try:
        keep_partitions(engine, settings, now)
        with reading(engine) as connection:  # others write while it is loaded
            saved = named_policy(connection, policy)
            need_shop_of(connection, saved.bundle, saved.path.name)
        with writing(engine) as connection:
            delivered = delivery_of(connection, settings)
            name = add_policy(connection, saved, now, WHO, move=False)
            keep_holdout(connection, Registry(), saved.bundle, at or now, WHO)
            number, since = begin(connection, out, name, at, now)
            others = [row for row in unfinished(connection, now) if row.number != number]
            users = connection.scalar(select(func.count()).select_from(USERS)) or 0
    finally:
        engine.dispose()
    return Opening(Night(settings, saved.path, number, at, seed), since, delivered, users, others)


def close_night(night: Night, now: int) -> None:
    """Note that the night's file is whole."""
    engine = open_store(night.settings.store, make=False)
    with writing(engine) as connection:
        finish(connection, night.number, now)
    engine.dispose()


def decided(night: Night, chunk: int, spread: Spread = in_turn) -> Generator[Decided, None, None]:
    """Decides for all users, `chunk` at a time, in the order of their ids.

    spread: where the parts are decided (default: here, one after the other). The answers are the
    same, unless a budget of sends for the whole shop runs out, which those get who come first.
    Raises `BadArtifact` for a policy that can't be loaded or was changed.
    """
    engine, registry = _opened(night)
    try:
        with reading(engine) as connection:
            registry.world(connection)  # what is wrong with it is said here, once
        yield from spread(decide_part, night, _parts(engine, chunk))
    finally:
        engine.dispose()
        _opened.cache_clear()


def _parts(engine: Engine, size: int) -> Iterator[Part]:
    """Users in the order of their ids, each part read when it is wanted: so memory does not grow
    with their number, and no snapshot of the store is kept for long."""
    number, last = 0, ""
    while True:
        with reading(engine) as connection:
            users = user_ids_after(connection, last, size)
        if not users:
            return
        yield number, users
        number, last = number + 1, users[-1]


def decide_part(night: Night, part: Part) -> Decided:
    """Decides for the users of one part."""
    engine, registry = _opened(night)
    number, users = part
    rng = np.random.default_rng([night.seed, number])
    when = {} if night.at is None else {"at": iso(night.at)}
    asks = [
        Keyed(Ask.model_validate({"user_id": user, **when}), key(night.number, user))
        for user in users
    ]
    given = Decider(engine, registry, night.settings, rng).decide(asks)
    called_off = _called_off(engine, given)
    return Decided(
        [
            {**answer, "action": called_off.get(answer["decision_id"], answer["action"])}
            for answer in given
            if not isinstance(answer, Problem)
        ],
        sum(isinstance(answer, Replayed) for answer in given),
        [
            (user, str(answer))
            for user, answer in zip(users, given, strict=True)
            if isinstance(answer, Problem)
        ],
    )


def _called_off(engine: Engine, given: Sequence[Answer]) -> dict[str, str]:
    """`cancelled` or `failed` of decisions of an earlier run that this became of since."""
    before = [answer["decision_id"] for answer in given if isinstance(answer, Replayed)]
    if not before:
        return {}
    with reading(engine) as connection:
        told = found_by_key(connection, OUTCOMES, before, "decision_id", "outcome", "at").all()
    last = {
        row.decision_id: row.outcome
        for row in sorted(told, key=attrgetter("at"))
        if row.outcome in RELEASING
    }
    return {name: outcome for name, outcome in last.items() if outcome != "moved"}


@lru_cache(maxsize=1)
def _opened(night: Night) -> tuple[Engine, Registry]:
    """The store and the policy, once a process."""
    engine, name = open_store(night.settings.store, make=False), night.policy.name
    with reading(engine) as connection:
        _, added = registered(connection, name)
    fixed = name, as_added(night.policy, added)
    return engine, Registry(fixed, night.settings.currency)
