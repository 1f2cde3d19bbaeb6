"""Reasons of the catalogue: what time, stock, copy and preferences forbid."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdp.catalog import Catalog
from mdp.clock import NEVER
from mdp.compiled import njit
from mdp.guardrails import Reason

_PADDING, _NOT_AVAILABLE, _OUT_OF_STOCK, _NOT_APPROVED = (
    int(Reason.PADDING),
    int(Reason.NOT_AVAILABLE),
    int(Reason.OUT_OF_STOCK),
    int(Reason.NOT_APPROVED),
)


def catalog_reasons(
    catalog: Catalog,
    items: np.ndarray,
    variants: np.ndarray,
    decided_at: np.ndarray,
    locales: list[str] | None = None,
    segments: list[str] | None = None,
    blocked: list[frozenset[str]] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Reasons that the catalogue and the users' preferences give.

    items: (N, K) and variants: (N, V) int, catalogue rows, -1 for padding. decided_at: (N,)
    int64. locales, segments ("" for unknown) and blocked categories: one a decision.

    Returns `Reason` codes (N, K) and (N, V) uint8. A variant written for one item can only be
    used where that item is the only candidate: otherwise the rule would span factors.
    """
    variant_reason = copy_reasons(catalog, variants, locales, segments)
    return (
        item_reasons(catalog, items, decided_at, blocked),
        bound_reasons(catalog, items, variants, variant_reason),
    )


def item_reasons(
    catalog: Catalog,
    items: np.ndarray,
    decided_at: np.ndarray,
    blocked: list[frozenset[str]] | None = None,
) -> np.ndarray:
    """Reasons (N, K) uint8 that time, stock and blocked categories give at instants (N,) against
    items (N, K)."""
    reason = np.empty(items.shape, np.uint8)
    item_reasons_all(items, decided_at, catalog.items.available_until, catalog.items.stock, reason)
    for i, categories in enumerate(blocked or ()):
        if categories:
            names = catalog.items.categories
            refused = [row >= 0 and names[row] in categories for row in items[i]]
            reason[i, (reason[i] == 0) & np.array(refused, bool)] = Reason.PREFERENCE
    return reason


@njit(cache=True)
def copy_reasons_all(variants: Any, refused: Any, out: Any) -> None:
    """Fills the reasons (N, V) that the status of copy gives."""
    for n in range(variants.shape[0]):
        for v in range(variants.shape[1]):
            row = variants[n, v]
            out[n, v] = _PADDING if row < 0 else (_NOT_APPROVED if refused[row] else 0)


@njit(cache=True)
def item_reasons_all(items: Any, at: Any, available_until: Any, stock: Any, out: Any) -> None:
    """Fills what `item_reasons` returns."""
    for n in range(items.shape[0]):
        for k in range(items.shape[1]):
            row = items[n, k]
            if row < 0:
                out[n, k] = _PADDING
                continue
            until = available_until[row]
            if until != NEVER and until <= at[n]:
                out[n, k] = _NOT_AVAILABLE
            else:
                out[n, k] = _OUT_OF_STOCK if stock[row] <= 0 else 0


def copy_reasons(
    catalog: Catalog,
    variants: np.ndarray,
    locales: list[str] | None = None,
    segments: list[str] | None = None,
) -> np.ndarray:
    """Reasons (N, V) uint8 that copy itself gives, whatever the candidates: its status, locale
    and segment."""
    table = catalog.variants
    reason = np.empty(variants.shape, np.uint8)
    copy_reasons_all(variants, table.refused, reason)
    for have, names, code in (
        (locales, table.locales, Reason.LOCALE),
        (segments, table.segments, Reason.OTHER_SEGMENT),
    ):
        if not any(names):
            continue
        bound = np.array(names, dtype=object)[variants]
        mine = np.array(have if have is not None else [""] * len(variants), dtype=object)[:, None]
        # Copy in some locale suits a user whose locale is unknown; a segment must be known.
        other = (bound != "") & (bound != mine) & ((mine != "") | (code == Reason.OTHER_SEGMENT))
        reason[(reason == 0) & other.astype(bool)] = code
    return reason


def bound_reasons(
    catalog: Catalog, items: np.ndarray, variants: np.ndarray, reason: np.ndarray
) -> np.ndarray:
    """`copy_reasons` (N, V) with those against copy that was written for an item other than the
    only candidate of items (N, K)."""
    table = catalog.variants
    if not any(table.items):
        return reason
    own_item = np.array([catalog.items.row.get(item, -2) if item else -1 for item in table.items])
    wanted = own_item[variants]
    only = np.where((items >= 0).sum(1) == 1, items.max(1, initial=-1), -3)
    other = (wanted != -1) & (wanted != only[:, None])
    other &= (reason != Reason.PADDING) & (reason != Reason.NOT_APPROVED)
    return np.where(other, np.uint8(Reason.OTHER_ITEM), reason)


@njit(cache=True)
def allowed_first(items: Any, reason: Any, rows: Any, reasons: Any) -> None:
    """Fills candidates (N, K) with those that are allowed first and -1 for the others, and the
    reasons (N, K) in the same order."""
    for n in range(items.shape[0]):
        place = 0
        for k in range(items.shape[1]):
            if reason[n, k] == 0:
                rows[n, place], reasons[n, place] = items[n, k], 0
                place += 1
        for k in range(items.shape[1]):
            if reason[n, k] != 0:
                rows[n, place], reasons[n, place] = -1, reason[n, k]
                place += 1
