"""A source's mapping to the log format, declared in TOML: a new source needs no code.

    [log]                                   # what log.json says of the log to come
    source = "our shop's tracker"
    default_timezone = "Europe/Berlin"
    currency = "EUR"

    [[rows]]                                # records that match `where` become rows of a table
    table = "events"
    where = { type = "track", event = ["Product Viewed", "Product Clicked"] }
    each = "properties.products"            # one row for each element of a list; optional
    user_id = ["userId", "anonymousId"]     # a path; of several, the first that is there
    item_id = ".product_id"                 # a path that begins with a dot is the element's
    event = { value = "view" }              # the same for all
    at = "timestamp"
    value = { product = [".price", ".quantity"] }

A database is read by queries, each of which gives records whose `query` is its name:

    [queries]
    orders = "SELECT customer, sku, paid_at, amount FROM orders WHERE state = 'paid'"

    [[rows]]
    table = "events"
    where = { query = "orders" }

A path goes into structures by dots, and into lists of key and value by brackets, as GA4 has them:
`event_params[ga_session_id]`. A column takes a path, a list of paths or a table with one of
`from` (paths), `value`, `product` (paths to multiply) and `join` (paths, joined by a hyphen), and
with `words` (what stands there = what it is called here), `prefix`, `unit` (s, ms or us, of times
that are numbers), `timezone` (of times without one), `factor` (of numbers), and `currency` (a path)
with `rates` (of amounts).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from ingestion.complete import DESCRIBED
from ingestion.log import LogMeta
from ingestion.read import meta_of
from ingestion.schema import TABLES
from mdp.clock import NO_ZONE, zone_code
from mdp.errors import BadInput, BadLog

ANY = "*"
"""In `where`: whatever value, if there is one."""
UNITS = ("s", "ms", "us")
_KINDS = ("from", "value", "product", "join")
_REFINED = ("words", "prefix", "unit", "timezone", "factor", "currency", "rates")


@dataclass(frozen=True)
class Cell:
    """Where a column's values come from."""

    kind: str
    """from, value, product or join"""
    paths: tuple[str, ...] = ()
    """paths, but for `value`"""
    value: Any = None
    """the same value for all"""
    words: Mapping[str, str] = field(default_factory=dict)
    """what stands there → what it is called here; others stay"""
    prefix: str = ""
    """put before each value"""
    unit: str | None = None
    """of times that are numbers since 1970"""
    timezone: str | None = None
    """of times without one"""
    factor: float | None = None
    """a number times this"""
    currency: str | None = None
    """path of the currency that an amount is in"""
    rates: Mapping[str, float] = field(default_factory=dict)
    """currency → what an amount in it is multiplied by"""


@dataclass(frozen=True)
class Rows:
    """Records that become rows of one table."""

    table: str
    """the table"""
    where: Mapping[str, tuple[str, ...]]
    """path → values, in small letters, one of which must stand there"""
    each: str | None
    """path of a list, of which each element is a row"""
    cells: Mapping[str, Cell]
    """column → where its values come from"""


@dataclass(frozen=True)
class SourceMapping:
    """A whole mapping."""

    rows: tuple[Rows, ...]
    """what becomes of records; one record may match several"""
    meta: LogMeta
    """for log.json"""
    queries: Mapping[str, str] = field(default_factory=dict)
    """name → SQL, for a source that is a database"""


def source_names() -> list[str]:
    """Sources whose mapping comes with pushwise."""
    here = files("ingestion.sources").iterdir()
    return sorted(file.name[:-5] for file in here if file.name.endswith(".toml"))


def mapping_text(source: str) -> str:
    """The TOML of a source by name, or of a file. Raises `BadInput` where there is none."""
    if source in source_names():
        return files("ingestion.sources").joinpath(f"{source}.toml").read_text("utf-8")
    if source.endswith(".toml") and Path(source).is_file():
        try:
            return Path(source).read_text("utf-8")
        except UnicodeDecodeError as error:
            raise BadInput(f"{source} is not UTF-8: {error}") from error
    raise BadInput(
        f"{source!r} is no source: use {', '.join(source_names())}, online-retail-ii, open-bandit, "
        "or the path of a mapping's .toml"
    )


