"""What a user likes, since when, and what would be offered next and why.

The hybrid recommender learns from the log first, which takes a few seconds for a small shop and a
minute for thousands of users and items. Someone whom the log does not know gets what is popular.
Example:

    pushwise candidates explain user-00001 --logs shop
    pushwise candidates explain user-00001 --logs shop --json
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    from generation.candidates.interest import Interest


@dataclass(frozen=True)
class Args:
    """Whom to explain."""

    user: Positional[str]
    """the user's id"""
    logs: Path
    """directory of the log's tables"""
    until: str | None = None
    """what was known at this instant, ISO 8601 with offset (default: the end of the log)"""
    size: int = 10
    """items to offer"""
    seed: int = 0
    """seed of everything that is drawn"""
    json: bool = False
    """print JSON"""


def run(args: Args) -> None:
    """Learns, explains, prints."""
    import json
    from dataclasses import replace

    from rich.console import Console

    from generation.candidates.interactions import interactions_of
    from generation.candidates.interest import interest_of
    from generation.candidates.prepare import hybrid_for
    from generation.candidates.ranked import COOL_DOWN
    from ingestion.log import epoch_us
    from ingestion.read import load_checked
    from mdp.errors import BadSetting
    from scripts.instants import instant

    if args.size < 1:
        raise BadSetting(f"--size is {args.size}; it must be at least 1")
    until = None if args.until is None else instant("--until", args.until)
    with Console(stderr=True).status("learning from the log"):
        log = load_checked(args.logs)
        known = interactions_of(log, until)
        hybrid = replace(hybrid_for(known, args.seed), learners=500, windows=2, rounds=100)
        sends = log.tables["decisions"]
        since = known.until - COOL_DOWN
        late = (epoch_us(sends["send_at"]) > since) & (epoch_us(sends["decided_at"]) < known.until)
        pushed = frozenset(sends["item_id"][late & (sends["user_id"] == args.user)])
        users = log.tables["users"].set_index("user_id")["preferences"]
        words = str(users.get(args.user, "") or "").split("|")
        blocked = frozenset(word[1:] for word in words if word.startswith("-"))
        found = interest_of(known, args.user, hybrid.fit(known), blocked, pushed, args.size)
    if args.json:
        print(json.dumps(found.to_mapping(), indent=1, ensure_ascii=False))
    else:
        _show(found)


def _show(found: Interest) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)
    lines = [f"{found.user_id}: nothing is known; what follows is popular"]
    if found.interactions:
        every = "" if found.every is None else f", every {found.every:g} days on average"
        lines = [
            f"{found.user_id}: {found.interactions} interactions on {found.visits} days from "
            f"{found.first} to {found.last}{every}"
        ]
    if found.prices is not None:
        low, middle, high = found.prices
        lines.append(f"prices: half of them from {low:.2f} to {high:.2f}, median {middle:.2f}")
    for like in found.likes:
        items = f"{like.items} item{'s' * (like.items > 1)}"
        lines.append(
            f"likes {like.category}: {like.share:.0%} of what was met, {like.times_usual:g} times "
            f"the shop's share; {items}, since {like.since}, last {like.last}"
        )
    for regular in found.regulars:
        lines.append(
            f"comes back to {regular.title}: {regular.days} days, every {regular.every:g} days, "
            f"last {regular.last}"
        )
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    table = Table(title="would be offered", title_justify="left")
    for column in ("item", "title", "category", "price", "why"):
        table.add_column(column, overflow="fold")
    for offer in found.offers:
        table.add_row(offer.item_id, offer.title, offer.category, f"{offer.price:.2f}", offer.why)
    console.print(table)
