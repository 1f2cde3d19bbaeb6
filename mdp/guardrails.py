"""Guardrails: the limits on what may be sent, and the reasons for which they refuse.

What they refuse is in `mdp.masking`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np

from mdp.clock import DAY, HOUR
from mdp.errors import BadSetting
from mdp.hashing import content_hash
from mdp.state import RING


class Reason(IntEnum):
    """Why a factor is masked; ALLOWED where it is not."""

    ALLOWED = 0
    PADDING = 1
    CONSENT = 2
    UNSUBSCRIBED = 3
    TIMEZONE_UNKNOWN = 4
    OUT_OF_STOCK = 5
    NOT_AVAILABLE = 6
    PREFERENCE = 7
    ITEM_COOLDOWN = 8
    NOT_APPROVED = 9
    LOCALE = 10
    OTHER_ITEM = 11
    OTHER_SEGMENT = 12
    NO_SUCH_HOUR = 13
    QUIET_HOURS = 14
    CAP_CALENDAR_DAY = 15
    CAP_24H = 16
    CAP_7D = 17
    MIN_GAP = 18
    CONSENT_UNKNOWN = 19
    UNSUBSCRIBE_RISK = 20


LONGEST_GAP = 3650
"""Most days of a gap or a cool-down."""


def _minutes(text: str, name: str) -> int:
    hours, _, minutes = text.partition(":")
    if not (hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60):
        raise BadSetting(f"{name} is {text!r}; write a time of day such as '22:00'")
    return int(hours) * 60 + int(minutes)


def _number(value: Any, name: str, highest: float) -> None:
    """Raises `BadSetting` unless a value is a number from 0 to `highest`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 <= value <= highest):
        raise BadSetting(f"{name} is {value!r}; use a number from 0 to {highest:g}")


@dataclass(frozen=True)
class Guardrails:
    """Limits on what may be sent, in force after any policy has scored."""

    quiet_start: str = "22:00"
    """Quiet hours begin, on the user's clock."""
    quiet_end: str = "08:00"
    """Quiet hours end; equal to the start for none."""
    per_calendar_day: int | None = 1
    """Most sends on one local date; 0 for never, None for no cap."""
    per_24h: int | None = None
    """Most sends in any 24 hours."""
    per_7d: int | None = 7
    """Most sends in any 7 days."""
    min_hours: float = 4.0
    """Hours between two sends."""
    item_cooldown_days: float = 3.0
    """Days until the same item may be pushed again."""
    unsubscribe_ceiling: float | None = None
    """Items of which a send is predicted to make the user unsubscribe with a higher probability
    are not pushed; None for no ceiling. Needs a response model."""
    floor: float = 0.02
    """Exploration floor: the probability of drawing from the exploration mixture."""
    holdout_share: float = 0.0
    """Share of users that never get a push, for measuring."""
    holdout_salt: str = "pushwise"
    """Decides, with the user's id, who is held out."""

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            time = getattr(self, f"quiet_{name}")
            if not isinstance(time, str):
                raise BadSetting(f"quiet_hours.{name} is {time!r}; write a text such as '22:00'")
            _minutes(time, f"quiet_hours.{name}")
        for name in ("per_calendar_day", "per_24h", "per_7d"):
            cap = getattr(self, name)
            whole = isinstance(cap, int) and not isinstance(cap, bool)
            if cap is not None and not (whole and 0 <= cap < RING):
                raise BadSetting(
                    f"caps.{name} is {cap!r}; use a whole number from 0 to {RING - 1}, or 'none'"
                )
        _number(self.min_hours, "gaps.min_hours", LONGEST_GAP * 24)
        _number(self.item_cooldown_days, "gaps.item_cooldown_days", LONGEST_GAP)
        if self.unsubscribe_ceiling is not None:
            _number(self.unsubscribe_ceiling, "unsubscribe.ceiling", 1)
        _number(self.floor, "exploration.floor", 1)
        _number(self.holdout_share, "holdout.share", 1)
        if not isinstance(self.holdout_salt, str):
            raise BadSetting(f"holdout.salt is {self.holdout_salt!r}; write a text")

    def updated(self, tables: Mapping[str, Any]) -> Guardrails:
        """These guardrails with the keys of a parsed TOML file (or manifest) put over them.

        A cap or ceiling given as "none" is lifted. Raises `BadSetting` for an unknown table or key.
        """
        changes: dict[str, Any] = {}
        for table, keys in tables.items():
            if table not in _TABLES or not isinstance(keys, Mapping):
                raise BadSetting(
                    f"unknown guardrail table [{table}]; known: {', '.join(sorted(_TABLES))}"
                )
            for key, value in keys.items():
                if key not in _TABLES[table]:
                    known = ", ".join(_TABLES[table])
                    raise BadSetting(f"unknown guardrail {table}.{key}; known there: {known}")
                if value is None:
                    raise BadSetting(f"{table}.{key} is null; give a value, or leave it out")
                lifted = table in ("caps", "unsubscribe") and value == "none"
                changes[_TABLES[table][key]] = None if lifted else value
        return replace(self, **changes)

    def to_mapping(self) -> dict[str, dict[str, Any]]:
        """As the tables of the TOML file; a cap or ceiling that is lifted is "none"."""
        values = asdict(self)
        return {
            table: {
                key: "none" if values[name] is None else values[name] for key, name in keys.items()
            }
            for table, keys in _TABLES.items()
        }

    @property
    def hash(self) -> str:
        """Content hash of the values."""
        return content_hash(self.to_mapping())

    def looser_than(self, other: Guardrails) -> list[str]:
        """Names of the limits that allow here what `other` forbids."""
        names = []
        for table in ("caps", "unsubscribe"):
            for key, name in _TABLES[table].items():
                mine, theirs = getattr(self, name), getattr(other, name)
                if theirs is not None and (mine is None or mine > theirs):
                    names.append(f"{table}.{key}")
        for name in ("min_hours", "item_cooldown_days"):
            if getattr(self, name) < getattr(other, name):
                names.append(f"gaps.{name}")
        if other.quiet_minutes() - self.quiet_minutes():
            names.append("quiet_hours")
        if self.holdout_share < other.holdout_share:
            names.append("holdout.share")
        if self.holdout_salt != other.holdout_salt and other.holdout_share > 0:
            names.append("holdout.salt")
        return names

    def need_no_model(self) -> None:
        """Raises `BadSetting` for a rule that only a response model can tell the breach of."""
        if self.unsubscribe_ceiling is not None:
            raise BadSetting(
                f"unsubscribe.ceiling is {self.unsubscribe_ceiling}, and there is no response "
                "model to predict who unsubscribes: lift it with 'none', or take a policy that "
                "has a model"
            )

    def quiet_minutes(self) -> set[int]:
        """Minutes of the local day in which nothing is sent."""
        start, end = _minutes(self.quiet_start, "start"), _minutes(self.quiet_end, "end")
        return {(start + i) % 1440 for i in range((end - start) % 1440)}


