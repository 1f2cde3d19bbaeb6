"""Why a decision came out as it did: what guardrails ruled out, and what the model expects."""

from __future__ import annotations

import json

import numpy as np

from mdp.catalog import Catalog
from mdp.guardrails import Reason
from mdp.observation import Requests, View
from mdp.prediction import PARTS
from serving.budget import SPENT

BEST = 3
"""Sends that are named as the model's best."""
DIGITS = 5
EXPECTED = tuple("purchase_margin" if part == "purchase" else part for part in PARTS)
"""Names of `PARTS` for a reader: `value` and `purchase_margin` are amounts, the others shares."""


def explanation(catalog: Catalog, requests: Requests, view: View, n: int, k: int, v: int) -> str:
    """JSON about decision `n`, which sends candidate `k` with variant `v` (-1 for a hold).

    `masked`: how many listed items, variants and hours each guardrail ruled out. `expected`: what
    the response model predicts of the send at its best hour; `best`: its best sends, with the
    one-step reward that it predicts, and how much more that is than of what was chosen (a hold's
    is 0). Both are left out where there is no model.
    """
    factors = {"items": view.mask.item, "variants": view.mask.variant, "hours": view.mask.hour}
    why: dict[str, object] = {
        "masked": {name: counts for name, codes in factors.items() if (counts := _counts(codes[n]))}
    }
    if view.prediction is not None and view.prediction.best_hour[n] >= 0:
        pairs = view.prediction.pair[n]
        if k >= 0:
            parts = zip(EXPECTED, pairs[k, v].tolist(), strict=True)
            why["expected"] = {name: round(value, DIGITS) for name, value in parts}
        allowed = (view.mask.item[n] == 0)[:, None] & (view.mask.variant[n] == 0)
        value = np.where(allowed, pairs[..., 0], -np.inf)
        order = np.argsort(-value, axis=None, kind="stable")[: min(BEST, int(allowed.sum()))]
        chosen = float(pairs[k, v, 0]) if k >= 0 else 0.0
        why["best"] = [
            {
                "item_id": catalog.items.ids[requests.items[n, item]],
                "variant_id": catalog.variants.ids[requests.variants[n, variant]],
                "value": round(float(value[item, variant]), DIGITS),
                "more_than_chosen": round(float(value[item, variant]) - chosen, DIGITS),
            }
            for item, variant in zip(*np.unravel_index(order, value.shape), strict=True)
        ]
        why["best_hour"] = int(view.prediction.best_hour[n])
    return json.dumps(why)


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
    return "budget" if code == SPENT else Reason(code).name.lower()
