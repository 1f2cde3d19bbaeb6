"""The rule pack of channels: how long a text may be where, and who says so."""

from __future__ import annotations

import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The characters of GSM 03.38's default alphabet (3GPP TS 23.038)."""
GSM_ESCAPED = frozenset("^{}\\[~]|€\f")
"""Those of its extension table, which take two septets."""


@dataclass(frozen=True)
class Limit:
    """One published limit of one channel."""

    channel: str
    field: str
    """title, body, text (of an SMS) or payload"""
    most: int
    unit: str
    """characters (UTF-16 code units), columns, bytes or segments"""
    kind: str
    """refused: a longer one is turned away; shown: it is shown with an ellipsis"""
    source: str
    """who says so"""
    read: str
    """the day on which it was looked up, ISO 8601"""


@cache
def pack() -> tuple[str, tuple[Limit, ...], dict[str, dict[str, str]]]:
    """The pack's version, its limits, and where each channel's payload holds what."""
    data = tomllib.loads((files("generation.copy") / "data" / "channels.toml").read_text("utf-8"))
    limits = tuple(
        Limit(rule["channel"], **limit, source=rule["source"], read=rule["read"])
        for rule in data["rule"]
        for limit in rule["limits"]
    )
    return data["version"], limits, data["payload"]


def channels() -> tuple[str, ...]:
    """Every channel of the pack."""
    return tuple(dict.fromkeys(limit.channel for limit in pack()[1]))


def measure(text: str, unit: str) -> int:
    """How long a text is in a unit of the pack."""
    if unit == "characters":
        return len(text.encode("utf-16-le")) // 2
    if unit == "columns":
        return sum(_columns(char) for char in text)
    if unit == "segments":
        return segments(text)[1]
    return len(text.encode())


def _columns(char: str) -> int:
    if unicodedata.combining(char) or char in "\u200d\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def segments(text: str) -> tuple[str, int]:
    """An SMS's encoding, GSM-7 or UCS-2, and how many segments it takes.

    A character of two units (an escaped one, a surrogate pair) is not split between segments.
    """
    if all(char in GSM or char in GSM_ESCAPED for char in text):
        sizes, one, each = [1 + (char in GSM_ESCAPED) for char in text], 160, 153
        encoding = "GSM-7"
    else:
        sizes, one, each = [len(char.encode("utf-16-le")) // 2 for char in text], 70, 67
        encoding = "UCS-2"
    if sum(sizes) <= one:
        return encoding, 1 if text else 0
    count, room = 1, each
    for size in sizes:
        if size > room:
            count, room = count + 1, each
        room -= size
    return encoding, count
