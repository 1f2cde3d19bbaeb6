"""Hyper-parameters in a TOML file, keyed by environment id and algorithm:

    ["pushwise/Push-v0".ppo]
    learning_rate = 0.0002

What the file leaves out keeps its default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from agents.algorithms import algorithm_of
from mdp.errors import BadSetting

ENVIRONMENTS = {
    "fitted": "pushwise/Push-v0",
    "logit": "pushwise/LogitShop-v0",
    "hazard": "pushwise/HazardShop-v0",
    "seasonal": "pushwise/SeasonalShop-v0",
    "anyway": "pushwise/BuyAnywayShop-v0",
}
"""World of a simulator → the id that its settings stand under."""

Tables = dict[str, dict[str, dict[str, Any]]]
"""Environment id → algorithm → setting → value."""


def read_settings(path: Path, world: str, algo: str) -> Any:
    """The algorithm's settings with what the file says of them for a world.

    Raises `BadSetting` for an unknown setting, one of the wrong type, or a file that does not name
    this environment and algorithm.
    """
    environment = ENVIRONMENTS.get(world, world)
    table = read_tables(path).get(environment, {}).get(algo)
    if table is None:
        raise BadSetting(
            f'{path} has no table ["{environment}".{algo}]: it says nothing of {algo} there'
        )
    return with_values(algo, table, str(path))


def with_values(algo: str, values: Mapping[str, Any], where: str) -> Any:
    """The algorithm's default settings with some values replaced; raises `BadSetting`."""
    settings = algorithm_of(algo).default_settings()
    known = {field.name: getattr(settings, field.name) for field in fields(settings)}
    chosen = {}
    for name, value in values.items():
        if name not in known:
            raise BadSetting(
                f"{where}: {algo} has no setting {name!r}; it has {', '.join(known) or 'none'}"
            )
        default = known[name]
        whole = isinstance(value, int) and not isinstance(value, bool)
        if isinstance(default, float | None) and whole:
            value = float(value)
        if default is not None and type(value) is not type(default):
            raise BadSetting(f"{where}: {name} is {value!r}; it must be like {default!r}")
        chosen[name] = value
    try:
        return replace(settings, **chosen)
    except BadSetting as error:
        raise BadSetting(f"{where}: {error}") from error


def read_tables(path: Path) -> Tables:
    """The file as it stands; raises `BadSetting` for what is not such a file."""
    try:
        tables = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path} is not TOML: {error}") from error
    for environment, algorithms in tables.items():
        if not isinstance(algorithms, dict) or not all(
            isinstance(table, dict) for table in algorithms.values()
        ):
            raise BadSetting(
                f"{path}: {environment} is no table of algorithms; write "
                '["pushwise/Push-v0".ppo] above an algorithm\'s settings'
            )
    return tables


def write_settings(path: Path, world: str, algo: str, values: Mapping[str, Any]) -> None:
    """Put an algorithm's values for a world into the file; its other tables stay."""
    tables = read_tables(path) if path.exists() else {}
    tables.setdefault(ENVIRONMENTS.get(world, world), {})[algo] = dict(values)
    lines = []
    for environment, algorithms in tables.items():
        for name, table in algorithms.items():
            lines += [f'["{environment}".{name}]']
            lines += [f"{setting} = {_toml(value)}" for setting, value in table.items()] + [""]
    path.write_text("\n".join(lines))


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
