"""A message in the form that each channel takes: within its limits, nothing cut through.

What is too long loses whole sentences from the end of the body; a title that is too long becomes
the item's name, and only a name that is too long is cut, between words, with an ellipsis. A price,
a number, a Latin word and an emoji (a grapheme cluster) stay whole or go.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import regex

from generation.copy.channels import channels, measure, pack, segments
from generation.copy.copywriter import Message
from mdp.errors import BadInput

_SENTENCES = regex.compile(r"(?<=[.!?…])\s+|(?<=[。！？])")
_WHOLE = regex.compile(
    r"\p{Sc}?\s?\d[\d.,:/]*\d?\s?(?:%|折|元|\p{Sc}|[A-Z]{3}\b)?"
    r"|(?:[^\W\d_\p{Han}]|[’'-])+|\s+|\X"
)
ELLIPSIS = "…"


@dataclass(frozen=True)
class Formatted:
    """A message as one channel takes it."""

    channel: str
    title: str
    """"" for an SMS"""
    body: str
    """an SMS's whole text; "" for an e-mail's subject"""
    payload: dict[str, Any]
    """what is sent, without tokens and the like"""
    encoding: str
    """UTF-8, or the SMS's GSM-7 or UCS-2"""
    size: int
    """bytes of the payload as compact UTF-8 JSON; segments of an SMS"""
    dropped: tuple[str, ...]
    """sentences and words that were left out"""
    breaches: tuple[str, ...]
    """limits that it still breaks, in words: nothing for what may be sent"""


def fitted(
    message: Message,
    channel: str,
    name: str,
    image_url: str = "",
    deep_link: str = "",
    lenient: bool = False,
) -> Formatted:
    """The longest form of a message that a channel takes; `breaches` where none is short enough.

    name: the item's title. lenient: only limits beyond which a channel refuses a text.
    Raises `BadInput` for a channel that the rule pack does not have, and for a picture or a link
    that is not an address.
    """
    if channel not in channels():
        raise BadInput(f"there is no channel {channel!r}: give one of {', '.join(channels())}")
    for what, address in (("image_url", image_url), ("deep_link", deep_link)):
        if address and not regex.match(r"[A-Za-z][\w+.-]*://\S+$", address):
            raise BadInput(f"{what} is {address!r}; it must be an address such as https://…")
    best = None
    for draft, dropped in _shorter(message, name):
        form = _formed(draft, channel, image_url, deep_link, lenient)
        best = replace(form, dropped=dropped)
        if not best.breaches:
            break
    assert best is not None
    return best


def sentences(text: str) -> list[str]:
    """A body's sentences with the space after them cut off."""
    return [part for part in _SENTENCES.split(text) if part]


def whole_parts(text: str) -> list[str]:
    """A text in parts that must not be cut through: amounts, words, grapheme clusters."""
    return _WHOLE.findall(text)


def _shorter(message: Message, name: str) -> Iterator[tuple[Message, tuple[str, ...]]]:
    """The message, then ever shorter ones, with what was left out."""
    parts = sentences(message.body)
    space = "" if message.locale == "zh" else " "
    bodies = [(space.join(parts[:keep]), parts[keep:]) for keep in range(len(parts), 0, -1)]
    for body, gone in bodies or [("", [])]:
        yield replace(message, body=body), tuple(gone)
    # The lead alone: a title that says more than the name may be left out for the name.
    for body, gone in bodies[::-1][:1] or [("", [])]:
        yield replace(message, title=name, body=body), (message.title, *gone)
    rest = whole_parts(name)
    for keep in range(len(rest) - 1, 0, -1):
        title = "".join(rest[:keep]).rstrip(" ,.;:，、") + ELLIPSIS
        yield replace(message, title=title, body=name), (message.title, *parts)
        yield replace(message, title=title, body=title), (message.title, *parts)


def _formed(
    message: Message, channel: str, image_url: str, deep_link: str, lenient: bool
) -> Formatted:
    _, limits, places = pack()
    title, body = message.title, message.body
    if channel == "sms":
        end, space = ("。", "") if message.locale == "zh" else (".", " ")
        end = "" if title[-1:] in ".!?。！？" else end
        said = f"{title}{end}{space}{body}" if body else title
        text = f"{said} {deep_link}" if deep_link else said
        encoding, size = segments(text)
        fields, payload, title, body = {"text": text}, {"text": text}, "", text
    else:
        payload = {}
        known = {"title": title, "body": body, "image": image_url, "link": deep_link}
        for what, place in places[channel].items():
            if known[what]:
                _put(payload, place.split("."), known[what])
        body = body if "body" in places[channel] else ""
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        encoding, size = "UTF-8", len(text.encode())
        fields = {"title": title, "body": body, "payload": text}
    breaches = [
        f"{limit.field} takes {measure(fields[limit.field], limit.unit)} {limit.unit}, at most "
        f"{limit.most} are {limit.kind.replace('refused', 'taken')} ({limit.source}, {limit.read})"
        for limit in limits
        if limit.channel == channel
        and not (lenient and limit.kind == "shown")
        and measure(fields[limit.field], limit.unit) > limit.most
    ]
    if "body" in places.get(channel, {}) and not body:
        breaches.append("body is empty, and push channels refuse an empty one")
    return Formatted(channel, title, body, payload, encoding, size, (), tuple(breaches))


def _put(into: dict[str, Any], place: list[str], value: str) -> None:
    for key in place[:-1]:
        into = into.setdefault(key, {})
    into[place[-1]] = value
