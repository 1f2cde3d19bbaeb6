"""Fit the simulator to a shop's logs, with its fidelity card.

The last fifth of the days with decisions is kept for evaluation. SIM gets the response model and
the users' traits, organic behaviour, the recommender, the estimated logging policy, and
SIM/card/card.html. What goes live is fitted to the whole log: `--until` is any time after its
end. Its card takes another fit, to all but the last fifth, which has days to be judged by. Example:

    pushwise fit shop --out sim
    pushwise fit shop --out live-sim --until 2100-01-01T00:00:00Z
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


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

    from ingestion.parted import parted
    from scripts.instants import instant
    from scripts.parts import parts_of
    from simulator.fidelity import card_of
    from simulator.fidelity_page import said_of, write_card
    from simulator.fit import fit_to
    from simulator.material import material_of_parts
    from simulator.saved import SIMULATOR, save_simulator

    until = None if args.until is None else instant("--until", args.until)
    SIMULATOR.need_place(args.out)
    console = Console(stderr=True)
    with console.status("reading") as status, parted(args.logs, parts_of(args.logs)) as log:
        fitted = fit_to(material_of_parts(log, until), args.seed, status.update)
        status.update("fidelity card")
        card = card_of(log.of_users(fitted.judged_by), fitted, args.seed)
    command = " ".join(["pushwise", *sys.argv[1:]])
    manifest = {**fitted.simulator.manifest, "command": command}
    save_simulator(args.out, replace(fitted.simulator, manifest=manifest))
    write_card(args.out / "card", card)
    print(f"{args.out}: fitted to {len(fitted.simulator.users)} users")
    for name, figures in card["heads"]["later_days"].items():
        said = "nothing to judge it by"
        if figures["log_loss"] is not None:
            said = (
                f"log-loss {figures['log_loss']:.4f} on {figures['pushes']} later pushes, "
                f"{figures['log_loss_of_boosting']:.4f} of boosting, "
                f"{figures['log_loss_of_rate']:.4f} of the rate"
            )
        print(f"  {name}: {said}")
    for line in said_of(card):
        print(f"  {line}")
    print(f"  fidelity card: {args.out / 'card' / 'card.html'}")
