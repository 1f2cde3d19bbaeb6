"""Reviews read into aspects, and the facts of a log."""

import numpy as np
import pandas as pd
import pytest

from generation.copy.copywriter import Brief, Message
from generation.copy.gather import facts_of, reader_of
from generation.copy.reviews import aspects_of, opinions
from generation.copy.templates import Templates
from generation.copy.verify import Verifier
from generation.copy.writing import Checked
from ingestion.log import LogMeta
from ingestion.parse import log_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Great quality, but arrived late.", {"quality": 1, "delivery": -1}),
        ("Not good quality at all.", {"quality": -1}),
        ("The bag is not bad looking", {"look": 1}),
        ("It broke after a week.", {"quality": -1}),
        ("Lovely design and easy to use. Not expensive.", {"look": 1, "use": 1, "price": 1}),
        ("Far too small, the size is wrong", {"size": -1}),
        (
            "Poor packaging: the box was damaged but the mug is well made",
            {"packaging": -1, "quality": 1},
        ),
        ("I bought it on Monday.", {}),
        ("The quality.", {}),
        ("质量很好，但是物流太慢了。", {"quality": 1, "delivery": -1}),
        ("不好看，颜色有色差", {"look": -1}),
        ("做工精致，包装严实，推荐", {"quality": 1, "packaging": 1}),
        ("一点也不贵，性价比不错", {"price": 1}),
        ("尺寸太小了", {"size": -1}),
        ("没有异味，很好闻", {"smell": 1}),
        ("没想到质量这么好看", {"quality": 1, "look": 1}),
        ("不是很好用", {"use": -1}),
        ("不差的质量", {"quality": 1}),
        ("昨天收到了", {}),
    ],
)
def test_what_a_review_says(text, expected):
    assert {aspect: tone for aspect, tone, _ in opinions(text)} == expected


def test_a_review_counts_once_for_an_aspect_and_gives_its_words():
    reviews = pd.DataFrame(
        {
            "item_id": ["a", "a", "a", "b"],
            "text": [
                "Sturdy. Very solid quality. Well made!",
                "Lovely quality and quick delivery",
                "Flimsy quality",
                None,
            ],
        }
    )
    (quality, delivery) = aspects_of(reviews)["a"]
    assert (quality.name, quality.praised, quality.blamed, quality.liked) == (
        "quality",
        2,
        1,
        False,
    )
    assert (delivery.name, delivery.praised, delivery.blamed) == ("delivery", 1, 0)
    assert quality.quote in reviews["text"][quality.review]
    assert "b" not in aspects_of(reviews)


@pytest.fixture
def log():
    users = [f"u{n}" for n in range(25)]
    buys = pd.DataFrame(
        {
            "user_id": [*users, *users[:5], "u0", "u0", "u0"],
            "item_id": ["lamp"] * 25 + ["torch"] * 5 + ["sofa", "torch", "lamp"],
            "event": ["purchase"] * 30 + ["purchase", "view", "cart"],
            "at": ["2026-03-20T10:00:00Z"] * 30
            + ["2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z", "2026-03-30T10:00:00Z"],
            "value": [5.0] * 30 + [400.0, None, None],
        }
    )
    items = pd.DataFrame(
        {
            "item_id": ["lamp", "torch", "sofa"],
            "title": ["Lamp", "Torch", "Sofa"],
            "category": ["light", "light", "seat"],
            "brand": ["acme", "unbranded", "acme"],
            "price": [20.0, 5.0, 400.0],
            "list_price": [25.0, 5.0, None],
            "stock": [3, 200, None],
            "available_until": ["2026-04-03T22:30:00Z", None, "2026-02-01T00:00:00Z"],
            "colour": ["red", None, "grey"],
            "pieces": [2.0, 1.0, None],
        }
    )
    reviews = pd.DataFrame(
        {
            "item_id": ["lamp", "lamp", "lamp"],
            "text": ["Good quality", "质量不错", "Solid quality"],
            "at": ["2026-03-01T00:00:00Z", None, "2026-05-01T00:00:00Z"],
        }
    )
    zones = pd.DataFrame(
        {
            "user_id": users,
            "timezone": ["Europe/London"] * 25,
            "signed_up_at": ["2026-01-01T00:00:00Z"] * 25,
        }
    )
    tables = {"users": zones, "items": items, "events": buys, "reviews": reviews}
    return log_of(tables, LogMeta(currency="GBP", default_timezone="Europe/London"))


