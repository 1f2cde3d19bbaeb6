"""Rules about what people write and read: copies of texts, and the languages that they are in."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ingestion.language import UNKNOWN_LANGUAGE, language_of
from ingestion.log import Log
from ingestion.plausible import Finder, Found
from ingestion.similar import near_equal


def _reviews(log: Log, name: str) -> Found:
    reviews = log.tables["reviews"]
    yield "text", "copied_review", near_equal(reviews["text"], reviews["item_id"].fillna(""))
    unsaid = reviews["text"].notna() & reviews["language"].isna()
    yield "language", "no_language", unsaid.to_numpy()


def _descriptions(log: Log, name: str) -> Found:
    told = log.tables["items"]["description"]
    yield "description", "copied_description", near_equal(told, pd.Series("", told.index))


def _copy(log: Log, name: str) -> Found:
    variants = log.tables["variants"]
    wanted = (
        variants["locale"]
        .fillna("")
        .str.lower()
        .str.extract(r"^([a-z]{2,3})(?:[-_]|$)", expand=False)
    )
    words = variants["title"].fillna("") + " " + variants["body"].fillna("")
    other = [
        not pd.isna(own) and language_of(text) not in (own, UNKNOWN_LANGUAGE)
        for own, text in zip(wanted, words, strict=True)
    ]
    yield "locale", "other_language", np.array(other, bool)


def languages(texts: pd.Series) -> pd.Series:
    """The language (n,) of each text; missing stays missing."""
    return texts.map(language_of, na_action="ignore").astype("str")


WRITTEN = (
    Finder(("copied_review", "no_language"), ("reviews",), _reviews),
    Finder(("copied_description",), ("items",), _descriptions),
    Finder(("other_language",), ("variants",), _copy),
)
"""How breaches of these rules are found."""
