"""Every disguise folds to the plain text, and every character knows where it came from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.copy.normalise import collapse, fold, merge, squeeze, unleet
from generation.copy.sounds import sounds


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("ＢＥＳＴ", "best"),
        ("b\u200bes\u2060t", "best"),
        ("𝐛𝐞𝐬𝐭", "best"),
        ("ⓑⓔⓢⓣ", "best"),
        ("🅱🅴🆂🆃", "best"),
        ("bést", "best"),
        ("bеѕт", "best"),  # Cyrillic е, ѕ, т
        ("ΒΕST", "best"),  # Greek
        ("ʙᴇsᴛ", "best"),
        ("獨一無二", "独一无二"),
        ("蕞佳", "最佳"),
        ("第①", "第1"),
        ("第1️⃣", "第1"),
        ("第壹", "第一"),
        ("㊀", "一"),
    ],
)
def test_disguises_fold_away(written, plain):
    assert fold(written)[0] == plain


@given(st.text(max_size=40))
def test_a_folded_character_stands_where_it_came_from(text):
    plain, at = fold(text)
    assert len(plain) == len(at)
    assert list(at) == sorted(at)
    assert all(0 <= place < len(text) for place in at)
    form = squeeze(plain, at)
    assert len(form.text) == len(form.at) == len(form.ends) == len(form.starts)


def test_squeezing_leaves_letters_and_says_where_words_begin():
    form = squeeze(*fold("全 网-最低, very low"))
    assert form.text == "全网最低verylow"
    assert form.starts == [True] * 5 + [False] * 3 + [True, False, False]
    assert form.span(0, 3) == (0, 5)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("b3st", "best"),
        ("fr33", "free"),
        ("$hit", "shit"),
        ("w1ll", "will"),
        ("1imited", "limited"),
    ],
)
def test_digits_and_signs_are_read_as_letters(written, read):
    assert read in unleet(written)


@pytest.mark.parametrize("text", ["only 100", "5 for 10", "$5!", "全场9折"])
def test_numbers_by_themselves_stay_numbers(text):
    assert unleet(text) == ()


def test_repeated_letters_are_counted():
    collapsed = collapse(squeeze(*fold("beeest 100")))
    assert collapsed is not None
    form, runs = collapsed
    assert (form.text, runs) == ("best100", [1, 3, 1, 1, 1, 1, 1])
    assert form.span(0, 4) == (0, 6)
    assert collapse(squeeze(*fold("best 100"))) is None


def test_parts_become_the_character_that_they_make():
    form = merge(squeeze(*fold("纟及别, zui低")))
    assert form is not None
    assert form.text == "级别最低"
    assert form.span(0, 1) == (0, 2)
    assert merge(squeeze(*fold("平常的话"))) is None


def test_homophones_and_pinyin_sound_alike():
    spoken = [
        sounds().spoken(squeeze(*fold(text))).text for text in ("最低价", "罪低架", "zui低jia")
    ]
    assert spoken[0] == spoken[1] == spoken[2]
    assert spoken[0] != sounds().spoken(squeeze(*fold("最高价"))).text
