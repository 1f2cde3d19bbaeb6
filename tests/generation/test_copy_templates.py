"""Slot templates: what they say is so, in both languages, whatever is known of an item."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.copy.copywriter import STYLES, Brief, Message, Reader
from generation.copy.facts import Aspect, Facts
from generation.copy.gather import verifier_for
from generation.copy.repetition import repeats
from generation.copy.templates import Templates, _choices, phrases
from generation.copy.verify import Verifier
from generation.copy.writing import Checked
from tests.generation.shelf import BAG, MUG


def write(facts, seed=0, **brief):
    return Templates().write(facts, Brief(**brief), np.random.default_rng(seed))


@pytest.mark.parametrize("locale", ["en", "zh"])
@pytest.mark.parametrize("style", STYLES)
def test_a_text_passes_the_verifier_and_is_in_its_style(style, locale):
    reader = Reader(likes=("bag",), met="view", similar="Jumbo bag")
    verifier = verifier_for([BAG, MUG])
    for seed in range(60):
        message = write(BAG, seed, style=style, locale=locale, reader=reader)
        assert verifier.check(message, BAG, reader) == ()
        if locale == "en":
            assert replace(verifier, closed=True).check(message, BAG, reader) == ()
        assert message.style == style
        assert f"{message.title} {message.body}".count(BAG.title) == 1
        assert repeats(f"{message.title}\n{message.body}") == 0


@pytest.mark.parametrize("style", [style for style in STYLES if style not in ("plain", "warm")])
def test_a_style_that_the_facts_do_not_carry_becomes_plain(style):
    message = write(MUG, style=style)
    assert (message.style, message.claims) == ("plain", ())


@settings(max_examples=150, deadline=None)
@given(
    price=st.none() | st.floats(0.01, 9999),
    off=st.none() | st.floats(1.0, 3.0),
    stock=st.none() | st.integers(0, 30),
    days=st.none() | st.integers(-5, 30),
    rating=st.none() | st.floats(0, 5),
    buyers=st.none() | st.integers(0, 500),
    praised=st.integers(0, 4),
    currency=st.sampled_from([None, "GBP", "CNY", "JPY", "USD", "SEK"]),
    style=st.sampled_from(STYLES),
    locale=st.sampled_from(["en", "zh"]),
    met=st.sampled_from(["", "view", "cart", "purchase"]),
    seed=st.integers(0, 10_000),
)
def test_whatever_the_facts_are_no_text_says_more(
    price, off, stock, days, rating, buyers, praised, currency, style, locale, met, seed
):
    facts = Facts(
        "1",
        "Doorstop, retro-spot",
        brand="Larch",
        category="doorstop",
        price=price,
        list_price=None if off is None or price is None else price * off,
        currency=currency,
        stock=stock,
        available_until=None
        if days is None
        else datetime(2026, 3, 6, tzinfo=UTC) + timedelta(days),
        at=datetime(2026, 3, 6, tzinfo=UTC),
        rating=rating,
        buyers=buyers,
        leads=bool(buyers),
        attributes={"weight": "1.2 kg", "数量": "2"},
        aspects=(Aspect("look", praised, 1 if praised == 3 else 0, "nice", 0),),
    )
    reader = Reader(likes=("doorstop",), met=met)
    message = write(facts, seed, style=style, locale=locale, reader=reader)
    assert Verifier().check(message, facts, reader) == ()


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_a_description_names_every_attribute_that_was_asked_for(locale):
    everything = write(BAG, locale=locale).description
    assert all(value in everything for value in BAG.attributes.values())
    some = write(BAG, locale=locale, attributes=("material",)).description
    assert "cotton" in some
    assert "12" not in some.replace("12月9日", "")


def test_chinese_texts_never_call_something_the_most_bought():
    lines = [p for parts in phrases("zh").values() for part in parts.values() for p in part]
    assert not [phrase.text for phrase in lines if "leads" in phrase.tags]


def test_the_same_seed_writes_the_same_text_and_another_one_another():
    assert write(BAG, 3) == write(BAG, 3)
    assert len({write(BAG, seed).body for seed in range(30)}) > 25


class Liar:
    name = "liar"

    def write(self, facts, brief, rng):
        return Message(facts.title, "Now £1!", "", brief.locale, "plain", facts.item_id, "liar", "")


def test_a_text_that_is_refused_is_replaced_by_the_templates():
    written = Checked(Liar(), Verifier()).write(BAG, Brief(), np.random.default_rng(0))
    assert written.message is not None
    assert written.message.copywriter == "templates"
    assert [finding.rule for _, found in written.refused for finding in found] == ["price"] * 3


def test_where_nothing_may_be_said_the_bare_title_is_and_where_not_even_that_nothing():
    refusing = Checked(Liar(), Verifier(), fallback=Liar())
    bare = refusing.write(BAG, Brief(), np.random.default_rng(0)).message
    assert bare is not None
    assert (bare.title, bare.body, bare.copywriter) == (BAG.title, "", "bare")
    linked = replace(BAG, title="www.example.com")
    assert refusing.write(linked, Brief(), np.random.default_rng(0)).message is None


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_a_brand_that_the_title_says_is_not_said_twice(locale):
    facts = replace(MUG, title="Larch hot water mug", brand="Larch")
    for seed in range(60):
        message = write(facts, seed, locale=locale)
        assert f"{message.title} {message.body}".count("Larch") == 1
        assert message.description.startswith("Larch hot water mug")
        assert message.description.count("Larch") == 2  # "Brand: Larch."


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_phrases_are_well_formed(locale):
    """Each ends as its part asks, in the marks of its language, without a double space or mark."""
    ends = {"en": r"[.?!]$|\)$", "zh": r"[。？！]$"}[locale]
    other = {"en": r"[，。！？：；]", "zh": r"[,.!?:;]"}[locale]
    for style, parts in phrases(locale).items():
        for part, lines in parts.items():
            for phrase in lines:
                for text in _choices(phrase.text):
                    assert not re.search(rf"\s\s|[。，？.,?][。，.,]|{other}", text), text
                    said = part not in ("title", "open") or style == "description"
                    assert not said or re.search(ends, text), text
