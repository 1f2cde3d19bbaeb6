"""Exponential and logarithm in float32 that compiled loops run several of at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdp.compiled import njit

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


_ROOT_HALF_64 = 0.70710678118654752440
_P = (
    1.01875663804580931796e-4,
    4.97494994976747001425e-1,
    4.70579119878881725854e0,
    1.44989225341610930846e1,
    1.79368678507819816313e1,
    7.70838733755885391666e0,
)
_Q = (
    1.12873587189167450590e1,
    4.52279145837532221105e1,
    8.29875266912776603211e1,
    7.11544750618563894466e1,
    2.31251620126765340583e1,
)


@njit(cache=True, error_model="numpy")
def log64(x: Any) -> Any:
    """log(x) of a float64, positive and normal, to 2 units in the last place. Cephes' rational
    function (Moshier 1989, `log`)."""
    bits = np.float64(x).view(np.int64)
    mantissa = np.int64((bits & np.int64(0x000FFFFFFFFFFFFF)) | np.int64(0x3FE0000000000000))
    m = mantissa.view(np.float64)
    small = m < _ROOT_HALF_64
    power = np.float64(np.int32(bits >> np.int64(52)) - np.int32(1022)) - np.float64(small)
    m = m + (m if small else 0.0) - 1.0
    z = m * m
    p = ((((_P[0] * m + _P[1]) * m + _P[2]) * m + _P[3]) * m + _P[4]) * m + _P[5]
    q = ((((m + _Q[0]) * m + _Q[1]) * m + _Q[2]) * m + _Q[3]) * m + _Q[4]
    y = m * (z * p / q) - power * 2.121944400546905827679e-4 - 0.5 * z
    return m + y + power * 0.693359375
