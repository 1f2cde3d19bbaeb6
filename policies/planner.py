"""Planning over fatigue: what a send costs later, per user, by dynamic programming.

A user's state is fatigue f, the decayed count of recent sends. A day's best send has a quality
q, drawn from the user's habit, that multiplies what a click brings. With d the decay of a day,

    V(f) = E_q max( γ V(d·f),  r(q, f) + γ (1 - u(f)) V(d·f + s) )

where r and the probability u of an unsubscribe follow from the response model's heads, shifted
by its fatigue weights, above the user's threshold where fatigue has one. Wear-out and repetition
count as they stand today. A heuristic on a model with more state than fatigue, so "optimal" only
where fatigue is all that lasts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from mdp.observation import USER, Observation
from mdp.prediction import PARTS
from mdp.response import HEADS, Truth
from mdp.reward import Reward
from policies.base import Policy
from policies.baselines import predicted
from policies.composition import Factors, split_mask

GRID = 24
"""Points of fatigue."""
QUALITIES = np.array([-1.5, -0.5, 0.5, 1.5])
"""Standard deviations from the mean at which a day's quality is evaluated."""
_WEIGHTS = np.exp(-0.5 * QUALITIES**2) / np.exp(-0.5 * QUALITIES**2).sum()
_MOMENT = 0.7
"""Of the day, that passes between a send and the next midnight and between two sends."""
_USED = ("fatigue", "tolerance", "habit_mean", "habit_spread")
_COLUMN = {name: USER.index(name) for name in _USED}
_PART = {name: PARTS.index(name) for name in PARTS}


