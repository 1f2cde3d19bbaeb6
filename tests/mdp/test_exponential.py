"""Exponential and logarithms against NumPy's in float64."""

import numpy as np
import pytest

from mdp.compiled import njit
from mdp.exponential import exp32, log32, log64


@njit
def each(function, values):
    out = np.empty_like(values)
    for i in range(values.size):
        out[i] = function(values[i])
    return out


@pytest.mark.parametrize(
    ("function", "exact", "dtype"),
    [(exp32, np.exp, np.float32), (log32, np.log, np.float32), (log64, np.log, np.float64)],
)
def test_they_are_right_to_a_few_units_in_the_last_place(function, exact, dtype):
    values = np.linspace(-39, 39, 20_001)
    if function is not exp32:
        values = np.concatenate([np.exp(values / 2), 1 + np.linspace(-0.3, 0.42, 1001), [1.0]])
    values = values.astype(dtype)
    true = exact(values.astype(np.longdouble))
    error = np.abs(each(function, values) - true)
    assert (error <= 4 * np.finfo(dtype).eps * np.maximum(np.abs(true), 1e-3)).all()


def test_an_exponential_is_cut_where_a_product_of_two_would_not_be_finite():
    cut = each(exp32, np.array([-1e9, 1e9], np.float32))
    assert (cut > 0).all()
    assert np.isfinite(cut[1] * cut[1])
