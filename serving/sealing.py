"""Encryption at rest of what the shop says of its users, where `PUSHWISE_FIELD_KEYS` has keys.

Sealed are a user's attributes and preferences, and the changes that are kept of any column. Ids,
times, decisions and the state that policies read are not. What was stored in plain text before is
read as it is, and sealed when it is written next.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import String, Text, TypeDecorator

from mdp.errors import BadSetting
from serving.settings import field_keys

MARK = "\x01sealed:"
"""What a sealed text begins with."""


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
        return lambda text: text
    encrypt = _cipher(keys).encrypt
    return lambda text: None if text is None else MARK + encrypt(text.encode()).decode()


def opened(text: str | None) -> str | None:
    """The text that was stored; raises `BadSetting` where no key opens it."""
    if text is None or not text.startswith(MARK):
        return text
    keys = field_keys()
    try:
        if not keys:
            raise InvalidToken
        return _cipher(keys).decrypt(text.removeprefix(MARK)).decode()
    except InvalidToken as error:
        raise BadSetting(
            "the store holds fields that are encrypted, and no key of PUSHWISE_FIELD_KEYS opens "
            "them: set the keys that they were written with"
        ) from error


class SealedText(TypeDecorator[Any]):
    """Text that is encrypted at rest, if there are keys."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        """The text as it is stored."""
        return sealer()(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """The text that was stored."""
        return opened(value)


class SealedJson(TypeDecorator[Any]):
    """JSON in a text that is encrypted at rest, if there are keys."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        """The value as text."""
        return sealer()(orjson.dumps(value).decode())

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """The text as a value."""
        return None if value is None else orjson.loads(opened(value) or "null")
