"""What was predicted of a policy against what happened once it had run live, and how often such
predictions have held."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.estimators import Terms
from evaluation.intervals import Interval, Intervals, resampled
from evaluation.logs import usable
from evaluation.replayed import Replayed
from evaluation.specification import UNBIASED
from evaluation.sums import sums_of
from mdp.errors import BadInput, NotEnoughData
from policies.saved import PolicyBundle

_PREDICTED = ("estimators", "differences")
"""What a report has by estimator that can be held against what happened."""


@dataclass(frozen=True)
class Compared:
    """A prediction and what happened."""

    predicted: Interval
    happened: Interval
    held: bool
    """Whether the two differ by no more than chance: 0 lies in the 95 % interval of their
    difference."""


@dataclass(frozen=True)
class Reconciled:
    """A policy's prediction, reconciled with the log of its live days."""

    policy: str
    policy_hash: str
    estimator: str
    """Whose prediction it is."""
    rows: int
    """Decisions that the policy made live, with closed windows."""
    users: int
    value: Compared
    """Reward per decision."""
    difference: Compared | None
    """To the policies that ran beside it; None where none did."""
    beside: tuple[int, int]
    """Decisions and users of the policies beside it."""


def reconcile(
    report: Mapping[str, Any], replay: Replayed, bundle: PolicyBundle, name: str, seed: int = 0
) -> Reconciled:
    """Set a report's prediction of a policy against a log in which it decided.

    report: what `evaluate --json` printed, of this policy (by its hash). Raises `BadInput` where
    the report does not predict it, `NotEnoughData` where the log has no closed decision of it.
    """
    estimator, value, difference = _prediction(report, bundle, name)
    rows, _ = usable(replay, bundle, name)
    table = replay.log.tables["decisions"].iloc[replay.decisions.rows[rows]]
    if table["policy_hash"].notna().any():
        own = (table["policy_hash"] == bundle.hash).to_numpy()
    else:
        own = (table["policy"] == bundle.policy.name).to_numpy()
    if not own.any():
        raise NotEnoughData(
            f"the log has no closed decision that {name} made (policy_hash {bundle.hash}): give "
            "the log of the days on which it ran"
        )
    at = replay.decisions.decided_at[rows]
    during = (at >= at[own].min()) & (at <= at[own].max())
    user = np.unique(replay.decisions.owner[rows], return_inverse=True)[1].astype(np.int64)
    reward = replay.attributed(bundle.reward).reward[rows]
    beside = during & ~own
    masks = [own.astype(np.float64), beside.astype(np.float64)]
    drawn = resampled(
        sums_of([Terms(reward * mask, mask) for mask in masks], user), Intervals(seed=seed)
    )
    return Reconciled(
        policy=name,
        policy_hash=bundle.hash,
        estimator=estimator,
        rows=int(own.sum()),
        users=len(np.unique(user[own])),
        value=compared(value, drawn.interval(0)),
        difference=compared(difference, drawn.interval(0, less=1)) if beside.any() else None,
        beside=(int(beside.sum()), len(np.unique(user[beside]))),
    )


def compared(predicted: Interval, happened: Interval) -> Compared:
    """A prediction and what happened, which are independent: their errors add up in squares."""
    if happened.value >= predicted.value:
        error = hypot(predicted.high - predicted.value, happened.value - happened.low)
    else:
        error = hypot(predicted.value - predicted.low, happened.high - happened.value)
    return Compared(predicted, happened, bool(abs(happened.value - predicted.value) <= error))


def _prediction(
    report: Mapping[str, Any], bundle: PolicyBundle, name: str
) -> tuple[str, Interval, Interval]:
    """What the report's leading estimator says of the policy: its value and its difference."""
    found = [x for x in report["policies"] if x.get("policy_hash") == bundle.hash]
    if not found:
        raise BadInput(
            f"the report does not predict {name} (policy_hash {bundle.hash}): give the report.json "
            "of `pushwise evaluate` on this policy"
        )
    for estimator in UNBIASED:
        try:
            value, difference = (Interval(**found[0][key][estimator]) for key in _PREDICTED)
        except (KeyError, TypeError):
            continue
        if all(isinstance(x, int | float) for x in (*astuple(value), *astuple(difference))):
            return estimator, value, difference
    raise BadInput(f"the report has no number for {name} by any of {', '.join(UNBIASED)}")


def read_report(file: Path) -> dict[str, Any]:
    """A report.json; raises `BadInput`."""
    try:
        report = json.loads(file.read_bytes())
    except ValueError as error:
        raise BadInput(f"{file} is not JSON: {error}") from error
    policies = report.get("policies") if isinstance(report, dict) else None
    if not isinstance(policies, list) or not all(isinstance(each, dict) for each in policies):
        raise BadInput(f"{file} is no report of saved policies on a log: it has no policies")
    return report


def record(ledger: Path, found: Reconciled) -> tuple[int, int]:
    """Add a line to a ledger (JSON lines), in place of an earlier one of the same policy; returns
    how many predictions it holds of policies' differences (of their values where nothing ran
    beside), and how many of those held."""
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    try:
        entries = [json.loads(line) for line in lines if line.strip()]
        kept = [x for x in entries if x["policy_hash"] != found.policy_hash]
        held = [(x["difference"] or x["value"])["held"] for x in kept]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{ledger} is no ledger of reconciled predictions: {error}") from error
    own = found.difference or found.value
    kept.append(asdict(found))
    ledger.write_text("".join(json.dumps(x) + "\n" for x in kept))
    return len(kept), sum(held) + own.held
