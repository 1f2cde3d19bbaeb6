"""Guardrails, and the weights of a reward, from TOML files."""

from __future__ import annotations

import tomllib
from math import isfinite
from pathlib import Path
from typing import Any

from mdp.errors import BadSetting
from mdp.guardrails import Guardrails
from mdp.reward import PARTS, Reward

DEFAULT_RULES = Guardrails()


def read_guardrails(path: Path | str, base: Guardrails = DEFAULT_RULES) -> Guardrails:
    """`base` with the keys of a TOML file put over it; raises `BadSetting` for what is wrong.

    A table `[budget]` is the server's alone.
    """
    tables = _read(path)
    tables.pop("budget", None)
    return base.updated(tables)


def read_reward(path: Path | str, base: Reward) -> Reward:
    """`base` with the weights of a TOML file put over its own: `click = 30`, `unsubscribe = -600`.

    Raises `BadSetting` for an unknown one, for what is no number, and for one of the wrong sign.
    """
    weights = _read(path)
    for name, value in weights.items():
        if name not in PARTS:
            raise BadSetting(f"{path}: unknown weight {name!r}; known: {', '.join(PARTS)}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not isfinite(value):
            raise BadSetting(f"{path}: {name} is {value!r}; use a number, in the log's currency")
        if value * _EARNS[name] < 0:
            way = "earns, so 0 or above" if _EARNS[name] > 0 else "costs, so 0 or below"
            raise BadSetting(f"{path}: {name} is {value}; it {way}")
    given = {name: float(value) for name, value in weights.items()}
    return Reward.from_mapping(base.to_mapping() | given)


_EARNS = {"purchase": 1, "click": 1, "dismissal": -1, "unsubscribe": -1, "send": -1}
"""Sign of each weight."""


def _read(path: Path | str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path} is not TOML: {error}") from error
