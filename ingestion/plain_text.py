"""Texts without what files and web pages put around the words."""

from __future__ import annotations

import html
import re
import unicodedata

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from ingestion.codes import column_of

_TAG = re.compile(r"<(?:[a-zA-Z/][^<>]*|!--.*?--)>", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\ufeff\ufffd]")
_SPACE = re.compile(r"\s+")
_WIDE = {0xFF01 + n: 0x21 + n for n in range(94) if chr(0x21 + n).isalnum()}
_SIMPLE = "^(?:[!-%'-;=-~]+(?: [!-%'-;=-~]+)*)?$"
"""ASCII words with single spaces between them, in which nothing can be markup; for RE2."""
_BLANK = r"[\x09-\x0d\x1c-\x1f\x{85}\pZ]"
"""What Unicode takes for white space, for RE2."""


def plain_text(text: str) -> str:
    """The text without tags, entities and control characters, letters and digits of normal width,
    runs of white space as one space, composed (NFC). Emoji and other marks stay. Doing it again
    changes nothing."""
    while True:
        plain = _TAG.sub(" ", html.unescape(text)).translate(_WIDE)
        plain = _SPACE.sub(" ", _CONTROL.sub("", plain)).strip()
        plain = unicodedata.normalize("NFC", plain)
        if plain == text:
            return plain
        text = plain


def plain_texts(texts: pd.Series) -> pd.Series:
    """`plain_text` of each text (n,); missing stays missing, and what is left empty becomes so."""
    simple = pc.match_substring_regex(column_of(texts), _SIMPLE).fill_null(True)
    suspect = np.flatnonzero(~simple.to_numpy(zero_copy_only=False))
    mended = [plain_text(text) for text in texts.iloc[suspect]]
    changed = [n for n, text in enumerate(texts.iloc[suspect]) if text != mended[n]]
    if not changed:
        return texts
    plain = texts.astype(object).copy()
    plain.iloc[suspect[changed]] = [mended[n] or None for n in changed]
    return plain.astype("str")


def name_key(name: str) -> str:
    """What spellings of one name have in common: compatible form, capitals and spaces aside."""
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", name).casefold()).strip()


def trimmed(ids: pd.Series) -> pd.Series:
    """Ids or lists of ids (n,) without white space around each; what is left empty is missing.
    Where nothing changes, the very same column."""
    column = column_of(ids)
    bytes_ = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    if bytes_.min(initial=0x21) > 0x20 and bytes_.max(initial=0x21) < 0x80:
        return ids  # white space is a byte up to 0x20 or no ASCII
    blank = pc.match_substring_regex(column, _BLANK).fill_null(False)
    suspect = blank.to_numpy(zero_copy_only=False)
    if not suspect.any():
        return ids
    short = ids.astype(object).copy()
    short[suspect] = [
        "|".join(part.strip() for part in text.split("|")) or None for text in ids[suspect]
    ]
    return short.astype("str")
