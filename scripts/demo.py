"""Write a demo shop's log into a directory, and the truth behind it into DIR/truth.

Pushes and responses come from a known-truth world, so that what a policy is worth can be known
exactly. With --shop the world is laid over a real shop's customers, items, times and tastes, read
from its log.

Example:
    pushwise demo shop --users 1000 --days 42
    pushwise check shop
"""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """Arguments of `pushwise demo`."""

    dir: Positional[Path]
    """directory to write; what a demo wrote there before is replaced"""
    world: str = "logit"
    """known-truth world: logit, hazard, seasonal or anyway"""
    users: int | None = None
    """number of users; default: 1000, or with --shop all of the shop's"""
    days: int = 42
    """days of decisions"""
    seed: int = 0
    """seed of all that is drawn"""
    shop: Path | None = None
    """log of a real shop to lay the world over, on the last days of its span"""


def run(args: Args) -> int:
    """Writes the log and its truth, and says what is in them."""
    from dataclasses import replace

    import pandas as pd

    from ingestion.read import load_checked
    from ingestion.write import write_log
    from mdp.errors import BadSetting
    from simulator.demo import demo
    from simulator.saved import save_simulator
    from simulator.worlds import known_world
    from simulator.worlds.shop import over_shop

    if args.users is not None and args.users < 1:
        raise BadSetting(f"--users is {args.users}; a shop needs at least 1")
    world, earlier = known_world(args.world), None
    if args.shop is None:
        simulator = world.simulator(args.users or 1000, args.seed)
    else:
        shop = load_checked(args.shop)
        simulator, earlier = over_shop(world, shop, args.days, args.seed, args.users)
    made = demo(simulator, args.days, args.seed)
    tables, meta = dict(made.tables), made.meta
    if earlier is not None:
        events = tables["events"]
        tables["events"] = pd.concat([earlier[events.columns], events], ignore_index=True)
        meta = replace(
            meta,
            currency=shop.meta.currency,
            default_timezone=shop.meta.default_timezone,
            source=f"{meta.source}, over {args.shop}",
        )
    write_log(args.dir, tables, meta)
    save_simulator(args.dir / "truth", made.truth)
    sends = int(tables["decisions"]["item_id"].notna().sum())
    print(
        f"{args.dir}: {len(simulator.users)} users, {len(simulator.catalog.items)} items, "
        f"{args.days} days, {len(tables['decisions'])} decisions, {sends} sends, "
        f"{len(tables['events'])} events; truth in {args.dir / 'truth'}"
    )
    return 0
