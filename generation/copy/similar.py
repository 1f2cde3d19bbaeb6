"""Which styles of copy the people most like a user responded to."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pandas as pd

from ingestion.log import Log

NEIGHBOURS = 50
"""People whose responses count."""
PRIOR = 20.0
"""Pushes at the shop's own rate that are added to those of the neighbours."""
_BUCKETS = 256
_TOGETHER = 500


def likenesses(
    profiles: np.ndarray, sent: np.ndarray, responded: np.ndarray, neighbours: int = NEIGHBOURS
) -> np.ndarray:
    """How the neighbours of each user responded to each style, over the rate of all (U, S).

    profiles: what users met, in whatever features (U, F) float32; neighbours are those with the
    greatest cosine. sent, responded: pushes of each style and responses to them (U, S). A user's
    own do not count; `PRIOR` pushes at the rate of all are added, so 1 says nothing.
    """
    rate = (responded.sum(0) + 1) / (sent.sum(0) + 20)
    unit = profiles / np.maximum(np.linalg.norm(profiles, axis=1, keepdims=True), 1e-9)
    out = np.ones(sent.shape)
    for begin in range(0, len(unit), _TOGETHER):
        rows = np.arange(begin, min(begin + _TOGETHER, len(unit)))
        alike = unit[rows] @ unit.T
        alike[np.arange(len(rows)), rows] = -1
        near = np.argsort(-alike, axis=1, kind="stable")[:, :neighbours]
        counted = np.take_along_axis(alike, near, 1) > 0
        theirs = [(each[near] * counted[..., None]).sum(1) for each in (sent, responded)]
        out[rows] = (theirs[1] + PRIOR * rate) / (theirs[0] + PRIOR) / rate
    return out


def styles_responded(log: Log, until: pd.Timestamp | None = None) -> dict[str, tuple[str, ...]]:
    """User → the style that people like this one responded to most, by what is before `until`.

    Users of whose neighbours nothing is known, or to whom no style stands out by a tenth, are not
    there.
    """
    decisions = pushes_of(log, until)
    events = log.tables["events"]
    events = events if until is None else events[events["at"] < until]
    users = sorted(set(events["user_id"]) | set(decisions["user_id"]))
    styles = sorted(set(decisions["style"]))
    if not users or not styles:
        return {}
    place = {user: n for n, user in enumerate(users)}
    profiles = np.zeros((len(users), _BUCKETS), np.float32)
    items = log.tables["items"].drop_duplicates("item_id").set_index("item_id")["category"]
    category = events["item_id"].map(items).fillna("").astype(str)
    for words in (events["item_id"].astype(str), "category " + category):
        buckets = words.map({word: _bucket(word) for word in words.unique()})
        np.add.at(profiles, (events["user_id"].map(place), buckets), 1)
    sent = np.zeros((len(users), len(styles)))
    responded = np.zeros_like(sent)
    at = (
        decisions["user_id"].map(place).to_numpy(np.int64),
        decisions["style"].map({style: n for n, style in enumerate(styles)}).to_numpy(np.int64),
    )
    np.add.at(sent, at, 1)
    np.add.at(responded, at, decisions["responded"].to_numpy(np.float64))
    found = likenesses(np.log1p(profiles), sent, responded)
    return {
        user: (styles[int(row.argmax())],)
        for user, row in zip(users, found, strict=True)
        if row.max() >= 1.1
    }


def pushes_of(log: Log, until: pd.Timestamp | None = None) -> pd.DataFrame:
    """The log's pushes before `until`: user_id, item_id, variant_id, decided_at, style, and
    whether the user clicked or bought (`responded`)."""
    decisions = log.tables["decisions"]
    decisions = decisions[decisions["variant_id"].notna()]
    if until is not None:
        decisions = decisions[decisions["decided_at"] < until]
    outcomes = log.tables["outcomes"]
    positive = outcomes[outcomes["outcome"].isin(["clicked", "purchased"])]
    if until is not None:
        positive = positive[positive["at"] < until]
    styles = log.tables["variants"].drop_duplicates("variant_id").set_index("variant_id")["style"]
    return decisions.assign(
        style=decisions["variant_id"].map(styles).astype(str),
        responded=decisions["decision_id"].isin(positive["decision_id"]),
    )


def _bucket(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little") % _BUCKETS
