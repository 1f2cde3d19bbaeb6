"""Decides for every user of a store, by the server's own decision service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from policies.saved import load_policy
from serving.commit import Keyed
from serving.decide import Decider
from serving.problems import Problem
from serving.registry import Registry
from serving.schemas import Ask, iso
from serving.settings import Settings
from serving.store import open_store, reading
from serving.users import all_user_ids


def decide_all(
    settings: Settings,
    policy: Path,
    at: int | None,
    chunk: int,
    progress: Callable[[int, int], None],
    rng: np.random.Generator | None = None,
) -> list[dict[str, Any]]:
    """Answers for all users, `chunk` at a time; a user who can't be decided for has an `error`.

    The policy decides here alone: the one that is active in the store stays so. Raises
    `BadArtifact` for a policy that can't be loaded, `BadSetting` where there is no store.

    at: instant to decide at, microseconds UTC (default: now). progress: is told how many of how
    many are done. rng: where the draws come from (default: fresh, as in a server).
    """
    registry = Registry((policy.resolve().name, load_policy(policy)))
    engine = open_store(settings.store, make=False)
    answers: list[dict[str, Any]] = []
    try:
        with reading(engine) as connection:
            users = all_user_ids(connection)
        decider = Decider(engine, registry, settings, rng)
        when = {} if at is None else {"at": iso(at)}
        for begin in range(0, len(users), chunk):
            some = users[begin : begin + chunk]
            asks = [Keyed(Ask.model_validate({"user_id": user, **when})) for user in some]
            for user, given in zip(some, decider.decide(asks), strict=True):
                if isinstance(given, Problem):
                    answers.append({"user_id": user, "error": str(given)})
                else:
                    answers.append(dict(given))
            progress(min(begin + chunk, len(users)), len(users))
    finally:
        engine.dispose()
    return answers
