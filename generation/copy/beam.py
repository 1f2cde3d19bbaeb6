"""Beam search: the likeliest text, not the likeliest word each time.

A word that is likely now may lead to where nothing fits ("rated" of an item without a rating); such
a text as a whole is not likely, and another of the beams overtakes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BEAMS = 4
"""Texts that are followed side by side."""

Step = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Of the tokens so far (n, t), the states (n, H) and the sources' rows (n,): log-probabilities of
the next tokens (n, M) float64, which need not sum to 1, and the states after (n, H)."""


@dataclass
class _Beams:
    """Of n sources, best first; a text ends with token 0."""

    source: np.ndarray
    """Rows of the sources (n,)."""
    score: np.ndarray
    """Log-probabilities (n, B) float64."""
    tokens: np.ndarray
    """(n, B, T) int64"""
    ended: np.ndarray
    """(n, B) bool"""

    def only(self, which: np.ndarray) -> _Beams:
        return _Beams(self.source[which], self.score[which], self.tokens[which], self.ended[which])


def likeliest(step: Step, states: np.ndarray, longest: int) -> list[list[int]]:
    """Tokens of the likeliest text for each source, with its 0 at the end unless it is cut off.

    states: first states (N, H).
    """
    N, B = len(states), BEAMS
    beams = _Beams(
        np.arange(N),
        np.where(np.arange(B) == 0, 0.0, -np.inf) + np.zeros((N, 1)),
        np.zeros((N, B, longest), np.int64),
        np.zeros((N, B), bool),
    )
    states = np.repeat(states, B, 0)
    texts: list[list[int]] = [[] for _ in range(N)]
    for at in range(longest):
        tokens = beams.tokens[:, :, :at].reshape(len(states), at)
        log, states = step(tokens, states, np.repeat(beams.source, B))
        parent = _advanced(beams, log, at)
        states = states.reshape(len(parent), B, -1)[np.arange(len(parent))[:, None], parent]
        over = beams.ended[:, 0] if at < longest - 1 else np.ones(len(parent), bool)
        for row in np.flatnonzero(over):
            texts[beams.source[row]] = _cut(beams.tokens[row, 0, : at + 1].tolist())
        beams, states = beams.only(~over), states[~over].reshape(-1, states.shape[2])
        if not len(states):
            break
    return texts


def _advanced(beams: _Beams, log: np.ndarray, at: int) -> np.ndarray:
    """Goes on with the best of all beams' next tokens, log-probabilities (n · B, M); returns which
    beam each came from (n, B)."""
    n, B = beams.score.shape
    ended = beams.ended.ravel()
    log[ended] = -np.inf
    log[ended, 0] = 0.0
    total = (beams.score.reshape(-1, 1) + log).reshape(n, -1)
    best = np.argpartition(-total, B - 1, axis=1)[:, :B]
    best = np.take_along_axis(
        best, np.argsort(-np.take_along_axis(total, best, 1), axis=1, kind="stable"), 1
    )
    parent, token = np.divmod(best, log.shape[1])
    beams.score = np.take_along_axis(total, best, 1)
    beams.tokens = np.take_along_axis(beams.tokens, parent[:, :, None], 1)
    beams.tokens[:, :, at] = token
    beams.ended = np.take_along_axis(beams.ended, parent, 1) | (token == 0)
    return parent


def _cut(tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(0) + 1] if 0 in tokens else tokens
