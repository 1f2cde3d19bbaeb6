"""How a policy stands beside simple ones once nothing is chosen any more: `standing`.

Users' lives are others than those of searches, training and judging, so nothing here was the best
of several. What a policy earns more than another is the mean under the members of the ensemble that
its algorithm left out of training, where it did. Its interval holds luck over users, and what the
log leaves open: members are fits to users drawn with replacement, which scatter about the fit as
the fit does about the truth (the bootstrap; Efron 1979), as far as what all users share goes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from agents import judging
from agents.comparing import NORMAL
from agents.rollouts import population, rollout
from policies.base import Policy
from policies.baselines import Greedy
from policies.saved import PolicyBundle
from policies.standing import GREEDY, HOLD, LOGGING
from simulator.description import Simulator
from simulator.fidelity_goals import margin_of

FRESH = 2_000_003
"""Added to the seed of these lives: neither training nor its judges meet them."""


def standing(simulator: Simulator, bundle: PolicyBundle, seed: int = 0) -> dict[str, Any] | None:
    """What a policy, without its exploration floor, is worth beside hold, the logging policy and
    greedy with the threshold that its training found, as a manifest holds it.

    simulator: what it was learned in or for. `value` and each of `minus` have `mean`, `low` and
    `high`: value per user over `days` days, and its 95 % interval. None for a reward that credits
    every purchase, which pushes' expectations do not add up to.
    """
    if simulator.reward.credit != "attributed":
        return None
    place = replace(simulator, model=bundle.model, beliefs=bundle.traits)
    rows = population(place, judging.USERS, seed + FRESH)
    lives, sends = _lives(place, replace(bundle.policy, floor=0.0), rows, seed)
    others = {HOLD: np.zeros_like(lives)}  # nothing sent, nothing earned
    others |= {
        name: _lives(place, policy, rows, seed)[0]
        for name, policy in _simple(simulator, bundle).items()
    }
    judges = len(lives)
    if "metrics" in bundle.manifest and judges > judging.KEPT_MEMBERS:  # trained under the others
        judges = judging.KEPT_MEMBERS
    return {
        "users": len(rows),
        "days": judging.DAYS,
        "members": judges,
        "sends_per_week": float(sends.mean()) / judging.DAYS * 7,
        "value": _interval(lives, judges),
        "minus": {name: _interval(lives - other, judges) for name, other in others.items()},
    }


def _simple(simulator: Simulator, bundle: PolicyBundle) -> dict[str, Policy]:
    """The logging policy, and greedy with its threshold where that was searched for and is not the
    policy itself."""
    out: dict[str, Policy] = {LOGGING: replace(simulator.logging, floor=0.0)}
    threshold = bundle.manifest.get("baselines", {}).get("threshold")
    if threshold is not None and not isinstance(bundle.policy, Greedy):
        out[GREEDY] = Greedy(threshold=threshold)
    return out


def _lives(
    place: Simulator, policy: Policy, rows: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Value and sends (M, N) of the users `rows` (N,) under each member alone; once where there is
    no ensemble."""
    worlds = [replace(place, members=(each,)) for each in place.members] or [place]
    lives = [rollout(one, policy, rows, seed + FRESH, judging.DAYS) for one in worlds]
    return np.stack([life.value for life in lives]), np.stack([life.sends for life in lives])


def _interval(values: np.ndarray, judges: int) -> dict[str, float]:
    """Mean of (M, N) under the last members, so many; 95 % by Student's t over all of them and the
    normal distribution over users."""
    users = values.shape[1]
    mean = float(values[-judges:].mean())
    luck = NORMAL * float(values.mean(0).std(ddof=1)) / users**0.5 if users > 1 else np.inf
    half = float(np.hypot(luck, margin_of(values.mean(1))))
    return {"mean": mean, "low": mean - half, "high": mean + half}
