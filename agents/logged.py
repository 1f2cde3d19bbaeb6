"""Logged decisions as something to learn from: what was seen, done and earned, without a simulator.

A decision is seen as a policy would see it now: with the fitted model's predictions, under the
policy's guardrails. A user's next decision follows it; an unsubscribe ends the user's life.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingestion.log import Log
from ingestion.shop import shop_of
from ingestion.splits import split_time
from mdp.actions import HOLD, HOURS, encode
from mdp.attribution import RESPONSE_WINDOW
from mdp.clock import DAY
from mdp.errors import NotEnoughData
from mdp.hashing import hash_ids
from mdp.local_time import local_day
from mdp.observation import Observation, observe
from mdp.prediction import PARTS
from mdp.shop import need_same_shop
from mdp.state import ATTRIBUTION
from policies.baselines import predicted
from policies.composition import split_mask
from simulator.description import Simulator
from simulator.material import Material, material_of, sample_of
from simulator.sends import CLICK, UNSUBSCRIBE

_UNSUBSCRIBE = PARTS.index("unsubscribe")
WINDOW = DAY + RESPONSE_WINDOW + ATTRIBUTION
"""Longest time from a decision until nothing can follow it any more."""
_TOO_LITTLE = (
    "the log has no push that the guardrails allow and whose outcomes are all in before the "
    "instant that the simulator was fitted to: give a longer log"
)


@dataclass(frozen=True, eq=False)
class Logged:
    """D logged decisions in the order of users and of time."""

    observation: Observation
    """Arrays of D decisions, masks by the policy's guardrails."""
    action: np.ndarray
    """Flat actions (D,) int64, in slots of the padded lists."""
    propensity: np.ndarray
    """(D,) float64; NaN where none is logged."""
    reward: np.ndarray
    """(D,) float64, currency units, by the simulator's reward weights."""
    expected: np.ndarray
    """The same as the response model expects it of what was done (D,) float64; logged rewards
    where organic purchases are credited, of which it says nothing."""
    leaving: np.ndarray
    """Predicted probability of an unsubscribe in answer to it (D,) float64."""
    clicked: np.ndarray
    """(D,) bool"""
    day: np.ndarray
    """Local date, days since 1970 (D,) int64."""
    following: np.ndarray
    """Place of the user's next decision (D,) int64; -1 where the log ends or the user has gone."""
    gone: np.ndarray
    """Whether the user unsubscribed in answer to it (D,) bool."""
    usable: np.ndarray
    """Whether all that it earned is in the log, and the guardrails would have allowed it (D,)."""
    until: int
    """Instant, microseconds UTC, up to which the log was read."""
    masked: int
    """Decisions that the guardrails would not have allowed."""

    @property
    def sent(self) -> np.ndarray:
        """Whether something was sent (D,) bool."""
        return self.action != HOLD

    def some(self, which: np.ndarray) -> Observation:
        """The observation of some decisions, by index."""
        return {name: array[which] for name, array in self.observation.items()}

    @property
    def summary(self) -> dict[str, int]:
        """How much there is to learn from, as a manifest holds it."""
        used = self.usable
        return {
            "decisions": int(used.sum()),
            "sends": int((used & self.sent).sum()),
            "left_out_by_guardrails": self.masked,
        }


def logged(log: Log, simulator: Simulator, seed: int = 0) -> Logged:
    """A log's decisions of before the simulator's `trained_until`, as its model sees them.

    Of more than `simulator.material.SAMPLE` users with decisions whose outcomes are all in, as many
    are drawn. Raises `NotEnoughData` where no such decision is left, and `BadInput` for the log of
    another shop.
    """
    until = simulator.manifest.get("trained_until") or split_time(log)
    material = material_of(log, until, simulator.reward)
    _need_shop_of(simulator, material)
    decisions = material.decisions
    told = np.unique(decisions.owner[decisions.decided_at + WINDOW <= until])
    if not len(told):
        raise NotEnoughData(_TOO_LITTLE)
    people = told[sample_of(len(told), seed)]
    which = np.flatnonzero(np.isin(decisions.owner, people))
    which = which[np.lexsort((decisions.decided_at[which], decisions.owner[which]))]
    chosen = decisions.only(which)
    reward, outcome = material.reward[which], material.outcome[which]
    observation = _seen(material, simulator, which)
    action = encode(chosen.k, chosen.v, chosen.h, chosen.variants.shape[1])
    allowed = _allowed(observation, chosen.k, chosen.v, chosen.h)
    usable = allowed & (chosen.decided_at + WINDOW <= until)
    if not (usable & chosen.sent).any():
        raise NotEnoughData(_TOO_LITTLE)
    expected, leaving = _expected(observation, chosen.k, chosen.v, chosen.h)
    gone = outcome[:, UNSUBSCRIBE]
    same = np.append(chosen.owner[1:] == chosen.owner[:-1], False)
    return Logged(
        observation=observation,
        action=action,
        propensity=chosen.propensity,
        reward=reward,
        expected=expected if simulator.reward.credit == "attributed" else reward,
        leaving=leaving,
        clicked=outcome[:, CLICK],
        day=local_day(chosen.decided_at, material.events.zone[chosen.owner]).astype(np.int64),
        following=np.where(same & ~gone, np.arange(len(which)) + 1, -1),
        gone=gone,
        usable=usable,
        until=int(until),
        masked=int((~allowed).sum()),
    )


