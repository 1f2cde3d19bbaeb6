"""How true a fit's outcomes of a log's pushes are, by days: true, observed and expected rates.

    python -m benchmarks.risk runs/agents/logit-0

Takes a shop of `benchmarks.agents` whose truth is additive (*logit*), which says how likely each
push's outcomes were. Of the fit it is means over draws of the users. Prints Markdown.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import tyro

from ingestion.read import load_checked
from ingestion.splits import log_end
from mdp.clock import DAY
from mdp.response import HEADS, ResponseModel
from simulator.fidelity_judged import answered
from simulator.material import Material, material_of
from simulator.saved import load_simulator

SHOWN = ("open", "dismiss", "unsubscribe")
"""Heads that every push asks, or most."""


@dataclass(frozen=True)
class Args:
    """Of which shop."""

    shop: tyro.conf.Positional[Path]
    """directory with its `logs` and the fit `sim`"""
    parts: int = 5
    """parts of the log, of as many days each"""


def main(args: Args) -> None:
    """Ask truth and fit, print."""
    log = load_checked(args.shop / "logs")
    material = material_of(log, log_end(log) + 1)
    at = material.decisions.decided_at
    edges = np.linspace(at.min(), at.max() + 1, args.parts + 1)
    titles = [f"{head}: true | observed | fit" for head in SHOWN]
    print(f"| days | pushes | {' | '.join(titles)} |")
    print("|" + "---|" * (2 + 3 * len(SHOWN)))
    for begin, end in pairwise(edges):
        sent = np.flatnonzero(material.decisions.sent & (at >= begin) & (at < end))
        days = [round((edge - edges[0]) / DAY) for edge in (begin, end)]
        cells = [f"{rate:.2%}" for rate in rates(args.shop, material, sent)]
        print(f"| {days[0]} to {days[1]} | {len(sent):,} | {' | '.join(cells)} |", flush=True)


def rates(shop: Path, material: Material, sent: np.ndarray) -> list[float]:
    """True, observed and expected rate of each of `SHOWN` in decisions `sent`, by index (S,)."""
    truth, fit = load_simulator(shop / "logs" / "truth"), load_simulator(shop / "sim")
    if not isinstance(truth.response, ResponseModel):
        sys.exit(f"{shop} is of a world whose truth is not additive; take one of logit")
    found = []
    for simulator in (replace(truth, model=truth.response), fit):
        row = {user: number for number, user in enumerate(simulator.users.ids)}
        rows = np.array([row[user] for user in material.events.user_ids])
        sends, _, probability = answered(material, simulator, rows, sent)
        found.append(probability[0])
    out = []
    for head in (HEADS.index(name) for name in SHOWN):
        turn = sends.asked[:, head]
        true, fitted = (each[turn, head].mean() for each in found)
        out += [float(true), float(sends.outcome[turn, head].mean()), float(fitted)]
    return out


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
