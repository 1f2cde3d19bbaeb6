"""BuyAnywayShop: whoever buys through a push would mostly have bought.

The people and goods of `LogitShop`, but for regulars: they buy much on their own, and also open,
click and buy from pushes. A purchase, whoever it is credited to, takes demand away for weeks, so a
regular's next one comes later. So the attributed value of pushes to regulars is more than that of
pushes to others, and their incremental value is less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mdp.response import ResponseModel
from simulator.description import Simulator
from simulator.organic import Organic
from simulator.worlds.logit import LogitShop
from simulator.worlds.population import Goods, Population

REGULARS = 0.3
"""Share of users who buy anyway."""
_REGULAR, _OTHER = 1.2, -0.5
"""Mean openness of regulars and of others."""
_BUYS = 1.0
"""Purchases a day that a regular would make on their own, but for the loss after a purchase."""
_BASE = np.array([-2.45, -0.75, -2.25, -2.4, -6.2], np.float32)


@dataclass(frozen=True)
class BuyAnywayShop(LogitShop):
    """The world in which attributed and incremental value part ways."""

    name: str = "anyway"
    spread: float = 0.6

    def mean_openness(self, people: Population | Organic) -> np.ndarray:
        """See `LogitShop.mean_openness`."""
        return np.where(regulars(people), _REGULAR, _OTHER)

    def over(self, goods: Goods, population: Population, seed: int, start: int) -> Simulator:
        """See `World.over`."""
        shop = super().over(goods, population, seed, start)
        assert isinstance(shop.response, ResponseModel)
        regular = regulars(population)
        # Their visits stay as they are; what they meet there they buy more often.
        buy = np.where(regular, _BUYS / (population.sessions * population.touches), population.buy)
        traits = shop.traits.copy()
        traits["openness"] = self.spread * traits["openness"] + self.mean_openness(population)
        truth = replace(
            shop.response,
            base=_BASE,
            openness_weight=np.array([0.6, 0.3, 0.5, -0.3, -0.3], np.float32),
        )
        organic = replace(
            shop.organic,
            buy=buy.clip(max=0.8).astype(np.float32),
            slump=0.35,
            slump_days=14.0,
        )
        return replace(shop, response=truth, traits=traits, organic=organic)


def regulars(people: Population | Organic) -> np.ndarray:
    """Who buys anyway (U,) bool: those who buy most on their own. The same before regulars' habits
    are raised and after, for nobody's place is changed by that but upwards."""
    own = people.sessions * people.touches * people.buy
    return own >= np.quantile(own, 1.0 - REGULARS)
