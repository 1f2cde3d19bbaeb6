"""Measures of variety."""

import numpy as np
import pytest

from generation.copy.copywriter import Message
from generation.copy.quality import phrasing, repeated_share, self_bleu, unique_share
from tests.generation.shelf import BAG


def test_a_phrasing_has_no_facts():
    text = Message(f"{BAG.title}: 23% off", "Now £4.95, was £6.50.", "", "en", "x", "1", "x", "x")
    assert phrasing(text, BAG) == "{item}: {percent} off\nNow {price}, was {was}."


def test_unique_and_repeated():
    assert unique_share(["a b", "a b", "c d", "e f"]) == 0.75
    # "a b c" is there twice, of 5 and 1 3-grams.
    assert repeated_share(["a b c d a b c"[:13], "x y z"]) == pytest.approx(1 / 6)


def test_self_bleu_is_1_for_texts_that_are_alike_and_near_0_for_others():
    rng = np.random.default_rng(0)
    alike = ["the cat sat on the mat"] * 20
    other = [" ".join(f"{letter}{n}" for letter in "abcdef") for n in range(20)]
    assert self_bleu(alike, rng) == pytest.approx(1)
    assert self_bleu(other, rng) < 0.1
    half = self_bleu(["a b c d e f", "a b c d x y", "p q r s t u", "p q r s v w"], rng)
    # Each shares 4 of 6 words, 3 of 5 pairs, 2 of 4 triples and 1 of 3 fours with another.
    assert half == pytest.approx((4 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