@dataclass(frozen=True, kw_only=True)
class Planner(Policy):
    """Sends where the best send's reward and what follows it exceed what follows a hold."""

    half_life: float
    """Days in which fatigue halves."""
    fatigue: np.ndarray
    """Weight of fatigue × exp(-tolerance) above the knee on each head's terms (5,)."""
    knee: float = 0.0
    """Fatigue × exp(-tolerance) up to which it does nothing."""
    cloglog: np.ndarray = field(default_factory=lambda: np.zeros(len(HEADS), np.bool_))
    """Heads (5,) bool with the complementary log-log link."""
    weights: np.ndarray
    """Reward of purchase, click, dismissal, unsubscribe and send (5,)."""
    gamma: float = 0.99
    """Discount a day."""
    prices: tuple[float, float] = (0.0, 0.0)
    """What a send and an unsubscribe cost on top of the reward, where budgets limit them."""
    iterations: int = 120
    """Sweeps of value iteration."""
    name: str = "planner"
    temperature: float | None = None
    floor: float = 0.0
    kind: ClassVar[str] = "planner"

    def scores(self, observation: Observation) -> Factors:
        """One-step rewards of sends plus the value of what follows them."""
        pair, hour = predicted(observation)
        held, sent = self._followed(observation, pair)
        unsubscribed = observation["pairs"][..., _PART["unsubscribe"]].astype(np.float64)
        followed = (1.0 - unsubscribed) * sent[:, None, None] - self._paid(unsubscribed)
        return Factors(held, pair + followed, hour)

    def price(self, observation: Observation) -> np.ndarray:
        """What today's best send costs later (N,) float64: the one-step reward it must exceed."""
        pair, _ = predicted(observation)
        held, sent = self._followed(observation, pair)
        unsubscribed = self._best_parts(observation, pair)[:, _PART["unsubscribe"]]
        return held - (1.0 - unsubscribed) * sent + self._paid(unsubscribed)

    def _paid(self, unsubscribed: np.ndarray) -> np.ndarray:
        """The prices of a send that is followed by an unsubscribe with some probability."""
        of_send, of_unsubscribe = self.prices
        return of_send + of_unsubscribe * unsubscribed

    def _followed(
        self, observation: Observation, pair: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Discounted values (N,) of what follows a hold, and a send without an unsubscribe."""
        user = observation["user"].astype(np.float64)
        values = self._values(observation, pair, user)
        today = user[:, _COLUMN["fatigue"]]
        decay, weight = self._decay
        held = self.gamma * _at(values, today * decay, self._top)
        return held, self.gamma * _at(values, today * decay + weight, self._top)

    def rested(self, observation: Observation) -> np.ndarray:
        """Reward (N,) float64 of today's best send, were the user's fatigue gone; 0 where no send
        is allowed. Its distribution over days is the user's habit."""
        pair, _ = predicted(observation)
        user = observation["user"].astype(np.float64)
        gain, cost, _ = self._response(observation, pair, user, np.zeros(1))
        item, variant, hour = split_mask(observation["action_mask"], pair.shape[1])
        can = item.any(1) & variant.any(1) & hour.any(1)
        return np.where(can, gain[:, 0] + cost[:, 0], 0.0)

    @property
    def _decay(self) -> tuple[float, float]:
        """Decay of a day, and what a send of today weighs tomorrow."""
        decay = 0.5 ** (1.0 / self.half_life)
        return decay, decay**_MOMENT

    @property
    def _top(self) -> float:
        """The highest fatigue: a send every day."""
        decay, weight = self._decay
        return weight / (1.0 - decay)

    def _values(self, observation: Observation, pair: np.ndarray, user: np.ndarray) -> np.ndarray:
        """V on the grid (N, GRID)."""
        grid = np.linspace(0.0, self._top, GRID)
        decay, weight = self._decay
        rest = _interpolation(grid * decay, grid).T
        tired = _interpolation(grid * decay + weight, grid).T
        gain, cost, unsubscribe = self._response(observation, pair, user, grid)
        quality = self._qualities(user, gain, cost)
        cost = cost - self._paid(unsubscribe)
        reward = gain[:, None, :] * quality[:, :, None] + cost[:, None, :]
        stays = self.gamma * (1.0 - unsubscribe)
        values = np.zeros_like(gain)
        for _ in range(self.iterations):
            held, sent = self.gamma * (values @ rest), stays * (values @ tired)
            best = np.maximum(held[:, None, :], reward + sent[:, None, :])
            values = np.einsum("m,nmg->ng", _WEIGHTS, best)
        return values

    def _response(
        self, observation: Observation, pair: np.ndarray, user: np.ndarray, grid: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of today's best send were fatigue on the grid (N, GRID): what clicks bring, the rest
        of the reward, and the probability of an unsubscribe."""
        parts = self._best_parts(observation, pair)
        part = {name: parts[:, i, None] for name, i in _PART.items()}
        strain = np.exp(-user[:, _COLUMN["tolerance"], None])
        today = user[:, _COLUMN["fatigue"], None] * strain
        change = np.maximum(grid * strain - self.knee, 0.0) - np.maximum(today - self.knee, 0.0)
        shift = [weight * change for weight in self.fatigue.astype(np.float64)]
        link = self.cloglog
        opened = _shifted(part["open"], shift[0], link[0])
        per_open = _ratio(part["click"], part["open"])
        clicked = opened * _shifted(per_open, shift[1], link[1])
        purchase = clicked * _ratio(part["purchase"], part["click"]) * np.exp(shift[2])
        angry = _ratio(part["dismiss"], 1.0 - part["open"])
        dismissed = (1.0 - opened) * _shifted(angry, shift[3], link[3])
        unsubscribed = _shifted(part["unsubscribe"], shift[4], link[4])
        of = self.weights
        gain = of[0] * purchase + of[1] * clicked
        return gain, of[2] * dismissed + of[3] * unsubscribed + of[4], unsubscribed

    def _best_parts(self, observation: Observation, pair: np.ndarray) -> np.ndarray:
        """`PARTS` of today's best allowed send (N, 6) float64."""
        N, K, V = pair.shape
        item, variant, _ = split_mask(observation["action_mask"], K)
        allowed = (item[:, :, None] & variant[:, None, :]).reshape(N, K * V)
        best = np.where(allowed, pair.reshape(N, K * V), -np.inf).argmax(1)
        parts = observation["pairs"].reshape(N, K * V, len(PARTS))[np.arange(N), best]
        return parts.astype(np.float64)

    def _qualities(self, user: np.ndarray, gain: np.ndarray, cost: np.ndarray) -> np.ndarray:
        """A day's quality relative to today's at `QUALITIES` (N, M), from the user's habit;
        1 where there is none."""
        mean, spread = user[:, _COLUMN["habit_mean"]], user[:, _COLUMN["habit_spread"]]
        rested = np.maximum(gain[:, 0], 1e-9)
        levels = (mean[:, None] + spread[:, None] * QUALITIES - cost[:, :1]) / rested[:, None]
        known = (mean != 0.0)[:, None]
        return np.where(known, np.clip(levels, 0.0, 20.0), 1.0)


def planner(model: Truth, reward: Reward, name: str = "planner") -> Planner:
    """The planner for a response model, fitted or true."""
    weights = (reward.purchase, reward.click, reward.dismissal, reward.unsubscribe, reward.send)
    return Planner(
        half_life=float(model.half_lives[0]),
        fatigue=np.asarray(model.fatigue_weight, np.float64),
        knee=float(model.knee),
        cloglog=model.cloglog,
        weights=np.array(weights, np.float64),
        name=name,
    )


def _shifted(probability: np.ndarray, shift: np.ndarray, cloglog: np.bool_) -> np.ndarray:
    """Probabilities with a shift of their logits, or of their complementary log-logs."""
    p = np.clip(probability, 1e-9, 1.0 - 1e-9)
    if cloglog:
        return -np.expm1(np.log1p(-p) * np.exp(np.clip(shift, -30.0, 30.0)))
    odds = p / (1.0 - p) * np.exp(np.clip(shift, -30.0, 30.0))
    return odds / (1.0 + odds)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1e-9)


def _interpolation(points: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Matrix (len(points), len(grid)) that interpolates linearly on an even grid."""
    step = grid[1] - grid[0]
    place = np.clip(points / step, 0.0, len(grid) - 1.0)
    low = np.minimum(place.astype(np.int64), len(grid) - 2)
    out = np.zeros((len(points), len(grid)))
    rows = np.arange(len(points))
    out[rows, low], out[rows, low + 1] = 1.0 - (place - low), place - low
    return out


def _at(values: np.ndarray, points: np.ndarray, top: float) -> np.ndarray:
    """Each row of values (N, GRID) at its point (N,), interpolated."""
    place = np.clip(points / top * (GRID - 1), 0.0, GRID - 1.0)
    low = np.minimum(place.astype(np.int64), GRID - 2)
    rows = np.arange(len(values))
    return values[rows, low] * (1.0 - (place - low)) + values[rows, low + 1] * (place - low)
