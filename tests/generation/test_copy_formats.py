"""Formats of channels: within the limits, and nothing cut through."""

import datetime
import json

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.copy.channels import channels, measure, pack, segments
from generation.copy.copywriter import Message
from generation.copy.formats import fitted
from mdp.errors import BadInput

NAME = "Lunch bag red spotty"


def message(title=NAME, body="Yours for £4.95. Save £1.55. Have a look.", locale="en"):
    return Message(title, body, "", locale, "plain", "1", "templates", "")


@pytest.mark.parametrize("channel", channels())
def test_a_short_message_fits_everywhere_as_it_is(channel):
    form = fitted(message(), channel, NAME, "https://shop.example/1.jpg", "shop://item/1")
    assert form.breaches == ()
    assert form.dropped == ()
    sent = json.dumps(form.payload, ensure_ascii=False)
    assert NAME in sent
    assert ("shop://item/1" in sent) == (channel != "email")


def test_every_limit_names_its_source_and_its_day():
    version, limits, _ = pack()
    assert datetime.date.fromisoformat(version)
    for limit in limits:
        assert datetime.date.fromisoformat(limit.read) <= datetime.date.fromisoformat(version)
        assert len(limit.source) > 20
    assert set(channels()) >= {"apns", "fcm", "huawei", "honor", "xiaomi", "oppo", "vivo", "meizu"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 160, ("GSM-7", 1)),
        ("a" * 161, ("GSM-7", 2)),
        ("a" * 306, ("GSM-7", 2)),
        ("a" * 307, ("GSM-7", 3)),
        ("€" * 80, ("GSM-7", 1)),
        ("a" * 152 + "€" + "a" * 10, ("GSM-7", 2)),
        ("a" * 152 + "€" + "a" * 152, ("GSM-7", 3)),
        ("价" * 70, ("UCS-2", 1)),
        ("价" * 71, ("UCS-2", 2)),
        ("价" * 66 + "🎁" + "价" * 65, ("UCS-2", 2)),
        ("价" * 66 + "🎁" + "价" * 66, ("UCS-2", 3)),
        ("", ("GSM-7", 0)),
    ],
)
def test_segments_of_an_sms(text, expected):
    assert segments(text) == expected


def test_whole_sentences_go_from_the_end():
    body = f"Yours for £4.95. {'Have a look. ' * 12}"
    form = fitted(message(body=body), "meizu", NAME)
    assert form.body.startswith("Yours for £4.95. Have a look.")
    assert measure(form.body, "characters") <= 100
    assert form.dropped
    assert set(form.dropped) == {"Have a look."}


def test_a_long_title_becomes_the_name():
    form = fitted(message(title=f"{NAME}, £4.95 instead of £6.50, today"), "oppo", NAME)
    assert form.title == NAME


def test_lenient_lets_a_channel_shorten():
    title = f"{NAME}, £4.95 instead of £6.50, now"
    assert fitted(message(title=title), "apns", NAME).title == NAME
    assert fitted(message(title=title), "apns", NAME, lenient=True).title == title


@settings(max_examples=200, deadline=None)
@given(
    parts=st.lists(
        st.sampled_from(
            ["红色午餐包", "Lunch", " ", "£1,204.50", "👩‍👩‍👧‍👦", "🇨🇳", "7.7折", "12元", "é", "，"]
        ),
        min_size=1,
        max_size=30,
    ),
    channel=st.sampled_from(channels()),
)
def test_no_price_and_no_emoji_is_ever_cut(parts, channel):
    name = "".join(parts).strip() or "x"
    form = fitted(message(title=name, body=f"{name}。", locale="zh"), channel, name)
    whole = regex.compile("£1,204.50|👩‍👩‍👧‍👦|🇨🇳|7.7折|12元")
    for text in (form.title, form.body):
        assert not regex.search(r"[\d£折元\u200d\p{Regional_Indicator}]", whole.sub("", text))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"channel": "pigeon"}, "there is no channel 'pigeon': give one of apns, fcm"),
        ({"image_url": "no address"}, "image_url is 'no address'; it must be an address"),
    ],
)
def test_what_cannot_be_is_refused(change, sentence):
    arguments = {"channel": "apns", "name": NAME, **change}
    with pytest.raises(BadInput, match=sentence):
        fitted(message(), **arguments)
