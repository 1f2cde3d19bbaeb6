"""Makes a log of a source's records, some of them at a time, so that they need not fit into memory.

Rows of events, decisions and outcomes go to disk as they come. Users are gathered on disk and made
whole in parts. Items and variants, and 12 bytes for each purchase, are held in memory.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.adapt import rows_of, texts_of
from ingestion.complete import DESCRIBED, ITEM, NO_ZONE, UNKNOWN, filled, latest, named
from ingestion.imported import Account, Imported
from ingestion.log import time_column
from ingestion.mapping import SourceMapping
from ingestion.merge import joined
from ingestion.parts import Parts
from ingestion.read import read_raw
from ingestion.schema import TABLES, Missing
from ingestion.stored import Rows, frame_of, in_order, write_file
from ingestion.typed import Typed
from ingestion.write import write_meta
from mdp.errors import BadInput, NotEnoughData

USERS_AT_ONCE = 1_000_000
"""Rows about users that are made one each at a time."""
PLACE = "\x00place"
"""Column of rows about users: the first row that speaks of them, which gives their order."""
FIRST = "\x00first"
"""Column of rows about users: when they first acted, microseconds."""
_NEVER, _MISSING = np.iinfo(np.int64).max, np.iinfo(np.int64).min
_CHUNK = 100_000
"""Users of a part that are put in order with those of the others at a time."""
_Fillings = Callable[[pd.DataFrame], dict[str, pd.Series | str]]
_NAMED_BY = {"events": 1 << 60, "decisions": 2 << 60}
"""Users that are only named come after the others, by where they are named."""
_ACTS = {"events": "at", "decisions": "decided_at"}
_NOBODY: Mapping[str, str] = {}


def import_records(
    batches: Iterable[pd.DataFrame],
    mapping: SourceMapping,
    out: Path,
    identities: Mapping[str, str] = _NOBODY,
    users_at_once: int = USERS_AT_ONCE,
) -> Account:
    """Write a log of records, some at a time, into an empty directory; `identities` says which id
    is which user's.

    Users, items and variants that are only named by events and decisions are made up with what is
    known, each counted in `repaired`. What is written does not depend on how many records come at
    a time. Raises `NotEnoughData` where no record is taken, `BadInput` where the paths of a column
    that is needed lead nowhere in all of them.
    """
    with tempfile.TemporaryDirectory(prefix=f"{out.name}.rows", dir=out.parent) as directory:
        importing = _Importing(mapping, Path(directory), identities, users_at_once)
        for records in batches:
            importing.take(records)
        return importing.finish(out)


def adapt(
    batches: Iterable[pd.DataFrame],
    mapping: SourceMapping,
    identities: Mapping[str, str] = _NOBODY,
) -> Imported:
    """`import_records` as a log in memory."""
    with tempfile.TemporaryDirectory(prefix="pushwise-") as directory:
        out = Path(directory) / "log"
        out.mkdir()
        account = import_records(batches, mapping, out, identities)
        return Imported(**vars(account), tables=read_raw(out)[0], meta=mapping.meta)


class _Importing:
    def __init__(
        self, mapping: SourceMapping, directory: Path, identities: Mapping[str, str], at_once: int
    ) -> None:
        self.mapping, self.directory = mapping, directory
        self.identities, self.users_at_once = identities, at_once
        self.read, self.unused, self.joined = 0, 0, 0
        self.led, self.lost = set[str](), set[str]()
        self.made: Counter[str] = Counter()
        self.repaired: Counter[str] = Counter()
        self.sizes: dict[str, int] = {}
        self.columns = {name: self._columns(name) for name in TABLES}
        self.typed = {name: Typed(name, self.columns[name]) for name in TABLES}
        self.stored: dict[str, Rows] = {}
        self.described: dict[str, list[pd.DataFrame]] = {"items": [], "variants": []}
        self.named: dict[tuple[str, str], dict[str, int]] = {}
        """(table, who names them) → ids, each with its number"""
        self.bought: list[tuple[np.ndarray, np.ndarray]] = []
        """items (n,) int32 by their number and amounts (n,) float64 of purchases"""
        whose = ["user_id", *(c for c in self.columns["users"] if c != "user_id")]
        schema = [
            *((name, pa.string()) for name in whose),
            (PLACE, pa.int64()),
            (FIRST, pa.int64()),
        ]
        self.users = Rows(directory / "users", pa.schema(schema))

    def _columns(self, name: str) -> list[str]:
        blocks = [rows for rows in self.mapping.rows if rows.table == name]
        return list(dict.fromkeys(column for rows in blocks for column in rows.cells))

    def take(self, records: pd.DataFrame) -> None:
        """The next records."""
        made = rows_of(records, self.mapping)
        self.read, self.unused = self.read + len(records), self.unused + made.unused
        self.led |= made.led
        self.lost |= made.lost
        for name, table in made.tables.items():
            if self.identities and "user_id" in table:
                users, known = joined(texts_of(table["user_id"]), self.identities)
                self.joined += known
                table = table.assign(user_id=users)
            if name in DESCRIBED:
                self._describe(name, table)
            else:
                self._store(name, table)
            self.made[name] += len(table)

    def _describe(self, name: str, table: pd.DataFrame) -> None:
        self.typed[name].seen |= set(table.columns)
        table = table.apply(texts_of)
        if name == "users":
            self._user_rows(table.assign(**{PLACE: self.made[name] + np.arange(len(table))}))
            return
        frames = self.described[name]
        frames.append(latest(table, str(TABLES[name].key)))
        # So that each is gone through a few times, however many batches there are.
        if sum(map(len, frames[1:])) > len(frames[0]):
            self.described[name] = [self._latest(name)]

    def _latest(self, name: str) -> pd.DataFrame:
        key = str(TABLES[name].key)
        frames = self.described[name] or [pd.DataFrame({key: pd.Series(dtype="str")})]
        return latest(pd.concat(frames, ignore_index=True), key)

    def _user_rows(self, rows: pd.DataFrame) -> None:
        rows = _one_each(rows.assign(**{FIRST: rows.get(FIRST, _NEVER)}))
        whole = rows.reindex(columns=self.users.schema.names)
        self.users.append(pa.Table.from_pandas(whole, self.users.schema, preserve_index=False))

    def _store(self, name: str, table: pd.DataFrame) -> None:
        rows = self.typed[name].table(table)
        if name not in self.stored:
            self.stored[name] = Rows(self.directory / name, rows.schema)
        self.stored[name].append(rows)
        if name in _ACTS:
            at = rows.column(_ACTS[name]).cast(pa.int64()).fill_null(_NEVER)
            place = _NAMED_BY[name] + self.made[name] + np.arange(len(rows))
            users = rows.column("user_id").to_pandas()
            self._user_rows(pd.DataFrame({"user_id": users, PLACE: place, FIRST: at.to_pandas()}))
            items = self._name("items", name, rows.column("item_id"))
            if name == "events":
                self._buy(rows, items)
            else:
                self._name("variants", name, rows.column("variant_id"))

    def _name(self, table: str, by: str, ids: pa.ChunkedArray) -> np.ndarray:
        """The number (n,) int32 of each id, -1 for a missing one."""
        numbers = self.named.setdefault((table, by), {})
        coded = ids.combine_chunks().dictionary_encode()
        of = [numbers.setdefault(each, len(numbers)) for each in coded.dictionary.to_pylist()]
        code = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return np.array([*of, -1], np.int32)[code]

    def _buy(self, events: pa.Table, items: np.ndarray) -> None:
        bought = pc.equal(events.column("event"), "purchase").fill_null(False)
        values = events.column("value").to_numpy()
        rows = np.flatnonzero(bought.to_numpy() & ~np.isnan(values) & (items >= 0))
        self.bought.append((items[rows], values[rows]))

    def finish(self, out: Path) -> Account:
        """Write the log."""
        self._check()
        lost = sorted(self.lost - self.led)
        made = {f"made rows of {name}": count for name, count in self.made.items()}
        if self.joined:
            self.repaired["ids joined to their user"] = self.joined
        self._write_users(out)
        self._write_described(out, "items", ("events", "decisions"), self._of_items)
        if self.made["variants"] or ("variants", "decisions") in self.named:
            self._write_described(out, "variants", ("decisions",), self._of_variants)
        for name in {"events": 0, **self.stored}:
            tables = self.stored[name].tables() if name in self.stored else ()
            self.typed[name].write(out, tables)
            self.sizes[name] = self.made[name]
        write_meta(out, self.mapping.meta)
        return Account(
            self.read,
            {name: self.sizes[name] for name in TABLES if name in self.sizes},
            {"the mapping has no use for it": self.unused},
            dict(self.repaired),
            made | {f"no record has {each}": 0 for each in lost},
        )

    def _check(self) -> None:
        if not self.read:
            raise NotEnoughData("there is no record in what was given")
        if not self.made:
            raise NotEnoughData(f"no record of {self.read} matches the mapping: see its `where`")
        for each in sorted(self.lost - self.led):
            if _needed(each):
                raise BadInput(f"the mapping's {each} is in no record: correct the path")

    def _write_users(self, out: Path) -> None:
        count = max(-(-self.users.count // self.users_at_once), 1)
        parts, files = Parts(self.directory, count, False), []
        for table in self.users.tables():
            parts.append("users", table)
        stored = parts.stored()
        for number in range(count if self.users.count else 0):
            frame = frame_of(stored.read(number, ("users",))["users"])
            users = _one_each(frame).sort_values(PLACE, ignore_index=True)
            self.repaired["users only named, made up"] += int(
                (users[PLACE] >= _NAMED_BY["events"]).sum()
            )
            acted = texts_of(time_column(users[FIRST].replace(_NEVER, _MISSING).to_numpy()))
            zone = self.mapping.meta.default_timezone or NO_ZONE
            whole = self._filled("users", users, {"timezone": zone, "signed_up_at": acted})
            table = self.typed["users"].table(whole)
            files.append(self.directory / f"whole-users.{number}")
            write_file(files[-1], table.append_column(PLACE, pa.array(users[PLACE])), _CHUNK)
            self.sizes["users"] = self.sizes.get("users", 0) + len(users)
        self.repaired = +self.repaired
        self.typed["users"].write(out, in_order(files, PLACE))

    def _write_described(self, out: Path, name: str, by: Sequence[str], of: _Fillings) -> None:
        key, have = str(TABLES[name].key), self._latest(name)
        ids = chain.from_iterable(self.named.get((name, who), ()) for who in by)
        have, fresh = named(have, key, ids)
        if fresh:
            self.repaired[f"{name} only named, made up"] = fresh
        whole = self._filled(name, have, of(have))
        self.typed[name].write(out, [self.typed[name].table(whole)])
        self.sizes[name] = len(whole)

    def _filled(
        self, name: str, table: pd.DataFrame, values: Mapping[str, pd.Series | str]
    ) -> pd.DataFrame:
        whole, made = filled(name, table, values)
        self.repaired.update(made)
        return whole

    def _of_items(self, items: pd.DataFrame) -> dict[str, pd.Series | str]:
        numbers = np.concatenate([np.zeros(0, np.int32), *(each for each, _ in self.bought)])
        values = np.concatenate([np.zeros(0), *(each for _, each in self.bought)])
        median = pd.Series(values).groupby(numbers).median()
        number = items["item_id"].map(self.named.get(("items", "events"), {}))
        price = texts_of(number.map(median).fillna(0.0))
        return {"title": items["item_id"], "category": UNKNOWN, "brand": UNKNOWN, "price": price}

    def _of_variants(self, variants: pd.DataFrame) -> dict[str, pd.Series | str]:
        return {"style": UNKNOWN, "title": ITEM, "body": ITEM}


def _one_each(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each user: what was said last, the first place and the first time."""
    whole = rows[rows["user_id"].notna()].groupby("user_id", sort=False)
    one = whole.last()
    one[[PLACE, FIRST]] = whole[[PLACE, FIRST]].min()
    return one.reset_index()


def _needed(where: str) -> bool:
    table, name = where.partition(" ")[0].split(".")
    known = {column.name: column for column in TABLES[table].columns}
    by_itself = table in DESCRIBED and name != TABLES[table].key
    needed = name in known and known[name].required and known[name].missing is Missing.ERROR
    return needed and not by_itself
