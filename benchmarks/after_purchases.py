"""What fits say that pushes add to revenue, beside the truth, and whether pushes are answered less
after a purchase.

    python -m benchmarks.after_purchases runs/agents/anyway-0/logs FIT FIT

Takes a demo shop's log, with its truth, and fits to it. Policies see with the fit, and live with
the same users and draws in truth and in the fit; printed are value, revenue minus hold's and hold's
revenue a user, with 95 % intervals over users. Then for each head how its logit changes with what
is remembered of the latest purchase (half-life 7 days), beside all that the fit predicts, ± two
standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from agents.comparing import NORMAL, Entry, run_entry
from agents.rollouts import population
from agents.search import best_threshold
from benchmarks.limits import DAYS, LIVES, LIVING
from ingestion.read import load_checked
from mdp.clock import DAY
from mdp.item_words import shared_words
from mdp.response import HEADS
from policies.baselines import Greedy, Hold
from policies.planner import planner
from simulator.best_days import with_habits
from simulator.description import Simulator
from simulator.fit_heads import Sizes, fit_heads, predicted
from simulator.fit_sends import sends_of, states_of
from simulator.fit_tastes import Counts, fit_tastes
from simulator.lull import remembered_all
from simulator.material import Material, acts_of, material_of
from simulator.saved import load_simulator
from simulator.threads import one_thread
from simulator.widths import Widths

HALF_LIFE = 7.0
"""Days in which a purchase is half forgotten, as heads are asked for it."""


@dataclass(frozen=True)
class Args:
    """Of which shop."""

    logs: tyro.conf.Positional[Path]
    """a demo shop's log, with its truth"""
    fits: tyro.conf.Positional[tuple[Path, ...]]
    """fits to it"""


def main(args: Args) -> None:
    """Live, print; then ask the heads."""
    truth = load_simulator(args.logs / "truth")
    rows = population(truth, LIVING, 0)
    fits = [load_simulator(path) for path in args.fits]
    for path, fit in zip(args.fits, fits, strict=True):
        print(f"{path}: {fit.organic.lull}")
        entries = _entries(fit)
        for name, place in (("true", truth), ("fit", fit)):
            seen = replace(place, model=fit.model, beliefs=fit.beliefs)
            for line in _lives(entries, seen, rows):
                print(f"{name:5} {line}", flush=True)
    material = material_of(load_checked(args.logs), fits[0].start)
    for line in _heads(material, fits[0]):
        print(line)


def _entries(fit: Simulator) -> dict[str, Entry]:
    """Policies and what they see with."""
    assert fit.model is not None
    threshold = best_threshold(fit, 0)
    known = with_habits(fit, threshold, 0)
    return {
        "hold": Entry(Hold(), fit),
        "logging": Entry(fit.logging, fit),
        "greedy": Entry(Greedy(floor=0.0), fit),
        "greedy + threshold": Entry(Greedy(threshold=threshold, floor=0.0), fit),
        "planner": Entry(replace(planner(fit.model, fit.reward), floor=0.0), known),
    }


def _lives(entries: dict[str, Entry], place: Simulator, rows: np.ndarray) -> list[str]:
    lines, hold = [], np.zeros(1)
    for name, entry in entries.items():
        own = Entry(entry.policy, replace(place, beliefs=entry.simulator.beliefs))
        life = run_entry(own, rows, range(1, LIVES + 1), DAYS)
        if name == "hold":
            hold = life.revenue
            lines.append(f"hold: revenue {_with_interval(hold, len(rows))}")
            continue
        value, more = (_with_interval(x, len(rows)) for x in (life.value, life.revenue - hold))
        lines.append(f"{name}: value {value}, revenue minus hold's {more}")
    return lines


def _with_interval(values: np.ndarray, users: int) -> str:
    by_user = values.reshape(-1, users).mean(0)
    return f"{by_user.mean():.2f} ±{NORMAL * by_user.std() / users**0.5:.2f}"


@one_thread()
def _heads(material: Material, fit: Simulator) -> list[str]:
    """How heads' logits change with a purchase, by Newton's method."""
    acts, items = acts_of(material), material.catalog.items
    names, category = np.unique(items.categories, return_inverse=True)
    met = Counts.of(acts.owner, acts.item[:, None], (len(fit.users), len(items)))
    lists = Counts.of(material.decisions.owner, material.decisions.items, met.shape)
    words = shared_words(items)
    tastes = fit_tastes(met, lists, category.astype(np.int64), len(names), words, 0)
    lives = fit.response.half_lives.astype(float)
    sends = sends_of(material, tastes, fit.traits["hours"], lives)
    heads = fit_heads(
        sends,
        Sizes(len(fit.users), len(items), len(material.catalog.variants)),
        Widths(),
        tuple(range(len(HEADS))),
    )
    sent, weight = np.flatnonzero(material.decisions.sent), np.zeros(len(sends.user))
    for part in material.parts(sent):
        known, out = states_of(material, sent[part])["known"], np.zeros((2, 1, len(part)))
        remembered_all(known, sends.decided_at[part], np.array([HALF_LIFE * DAY]), out)
        weight[part] = out[1, 0]
    probability = predicted(heads, sends).astype(np.float64).clip(1e-6, 1 - 1e-6)
    logit, lines = np.log(probability / (1 - probability)), []
    for n, head in enumerate(HEADS):
        turn = sends.asked[:, n]
        x = np.stack([np.ones(turn.sum()), weight[turn]], 1)
        at = np.zeros(2)
        for _ in range(20):
            p = 1 / (1 + np.exp(-(logit[turn, n] + x @ at)))
            precision = (x * (p * (1 - p))[:, None]).T @ x
            at = at + np.linalg.solve(precision, x.T @ (sends.outcome[turn, n] - p))
        error = np.linalg.inv(precision)[1, 1] ** 0.5
        lines.append(f"{head}: {at[1]:+.2f} ±{2 * error:.2f} of {turn.sum():,} pushes asked")
    return lines


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
