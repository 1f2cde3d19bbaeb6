"""How well planted special days come back from a fit: by name, beside what was planted.

    python -m benchmarks.special_days

A demo shop (*logit*) lives with a sale on three days of its log, a sale of its own on one, and two
days that have a name and do nothing. Then *seasonal*, long enough for its calendar's Easter, whose
truth is the mean over those days of how much more they are than the slow wave of the year.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import tyro

from ingestion.parse import log_of
from mdp.clock import DAY
from mdp.response import HEADS, ResponseModel
from simulator.demo import demo
from simulator.description import Simulator
from simulator.fit import fit
from simulator.worlds import known_world

PLANTED = {"sale": (8, 17, 27), "once": (24,), "nothing": (12, 22)}
"""Days of the log by name."""
EFFECT = np.array([0.6, 0.5, 0.5, -0.3, 0.0], np.float32)
"""What sales do to the heads."""
FACTORS = np.array([1.8, 1.5], np.float32)
"""What they do to visits and to buying."""


@dataclass(frozen=True)
class Args:
    """How much."""

    seeds: int = 4
    users: int = 1000
    days: int = 42
    seasonal_days: int = 100


def planted(shop: Simulator) -> Simulator:
    """The shop with `PLANTED`."""
    began = shop.start // DAY
    named = {began + day: name for name, days in PLANTED.items() for day in days}
    days = np.array(sorted(day for day, name in named.items() if name != "nothing"), np.int32)
    assert isinstance(shop.response, ResponseModel)
    return replace(
        shop,
        response=replace(
            shop.response, special_day=days, special_effect=np.tile(EFFECT, (len(days), 1))
        ),
        organic=replace(shop.organic, special_day=days, special=np.tile(FACTORS, (len(days), 1))),
        calendar={str(np.datetime64(day, "D")): named[day] for day in sorted(named)},
    )


def found(shop: Simulator, days: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """By name, what a fit to the shop's log says of heads (5,), and of visits and buying (2,)."""
    made = demo(shop, days, seed)
    fitted = fit(log_of(made.tables, made.meta)).simulator
    model, organic = fitted.response, fitted.organic
    assert isinstance(model, ResponseModel)
    assert organic.special is not None
    said: dict[str, np.ndarray] = {}
    for day, heads, own in zip(
        model.special_day, model.special_effect, organic.special, strict=True
    ):
        name = fitted.calendar[str(np.datetime64(int(day), "D"))]
        said[name] = np.concatenate([heads, own])
    yield from said.items()


def main(args: Args) -> None:
    """Fit and print."""
    print(f"| shop | seed | name | {' | '.join(HEADS)} | visits × | buying × |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for world, days in (("logit", args.days), ("seasonal", args.seasonal_days)):
        for seed in range(args.seeds if world == "logit" else 1):
            shop = known_world(world).simulator(args.users, seed)
            if world == "logit":
                shop = planted(shop)
            for name, values in found(shop, days, seed):
                cells = " | ".join(f"{value:.2f}" for value in values)
                print(f"| {world} | {seed} | {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Args))
