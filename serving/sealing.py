"""Encryption at rest of what the shop says of its users, where `PUSHWISE_FIELD_KEYS` has keys.

Sealed are a user's attributes and preferences, and the changes that are kept of any column. Ids,
times, decisions and the state that policies read are not. What was stored in plain text before is
read as it is, and sealed when it is written next. What no key opens is `Unreadable`: it is carried
on as it is stored, and who wants to know what it says is refused, that user alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import String, Text, TypeDecorator

from mdp.errors import BadSetting
from serving.settings import field_keys

MARK = "\x01sealed:"
"""What a sealed text begins with."""
PLAIN = "\x01plain:"
"""What a plain text begins with in the store, where it begins like a mark itself."""


UNREADABLE = "unreadable"
"""What is true, in what leaves the store, of a row that holds something which no key opens."""


class Unreadable(str):
    """A stored text that no key opens, as it is stored; written back, it stays so."""


class UnreadableFields(dict[str, Any]):
    """Fields whose stored JSON no key opens, or that is damaged: none are to be seen; written back,
    they stay so."""

    def __init__(self, stored: str) -> None:
        super().__init__()
        self.stored = stored


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise BadSetting(
            "PUSHWISE_FIELD_KEYS holds something that is no key: make one with python -c "
            "'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        ) from error


def sealer() -> Callable[[str | None], str | None]:
    """What makes of a text the one that is stored: encrypted by the first key, if there is any."""
    keys = field_keys()
    if not keys:
        return _as_plain
    encrypt = _cipher(keys).encrypt

    def seal(text: str | None) -> str | None:
        if text is None or isinstance(text, Unreadable):
            return text
        return MARK + encrypt(text.encode()).decode()

    return seal


def _as_plain(text: str | None) -> str | None:
    if text is None or text[:1] != MARK[0] or isinstance(text, Unreadable):
        return text
    return PLAIN + text


def opened(text: str | None) -> str | None:
    """The text that was stored; `Unreadable` where no key opens it."""
    if text is None or text[:1] != MARK[0]:
        return text
    if not text.startswith(MARK):
        return text.removeprefix(PLAIN)
    keys = field_keys()
    try:
        if not keys:
            raise InvalidToken
        return _cipher(keys).decrypt(text.removeprefix(MARK)).decode()
    except InvalidToken:
        return Unreadable(text)


def sealed_fields(fields: Mapping[str, Any], seal: Callable[[str | None], str | None]) -> str:
    """Fields as the JSON that is stored, sealed by a `sealer()`."""
    if isinstance(fields, UnreadableFields):
        return fields.stored
    return seal(orjson.dumps(fields).decode() if fields else "{}") or ""


def opened_fields(text: str) -> dict[str, Any]:
    """The fields that were stored; `UnreadableFields` where they can't be read."""
    found = opened(text)
    if isinstance(found, Unreadable):
        return UnreadableFields(found)
    try:
        fields: dict[str, Any] = orjson.loads(found or "{}")
    except orjson.JSONDecodeError:  # damaged in the store
        return UnreadableFields(text)
    return fields


class SealedText(TypeDecorator[Any]):
    """Text that is encrypted at rest, if there are keys."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        """The text as it is stored."""
        return sealer()(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """The text that was stored, or `Unreadable`."""
        return opened(value)


class SealedJson(TypeDecorator[Any]):
    """Fields in a JSON text that is encrypted at rest, if there are keys."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str:
        """The fields as text."""
        return sealed_fields(value, sealer())

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """The fields of the text, or `UnreadableFields`."""
        return opened_fields(value)
