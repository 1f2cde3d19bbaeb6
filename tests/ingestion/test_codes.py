"""Texts as integers."""

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.codes import LONG, again, alike, repeated, text_hashes

# Around the eight bytes that are taken at a time, and the length from which texts go by themselves.
SIZES = st.sampled_from([0, 1, 7, 8, 9, 16, 17, LONG - 1, LONG, LONG + 1, 3 * LONG])
TEXTS = st.one_of(
    st.text(max_size=20), SIZES.flatmap(lambda n: st.text("ab", min_size=n, max_size=n))
)


@settings(max_examples=40)
@given(st.lists(st.one_of(TEXTS, st.none()), max_size=30), st.integers(0, 10))
def test_texts_have_one_hash_each_wherever_they_stand(texts, begin):
    column = pd.Series(texts, dtype="str")
    hashes = text_hashes(column)
    assert (hashes == 0).tolist() == column.isna().tolist()
    known = dict(zip(column.dropna(), hashes[column.notna()].tolist(), strict=True))
    assert len(set(known.values())) == len(known)
    assert text_hashes(column.iloc[begin:]).tolist() == hashes[begin:].tolist()
    assert [known[text] for text in column.dropna()] == hashes[column.notna()].tolist()


def test_a_hash_is_the_same_in_every_process():
    hashes = text_hashes(pd.Series(["u1", "x" * 300], dtype="str"))
    assert hashes.tolist() == [3197001944130045970, 1533152188014638354]


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=12))
def test_what_was_there_before(texts):
    column = pd.Series(texts, dtype="str")
    before = [text is not None and text in texts[:n] for n, text in enumerate(texts)]
    assert again(column, alike(column)).tolist() == before
    table = pd.DataFrame({"id": column, "n": 1})
    assert repeated(table).tolist() == [text in texts[:n] for n, text in enumerate(texts)]
    assert repeated(table, alike(column)).tolist() == repeated(table).tolist()
