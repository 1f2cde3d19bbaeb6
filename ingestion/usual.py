"""What is usual in a whole log: amounts by category, what users spend, when a zone acts.

A log that is read in parts says so by adding up what `amounts` finds in each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ingestion.clocks import delays, skews
from ingestion.log import Log
from mdp.clock import NO_ZONE, zone_code

FAR = 6.0
"""Robust standard deviations that make an outlier."""
LEAST_SPREAD = 0.25
"""Of logarithms: where all prices are alike, one is far out from 4.5 times them on."""
ENOUGH = 30
"""Values that it takes to say what is usual."""
OTHER_UNIT = float(np.log(50.0))
"""Of the logarithm of amounts over prices: beyond it they are of different units."""
NIGHT, NIGHT_SHARE = (1, 2, 3, 4), 0.4
"""Hours of the night, and the share of a zone's events in them (uniform: 0.17) that is too much."""
ENOUGH_USERS = 10
"""Users that it takes to say when a zone acts."""


@dataclass(frozen=True)
class Amounts:
    """What users and events of a part of a log add to what is usual in the whole."""

    category: np.ndarray
    """category (n,) int32 of each purchase with an amount, as a place among the items' ones"""
    value: np.ndarray
    """logarithm (n,) float64 of each amount"""
    spent: np.ndarray
    """logarithm (u,) float64 of what each user who bought spent"""
    zones: pd.DataFrame
    """by zone: events, those at night, users with events"""
    units: np.ndarray
    """logarithm (m,) float64 of the amount over the item's price, of purchases that have both"""
    quantities: pd.DataFrame
    """category and logarithm (`quantity`) of each purchase's quantity, where those are logged"""
    delays: pd.DataFrame
    """`ingestion.clocks.delays`"""


@dataclass(frozen=True)
class Usual:
    """What is usual."""

    values: pd.DataFrame
    """by category, as a place among the items' ones: median and spread of the amounts' logarithms;
    not there for one with fewer than `ENOUGH`"""
    spent: pd.DataFrame
    """the same of what users spend, in one row 0"""
    awake: frozenset[str]
    """zones whose users act at night"""
    unit: float
    """median of the logarithms of amounts over prices; 0 of fewer than `ENOUGH`"""
    quantities: pd.DataFrame
    """as `values`, of quantities"""
    skews: dict[str, int]
    """source → how far its clock is behind, microseconds"""


def amounts(log: Log) -> Amounts:
    """What a part of a log adds."""
    users, events = log.tables["users"], log.tables["events"]
    bought = events["event"].eq("purchase").to_numpy(bool)
    value = np.where(bought, events["value"].to_numpy(np.float64), np.nan)
    paid = (value > 0) & (value < np.inf)
    owner = log.rows_of("events", "user_id")
    mine = paid & (owner >= 0)
    spent = np.bincount(owner[mine], value[mine], len(users))
    category, units, quantity = _categories(log), _units(log, value), _quantities(log)
    known = ~np.isnan(quantity)
    return Amounts(
        category[paid],
        np.log(value[paid]),
        np.log(spent[spent > 0]),
        _zones(log, owner),
        units[~np.isnan(units)],
        pd.DataFrame({"category": category[known], "quantity": quantity[known]}),
        delays(log),
    )


def _units(log: Log, value: np.ndarray) -> np.ndarray:
    """Logarithm (n,) of each purchase's amount over its item's price, NaN where one is missing."""
    price = np.append(log.tables["items"]["price"].to_numpy(np.float64), np.nan)
    of = price[log.rows_of("events", "item_id")]
    there = (value > 0) & (value < np.inf) & (of > 0) & (of < np.inf)
    return np.log(np.where(there, value, np.nan)) - np.log(np.where(there, of, np.nan))


def _quantities(log: Log) -> np.ndarray:
    """Logarithm (n,) of each event's quantity, NaN where none is logged."""
    events = log.tables["events"]
    if "quantity" not in events:
        return np.full(len(events), np.nan)
    quantity = pd.to_numeric(events["quantity"].astype("str"), errors="coerce").to_numpy(np.float64)
    return np.log(np.where(np.isfinite(quantity) & (quantity > 0), quantity, np.nan))


def _categories(log: Log) -> np.ndarray:
    """Category (n,) int32 of each event's item; 0 for an unknown one."""
    names = log.tables["items"]["category"].fillna("")
    # An item without a category, and an event without an item, are of the category "".
    of_item, _ = pd.factorize(pd.concat([pd.Series([""], dtype="str"), names]))
    return np.append(of_item[1:], 0)[log.rows_of("events", "item_id")].astype(np.int32)


