"""HazardShop: hazards with thresholds.

The people and goods of `LogitShop`, whose dismissals and unsubscribes are complementary log-log
hazards. Fatigue does nothing up to a threshold of the user's own, and much above it, so that a
few pushes cost nothing and one too many costs the user. What an item adds to a click saturates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mdp.response import HEADS, ResponseModel
from simulator.description import Simulator
from simulator.truths import HazardTruth
from simulator.worlds.logit import LogitShop
from simulator.worlds.population import Goods, Population

#                    open  click  buy  dismiss  unsubscribe
_FATIGUE = np.array([-0.45, -0.15, 0.0, 0.5, 1.15], np.float32)
_BASE = np.array([-2.4, -0.65, -2.2, -2.5, -6.8], np.float32)
THRESHOLD = 2.0
"""Decayed pushes, at a half-life of four days, that the user of tolerance 0 does not mind."""
_MOST = 1.2


@dataclass(frozen=True)
class HazardShop(LogitShop):
    """The world of thresholds."""

    name: str = "hazard"

    def over(self, goods: Goods, population: Population, seed: int, start: int) -> Simulator:
        """See `World.over`."""
        shop = super().over(goods, population, seed, start)
        assert isinstance(shop.response, ResponseModel)
        truth = HazardTruth(
            replace(shop.response, base=_BASE, fatigue_weight=_FATIGUE),
            threshold=np.array([THRESHOLD], np.float32),
            hazards=np.array([head in ("dismiss", "unsubscribe") for head in HEADS]),
            most=np.array([_MOST], np.float32),
        )
        return replace(shop, response=truth)
