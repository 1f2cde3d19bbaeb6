"""Known-truth worlds by name."""

from mdp.errors import BadInput
from simulator.worlds.anyway import BuyAnywayShop
from simulator.worlds.base import World
from simulator.worlds.hazard import HazardShop
from simulator.worlds.logit import LogitShop
from simulator.worlds.seasonal import SeasonalShop

WORLDS: dict[str, World] = {
    world.name: world for world in (LogitShop(), HazardShop(), SeasonalShop(), BuyAnywayShop())
}
"""Worlds by the name that `pushwise demo --world` takes."""


def known_world(name: str) -> World:
    """The world of that name; raises `BadInput`."""
    if name not in WORLDS:
        raise BadInput(f"unknown world {name!r}; known: {', '.join(WORLDS)}")
    return WORLDS[name]
