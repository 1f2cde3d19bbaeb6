"""Fit the simulator to a shop's logs, with its fidelity card.

The last fifth of the days with decisions is kept for evaluation. SIM gets the response model and
the users' traits, organic behaviour, the recommender, the estimated logging policy, and
SIM/card/card.html. Example:

    pushwise fit shop --out sim
    pushwise fit shop --out sim --until 2026-03-01T00:00:00Z
"""

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
    """fit to what is before this instant, ISO 8601 with offset (default: keep the last fifth)"""
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
    from simulator.material import material_of
    from simulator.saved import SIMULATOR, save_simulator

    until = None if args.until is None else instant("--until", args.until)
    SIMULATOR.need_place(args.out)
    console = Console(stderr=True)
    with console.status("reading") as status:
        # The whole log is read twice, and not kept in between: a fit needs the memory.
        material = material_of(load_checked(args.logs), until)
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
    print(f"  fidelity card: {args.out / 'card' / 'card.html'}")
