"""Exponential and logarithm in float32 that compiled loops run several of at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_LOG2E, _LN2_HIGH, _LN2_LOW = (
    np.float32(1.44269504),
    np.float32(0.693359375),
    np.float32(-2.12194440e-4),
)
_MOST = np.float32(40.0)
_HALF, _ONE = np.float32(0.5), np.float32(1.0)
_P0, _P1, _P2 = (
    np.float32(1.9875691500e-4),
    np.float32(1.3981999507e-3),
    np.float32(8.3334519073e-3),
)
_P3, _P4, _P5 = (
    np.float32(4.1665795894e-2),
    np.float32(1.6666665459e-1),
    np.float32(5.0000001201e-1),
)


@njit(cache=True)
def exp32(x: Any) -> Any:
    """exp(x) of a float32 to 2 units in the last place, cut at ±40 so that a product of two stays
    finite. Cephes' polynomial (Moshier 1989, `expf`)."""
    x = min(max(x, -_MOST), _MOST)
    power = np.floor(x * _LOG2E + _HALF)
    r = x - power * _LN2_HIGH - power * _LN2_LOW
    p = ((((_P0 * r + _P1) * r + _P2) * r + _P3) * r + _P4) * r + _P5
    scale = np.int32((np.int32(power) + np.int32(127)) << np.int32(23)).view(np.float32)
    return (p * r * r + r + _ONE) * scale


_ROOT_HALF = np.float32(0.707106781186547524)
_L0, _L1, _L2 = (
    np.float32(7.0376836292e-2),
    np.float32(-1.1514610310e-1),
    np.float32(1.1676998740e-1),
)
_L3, _L4, _L5 = (
    np.float32(-1.2420140846e-1),
    np.float32(1.4249322787e-1),
    np.float32(-1.6668057665e-1),
)
_L6, _L7, _L8 = (
    np.float32(2.0000714765e-1),
    np.float32(-2.4999993993e-1),
    np.float32(3.3333331174e-1),
)


@njit(cache=True)
def log32(x: Any) -> Any:
    """log(x) of a float32, positive and normal, to 2 units in the last place. Cephes' polynomial
    (Moshier 1989, `logf`)."""
    bits = np.float32(x).view(np.int32)
    m = np.int32((bits & np.int32(0x007FFFFF)) | np.int32(0x3F000000)).view(np.float32)
    small = m < _ROOT_HALF
    power = np.float32(np.int32(bits >> np.int32(23)) - np.int32(126)) - np.float32(small)
    m = m + (m if small else np.float32(0.0)) - _ONE
    z = m * m
    y = (((_L0 * m + _L1) * m + _L2) * m + _L3) * m + _L4
    y = ((((y * m + _L5) * m + _L6) * m + _L7) * m + _L8) * m * z
    y = y + power * _LN2_LOW - _HALF * z
    return m + y + power * _LN2_HIGH
