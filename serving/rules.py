"""The guardrails and the budget that a store puts over its policy's own: changed key by key, by an
operator or a file, with every change in the history and the audit log."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from mdp.errors import BadSetting
from mdp.guardrails import Guardrails
from policies.rules_file import read_guardrails
from serving.access import audit
from serving.budget import budget_of, budget_table, checked, recount
from serving.schemas import iso
from serving.store import all_settings, put_setting
from serving.tables import GUARDRAILS

Tables = Mapping[str, Any]
"""Guardrails and budget as the tables of the TOML file; null: back to the policy's own."""
FILE = "guardrails_file"
"""Setting that holds the tables of the file that was applied last."""
HOLDOUT = "holdout"
"""Table that is the store's once a policy was active, so that users stay held out whatever policy
decides: a null there takes over the active policy's own value of now."""


def change_rules(
    connection: Connection, own: Guardrails, change: Tables, now: int, who: str
) -> None:
    """Put a change over what is in force, key by key; a null gives a key back to the policy's own
    (of the holdout, takes over what that is now).

    A change that changes nothing leaves no trace. Raises `BadSetting` for a wrong key or value.
    """
    need_sound(own, change)
    values = all_settings(connection)
    budget = values.get("budget", {}) | checked(change.get("budget", {}))
    before, after = dict(values["guardrails"]), dict(values["guardrails"])
    for table, keys in change.items():
        if table != "budget":
            given = _resolved(own, table, keys) if table == HOLDOUT else keys
            merged = {**after.get(table, {}), **given}
            after[table] = {key: value for key, value in merged.items() if value is not None}
    before, after = _not_empty(before), _not_empty(after)
    limits = budget_table({"budget": budget})
    if (before, budget_table(values)) == (after, limits):
        return
    put_setting(connection, "budget", budget)
    if budget_of(values) is None and budget_of({"budget": budget}) is not None:
        recount(connection, now)
    write_history(connection, after, {"budget": budget}, now, who)
    audit(connection, now, who, "guardrails", dict(change))


def write_history(
    connection: Connection,
    rules: Tables,
    values: Mapping[str, Any],
    now: int,
    who: str,
    activated: Mapping[str, Any] | None = None,
) -> None:
    """Have these rules in force over the policy's own from now on; values: settings that hold the
    budget; activated: what another policy brought, where that is what changed."""
    limits = budget_table(values)
    row = {
        "at": now,
        "rules": rules,
        "budget": None if limits == budget_table({}) else limits,
        "who": who,
        "activated": activated,
    }
    connection.execute(insert(GUARDRAILS), [row])


def _not_empty(tables: Tables) -> dict[str, Any]:
    return {table: keys for table, keys in tables.items() if keys}


def need_sound(own: Guardrails, change: Tables) -> None:
    """Raises `BadSetting` for a change with a wrong key or value."""
    checked(change.get("budget", {}))
    own.updated(
        {
            table: _resolved(own, table, keys) if isinstance(keys, Mapping) else keys
            for table, keys in change.items()
            if table != "budget"
        }
    )


def _resolved(own: Guardrails, table: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a change's table with the policy's own values in place of nulls."""
    mine = own.to_mapping().get(table, {})
    return {key: mine.get(key) if value is None else value for key, value in keys.items()}


def wrong_key(own: Guardrails, change: Tables) -> str:
    """The key of a change, such as `caps.per_7d`, that is refused."""
    for table, keys in change.items():
        if not isinstance(keys, Mapping):
            return table
        for key, value in keys.items():
            try:
                need_sound(own, {table: {key: value}})
            except BadSetting:
                return f"{table}.{key}"
    return "body"


def history(connection: Connection) -> list[dict[str, Any]]:
    """Every change, the newest first: when, by whom, what was in force from then on over the
    policy's own, the budget among it, and what another policy that was made active brought."""
    rows = connection.execute(select(GUARDRAILS).order_by(GUARDRAILS.c.number.desc())).all()
    return [
        {
            "at": iso(row.at),
            "who": row.who,
            "rules": row.rules if row.budget is None else {**row.rules, "budget": row.budget},
            "activated": row.activated,
        }
        for row in rows
    ]


def holdout_in_force(connection: Connection) -> dict[str, Any]:
    """The share of users who are held out, and since when it and its salt have been as they are;
    null where no policy was ever active."""
    changes = select(GUARDRAILS.c.at, GUARDRAILS.c.rules).order_by(GUARDRAILS.c.number.desc())
    rows = [(row.at, row.rules.get(HOLDOUT)) for row in connection.execute(changes)]
    now = rows[0][1] if rows else None
    if now is None:
        return {"holdout_share": None, "holdout_since": None}
    *_, (since, _) = takewhile(lambda row: row[1] == now, rows)
    return {"holdout_share": now.get("share"), "holdout_since": iso(since)}


def apply_file(
    connection: Connection, own: Guardrails, path: Path, now: int, who: str
) -> list[str]:
    """Apply what changed in a file since it was applied last; returns the keys that did.

    So what an operator changed at run time stays, unless the file says something new of that very
    key. A key that is no longer in the file goes back to the policy's own. Raises `BadSetting`.
    """
    read_guardrails(path, own)
    tables = tomllib.loads(path.read_text())
    change = _difference(all_settings(connection).get(FILE, {}), tables)
    if change:
        change_rules(connection, own, change, now, who)
        put_setting(connection, FILE, tables)
    return [f"{table}.{key}" for table, keys in change.items() for key in keys]


def _difference(before: Tables, after: Tables) -> dict[str, dict[str, Any]]:
    """The change that leads from a file's tables to others."""
    change: dict[str, dict[str, Any]] = {}
    for table in {**before, **after}:
        old, new = before.get(table, {}), after.get(table, {})
        gone = {"per_hour": "none", "per_day": "none", "pace": False} if table == "budget" else {}
        keys = {
            key: new.get(key, gone.get(key))
            for key in {**old, **new}
            if old.get(key) != new.get(key)
        }
        if keys:
            change[table] = keys
    return change
