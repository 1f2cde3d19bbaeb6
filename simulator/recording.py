"""Recording: what a kernel did, as the tables of the log format."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ingestion.log import time_column
from ingestion.schema import SEPARATOR
from mdp.clock import NEVER
from mdp.events import OUTCOMES, Kind
from mdp.observation import SCHEMA
from simulator.description import Simulator
from simulator.special_days import calendar_table

_ORGANIC = {Kind.VIEW: "view", Kind.CART: "cart", Kind.PURCHASE: "purchase"}
_OUTCOMES = {kind: name for name, kind in OUTCOMES.items()}


@dataclass(frozen=True)
class Decided:
    """One step's decisions of N users: catalogue rows, -1 for none; as allowed."""

    ids: list[str]
    users: np.ndarray
    decided_at: np.ndarray
    item: np.ndarray
    variant: np.ndarray
    send_at: np.ndarray
    propensity: np.ndarray
    policy: str
    candidates: np.ndarray
    """(N, K)"""
    variants: np.ndarray
    """(N, V)"""
    hours: np.ndarray
    """(N, 24) bool"""


@dataclass
class Recording:
    """Rows collected step by step."""

    simulator: Simulator
    decided: list[Decided] = field(default_factory=list)
    applied: list[tuple[np.ndarray, np.ndarray, list[str]]] = field(default_factory=list)
    """Users (M,), events (M,) `EVENT` and ids (M,): event ids, or decision ids for outcomes."""

    def happened(self, users: np.ndarray, events: np.ndarray, ids: np.ndarray) -> None:
        """Keep events (M,) of users (M,) with the numbers (M,) that their ids are made of."""
        shown = ~np.isin(events["kind"], (Kind.HOLD, Kind.SEND))
        letters = np.where(np.isin(events["kind"][shown], list(_ORGANIC)), "e", "d").tolist()
        names = [f"{a}{i:016x}" for a, i in zip(letters, ids[shown].tolist(), strict=True)]
        self.applied.append((users[shown], events[shown], names))

    def tables(self) -> dict[str, pd.DataFrame]:
        """The log's tables: users, items, variants, events, decisions, outcomes, and the calendar
        of a shop that has one."""
        calendar = self.simulator.calendar
        return {
            "users": users_table(self.simulator),
            "items": items_table(self.simulator),
            "variants": variants_table(self.simulator),
            "decisions": self._decisions(),
            **self._happened(),
            **({"calendar": calendar_table(calendar)} if calendar else {}),
        }

    def _decisions(self) -> pd.DataFrame:
        items = np.array([*self.simulator.catalog.items.ids, None], object)
        variants = np.array([*self.simulator.catalog.variants.ids, None], object)
        ids = np.array(self.simulator.users.ids, object)
        frames = []
        for part in self.decided:
            frame = pd.DataFrame(
                {
                    "decision_id": part.ids,
                    "user_id": ids[part.users],
                    "decided_at": part.decided_at,
                    "item_id": items[part.item],
                    "variant_id": variants[part.variant],
                    "send_at": part.send_at,
                    "propensity": part.propensity,
                    "policy": part.policy,
                    "candidates": _joined(items, part.candidates),
                    "variants": _joined(variants, part.variants),
                    "hours": _joined(
                        np.array([*(str(hour) for hour in range(24)), None], object),
                        np.where(part.hours, np.arange(24), -1),
                    ),
                }
            )
            frames.append(frame)
        table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        if not frames:
            return table
        for name in ("decided_at", "send_at"):
            table[name] = time_column(table[name].to_numpy(np.int64))
        table["turn"] = 0
        table["arm"] = "policy"
        table["schema"] = SCHEMA
        table["rules_hash"] = self.simulator.guardrails.hash
        return table.sort_values(["decided_at", "decision_id"], ignore_index=True)

    def _happened(self) -> dict[str, pd.DataFrame]:
        owner = np.concatenate([part[0] for part in self.applied] or [np.zeros(0, np.int64)])
        ids = [name for part in self.applied for name in part[2]]
        if not self.applied:
            return {}
        events = np.concatenate([part[1] for part in self.applied])
        table = pd.DataFrame({"id": ids, "kind": events["kind"], "item": events["item"]})
        table["value"] = events["value"].astype(np.float64).round(2)
        table["user_id"] = np.array(self.simulator.users.ids, object)[owner]
        table["at"] = time_column(events["at"])
        organic = table[table.kind.isin(list(_ORGANIC))].copy()
        outcomes = table[table.kind.isin(list(_OUTCOMES))].copy()
        hashes = self.simulator.catalog.items.hashes
        name_of = dict(zip(hashes.tolist(), self.simulator.catalog.items.ids, strict=True))
        organic["item_id"] = organic["item"].map(name_of)
        organic["event"] = organic["kind"].map(_ORGANIC)
        organic.loc[organic.kind != Kind.PURCHASE, "value"] = np.nan
        outcomes["outcome"] = outcomes["kind"].map(_OUTCOMES)
        outcomes["value"] = np.nan
        organic = organic.rename(columns={"id": "event_id"})
        outcomes = outcomes.rename(columns={"id": "decision_id"})
        wanted = ["user_id", "item_id", "event", "at", "value", "event_id"]
        events_table = organic.sort_values(["at", "event_id"])[wanted]
        outcomes = outcomes.sort_values(["at", "decision_id", "kind"])
        outcomes = outcomes[["decision_id", "outcome", "at", "value"]]
        return {
            "events": events_table.reset_index(drop=True),
            "outcomes": outcomes.reset_index(drop=True),
        }