def read_mapping(text: str, where: str) -> SourceMapping:
    """A mapping from its TOML; raises `BadInput` that names what is wrong in it."""
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"{where} is not TOML: {error}") from error
    if unknown := sorted(values.keys() - {"log", "queries", "rows"}):
        raise BadInput(
            f"{where}: {unknown[0]!r} is unknown: a mapping has [log], [queries] and [[rows]]"
        )
    blocks = values.get("rows")
    if not isinstance(blocks, list) or not blocks:
        raise BadInput(f"{where} has no [[rows]]: say what becomes of the records")
    about = values.get("log", {})
    if not isinstance(about, dict):
        raise BadInput(f"{where}: log is {about!r}; write a table, [log]")
    try:
        meta = meta_of(about, f"{where}, [log]")
    except BadLog as error:
        raise BadInput(str(error)) from error
    rows = tuple(_rows(block, f"{where}, [[rows]] {n}") for n, block in enumerate(blocks, 1))
    queries = values.get("queries", {})
    if not isinstance(queries, dict) or not all(isinstance(sql, str) for sql in queries.values()):
        raise BadInput(f"{where}: [queries] holds {queries!r}; write names and SQL texts")
    return SourceMapping(rows, meta, queries)


def _rows(block: Any, where: str) -> Rows:
    if not isinstance(block, dict):
        raise BadInput(f"{where} is {block!r}; write a table, [[rows]]")
    cells = dict(block)
    table, each, match = cells.pop("table", None), cells.pop("each", None), cells.pop("where", {})
    if not isinstance(table, str) or table not in TABLES:
        raise BadInput(f"{where}: table is {table!r}; use one of {', '.join(TABLES)}")
    key = TABLES[table].key
    if table in DESCRIBED and key not in cells:
        raise BadInput(f"{where}: {table} need {key}: say where it stands")
    if not isinstance(match, dict) or not isinstance(each, str | None):
        raise BadInput(f"{where}: `where` is a table of paths and values, `each` a path")
    wanted = {
        path: tuple(
            str(value).lower() for value in (values if isinstance(values, list) else [values])
        )
        for path, values in match.items()
    }
    return Rows(
        table, wanted, each, {name: _cell(cell, f"{where}: {name}") for name, cell in cells.items()}
    )


def _cell(cell: Any, where: str) -> Cell:
    if isinstance(cell, str | list):
        cell = {"from": cell}
    if not isinstance(cell, dict):
        raise BadInput(f"{where} is {cell!r}; write a path, a list of paths or a table")
    kinds = [kind for kind in _KINDS if kind in cell]
    others = cell.keys() - {*_KINDS, *_REFINED}
    if len(kinds) != 1 or others:
        what = f"{sorted(others)[0]!r} is unknown" if others else f"{len(kinds)} of them are given"
        raise BadInput(f"{where} takes one of {', '.join(_KINDS)}, and {what}")
    kind, unit = kinds[0], cell.get("unit")
    if unit is not None and unit not in UNITS:
        raise BadInput(f"{where}: unit is {unit!r}; use {', '.join(UNITS)}")
    given = cell[kind]
    paths = () if kind == "value" else tuple(given if isinstance(given, list) else [given])
    if not all(isinstance(path, str) for path in paths) or (kind != "value" and not paths):
        raise BadInput(f"{where}: {kind} is {given!r}; write paths")
    zone = cell.get("timezone")
    if zone is not None and (not isinstance(zone, str) or zone_code(zone) == NO_ZONE):
        raise BadInput(f"{where}: timezone is {zone!r}; write an IANA zone such as Europe/Berlin")
    words = _table(cell, "words", where)
    return Cell(
        kind,
        paths,
        given if kind == "value" else None,
        {old: str(new) for old, new in words.items()},
        str(cell.get("prefix", "")),
        unit,
        zone,
        *_amount(cell, where),
    )


def _table(cell: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    values = cell.get(name, {})
    if not isinstance(values, dict):
        raise BadInput(f"{where}: {name} is {values!r}; write a table, {{ old = new, … }}")
    return values


def _amount(cell: dict[str, Any], where: str) -> tuple[float | None, str | None, dict[str, float]]:
    """An amount's factor, the path of its currency and the rates."""
    factor, path, rates = cell.get("factor"), cell.get("currency"), _table(cell, "rates", where)
    for name, number in {"factor": 1 if factor is None else factor, **rates}.items():
        if not isinstance(number, int | float) or not 0 < number < 1e12:
            raise BadInput(f"{where}: {name} is {number!r}; write a number above 0")
    if (path is None) != (not rates) or not isinstance(path, str | None):
        raise BadInput(f"{where}: `currency` is a path, and `rates` say what each is worth")
    return factor, path, {name.upper(): float(rate) for name, rate in rates.items()}
