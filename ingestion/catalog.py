"""The catalogue that a log's tables of items and variants describe."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ingestion.log import Log, epoch_us
from mdp.catalog import DEFAULT_MARGIN, Catalog, Items, Variants


def catalog_of(log: Log) -> Catalog:
    """Items and variants in the order of their ids, so that equal tables give equal catalogues.

    A missing margin is the default one, a missing price 0, missing stock without limit.
    """
    items = log.tables["items"].drop_duplicates("item_id").sort_values("item_id")
    variants = log.tables["variants"].drop_duplicates("variant_id").sort_values("variant_id")
    price = _numbers(items["price"], 0.0)
    return Catalog(
        Items(
            ids=tuple(items["item_id"]),
            titles=_texts(items["title"]),
            categories=_texts(items["category"]),
            brands=_texts(items["brand"]),
            price=price,
            list_price=np.where(
                items["list_price"].isna(), price, _numbers(items["list_price"], 0.0)
            ).astype(np.float32),
            margin=_numbers(items["margin"], DEFAULT_MARGIN),
            stock=_numbers(items["stock"], np.inf),
            available_until=epoch_us(items["available_until"]),
        ),
        Variants(
            ids=tuple(variants["variant_id"]),
            styles=_texts(variants["style"]),
            locales=_texts(variants["locale"]),
            titles=_texts(variants["title"]),
            bodies=_texts(variants["body"]),
            items=_texts(variants["item_id"]),
            segments=_texts(variants["segment"]),
            statuses=_texts(variants["status"]),
        ),
        log.meta.currency,
    )


def _texts(column: pd.Series) -> tuple[str, ...]:
    return tuple(column.astype(object).where(column.notna(), ""))


def _numbers(column: pd.Series, missing: float) -> np.ndarray:
    return column.fillna(missing).to_numpy(np.float32)
