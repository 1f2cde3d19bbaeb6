"""What a fit that integrates tolerance out sums over pushes and nodes, in float32 as torch does and
to the bit: with so few nodes, torch takes as long again for every array that it spreads over them.

S pushes, H heads, K values of tolerance, U users.
"""

from __future__ import annotations

import numpy as np

from mdp.compiled import njit

_ZERO = np.float32(0.0)


@njit(cache=True, nogil=True)
def _strain(fatigue: float, eased: float, knee: np.ndarray) -> float:
    """`head_terms.strain`."""
    return max(fatigue * eased - knee[()], _ZERO)  # type: ignore[return-value]


@njit(cache=True, nogil=True)
def add_tolerance(
    common: np.ndarray,
    fatigue: np.ndarray,
    eased: np.ndarray,
    knee: np.ndarray,
    tiring: np.ndarray,
    own: np.ndarray,
    sign: np.ndarray,
    out: np.ndarray,
) -> None:
    """Logits (H, S, K), times a sign.

    common: (S, H) without tolerance and fatigue. fatigue: (S,). eased: (K,) what tolerance leaves
    of it. tiring: weights of strain (H,). own: effects of tolerance by itself (H, K). sign: (S, H).
    """
    strains = np.empty_like(eased)
    for push in range(len(fatigue)):
        for node in range(len(eased)):
            strains[node] = _strain(fatigue[push], eased[node], knee)
        for head in range(len(tiring)):
            for node in range(len(eased)):
                logit = common[push, head] + tiring[head] * strains[node] + own[head, node]
                out[head, push, node] = sign[push, head] * logit


@njit(cache=True, nogil=True)
def sum_by_user(said: np.ndarray, turn: np.ndarray, user: np.ndarray, out: np.ndarray) -> None:
    """Adds log likelihoods (H, S, K) of heads that had their turn (S, H) up by user (U, K)."""
    total = np.empty(said.shape[2], np.float32)
    for push in range(len(user)):
        total[:] = _ZERO
        for head in range(said.shape[0]):
            if turn[push, head]:
                for node in range(len(total)):
                    total[node] += said[head, push, node]
        of_user = out[user[push]]
        for node in range(len(total)):
            of_user[node] += total[node]


@njit(cache=True, nogil=True)
def pull(
    probability: np.ndarray,
    outcome: np.ndarray,
    turn: np.ndarray,
    belief: np.ndarray,
    user: np.ndarray,
) -> None:
    """Turns probabilities (H, S, K) into gradients of the logits by what is believed of each user's
    tolerance (U, K). outcome, turn: (S, H)."""
    for head in range(probability.shape[0]):
        for push in range(len(user)):
            own, each = belief[user[push]], probability[head, push]
            followed, had = outcome[push, head], np.float32(turn[push, head])
            for node in range(len(own)):
                each[node] = (each[node] - followed) * own[node] * had


@njit(cache=True, nogil=True)
def times_strain(
    gradient: np.ndarray, fatigue: np.ndarray, eased: np.ndarray, knee: np.ndarray
) -> None:
    """Multiplies gradients (H, S, K) by strain; the rest as in `add_tolerance`."""
    for head in range(gradient.shape[0]):
        for push in range(len(fatigue)):
            for node in range(len(eased)):
                gradient[head, push, node] *= _strain(fatigue[push], eased[node], knee)