def _zones(log: Log, owner: np.ndarray) -> pd.DataFrame:
    users, zones = log.tables["users"], log.codes("users", "timezone")
    at = log.tables["events"]["at"]
    known = zones.each(lambda name: zone_code(name) != NO_ZONE)
    zone = np.append(np.where(known, zones.of, -1), -1)[owner]
    rows = np.flatnonzero((zone >= 0) & at.notna().to_numpy())
    names, size, night = zones.distinct.to_pylist(), len(zones.distinct), Counter[int]()
    for code, times in at.iloc[rows].groupby(zone[rows]):
        night[int(code)] = int(times.dt.tz_convert(names[code]).dt.hour.isin(NIGHT).sum())
    acting = np.zeros(len(users), bool)
    acting[owner[rows]] = True
    return pd.DataFrame(
        {
            "events": np.bincount(zone[rows], minlength=size),
            "night": [night[code] for code in range(size)],
            "users": np.bincount(zones.of[acting], minlength=size),
        },
        index=pd.Index(names, dtype=object),
    )


def usual(parts: Sequence[Amounts]) -> Usual:
    """What is usual in the log of these parts."""
    zones = pd.concat([part.zones for part in parts]).groupby(level=0).sum()
    many = (zones["events"] >= ENOUGH) & (zones["users"] >= ENOUGH_USERS)
    awake = many & (zones["night"] > NIGHT_SHARE * zones["events"])
    spent = np.concatenate([part.spent for part in parts])
    category = np.concatenate([part.category for part in parts])
    units = np.concatenate([part.units for part in parts])
    quantities = pd.concat([part.quantities for part in parts])
    return Usual(
        spreads(np.concatenate([part.value for part in parts]), category),
        spreads(spent, np.zeros(len(spent), np.int32)),
        frozenset(zones.index[awake]),
        float(np.median(units)) if len(units) >= ENOUGH else 0.0,
        spreads(quantities["quantity"].to_numpy(), quantities["category"].to_numpy()),
        skews(pd.concat([part.delays for part in parts])),
    )


def spreads(logs: np.ndarray, group: np.ndarray) -> pd.DataFrame:
    """Median and robust spread of the values (n,) of each group (n,) with at least `ENOUGH`."""
    values = pd.Series(logs).groupby(group)
    median = values.median()
    off = pd.Series(np.abs(logs - median.reindex(group).to_numpy()))
    spread = (1.4826 * off.groupby(group).median()).clip(lower=LEAST_SPREAD)
    return pd.DataFrame({"median": median, "spread": spread})[values.size() >= ENOUGH]


def beyond(logs: np.ndarray, group: np.ndarray, known: pd.DataFrame) -> np.ndarray:
    """By how many spreads (n,) float64 values (n,) lie above the median of their group, below it
    if negative; NaN where that is not known."""
    of = known.reindex(group)
    return (logs - of["median"].to_numpy()) / of["spread"].to_numpy()


def unusual(log: Log, whole: Usual, name: str) -> Iterator[tuple[str, str, np.ndarray]]:
    """Column, rule and mask of what is unusual in a table of a part, given the whole."""
    users, events = log.tables["users"], log.tables["events"]
    value = events["value"].where(events["event"].eq("purchase")).to_numpy(np.float64)
    value = np.where((value > 0) & (value < np.inf), value, np.nan)
    if name == "events":
        far = np.abs(beyond(np.log(value), _categories(log), whole.values)) > FAR
        yield "value", "odd_value", far
        logs = _quantities(log)
        if not np.isnan(logs).all():
            many = np.abs(beyond(logs, _categories(log), whole.quantities)) > FAR
            yield "quantity", "odd_quantity", many
        if abs(whole.unit) > OTHER_UNIT:
            yield "value", "unit", np.sign(whole.unit) * _units(log, value) > OTHER_UNIT
        return
    if name == "outcomes":
        mask = np.zeros(len(log.tables["outcomes"]), bool)
        found = delays(log)
        mask[found["row"][found["source"].isin(list(whole.skews))]] = True
        yield "at", "clock_skew", mask
        return
    owner, own = log.rows_of("events", "user_id"), log.rows_of("users", "user_id")
    mine = (owner >= 0) & ~np.isnan(value)
    spent = np.append(np.bincount(owner[mine], value[mine], len(users)), 0.0)[own]
    logs = np.log(np.where(spent > 0, spent, np.nan))
    yield "user_id", "reseller", beyond(logs, np.zeros(len(users), np.int32), whole.spent) > FAR
    yield "timezone", "zone_at_night", users["timezone"].isin(list(whole.awake)).to_numpy()