def test_facts_of_a_log(log):
    facts = facts_of(log)
    lamp, torch, sofa = facts["lamp"], facts["torch"], facts["sofa"]
    assert (lamp.buyers, lamp.leads, lamp.stock, lamp.reviews) == (25, True, 3, 2)
    assert set(lamp.evidence) == {
        *("discount", "scarcity", "deadline", "social_proof", "superlative", "new"),
        "review:quality",
    }
    # 22:30 UTC is 23:30 on the same day in London's summer time.
    assert lamp.slots("en")["until"] == "3 April"
    assert lamp.slots("en")["percent"] == "20%"
    assert lamp.slots("zh")["tenths"] == "8折"
    assert lamp.attributes == {"colour": "red", "pieces": "2"}
    assert (torch.named_brand, set(torch.evidence), torch.attributes) == (
        "",
        set(),
        {"pieces": "1"},
    )
    assert (set(sofa.evidence), sofa.stock) == (set(), None)


def test_facts_are_of_their_instant(log):
    before = facts_of(log, pd.Timestamp("2026-02-15T00:00:00Z"))
    assert (before["lamp"].buyers, before["lamp"].reviews) == (0, 1)
    assert before["lamp"].hash != facts_of(log)["lamp"].hash
    assert facts_of(log)["lamp"].hash == facts_of(log)["lamp"].hash


def test_what_a_log_says_of_a_reader(log):
    assert reader_of(log, "u0", "lamp").met == "cart"
    assert reader_of(log, "u0", "torch").met == "purchase"
    assert reader_of(log, "u0", "sofa").likes == ("light",)
    assert reader_of(log, "nobody", "lamp").met == ""


@pytest.mark.parametrize(
    ("column", "value", "english", "chinese"),
    [
        ("pieces", "2.0", "Pieces: 2.", "件数：2。"),
        ("颜色", "米白", "Colour: 米白.", "颜色：米白。"),
        ("weight", "1.05 kg", "Weight: 1.05 kg.", "重量：1.05 kg。"),
    ],
)
def test_attributes_are_read_and_named_as_a_reader_would(column, value, english, chinese):
    items = pd.DataFrame({"item_id": ["a"], "title": ["Lamp"], column: [value], "price": [0.0]})
    facts = facts_of(log_of({"items": items}))["a"]
    for locale, wanted in (("en", english), ("zh", chinese)):
        text = Templates().write(facts, Brief(locale=locale), np.random.default_rng(0)).description
        assert wanted in text
    assert "price" not in facts.slots("en")  # 0 is none


def test_an_item_without_a_title_is_not_written_about():
    items = pd.DataFrame({"item_id": ["a"], "title": [None], "price": [2.0]})
    facts = facts_of(log_of({"items": items}))["a"]
    written = Checked(Templates(), Verifier()).write(facts, Brief(), np.random.default_rng(0))
    assert written.message is None


def test_a_title_is_written_without_stray_spaces_and_found_with_them():
    items = pd.DataFrame({"item_id": ["a"], "title": ["Key  fob , shed"], "price": [2.0]})
    facts = facts_of(log_of({"items": items}))["a"]
    assert facts.title == "Key fob, shed"
    raw = Message("Key  fob , shed", "", "", "en", "plain", "a", "x", "y")
    assert Verifier().check(raw, facts) == ()
