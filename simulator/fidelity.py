"""Fidelity card: how true a fitted simulator is to the shop it was fitted to.

The heads are judged on the latest pushes, predicted from the earlier ones. The whole is judged by
simulating the days that follow the fit under the estimated logging policy and comparing them with
what the log says of those days: rates of opening, value per user and day, and how well a classifier
tells simulated user-weeks from real ones (an area under its curve of 0.5: not at all).
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
from ingestion.replay import UserEvents, attributed, decisions_of, requests_of, to_events
from ingestion.splits import before
from mdp.clock import DAY, next_local_midnight
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
COUNTED = (
    Kind.VIEW,
    Kind.CART,
    Kind.PURCHASE,
    Kind.SEND,
    Kind.OPENED,
    Kind.CLICKED,
    Kind.DISMISSED,
    Kind.UNSUBSCRIBED,
)


@dataclass(frozen=True)
class Stretch:
    """Some days of a log."""

    sends: pd.DataFrame
    """Its pushes: opened, hour, variant, fatigue (pushes of the last three days)."""
    value: np.ndarray
    """Each user's mean reward a day (U,) float64."""
    weeks: np.ndarray
    """Counts of each user's events in each week (weeks × U, F) float64."""


def card_of(log: Log, fitted: Fit, seed: int = 0) -> dict[str, Any]:
    """The card as plain values; `whole` is None where the log ends with the fit."""
    simulator = fitted.simulator
    card: dict[str, Any] = {
        "fitted_to": {
            "users": len(simulator.users),
            "pushes": fitted.pushes,
            "until": str(pd.Timestamp(simulator.start, unit="us", tz="UTC")),
        },
        "heads": fitted.metrics,
        "calibration": {name: _calibration(fitted, head) for head, name in enumerate(HEADS)},
        "whole": None,
    }
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
    known = before(log, simulator.start)
    real = _stretch(log.replace_tables(users=known.tables["users"]), simulator.start, days)
    drawn = _stretch(_followed_by(known, kernel.tables()), simulator.start, days)
    card["whole"] = {
        "days": days,
        "opened_by": {
            name: {"logged": _rates(real.sends, name), "simulated": _rates(drawn.sends, name)}
            for name in ("hour", "variant", "fatigue")
        },
        "value_per_user_day": {"logged": _mean(real.value), "simulated": _mean(drawn.value)},
        "auc": _auc(real.weeks, drawn.weeks, len(simulator.users), seed),
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


def _stretch(log: Log, start: int, days: int) -> Stretch:
    catalog, events = catalog_of(log), to_events(log)
    decisions = decisions_of(log, catalog, events)
    followed = attributed(log, catalog, events, decisions, Reward())
    # Users begin at their own midnight, and the last day's outcomes are still to come.
    begins = next_local_midnight(np.full(len(events.user_ids), start - 1), events.zone)
    decided = decisions.decided_at - begins[decisions.owner]
    mine = (decided >= 0) & (decided < (days - 1) * DAY)
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
    value = np.bincount(decisions.owner[mine], followed.reward[mine], len(begins)) / (days - 1)
    return Stretch(sends, value, _weeks(events, begins, days - 1))


def _weeks(events: UserEvents, begins: np.ndarray, days: int) -> np.ndarray:
    """Counts (weeks × U, F) of what happened in each user's whole weeks from `begins` (U,) on;
    fewer days than a week count as one."""
    weeks, size = max(days // 7, 1), len(begins)
    week = (events.events["at"] - begins[events.owner]) // (min(days, 7) * DAY)
    inside = (week >= 0) & (week < weeks)
    place, kind = (week * size + events.owner)[inside], events.events["kind"][inside]
    counts = [np.bincount(place[kind == one], minlength=weeks * size) for one in COUNTED]
    return np.stack(counts, 1).astype(np.float64)


def _mean(values: np.ndarray) -> dict[str, float]:
    """Mean and its standard error, over users."""
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(values.mean()), "standard_error": spread / np.sqrt(len(values))}


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


def _auc(real: np.ndarray, simulated: np.ndarray, users: int, seed: int) -> float:
    """Cross-validated area under the curve of a logistic regression that tells the two apart,
    on counts, their logarithms and whether they are 0."""
    counts = np.concatenate([real, simulated])
    x = np.concatenate([np.log1p(counts), counts > 0, np.sqrt(counts)], 1)
    x = (x - x.mean(0)) / np.maximum(x.std(0), 1e-9)
    y = np.repeat([0.0, 1.0], [len(real), len(simulated)])
    # All weeks of a user fall into one fold, so that none gives another away.
    own = np.random.default_rng(seed).permutation(users) % FOLDS
    fold = np.tile(own, len(y) // users)
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


GROUPED = {
    "hour": "local hour of the push",
    "variant": "variant",
    "fatigue": "pushes in the three days before",
}


def _picture(file: Path, card: dict[str, Any]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 7), layout="constrained")
    axes = figure.subplots(2, 4).ravel()
    for axis, head in zip(axes, HEADS, strict=False):
        _calibrated(axis, head, np.array(card["calibration"][head]).reshape(-1, 3))
    for axis, (by, label) in zip(axes[len(HEADS) :], GROUPED.items(), strict=True):
        if card["whole"] is None:
            axis.set_visible(False)
            continue
        for kind, colour in (("logged", "tab:gray"), ("simulated", "tab:blue")):
            rates = card["whole"]["opened_by"][by][kind]
            names = sorted(rates, key=lambda name: (len(name), name) if by != "variant" else name)
            shares, counts = np.array([rates[name] for name in names]).reshape(-1, 2).T
            _points(axis, names, shares, counts, fmt="o-", color=colour, label=kind)
        axis.set(title=f"opened, by {by}", xlabel=label, ylabel="share of pushes", ylim=(0, None))
        axis.legend()
        axis.tick_params("x", labelrotation=90 if by == "variant" else 0, labelsize="small")
    figure.savefig(file, dpi=110)


def _calibrated(axis: Any, head: str, points: np.ndarray) -> None:
    """Predicted against observed rates; points: (n, 3) predictions, rates and numbers."""
    top = max(float(points[:, :2].max(initial=0.0)) * 1.1, 0.01)
    axis.plot([0, top], [0, top], color="0.7", linewidth=1)
    _points(axis, *points.T, fmt="o", color="tab:blue")
    axis.set(title=f"calibration: {head}", xlabel="predicted", ylabel="observed", ylim=(0, None))


def _points(axis: Any, x: Any, rate: np.ndarray, number: np.ndarray, **style: Any) -> None:
    """Rates with two standard errors; one more success and failure keep those of 0 from 0."""
    eased = (rate * number + 1) / (number + 2)
    error = 2 * np.sqrt(eased * (1 - eased) / (number + 2))
    axis.errorbar(x, rate, yerr=error, elinewidth=1, capsize=2, **style)


def said_of(whole: dict[str, Any]) -> list[str]:
    """What the card says of the days after the fit, in sentences."""
    logged, simulated = (
        f"{value['mean']:.4f} ± {2 * value['standard_error']:.4f}"
        for value in (whole["value_per_user_day"][name] for name in ("logged", "simulated"))
    )
    return [
        f"The {whole['days']} days after the fit, the logging policy once as logged, once "
        "estimated and simulated:",
        f"value per user and day {logged} logged, {simulated} simulated (± 2 standard errors);",
        f"a classifier tells simulated user-weeks from real ones with an AUC of {whole['auc']:.2f} "
        "(0.5: not at all, 1: always).",
    ]


def _page(card: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{name}<td>{m['pushes']:.0f}<td>{figure(m['log_loss'])}"
        f"<td>{figure(m['log_loss_of_rate'])}"
        for name, m in card["heads"].items()
    )
    whole, basis = card["whole"], card["fitted_to"]
    lines = ["The log ends with the fit, or within three days of it: no later days to compare."]
    if whole is not None:
        lines = [" ".join(said_of(whole))]
    lines.insert(
        0,
        f"Fitted to {basis['users']} users and {basis['pushes']} pushes before {basis['until']}.",
    )
    said = "".join(f"<p>{line}" for line in lines)
    return (
        "<!doctype html><meta charset=utf-8><title>Fidelity card</title>"
        "<style>body{font:16px sans-serif;max-width:72em;margin:2em auto;padding:0 1em}"
        "td,th{padding:.2em 1em;text-align:right}img{max-width:100%}</style>"
        f"<h1>Fidelity card</h1>{said}"
        "<h2>Heads on later pushes</h2><p>Mean log-loss on the latest pushes before that time, "
        "predicted from the earlier ones; less is better, and a head that has learned something "
        "has less than the earlier pushes' rate. A click is judged where the push was opened, a "
        "purchase where it was clicked, a dismissal where it was not opened."
        "<table><tr><th>head<th>pushes<th>log-loss<th>of the rate"
        f"{rows}</table><p><img src=card.png alt='calibration and rates of opening'>"
        "<p>Calibration on those pushes, in eight equal groups, and the shares opened on the days "
        "after the fit; bars are two standard errors."
    )


def figure(value: float | None) -> str:
    """Four decimals; a dash for nothing."""
    return "–" if value is None else f"{value:.4f}"
