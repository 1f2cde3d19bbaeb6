"""Fidelity card: how true a fitted simulator is to the shop it was fitted to.

The heads are judged on the latest pushes, predicted from the earlier ones. The whole is judged by
simulating the days that follow the fit under the estimated logging policy and comparing them with
what the log says of those days: rates of opening, value per decision, and how well a classifier
tells simulated users from real ones (an area under its curve of 0.5: not at all).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ingestion.catalog import catalog_of
from ingestion.log import Log, epoch_us
from ingestion.replay import attributed, decisions_of, requests_of, to_events
from ingestion.splits import before
from mdp.clock import DAY
from mdp.events import Kind
from mdp.response import HEADS
from mdp.reward import Reward
from mdp.state import CLICKED, DISMISSED, OPENED, SENT
from simulator.fit import Fit
from simulator.kernel import Kernel

MOST_DAYS, LEAST_DAYS = 14, 3
"""Days after the fit that are compared; with fewer only the heads are judged."""
BINS, FOLDS = 8, 5
WAS_SENT = (SENT, OPENED, CLICKED, DISMISSED)
COUNTED = (Kind.VIEW, Kind.CART, Kind.PURCHASE, Kind.SEND, Kind.OPENED, Kind.CLICKED)
COUNTED_TOO = (Kind.DISMISSED, Kind.UNSUBSCRIBED)


@dataclass(frozen=True)
class Stretch:
    """Some days of a log."""

    sends: pd.DataFrame
    """Its pushes: opened, hour, variant, fatigue (pushes of the last three days)."""
    value: float
    """Mean reward per decision."""
    users: np.ndarray
    """Counts of each user's events (U, F) float64."""


def card_of(log: Log, fitted: Fit, seed: int = 0) -> dict[str, Any]:
    """The card as plain values; `whole` is None where the log ends with the fit."""
    card: dict[str, Any] = {
        "heads": fitted.metrics,
        "calibration": {name: _calibration(fitted, head) for head, name in enumerate(HEADS)},
        "whole": None,
    }
    simulator = fitted.simulator
    last = epoch_us(log.tables["decisions"]["decided_at"].dropna()).max()
    days = min(int((last - simulator.start) / DAY) + 1, MOST_DAYS)
    if days < LEAST_DAYS:
        return card
    # Not the seed itself: a demo shop may have been drawn with it.
    drawn_with = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])
    kernel = Kernel(simulator, np.arange(len(simulator.users)), drawn_with, days, record=True)
    rng = np.random.default_rng(seed)
    while not kernel.done:
        actions, propensity = simulator.logging.act(kernel.view().observation, rng)
        kernel.step(actions, propensity, simulator.logging.name)
    until = simulator.start + days * DAY
    known = before(log, simulator.start)
    real = _stretch(log.replace_tables(users=known.tables["users"]), simulator.start, until)
    drawn = _stretch(_followed_by(known, kernel.tables()), simulator.start, until)
    card["whole"] = {
        "days": days,
        "opened_by": {
            name: {"logged": _rates(real.sends, name), "simulated": _rates(drawn.sends, name)}
            for name in ("hour", "variant", "fatigue")
        },
        "value_per_decision": {"logged": real.value, "simulated": drawn.value},
        "auc": _auc(real.users, drawn.users, seed),
    }
    return card


def _followed_by(log: Log, tables: dict[str, pd.DataFrame]) -> Log:
    """A log and the days that a kernel lived after it."""
    joined = {}
    for name in ("events", "decisions", "outcomes"):
        own = log.tables[name]
        new = tables.get(name, own.iloc[:0]).reindex(columns=own.columns)
        for column in ("decision_id", "event_id"):
            if column in new:  # a name of its own, whatever the log's ids look like
                new[column] = "simulated " + new[column].astype(str)
        new = new.astype({column: own[column].dtype for column in own.columns})
        joined[name] = pd.concat([own, new], ignore_index=True) if len(own) else new
    return log.replace_tables(**joined)


def _stretch(log: Log, start: int, until: int) -> Stretch:
    catalog, events = catalog_of(log), to_events(log)
    decisions = decisions_of(log, catalog, events)
    followed = attributed(log, catalog, events, decisions, Reward())
    # The last day's outcomes are still to come, so it is counted but not paid.
    mine = (decisions.decided_at >= start) & (decisions.decided_at < until - DAY)
    sent = mine & decisions.sent
    some = decisions.only(sent)
    ring = requests_of(log, catalog, events, some).histories["ring"]
    age = some.decided_at[:, None] - ring["send_at"]
    variants = np.array(catalog.variants.ids, object)
    sends = pd.DataFrame(
        {
            "opened": (followed.opened | followed.clicked)[sent],
            "hour": some.h,
            "variant": variants[some.variants[np.arange(len(some.v)), some.v]],
            "fatigue": ((age < 3 * DAY) & (ring["status"] > 0) & (ring["status"] <= SENT + 3)).sum(
                1
            ),
        }
    )
    inside = (events.events["at"] >= start) & (events.events["at"] < until - DAY)
    counts = np.stack(
        [
            np.bincount(
                events.owner[inside & (events.events["kind"] == kind)],
                minlength=len(events.user_ids),
            )
            for kind in (*COUNTED, *COUNTED_TOO)
        ],
        1,
    )
    value = float(followed.reward[mine].mean()) if mine.any() else float("nan")
    return Stretch(sends, value, counts.astype(np.float64))


