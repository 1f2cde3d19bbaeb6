"""How much users differ is found where it was planted."""

import numpy as np
import pytest

from simulator.fit_heads import Sizes, fit_heads
from simulator.fit_widths import likeliest_widths
from simulator.sends import OPEN
from simulator.widths import Widths
from tests.simulator.planted import pushes

U, EACH, B = 1500, 24, 6


@pytest.mark.parametrize(
    ("openness", "styles"),
    [
        (0.6, 0.45),
        pytest.param(0.35, 0.1, marks=pytest.mark.slow),
        pytest.param(1.0, 0.1, marks=pytest.mark.slow),
    ],
)
def test_widths_are_those_that_users_were_drawn_with(openness, styles):
    rng = np.random.default_rng(3)
    user = np.repeat(np.arange(U), EACH)
    bucket = rng.integers(0, B, len(user))
    own = openness * rng.normal(size=U)[user] + styles * rng.normal(size=(U, B))[user, bucket]
    sends = pushes(-1.5 + own, rng, user=user, bucket=bucket)
    found = likeliest_widths(fit_heads(sends, Sizes(U, 1, 1), Widths(), (OPEN,)), sends, U)
    assert found.openness == pytest.approx(openness, abs=0.16)
    assert found.styles == pytest.approx(styles, abs=0.21)
