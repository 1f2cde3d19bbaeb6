"""Copies of texts are found, and texts that only speak of the same are not."""

import numpy as np
import pandas as pd
import pytest

from ingestion.similar import ALIKE, near_equal, pieces

ENGLISH = "The lamp is lovely and its light is warm, so I bought two of them"
CHINESE = "质量很好，物流也快，包装完整，推荐购买"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (ENGLISH, ENGLISH.upper() + "!!!", True),
        (ENGLISH, ENGLISH.replace("lovely", "lovley"), True),
        (ENGLISH, "The lamp is dark and its light is cold, so I sent back both", False),
        (ENGLISH, CHINESE, False),
        (CHINESE, "质量很好,物流也快，包装很完整，推荐购买！", True),
        (CHINESE, "质量太差，物流很慢，包装破损，不推荐购买", False),
        ("very good", "very good", False),
        ("很好，推荐", "很好，推荐", False),
    ],
)
def test_copies_are_found(first, second, same):
    texts = pd.Series([first, "Arrived broken on a Monday morning", second])
    assert near_equal(texts, pd.Series(["i", "i", "i"])).tolist() == [False, False, same]
    assert not near_equal(texts, pd.Series(["i", "i", "j"])).any()


def test_of_many_texts_the_pairs_are_those_that_all_comparisons_find():
    rng = np.random.default_rng(0)
    words = np.array([f"w{n:03}" for n in range(200)])
    base = [list(rng.choice(words, 12)) for _ in range(120)]
    for text in base[60:]:  # copies of the first sixty, with up to five words changed
        text[:] = base[rng.integers(60)]
        for place in rng.choice(12, rng.integers(6), replace=False):
            text[place] = rng.choice(words)
    texts = pd.Series([" ".join(text) for text in base])
    sets = [pieces(text) for text in texts]

    def alike(one, two):
        return len(one & two) / len(one | two)

    expected = [any(alike(two, one) >= ALIKE for one in sets[:n]) for n, two in enumerate(sets)]
    assert 15 < sum(expected) < 60
    found = near_equal(texts, pd.Series(0, texts.index))
    assert found.tolist() == expected
