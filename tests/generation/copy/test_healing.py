"""Words that are written as they sound are put back, and others stay."""

import pytest

from generation.copy.healing import Homophones, Misspellings
from generation.copy.normalise import fold, squeeze
from generation.copy.readings import Reading
from generation.copy.spelling import ear, skeleton


@pytest.mark.parametrize(
    ("plain", "by_ear"),
    [
        ("hate", "h8"),
        ("half", "haff"),
        ("price", "prise"),
        ("phone", "fone"),
        ("cancer", "kanser"),
        ("killer", "killa"),
        ("night", "nite"),
    ],
)
def test_spelled_by_ear_a_word_has_the_same_key(plain, by_ear):
    assert ear(plain) == ear(by_ear)


@pytest.mark.parametrize(
    ("one", "other"), [("ship", "sheep"), ("cost", "cast"), ("beach", "bitch"), ("duck", "dock")]
)
def test_words_that_sound_different_have_different_keys(one, other):
    assert ear(one) != ear(other)


def test_a_skeleton_is_the_consonants():
    assert skeleton("guaranteed") == "grntd"
    assert skeleton("apple") == "apl"


@pytest.mark.parametrize(
    ("text", "healed"),
    [
        ("kures kanser", "cures cancer"),
        ("grntd kure", "guaranteed cure"),
        ("garunteed gr8", "guaranteed great"),
        ("the best curtains", None),
        ("cures cancer", None),
    ],
)
def test_english_words_are_put_back(text, healed):
    words = Misspellings(["cures", "cure", "cancer", "guaranteed", "cunt", "best"])
    reading = words.healed(Reading(text, range(len(text)), range(1, len(text) + 1)))
    assert (reading and reading.text) == healed


@pytest.mark.parametrize(
    ("text", "healed", "sure"),
    [
        ("zuidi价", ["最低价"], True),
        ("最d价来了", ["最低价来了"], True),
        ("根治失棉", ["根治失眠"], False),
        ("最低价", [], True),
        ("7折", [], True),
    ],
)
def test_chinese_words_are_put_back(text, healed, sure):
    found = list(Homophones(["最低价", "根治", "失眠"]).healed(text, squeeze(*fold(text))))
    assert [form.text for form, _ in found] == healed
    assert all(known is sure for _, known in found)


def test_what_is_put_back_stands_where_it_was_written():
    text = "只要zuidi价！"
    (form, _), *_ = Homophones(["最低价"]).healed(text, squeeze(*fold(text)))
    begin = form.text.index("最低价")
    assert form.span(begin, begin + 3) == (2, 8)
