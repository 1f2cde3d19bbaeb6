"""Fit the simulator to a shop's logs, with its fidelity card.

The last fifth of the days with decisions is kept for evaluation. SIM gets the response model and
the users' traits, organic behaviour, the recommender, the estimated logging policy, and
SIM/card/card.html. What goes live is fitted to the whole log: `--until` is any time after its
end. Example:

    pushwise fit shop --out sim
    pushwise fit shop --out live-sim --until 2100-01-01T00:00:00Z
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    from simulator.material import Material


@dataclass(frozen=True)
class Args:
    """What to fit to."""

    logs: Positional[Path]
    """directory of the log's tables"""
    out: Path
    """directory for the simulator"""
    until: str | None = None
    """fit to what is before this instant, ISO 8601 with offset, or before the log's end where that
    is earlier (default: keep the last fifth)"""
    seed: int = 0
    """seed of everything that is drawn"""


def run(args: Args) -> None:
    """Fits, writes and says how good the fit is."""
    import sys
    from dataclasses import replace

    from rich.console import Console

    from ingestion.read import load_checked
    from scripts.instants import instant
    from simulator.fidelity import card_of
    from simulator.fidelity_page import figure, said_of, write_card
    from simulator.fit import fit_to
    from simulator.saved import SIMULATOR, save_simulator

    until = None if args.until is None else instant("--until", args.until)
    SIMULATOR.need_place(args.out)
    console = Console(stderr=True)
    with console.status("reading") as status:
        # The whole log is read twice, and not kept in between: a fit needs the memory.
        material = material_before(args.logs, until)
        fitted = fit_to(material, args.seed, status.update)
        del material
        status.update("fidelity card")
        card = card_of(load_checked(args.logs), fitted, args.seed)
    command = " ".join(["pushwise", *sys.argv[1:]])
    manifest = {**fitted.simulator.manifest, "command": command}
    save_simulator(args.out, replace(fitted.simulator, manifest=manifest))
    write_card(args.out / "card", card)
    print(f"{args.out}: fitted to {len(fitted.simulator.users)} users")
    for name, figures in card["heads"].items():
        print(
            f"  {name}: log-loss {figure(figures['log_loss'])} on {figures['pushes']:.0f} later "
            f"pushes, {figure(figures['log_loss_of_rate'])} for their rate"
        )
    if card["whole"] is not None:
        for line in said_of(card["whole"]):
            print(f"  {line}")
    for line in card.get("changes", []):
        print(f"  {line}")
    print(f"  fidelity card: {args.out / 'card' / 'card.html'}")


def material_before(logs: Path, until: int | None) -> Material:
    """What a log gives to learn from, before an instant (microseconds UTC; default: keep the last
    fifth) or its end; the log itself is let go."""
    import pyarrow as pa

    from ingestion.read import load_checked
    from ingestion.splits import before, log_end, split_time
    from simulator.material import material_of

    log = load_checked(logs)
    until = split_time(log) if until is None else min(until, log_end(log))
    log = before(log, until)  # what is later is let go before all else is made of the log
    material = material_of(log, until)
    # Arrow keeps what it has freed, which after reading is as much as what is still in use.
    pa.default_memory_pool().release_unused()
    return material