def _joined(names: np.ndarray, rows: np.ndarray) -> list[str | None]:
    """`a|b|c` of each row of indices (N, M), leaving -1 out; None for an empty list."""
    return [SEPARATOR.join(names[row[row >= 0]]) or None for row in rows]


def users_table(simulator: Simulator) -> pd.DataFrame:
    """The users of a simulator; whoever unsubscribed before its start gives no consent, since the
    log does not reach back to that."""
    users, past = simulator.users, simulator.histories
    table = pd.DataFrame({"user_id": users.ids, "timezone": users.zones})
    table["signed_up_at"] = time_column(users.signed_up)
    table["consent"] = (past["consent"] == 1) & (past["unsubscribed"] == 0)
    if users.locales:
        table["locale"] = [name or None for name in users.locales]
    for name, values in users.attributes.items():
        table[name] = list(values)
    return table


def items_table(simulator: Simulator) -> pd.DataFrame:
    """The items of a simulator."""
    items = simulator.catalog.items
    table = pd.DataFrame(
        {
            "item_id": items.ids,
            "title": items.titles,
            "category": items.categories,
            "brand": items.brands,
            "price": _decimals(items.price),
            "list_price": _decimals(items.list_price),
            "margin": _decimals(items.margin),
        }
    )
    table["stock"] = np.where(np.isfinite(items.stock), items.stock.astype(np.float64), np.nan)
    if (items.available_until != NEVER).any():
        table["available_until"] = time_column(items.available_until)
    if simulator.launches is not None:
        successor, since = simulator.launches.successor, simulator.launches.since
        listed = np.full(len(items), NEVER)
        listed[successor[successor >= 0]] = since[successor >= 0]
        table["listed_at"] = time_column(listed)
    return table


def _decimals(values: np.ndarray) -> np.ndarray:
    """float32 numbers as the shortest float64 that reads as them."""
    return np.array([float(str(value)) for value in values])


def variants_table(simulator: Simulator) -> pd.DataFrame:
    """The copy variants of a simulator."""
    variants = simulator.catalog.variants
    table = pd.DataFrame(
        {
            "variant_id": variants.ids,
            "style": variants.styles,
            "locale": [name or None for name in variants.locales],
            "title": variants.titles,
            "body": variants.bodies,
        }
    )
    for name, values in (("item_id", variants.items), ("segment", variants.segments)):
        if any(values):
            table[name] = [value or None for value in values]
    table["status"] = variants.statuses
    return table
