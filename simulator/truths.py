"""Truths of another form than the additive response model, for known-truth worlds.

Each holds a `ResponseModel` and bends what it adds up. A fit is never of these forms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from mdp.catalog import Catalog
from mdp.errors import BadArtifact
from mdp.hashing import content_hash
from mdp.local_time import local_day, local_hour
from mdp.recency import Recency
from mdp.response import HEADS, BoundModel, ResponseModel, Terms, Truth
from mdp.state import TASTE

_CLICK = HEADS.index("click")
_PREFIX = "additive."


@dataclass(frozen=True)
class _Bent:
    """What truths over an additive model share."""

    additive: ResponseModel

    @property
    def half_lives(self) -> np.ndarray:
        """See `Truth.half_lives`."""
        return self.additive.half_lives

    @property
    def fatigue_weight(self) -> np.ndarray:
        """See `Truth.fatigue_weight`."""
        return self.additive.fatigue_weight

    @property
    def knee(self) -> float:
        """See `Truth.knee`."""
        return 0.0

    @property
    def cloglog(self) -> np.ndarray:
        """See `Truth.cloglog`."""
        return self.additive.cloglog

    @property
    def hash(self) -> str:
        """Content hash of the parameters."""
        return content_hash(*self.arrays().values())

    def arrays(self) -> dict[str, np.ndarray]:
        """All parameters by name, the additive model's among them."""
        own = {name: value for name, value in vars(self).items() if name != "additive"}
        return own | {_PREFIX + name: a for name, a in self.additive.arrays().items()}

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray]) -> Self:
        """The truth that `arrays` took apart."""
        own = {name: a for name, a in arrays.items() if not name.startswith(_PREFIX)}
        model = {
            name.removeprefix(_PREFIX): a for name, a in arrays.items() if name.startswith(_PREFIX)
        }
        return cls(additive=ResponseModel(**model), **own)


@dataclass(frozen=True)
class HazardTruth(_Bent):
    """Complementary log-log hazards, fatigue with a threshold of the user's own, and clicks that
    saturate: liking an item twice as much does not double what it adds."""

    threshold: np.ndarray
    """Fatigue (1,) up to which a user of tolerance 0 feels nothing; × exp(tolerance)."""
    hazards: np.ndarray
    """Heads (H,) bool with the complementary log-log link."""
    most: np.ndarray
    """The most (1,) that an item can add to a click."""
    kind: ClassVar[str] = "hazard"

    @property
    def knee(self) -> float:
        """See `Truth.knee`."""
        return float(self.threshold[0])

    @property
    def cloglog(self) -> np.ndarray:
        """See `Truth.cloglog`."""
        return self.hazards

    def bind(self, catalog: Catalog) -> _BoundHazard:
        """See `Truth.bind`."""
        return _BoundHazard(self, self.additive.bind(catalog))


@dataclass(frozen=True)
class _BoundHazard:
    truth: HazardTruth
    bound: BoundModel

    @property
    def half_lives(self) -> np.ndarray:
        """See `Truth.half_lives`."""
        return self.bound.half_lives

    def terms(
        self,
        states: np.ndarray,
        traits: np.ndarray,
        items: np.ndarray,
        variants: np.ndarray,
        decided_at: np.ndarray,
        zone: np.ndarray,
        recency: Recency | None = None,
    ) -> Terms:
        """See `Response.terms`."""
        truth = self.truth
        terms = self.bound.terms(states, traits, items, variants, decided_at, zone, recency)
        strain = terms.recency.fatigue * np.exp(-traits["tolerance"])
        felt = np.maximum(strain - truth.threshold[0], 0.0)
        item = terms.item.copy()
        item[..., _CLICK] = truth.most * np.tanh(item[..., _CLICK] / truth.most)
        return replace(
            terms,
            base=terms.base + (felt - strain)[:, None] * truth.fatigue_weight,
            item=item,
            cloglog=truth.hazards,
        )


@dataclass(frozen=True)
class SeasonalTruth(_Bent):
    """Hours that depend on the weekday, seasons and holidays, and tastes that turn."""

    week: np.ndarray
    """Effect of weekday × hour, Monday first (7, 24, H) float32."""
    year: np.ndarray
    """Effect of the day of the year, season and holidays together (366, H) float32."""
    turn: np.ndarray
    """Radians (1,) by which tastes turn in a day: dimension d towards d + 4."""
    since: np.ndarray
    """Day (1,) int64, since 1970, on which tastes are as the traits say."""
    kind: ClassVar[str] = "seasonal"

    def bind(self, catalog: Catalog) -> _BoundSeasonal:
        """See `Truth.bind`."""
        return _BoundSeasonal(self, self.additive.bind(catalog))


@dataclass(frozen=True)
class _BoundSeasonal:
    truth: SeasonalTruth
    bound: BoundModel

    @property
    def half_lives(self) -> np.ndarray:
        """See `Truth.half_lives`."""
        return self.bound.half_lives

    def terms(
        self,
        states: np.ndarray,
        traits: np.ndarray,
        items: np.ndarray,
        variants: np.ndarray,
        decided_at: np.ndarray,
        zone: np.ndarray,
        recency: Recency | None = None,
    ) -> Terms:
        """See `Response.terms`."""
        truth, day = self.truth, local_day(decided_at, zone).astype(np.int64)
        turned = traits.copy()
        turned["taste"] = turned_tastes(traits["taste"], (day - truth.since[0]) * truth.turn[0])
        terms = self.bound.terms(states, turned, items, variants, decided_at, zone, recency)
        ahead = self._ahead[(day + 3) % 7, local_hour(decided_at, zone)]
        return replace(
            terms,
            base=terms.base + truth.year[day_of_year(day)],
            hour=terms.hour + ahead.transpose(0, 2, 1),
        )

    @cached_property
    def _ahead(self) -> np.ndarray:
        """What the hours ahead add, by weekday and hour of the decision (7, 24, H, 24): one that
        has passed today is tomorrow's. Heads first, as terms are in memory."""
        hours = np.arange(24)
        tomorrow = hours < hours[:, None]
        weekday = (np.arange(7)[:, None, None] + tomorrow) % 7
        return np.ascontiguousarray(self.truth.week[weekday, hours].transpose(0, 1, 3, 2))


def day_of_year(day: np.ndarray) -> np.ndarray:
    """Days since 1 January (N,) int64 of days since 1970 (N,) int64."""
    dates = day.astype("datetime64[D]")
    return (dates - dates.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64)


def turned_tastes(taste: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Tastes (N, 8) turned by angles (N,)."""
    half = TASTE // 2
    first, second = taste[:, :half], taste[:, half:]
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.concatenate([cos * first - sin * second, sin * first + cos * second], 1)


_FORMS: dict[str, type[_Bent]] = {form.kind: form for form in (HazardTruth, SeasonalTruth)}


def truth_of(kind: str, arrays: dict[str, np.ndarray]) -> Truth:
    """The truth of a kind from its arrays; raises `BadArtifact` for a kind that is not known."""
    if kind == ResponseModel.kind:
        return ResponseModel(**arrays)
    if kind not in _FORMS:
        known = ", ".join((ResponseModel.kind, *_FORMS))
        raise BadArtifact(f"unknown form of responses {kind!r}; known: {known}")
    return _FORMS[kind].of(arrays)  # type: ignore[return-value]