def _rates(sends: pd.DataFrame, by: str) -> dict[str, list[float]]:
    """Share opened and number of pushes by group."""
    groups = sends.groupby(by)["opened"].agg(["mean", "size"])
    return {str(k): [float(r["mean"]), float(r["size"])] for k, r in groups.iterrows()}


def _calibration(fitted: Fit, head: int) -> list[list[float]]:
    """Mean prediction, observed rate and number in each of up to 8 equal groups."""
    asked = fitted.held_out.asked[:, head]
    p = fitted.held_out_probability[asked, head]
    outcome = fitted.held_out.outcome[asked, head]
    order = np.argsort(p, kind="stable")
    groups = [part for part in np.array_split(order, BINS) if len(part)]
    return [[float(p[g].mean()), float(outcome[g].mean()), float(len(g))] for g in groups]


def _auc(real: np.ndarray, simulated: np.ndarray, seed: int) -> float:
    """Cross-validated area under the curve of a logistic regression that tells the two apart,
    on counts, their logarithms and whether they are 0."""
    counts = np.concatenate([real, simulated])
    x = np.concatenate([np.log1p(counts), counts > 0, np.sqrt(counts)], 1)
    x = (x - x.mean(0)) / np.maximum(x.std(0), 1e-9)
    y = np.repeat([0.0, 1.0], [len(real), len(simulated)])
    # A user's two lives fall into one fold, so that neither gives the other away.
    fold = np.tile(np.random.default_rng(seed).permutation(len(real)) % FOLDS, 2)
    score = np.zeros(len(y))
    for n in range(FOLDS):
        score[fold == n] = _logistic(x[fold != n], y[fold != n], x[fold == n])
    rank = pd.Series(score).rank().to_numpy()
    positive = y > 0
    pairs = positive.sum() * (~positive).sum()
    return float((rank[positive].sum() - positive.sum() * (positive.sum() + 1) / 2) / pairs)


def _logistic(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Logits (m,) of new rows by ridge logistic regression."""
    data, target = torch.from_numpy(x), torch.from_numpy(y)
    weight = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = torch.nn.functional.binary_cross_entropy_with_logits(
            data @ weight[1:] + weight[0], target, reduction="sum"
        )
        total = total + weight[1:].square().sum() / 2
        total.backward()
        return total

    optimizer.step(loss)
    fitted = weight.detach().numpy()
    return new @ fitted[1:] + fitted[0]


def write_card(path: Path, card: dict[str, Any]) -> None:
    """`card.json`, `card.png` and `card.html` in a directory."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    _picture(path / "card.png", card)
    (path / "card.html").write_text(_page(card))


def _picture(file: Path, card: dict[str, Any]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.5), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    for axis, head in zip(axes, ("open", "click", "unsubscribe"), strict=False):
        points = np.array(card["calibration"][head]).reshape(-1, 3)
        top = max(float(points[:, :2].max(initial=0.0)) * 1.1, 0.01)
        axis.plot([0, top], [0, top], color="0.7", linewidth=1)
        axis.plot(points[:, 0], points[:, 1], "o", color="tab:blue")
        axis.set(title=f"calibration: {head}", xlabel="predicted", ylabel="observed")
    for axis, by in zip(axes[3:], ("hour", "variant", "fatigue"), strict=True):
        if card["whole"] is None:
            axis.set_visible(False)
            continue
        for kind, colour in (("logged", "tab:gray"), ("simulated", "tab:blue")):
            rates = card["whole"]["opened_by"][by][kind]
            names = sorted(rates, key=lambda name: (len(name), name) if by != "variant" else name)
            shares = [rates[name][0] for name in names]
            error = [
                2 * np.sqrt(r * (1 - r) / max(rates[n][1], 1))
                for n, r in zip(names, shares, strict=True)
            ]
            axis.errorbar(names, shares, yerr=error, fmt="o-", color=colour, label=kind, capsize=2)
        axis.set(title=f"opened, by {by}", ylabel="share of pushes", ylim=(0, None))
        axis.legend()
        axis.tick_params("x", labelrotation=90 if by == "variant" else 0)
    figure.savefig(file, dpi=110)


def _page(card: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{name}<td>{m['pushes']:.0f}<td>{m['log_loss']:.4f}<td>{m['log_loss_of_rate']:.4f}"
        for name, m in card["heads"].items()
    )
    whole = card["whole"]
    lines = ["The log ends with the fit, so no later days could be compared."]
    if whole is not None:
        value = whole["value_per_decision"]
        lines = [
            f"Compared over the {whole['days']} days after the fit, under the logging policy.",
            f"Value per decision: {value['logged']:.4f} logged, "
            f"{value['simulated']:.4f} simulated.",
            f"A classifier tells simulated users from real ones with an AUC of {whole['auc']:.2f} "
            "(0.5: not at all, 1: always).",
        ]
    said = "".join(f"<p>{line}" for line in lines)
    return (
        "<!doctype html><meta charset=utf-8><title>Fidelity card</title>"
        "<style>body{font:16px sans-serif;max-width:72em;margin:2em auto;padding:0 1em}"
        "td,th{padding:.2em 1em;text-align:right}img{max-width:100%}</style>"
        f"<h1>Fidelity card</h1>{said}"
        "<h2>Heads on later pushes</h2><table><tr><th>head<th>pushes<th>log-loss<th>of the rate"
        f"{rows}</table><p><img src=card.png alt='calibration and rates of opening'>"
    )