def _need_shop_of(simulator: Simulator, material: Material) -> None:
    """Raises `BadInput` where the log is of another shop."""
    need_same_shop(
        shop_of(material.rest, material.events, material.catalog),
        simulator.shop,
        simulator.manifest.get("trained_until"),
        "the log is not of the shop that the simulator was fitted to",
        "give that shop's log, or fit a simulator to this one (pushwise fit LOGS --out SIM)",
    )


def _seen(material: Material, simulator: Simulator, which: np.ndarray) -> Observation:
    """Observations of decisions (D,), some users at a time: their states are large."""
    catalog, model = material.catalog, simulator.model
    bound = None if model is None else model.bind(catalog)
    hashes = hash_ids(material.events.user_ids)
    out: Observation = {}
    for part in material.parts(which):
        traits = None
        if simulator.beliefs is not None:
            traits = simulator.beliefs.rows(hashes[material.decisions.owner[which[part]]])[0]
        view = observe(
            material.requests(which[part]),
            catalog,
            simulator.guardrails,
            simulator.reward,
            bound,
            traits,
        )
        for name, array in view.observation.items():
            if name not in out:
                out[name] = np.zeros((len(which), *array.shape[1:]), array.dtype)
            out[name][part] = array
    return out


def _expected(
    observation: Observation, k: np.ndarray, v: np.ndarray, h: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted reward and probability of an unsubscribe (D,) of slots and hours (D,); a hold's
    are 0. The latter is that of the pair's best hour, which hours change little."""
    pair, hour = predicted(observation)
    if not pair.shape[1] or not pair.shape[2]:
        return np.zeros(len(k)), np.zeros(len(k))
    rows, sent = np.arange(len(k)), k >= 0
    leaving = observation["pairs"][rows, k, v, _UNSUBSCRIBE].astype(np.float64)
    return np.where(sent, pair[rows, k, v] + hour[rows, h], 0.0), np.where(sent, leaving, 0.0)


def _allowed(observation: Observation, k: np.ndarray, v: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Whether the mask allows slots and hours (D,); holds it always does."""
    item, variant, hour = split_mask(observation["action_mask"], observation["pairs"].shape[1])
    if not item.shape[1] or not variant.shape[1]:
        return k < 0
    rows = np.arange(len(k))
    return (k < 0) | (item[rows, k] & variant[rows, v] & hour[rows, h % HOURS])


@dataclass(frozen=True)
class Transitions:
    """From each of M decisions to the same user's next."""

    start: np.ndarray
    """Rows of the decisions (M,) int64."""
    reward: np.ndarray
    """(M,) float64, currency units."""
    discount: np.ndarray
    """Of the value of what follows (M,) float64, between 0 and 1."""
    after: np.ndarray
    """Rows of the decisions that follow (M,) int64."""


def transitions(data: Logged, gamma: float) -> Transitions:
    """From each usable decision to the user's next one.

    Pushes are paid what the response model expects of them and lose users at the rate that it
    expects, so that neither is drawn: of those who stayed, what followed is in the log. Time
    between the decisions is discounted by `gamma` a day.
    """
    start = np.flatnonzero(data.usable & (data.following >= 0))
    after = data.following[start]
    days = data.day[after] - data.day[start]
    discount = gamma**days * (1.0 - data.leaving[start])
    return Transitions(start, data.expected[start], discount, after)
