"""Counter-based random numbers: what a user draws depends on seed, stream, user and day only.

Each number is a hash of a key and a counter (splitmix64's finaliser), so a user's draws are the
same alone and in any batch, and policies compared under one seed meet the same luck.

Steele, Lea, Flood (2014). Fast splittable pseudorandom number generators. OOPSLA.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mdp.compiled import njit

EPISODE, ORGANIC, RESPONSE, IDENTITY, POLICY, ARRIVAL, TASTE, LAUNCH = range(8)
"""Streams."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 1.0 / 9007199254740992.0
TRIES = 64
"""Attempts at a gamma number, of which each fails one time in twenty at most."""


@njit(cache=True)
def mix(x: Any) -> Any:
    """splitmix64's finaliser of a uint64."""
    x = (x ^ (x >> _S30)) * _FIRST
    x = (x ^ (x >> _S27)) * _SECOND
    return x ^ (x >> _S31)


@njit(cache=True)
def bits(key: Any, draw: Any) -> Any:
    """The draw-th uint64 of a key."""
    return mix(key + _GOLDEN * np.uint64(draw + 1))


@njit(cache=True)
def uniform(key: Any, draw: Any) -> Any:
    """The draw-th uniform number in (0, 1) of a key."""
    return (float(bits(key, draw) >> _S11) + 0.5) * _UNIT


@njit(cache=True)
def normal(key: Any, draw: Any) -> Any:
    """A standard normal number from draws `draw` and `draw + 1` (Box-Muller)."""
    radius = math.sqrt(-2.0 * math.log(uniform(key, draw)))
    return radius * math.cos(2.0 * math.pi * uniform(key, draw + 1))


@njit(cache=True)
def _keys(seed: Any, stream: Any, user: Any, day: Any, out: Any) -> None:
    for n in range(out.size):
        first = mix(seed[n] + _GOLDEN * np.uint64(stream + 1))
        out[n] = mix(mix(first ^ user[n]) + _GOLDEN * np.uint64(day[n] + 1))


def keys(seed: np.ndarray, stream: int, user: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Keys (n,) uint64 of seeds (n,) uint64, user hashes (n,) uint64 and days (n,) int64."""
    out = np.empty(len(user), np.uint64)
    _keys(seed, stream, user, np.asarray(day, np.int64), out)
    return out


@njit(cache=True)
def _normals(key: Any, out: Any) -> None:
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[n, i] = normal(key[n], 2 * i)


def normals(key: np.ndarray, count: int) -> np.ndarray:
    """Standard normal numbers (n, count) float64 of keys (n,)."""
    out = np.empty((len(key), count))
    _normals(key, out)
    return out


@njit(cache=True)
def _words(key: Any, draw: Any, out: Any) -> None:
    for n in range(out.size):
        out[n] = bits(key[n], draw)


def words(key: np.ndarray, draw: int) -> np.ndarray:
    """The draw-th uint64 (n,) of keys (n,)."""
    out = np.empty(len(key), np.uint64)
    _words(key, draw, out)
    return out


@njit(cache=True)
def _uniforms(key: Any, draw: Any, out: Any) -> None:
    for n in range(out.size):
        out[n] = uniform(key[n], draw)


def uniforms(key: np.ndarray, draw: int) -> np.ndarray:
    """The draw-th uniform number in (0, 1) (n,) of keys (n,)."""
    out = np.empty(len(key))
    _uniforms(key, draw, out)
    return out


@njit(cache=True)
def _gammas(key: Any, draw: Any, shape: Any, out: Any) -> None:
    for n in range(out.size):
        less = (shape[n] if shape[n] >= 1.0 else shape[n] + 1.0) - 1.0 / 3.0
        out[n] = less
        for attempt in range(TRIES):
            at = draw + 3 * attempt + 1
            x = normal(key[n], at)
            v = (1.0 + x / math.sqrt(9.0 * less)) ** 3
            u = uniform(key[n], at + 2)
            if v > 0.0 and math.log(u) < 0.5 * x * x + less * (1.0 - v + math.log(v)):
                out[n] = less * v
                break
        if shape[n] < 1.0:
            out[n] *= uniform(key[n], draw) ** (1.0 / shape[n])


def gammas(key: np.ndarray, draw: int, shape: np.ndarray) -> np.ndarray:
    """Gamma numbers (n,) float64 of scale 1 and the shapes (n,), positive, of keys (n,); takes
    1 + 3 · `TRIES` draws from the draw-th on.

    Marsaglia, Tsang (2000). A simple method for generating gamma variables. ACM TOMS 26(3).
    """
    out = np.empty(len(key))
    _gammas(key, draw, np.asarray(shape, np.float64), out)
    return out
