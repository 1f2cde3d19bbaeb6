"""Let a policy decide for a simulator's users, and write what happens as a log.

The policy is a saved one, under its own guardrails and exploration floor, or a baseline: hold,
random, logging. Users are lived in blocks, so memory does not grow with their number; where more
are asked for than the simulator has, they are its users again, with ids such as x#2 and lives of
their own. New users and items arrive as they do in the log that the simulator was fitted to, if
any do, on days of their own and unknown to the policy; the same seed gives every policy the same
ones, and the same log whatever the block. With --summary nothing is recorded:
--out is a CSV file for what all users together brought each day.

Example:
    pushwise simulate sim runs/ppo --out runs/simulated --days 28
    pushwise simulate sim hold --users 1000000 --summary --out hold.csv
    pushwise simulate sim runs/ppo --users 10000000 --summary --out ppo.csv --ray
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    from policies.base import Policy
    from simulator.description import Simulator
    from simulator.population import Block, Lived


@dataclass(frozen=True)
class Args:
    """Arguments of `pushwise simulate`."""

    simulator: Positional[Path]
    """a fitted simulator, or the truth of a demo (DIR/truth)"""
    policy: Positional[str]
    """directory of a saved policy, or hold, random or logging"""
    out: Path
    """directory for the log; with --summary, a CSV file for the totals"""
    days: int = 28
    """days of decisions"""
    users: int | None = None
    """number of users; default: all of the simulator's, once"""
    block: int = 10_000
    """users who are lived, and written, at a time"""
    summary: bool = False
    """write only what all users together brought each day"""
    ray: bool = False
    """live blocks as Ray tasks: on the cluster that RAY_ADDRESS names, or on all of this machine's
    cores"""
    new_users: float | None = None
    """users who arrive on a day, on average, 0 for none; default: as many as the simulator's log
    shows, in proportion to --users"""
    new_items: float | None = None
    """items that are listed on a day, on average, 0 for none; default: as many as the simulator's
    log shows"""
    seed: int = 0
    """seed of all that is drawn"""


def run(args: Args) -> None:
    """Simulates, writes and says what came of it."""
    from contextlib import nullcontext

    import numpy as np
    import pandas as pd
    from rich.console import Console
    from rich.progress import Progress

    from ingestion.log import LogMeta
    from ingestion.schema import SHARED
    from ingestion.spread import in_turn
    from ingestion.write import log_stream
    from mdp.errors import BadInput, BadSetting
    from scripts.on_ray import on_ray
    from simulator.description import Arrivals
    from simulator.launches import with_new_items
    from simulator.newcomers import arriving
    from simulator.population import TOTALS, UNIT, blocks
    from simulator.saved import load_simulator

    if args.days < 1:
        raise BadSetting(f"--days is {args.days}; a simulation needs at least 1")
    if args.summary and (args.out.suffix != ".csv" or not args.out.parent.is_dir()):
        raise BadInput(f"--out is {args.out}; with --summary give a .csv file in a directory")
    simulator, policy, policy_hash = _asked(load_simulator(args.simulator), args.policy)
    users = len(simulator.users) if args.users is None else args.users
    own, size = simulator.arrivals or Arrivals(0.0), len(simulator.users)
    arrivals = arriving(
        _rate("--new-users", args.new_users, own.rate * users / size), args.days, args.seed
    )
    new_items = _rate("--new-items", args.new_items, own.items)
    simulator = with_new_items(simulator, new_items, args.days, args.seed)
    parts = list(blocks(users, args.block, arrivals))
    everyone = sum(part.users for part in parts)
    totals = np.zeros((args.days, len(TOTALS)), np.int64)
    until = np.iinfo(np.int64).max
    shared = (simulator, policy, args.seed, args.days, not args.summary)
    place = on_ray() if args.ray else nullcontext(in_turn)
    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with place as spread, bar as progress:
        all_lived = spread(live_block, shared, parts)
        task = progress.add_task("simulating", total=everyone)
        if args.summary:
            for lived in all_lived:
                totals += lived.totals
                progress.advance(task, lived.users)
            table = pd.DataFrame(totals * UNIT, columns=list(TOTALS))
            table.insert(0, "day", np.arange(args.days))
            table.round(2).to_csv(args.out, index=False)
        else:
            with log_stream(args.out) as stream:
                for number, lived in enumerate(all_lived):
                    assert lived.tables is not None
                    for name, frame in lived.tables.items():
                        if name == "decisions" and policy_hash:
                            frame = frame.assign(policy_hash=policy_hash)
                        if number == 0 or name not in SHARED:
                            stream.append(name, frame)
                    totals += lived.totals
                    until = min(until, lived.until)
                    progress.advance(task, lived.users)
                source = f"pushwise simulate {args.simulator} {args.policy}"
                end = pd.Timestamp(until, unit="us", tz="UTC")
                stream.finish(LogMeta(complete_until=end, default_timezone="UTC", source=source))
    of = dict(zip(TOTALS, (totals * UNIT).sum(0).tolist(), strict=True))
    came = f" and {everyone - users} who arrived" if everyone > users else ""
    print(
        f"{args.out}: {users} users{came}, {args.days} days, {of['sends']:.0f} sends, "
        f"{of['clicks']:.0f} clicks, {of['unsubscribes']:.0f} unsubscribes, value "
        f"{of['value']:.2f}, revenue {of['revenue']:.2f}"
    )


def live_block(shared: tuple[Simulator, Policy, int, int, bool], block: Block) -> Lived:
    """What a block of users lived. shared: simulator, policy, seed, days, and whether to record."""
    from simulator.population import live

    simulator, policy, seed, days, record = shared
    return live(simulator, policy, seed, days, block, record)


def _rate(option: str, asked: float | None, own: float) -> float:
    """How many arrive on a day: as asked, or as the log shows."""
    from math import isfinite

    from mdp.errors import BadSetting

    if asked is not None and not (isfinite(asked) and asked >= 0):
        raise BadSetting(f"{option} is {asked}; as many a day are 0 or more")
    return own if asked is None else asked


def _asked(simulator: Simulator, name: str) -> tuple[Simulator, Policy, str]:
    """The simulator as the policy of that name sees it, the policy, and its hash ("" without)."""
    from dataclasses import replace

    from agents.comparing import believing
    from mdp.errors import BadInput
    from policies.baselines import Hold, Random
    from policies.saved import load_policy, with_floor

    baselines: dict[str, Policy] = {
        "hold": Hold(),
        "random": Random(),
        "logging": simulator.logging,
    }
    if name in baselines:
        return simulator, baselines[name], ""
    if not Path(name).is_dir():
        raise BadInput(
            f"{name} is neither a directory of a saved policy nor one of {', '.join(baselines)}"
        )
    bundle = load_policy(name)
    simulator = replace(simulator, guardrails=bundle.guardrails, reward=bundle.reward)
    simulator = believing(simulator, bundle)
    return simulator, with_floor(bundle, bundle.guardrails.floor), bundle.hash