_TABLES: dict[str, dict[str, str]] = {
    "quiet_hours": {"start": "quiet_start", "end": "quiet_end"},
    "caps": {name: name for name in ("per_calendar_day", "per_24h", "per_7d")},
    "gaps": {name: name for name in ("min_hours", "item_cooldown_days")},
    "unsubscribe": {"ceiling": "unsubscribe_ceiling"},
    "exploration": {"floor": "floor"},
    "holdout": {"share": "holdout_share", "salt": "holdout_salt"},
}
assert {name for keys in _TABLES.values() for name in keys.values()} == {
    field.name for field in fields(Guardrails)
}


@lru_cache(maxsize=64)
def limits(guardrails: Guardrails) -> tuple[np.ndarray, np.ndarray, int, int]:
    """What compiled code knows of guardrails: whether each minute of the local day is quiet
    (1440,) bool, the caps of a calendar day, 24 hours and 7 days (3,) int64, -1 for none, and the
    gap and the cool-down in microseconds."""
    quiet = np.zeros(1440, np.bool_)
    quiet[list(guardrails.quiet_minutes())] = True
    caps = (guardrails.per_calendar_day, guardrails.per_24h, guardrails.per_7d)
    return (
        quiet,
        np.array([-1 if cap is None else cap for cap in caps], np.int64),
        int(guardrails.min_hours * HOUR),
        int(guardrails.item_cooldown_days * DAY),
    )


@lru_cache(maxsize=64)
def risk_limits(ceiling: float | None) -> np.ndarray:
    """The highest sums of a head's terms (2,) float32 whose probability is at most `ceiling`: by
    a logit, and by a complementary log-log link."""
    if ceiling is None or ceiling >= 1:
        return np.full(2, np.inf, np.float32)
    if ceiling <= 0:
        return np.full(2, -np.inf, np.float32)
    hazard = -math.log1p(-ceiling)
    return np.array([math.log(ceiling / (1 - ceiling)), math.log(hazard)], np.float32)
