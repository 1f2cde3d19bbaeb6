"""Who shops: tastes, hours, zones and habits of a known-truth world's users, and its items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdp.catalog import Catalog
from mdp.clock import DAY
from mdp.state import TASTE
from simulator.description import Users
from simulator.worlds.goods import demo_catalog

ZONES = {
    "Europe/London": 0.25,
    "Europe/Berlin": 0.25,
    "America/New_York": 0.2,
    "America/Los_Angeles": 0.1,
    "Asia/Kolkata": 0.1,
    "Asia/Shanghai": 0.1,
}
"""Share of users by time zone; four of the six observe daylight saving."""
PEAKS, PEAK_SPREAD = np.array([7.5, 12.5, 20.0]), 1.2
"""Hours around which users are about, and how much these differ from user to user."""
WEIGHTS = np.array([0.7, 0.6, 1.2])
"""Parameters of the Dirichlet distribution of how much each peak weighs for a user."""


@dataclass(frozen=True)
class Goods:
    """A shop's items as its users see them."""

    catalog: Catalog
    taste: np.ndarray
    """Item vectors (I, 8) float64, of length 1 or so."""
    popularity: np.ndarray
    """Log popularity (I,) float64."""


@dataclass(frozen=True)
class Population:
    """Users as a world draws them, or as a shop's log shows them."""

    users: Users
    taste: np.ndarray
    """User vectors (U, 8) float64, of length √8 or so."""
    hours: np.ndarray
    """Probability of each local hour for a visit (U, 24)."""
    sessions: np.ndarray
    """Visits a day (U,)."""
    touches: np.ndarray
    """Items met in a visit (U,)."""
    buy: np.ndarray
    """Probability that an item met is bought (U,)."""


def demo_goods(rng: np.random.Generator) -> Goods:
    """The demo catalogue, its items near their category in taste."""
    catalog = demo_catalog(rng)
    names, place = np.unique(catalog.items.categories, return_inverse=True)
    centres = rng.normal(size=(len(names), TASTE))
    taste = centres[place] + 0.6 * rng.normal(size=(len(place), TASTE))
    taste /= np.linalg.norm(taste, axis=1, keepdims=True)
    return Goods(catalog, taste, rng.normal(0.0, 0.8, len(place)))


def demo_population(size: int, rng: np.random.Generator, start: int) -> Population:
    """Users with tastes, active hours and habits of their own, signed up in the year before."""
    zones = rng.choice(list(ZONES), size, p=list(ZONES.values()))
    users = Users(
        ids=tuple(f"user-{number + 1:05d}" for number in range(size)),
        zones=tuple(str(zone) for zone in zones),
        signed_up=start - rng.integers(7 * DAY, 365 * DAY, size),
    )
    return Population(
        users,
        taste=rng.normal(size=(size, TASTE)),
        hours=_profiles(size, rng),
        sessions=np.exp(rng.normal(np.log(0.3), 0.6, size)),
        touches=1.0 + rng.gamma(2.0, 1.0, size),
        buy=np.exp(rng.normal(np.log(0.02), 0.5, size)).clip(max=0.2),
    )


def _profiles(size: int, rng: np.random.Generator) -> np.ndarray:
    """Hour profiles (size, 24): a morning, a midday and an evening peak, weighed by the user."""
    peaks = PEAKS + rng.normal(0.0, PEAK_SPREAD, (size, 3))
    return profiles(peaks, rng.dirichlet(WEIGHTS, size))


def profiles(peaks: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Probabilities of each hour (N, 24) of users with peaks (N, 3), hours, and their weights
    (N, 3)."""
    distance = np.abs(np.arange(24) + 0.5 - peaks[:, :, None])
    distance = np.minimum(distance, 24.0 - distance)
    bumps = np.exp(-0.5 * (distance / 1.6) ** 2)
    profile = (weight[:, :, None] * bumps).sum(1) + 0.01
    return profile / profile.sum(1, keepdims=True)
