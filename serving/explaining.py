"""Why a decision came out as it did: what guardrails ruled out, what the policy liked best beside
it, and what the model expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mdp.guardrails import Reason
from mdp.prediction import PARTS
from serving.budget import SPENT
from serving.schemas import iso
from serving.snapshot import Snapshot

KILLED = 201
"""Reason code of an item or a variant that a kill switch has stopped; beside those of
`mdp.guardrails.Reason`."""
_OTHERS = {SPENT: "budget", KILLED: "killed"}
BEST = 5
"""Sends that are named beside what was chosen."""
DIGITS = 5
EXPECTED = tuple("purchase_margin" if part == "purchase" else part for part in PARTS)
"""Names of `PARTS` for a reader: `value` and `purchase_margin` are amounts, the others shares."""
Slot = tuple[int, int, int]
"""Item, variant and hour of a send."""


def explanation(
    snapshot: Snapshot,
    items: Sequence[str],
    variants: Sequence[str],
    chosen: tuple[str, str, int] | None,
) -> dict[str, Any]:
    """About a decision among `items` and `variants`, which item, variant and instant were chosen
    (None: a hold).

    `masked`: how many listed items, variants and hours each guardrail ruled out. `removed`: items
    and variants that the catalogue's rules or a kill switch took off the lists, and which; left out
    where there are none. `score`: the policy's own of what was chosen; `alternatives`: the sends
    that it scored highest of all others that were allowed, and the hold, the best first, each with
    how much less that is (`lost`; below 0 where a draw chose something else than the best).
    `expected`: what the response model predicts of the send at its `best_hour`; an alternative's
    `value` is the one-step reward that it predicts of item and copy at that hour. Neither is there
    without a model.
    """
    names = ("items", "variants", "hours")
    factors = snapshot.factors()
    masked = {name: _counts(codes) for name, codes in zip(names, factors, strict=True)}
    why: dict[str, Any] = {"masked": {name: counts for name, counts in masked.items() if counts}}
    if snapshot.removed:
        why["removed"] = dict(snapshot.removed)
    slot = None
    if chosen is not None:
        hour = int(np.flatnonzero(snapshot.send_at == chosen[2])[0])
        slot = items.index(chosen[0]), variants.index(chosen[1]), hour
    score, others = _ranked(snapshot, slot)
    why["score"] = round(score, DIGITS)
    why["alternatives"] = [
        {
            **_named(snapshot, items, variants, other),
            "score": round(its, DIGITS),
            "lost": round(score - its, DIGITS),
        }
        for its, other in others
    ]
    if snapshot.best_hour < 0:
        return why
    if slot is not None:
        parts = snapshot.pairs[slot[:2]].tolist()
        why["expected"] = dict(zip(EXPECTED, (round(x, DIGITS) for x in parts), strict=True))
    why["best_hour"] = snapshot.best_hour
    return why


def _ranked(
    snapshot: Snapshot, chosen: Slot | None
) -> tuple[float, list[tuple[float, Slot | None]]]:
    """The policy's score of what was chosen (None: a hold), and scores of the `BEST` other sends
    and of the hold, the highest first."""
    item, variant, hour = (codes == 0 for codes in snapshot.factors())
    legal = item[:, None, None] & variant[:, None] & hour
    scores = np.where(legal, snapshot.pair[..., None] + snapshot.hour, -np.inf)
    hold = float(snapshot.hold)
    score = hold if chosen is None else float(scores[chosen])
    others: list[tuple[float, Slot | None]] = []
    if chosen is not None:
        scores[chosen] = -np.inf
        others.append((hold, None))
    best = np.argsort(-scores, axis=None, kind="stable")[:BEST]
    for k, v, h in np.stack(np.unravel_index(best, scores.shape), 1).tolist():
        if np.isfinite(scores[k, v, h]):
            others.append((float(scores[k, v, h]), (k, v, h)))
    return score, sorted(others, key=lambda other: -other[0])


def _named(
    snapshot: Snapshot, items: Sequence[str], variants: Sequence[str], slot: Slot | None
) -> dict[str, Any]:
    """An action as answers have it, with what the model expects of a send."""
    if slot is None:
        return {"action": "hold", "item_id": None, "variant_id": None, "send_at": None}
    k, v, h = slot
    send_at = iso(int(snapshot.send_at[h]))
    named: dict[str, Any] = {
        "item_id": items[k],
        "variant_id": variants[v],
        "send_at": send_at,
    }
    if snapshot.best_hour >= 0:
        named["value"] = round(float(snapshot.pairs[k, v, 0]), DIGITS)
    return {"action": "send", **named}


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
