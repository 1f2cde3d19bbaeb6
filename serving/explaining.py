"""Why a decision came out as it did: what guardrails ruled out, and what the model expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mdp.guardrails import Reason
from mdp.prediction import PARTS
from serving.budget import SPENT
from serving.snapshot import Snapshot

KILLED = 201
"""Reason code of an item or a variant that a kill switch has stopped; beside those of
`mdp.guardrails.Reason`."""
_OTHERS = {SPENT: "budget", KILLED: "killed"}
BEST = 3
"""Sends that are named as the model's best."""
DIGITS = 5
EXPECTED = tuple("purchase_margin" if part == "purchase" else part for part in PARTS)
"""Names of `PARTS` for a reader: `value` and `purchase_margin` are amounts, the others shares."""


def explanation(
    snapshot: Snapshot,
    items: Sequence[str],
    variants: Sequence[str],
    chosen: tuple[str, str] | None,
) -> dict[str, Any]:
    """About a decision among `items` and `variants`, which sends the chosen ones (None: a hold).

    `masked`: how many listed items, variants and hours each guardrail ruled out. `removed`: items
    and variants that the catalogue's rules or a kill switch took off the lists, and which; left out
    where there are none. `expected`: what the response model predicts of the send at its best hour;
    `best`: its best sends, with the one-step reward that it predicts, and how much more that is
    than of what was chosen (a hold's is 0). Neither is there without a model.
    """
    names = ("items", "variants", "hours")
    factors = snapshot.factors()
    masked = {name: _counts(codes) for name, codes in zip(names, factors, strict=True)}
    why: dict[str, Any] = {"masked": {name: counts for name, counts in masked.items() if counts}}
    if snapshot.removed:
        why["removed"] = dict(snapshot.removed)
    if snapshot.best_hour < 0:
        return why
    worth = 0.0
    if chosen is not None:
        parts = snapshot.pairs[items.index(chosen[0]), variants.index(chosen[1])].tolist()
        why["expected"] = dict(zip(EXPECTED, (round(x, DIGITS) for x in parts), strict=True))
        worth = parts[0]
    allowed = (factors[0] == 0)[:, None] & (factors[1] == 0)
    value = np.where(allowed, snapshot.pairs[..., 0], -np.inf)
    order = np.argsort(-value, axis=None, kind="stable")[: min(BEST, int(allowed.sum()))]
    why["best"] = [
        {
            "item_id": items[item],
            "variant_id": variants[variant],
            "value": round(float(value[item, variant]), DIGITS),
            "more_than_chosen": round(float(value[item, variant]) - worth, DIGITS),
        }
        for item, variant in zip(*np.unravel_index(order, value.shape), strict=True)
    ]
    why["best_hour"] = snapshot.best_hour
    return why


def _counts(codes: np.ndarray) -> dict[str, int]:
    """Number of slots (M,) by the reason that masks them."""
    reasons, counts = np.unique(codes, return_counts=True)
    return {
        reason_name(int(reason)): int(count)
        for reason, count in zip(reasons, counts, strict=True)
        if reason not in (Reason.ALLOWED, Reason.PADDING)
    }


def reason_name(code: int) -> str:
    """What answers call a reason code."""
    return _OTHERS.get(code) or Reason(code).name.lower()
