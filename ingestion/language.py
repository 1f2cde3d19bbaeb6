"""The language of short texts: by script where that says it, else by py3langid's model.

Lui & Baldwin (2012), langid.py: An Off-the-shelf Language Identification Tool. The model comes with
the package (4.5 MB) and covers 97 languages.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

from ingestion.plain_text import plain_text

UNKNOWN_LANGUAGE = "und"
"""ISO 639's code for a language that can't be told."""
LEAST_LETTERS = 12
"""Letters below which a text in Latin letters says too little."""
CONFIDENT = 0.5
"""Probability, by the model, from which its answer counts."""
_PLACEHOLDER = re.compile(r"\{\w+\}|https?://\S+|\S+@\S+")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_HANGUL = re.compile(r"[\uac00-\ud7af]")
_LETTER = re.compile(r"[^\W\d_]")


@lru_cache(maxsize=65_536)
def language_of(text: str) -> str:
    """ISO 639-1 code of a text's language, such as en or zh; `und` where it can't be told.

    A text is Chinese if Han characters are a third of its letters (each says what two or three
    Latin letters do) and there are no kana, Japanese if there are, Korean if Hangul is a third.
    """
    plain = _PLACEHOLDER.sub(" ", plain_text(text))
    letters = len(_LETTER.findall(plain))
    han, kana, hangul = (len(script.findall(plain)) for script in (_HAN, _KANA, _HANGUL))
    if letters and 3 * (han + kana) >= letters:
        return "ja" if kana else "zh"
    if letters and 3 * hangul >= letters:
        return "ko"
    if letters < LEAST_LETTERS:
        return UNKNOWN_LANGUAGE
    code, probability = _model().classify(plain)
    return str(code) if probability >= CONFIDENT else UNKNOWN_LANGUAGE


@cache
def _model() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
