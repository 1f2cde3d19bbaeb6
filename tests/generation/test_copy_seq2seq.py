"""What the copywriting network may choose among at a step."""

import numpy as np
import pytest

from generation.copy.seq2seq import AGAIN, UNLIKELY, _drawn, _once

WORDS = 3


def test_unlikely_words_are_not_drawn():
    chances = np.array([[0.94, 0.05, 0.94 * UNLIKELY - 0.005, 0.0]])
    chances[0, 3] = 1 - chances.sum()
    log = np.log(np.repeat(chances, 1000, 0))
    drawn = _drawn(log, np.linspace(0, 1, 1000, endpoint=False), 1.0)
    assert set(drawn.tolist()) == {0, 1}
    assert np.mean(drawn == 0) == pytest.approx(0.94 / 0.99, abs=2e-3)


def test_a_field_is_said_once():
    log = np.log([[0.1, 0.2, 0.1, 0.6]])
    assert _once(log, np.array([[3]]), WORDS)[0].argmax() == 1
    np.testing.assert_array_equal(_once(log, np.array([[2]]), WORDS), log)


def test_where_nothing_else_fits_it_comes_again_and_the_text_is_less_likely():
    log = np.log([[0.01, 0.01, 0.01, 0.97]])
    again = _once(log, np.array([[3]]), WORDS)
    np.testing.assert_allclose(again, log + np.log(AGAIN))
