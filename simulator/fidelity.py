"""Fidelity card: how true a fitted simulator is to the shop it was fitted to.

It is judged by the days of the log after the fit: its response model on their pushes, and the whole
by simulating them (`simulator.fidelity_days`). Where the log has no such days, because the fit is
of all of it, another fit of the same recipe is judged in its place: to all but the last fifth of
the days. Heads for users whose pushes are unseen are always of the same recipe
(`simulator.fidelity_judged`). Of more than `material.SAMPLE` users as many are drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ingestion.log import Log, epoch_us
from ingestion.splits import of_users, split_time
from mdp.clock import DAY
from mdp.errors import NotEnoughData
from mdp.response import ResponseModel
from simulator.description import Simulator
from simulator.fidelity_days import whole_of
from simulator.fidelity_goals import goals_of, notes_of
from simulator.fidelity_heads import against_baselines, calibration_of
from simulator.fidelity_judged import later_days, unseen_users
from simulator.fit import Fit, fit
from simulator.lull import Lull
from simulator.population import with_users
from simulator.sends import OPEN
from simulator.threads import one_thread
from simulator.untried import untried_of

MOST_DAYS, LEAST_DAYS = 14, 3
"""Days after the fit that are compared; with fewer only the heads are judged."""


@one_thread()
def card_of(log: Log, fitted: Fit, seed: int = 0) -> dict[str, Any]:
    """The card as plain values; `whole` is None where fewer than `LEAST_DAYS` can be compared.

    log: of the users `fitted.judged_by`, or more.
    """
    log = of_users(log, fitted.judged_by)
    judged = _judged_in_place_of(log, fitted, seed)
    log = of_users(log, judged.judged_by)
    simulator, days = judged.simulator, _days_after(log, judged)
    both = {
        "later_days": later_days(log, judged, simulator.start + MOST_DAYS * DAY),
        "unseen_users": unseen_users(judged),
    }
    card: dict[str, Any] = {
        "fitted_to": _basis(fitted),
        "judged": _basis(judged) | {"saved": judged is fitted},
        "heads": {where: against_baselines(one) for where, one in both.items()},
        "calibration": {where: calibration_of(one) for where, one in both.items()},
        "covariates": fitted.told,
        "whole": None,
    }
    if changes := changes_of(fitted.simulator):
        card["changes"] = changes
    if untried := untried_of(log.meta, fitted.tuned.sends, fitted.simulator):
        card["untried"] = untried
    if days >= LEAST_DAYS:
        if len(judged.sample) < len(simulator.users):
            simulator = with_users(simulator, judged.sample, judged.judged_by)
        card["whole"] = whole_of(log, simulator, days, seed)
    return card | {"goals": goals_of(card), "notes": notes_of(card)}


def _judged_in_place_of(log: Log, fitted: Fit, seed: int) -> Fit:
    """The fit itself where there are days after it, else one that has such."""
    if _days_after(log, fitted) >= LEAST_DAYS:
        return fitted
    try:
        until = split_time(log)
        return fit(log, until, seed) if until < fitted.simulator.start else fitted
    except NotEnoughData:
        return fitted


def _days_after(log: Log, fitted: Fit) -> int:
    """Days with decisions after a fit, `MOST_DAYS` at most."""
    last = epoch_us(log.tables["decisions"]["decided_at"].dropna()).max()
    return min(int((last - fitted.simulator.start) / DAY) + 1, MOST_DAYS)


def _basis(fitted: Fit) -> dict[str, Any]:
    until = pd.Timestamp(fitted.simulator.start, unit="us", tz="UTC")
    return {
        "users": len(fitted.simulator.users),
        "pushes": fitted.pushes,
        "until": f"{until:%Y-%m-%d %H:%M} UTC",
    }


def changes_of(simulator: Simulator) -> list[str]:
    """What the log shows to change as time goes by, in sentences; as much changes in episodes."""
    said, arrivals, drift = [], simulator.arrivals, simulator.drift
    if (lull := simulator.organic.lull) is not None:
        said.append(_said_of(lull))
    said += _said_of_days(simulator)
    if arrivals is not None:
        since = "all users"
        if arrivals.since is not None:
            since = f"those since {pd.Timestamp(arrivals.since, unit='us').date()}"
        if arrivals.rate:
            said.append(
                f"{arrivals.rate:.3g} users sign up a day; newcomers are taken to be like {since}."
            )
        if arrivals.items:
            said.append(f"{arrivals.items:.3g} items are listed a day.")
    if drift is not None:
        said.append(
            f"Half of the users have another taste after {drift.half_life:.0f} days or so: other "
            "items that they look for, and other pushes that they answer."
        )
    return said


def _said_of_days(simulator: Simulator) -> list[str]:
    """Special days and what they do in a sentence, if there are any."""
    model, organic, parts = simulator.response, simulator.organic, dict[str, str]()
    if not isinstance(model, ResponseModel) or not len(model.special_day):
        return []
    of_own = np.ones((len(model.special_day), 2)) if organic.special is None else organic.special
    for day, heads, own in zip(model.special_day, model.special_effect, of_own, strict=True):
        name = simulator.calendar[str(np.datetime64(int(day), "D"))]
        parts[name] = (
            f"{name} (visits × {own[0]:.2f}, buying × {own[1]:.2f}, odds of opening a push × "
            f"{np.exp(heads[OPEN]):.2f})"
        )
    return [f"Special days of the calendar differ from others: {', '.join(parts.values())}."]


def _said_of(lull: Lull) -> str:
    """A lull in a sentence."""
    sizes = {"buy": lull.buys, "come": lull.visits}
    less = [
        f"{what} {-np.expm1(-size):.0%} less, after {lull.days:.0f} days {-np.expm1(-size / 2):.0%}"
        for what, size in sizes.items()
        if size
    ]
    return (
        f"Right after a purchase users {'; they '.join(less)}; "
        f"{'earlier purchases add nothing' if lull.latest else 'purchases add up'}."
    )
