"""Keyed pseudonyms, scrubbed texts, coarser times, k-anonymity; erasing people and old rows."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ingestion.log import Log, LogMeta
from ingestion.parse import as_text, parse_column
from ingestion.schema import SEPARATOR, TABLES, Type
from ingestion.scrub import scrubbed
from mdp.errors import BadInput

LEAST_KEY = 16
"""Bytes of the shortest key that is accepted."""
LENGTH = 24
"""Hexadecimal digits of a pseudonym: two of a billion ids collide with a chance of 1e-11."""
COARSE = {"hour": "h", "day": "D"}
PERSONAL = re.compile(
    r"e[-_]?mail|phone|mobile|(?:^|_)tel|fax|(?:first|last|full|middle|user|nick|sur|given|family)_?name"
    r"|^name$|address|street|city|zip|post_?code|birth|dob|(?:^|_)ip(?:_|$)|idfa|gaid|advertising|"
    r"device_?(?:id|token)|push_?token|passport|ssn|latitude|longitude|(?:^|_)(?:lat|lon|lng)$"
    r"|姓名|手机|电话|邮箱|邮件|地址|身份证|生日",
    re.IGNORECASE,
)
"""Names of columns that are dropped."""
FREE_TEXTS = ("reviews.text", "decisions.reason")
"""Columns of the format that people may write anything in."""
FEW = 5
"""A combination of attributes that fewer users share singles them out."""
_KINDS = {"users": "user", "items": "item", "variants": "variant", "decisions": "decision"}


def read_key(file: Path) -> bytes:
    """A secret key; raises `BadInput` for one that is too short to be one."""
    if not file.is_file():
        raise BadInput(
            f"{file} is not there: make a key with `head -c 32 /dev/urandom > {file}`, and keep it "
            "apart from the logs"
        )
    key = file.read_bytes().strip()
    if len(key) < LEAST_KEY:
        raise BadInput(f"{file} holds {len(key)} bytes; a key has at least {LEAST_KEY}")
    return key


def pseudonym(key: bytes, kind: str, name: str) -> str:
    """HMAC-SHA256 of an id under the key, `LENGTH` hexadecimal digits; kinds don't mix."""
    return hmac.new(key, f"{kind}\n{name}".encode(), hashlib.sha256).hexdigest()[:LENGTH]


@dataclass
class Privacy:
    """What pseudonymising did, without any value of the log."""

    ids: dict[str, int] = field(default_factory=dict)
    """values replaced, by column"""
    dropped: list[str] = field(default_factory=list)
    """columns dropped"""
    scrubbed: dict[str, dict[str, int]] = field(default_factory=dict)
    """finds in texts, by column and kind"""
    coarsened: str | None = None
    """what times were cut to"""
    quasi: list[str] = field(default_factory=list)
    """attributes of users that are left"""
    k: int | None = None
    """users that share the rarest combination of them"""
    few: int = 0
    """users whose combination fewer than `FEW` share"""
    few_without: dict[str, int] = field(default_factory=dict)
    """the same count, were an attribute dropped, by attribute"""


def pseudonymised(
    log: Log, key: bytes, coarsen: str | None = None
) -> tuple[dict[str, pd.DataFrame], LogMeta, Privacy]:
    """The tables that hold rows, without what names a person, and an account.

    Every id becomes its pseudonym, in lists too; the same key gives the same pseudonym, so logs
    still join. Columns of our format stay, with free texts scrubbed; of other columns those with a
    personal name or with structures inside are dropped and texts are scrubbed. `coarsen` cuts all
    times to hour or day, UTC.
    """
    done = Privacy(coarsened=coarsen)
    tables = {}
    for name, frame in log.tables.items():
        if frame.empty and not TABLES[name].required:
            continue
        out = frame.copy()
        known = {column.name: column for column in TABLES[name].columns}
        for column in frame.columns:
            where = f"{name}.{column}"
            kind = known[column].type if column in known else None
            if kind in (Type.ID, Type.IDS):
                out[column] = _ids(frame, name, column, key)
                done.ids[where] = int(frame[column].notna().sum())
            elif kind is Type.TIME:
                if coarsen is not None:
                    out[column] = frame[column].dt.floor(COARSE[coarsen])
            elif kind is None and (PERSONAL.search(column) or _nested(frame[column])):
                out = out.drop(columns=column)
                done.dropped.append(where)
            elif (kind is None and _is_text(frame[column])) or where in FREE_TEXTS:
                out[column], found = _scrubbed(frame[column])
                if found:
                    done.scrubbed[where] = dict(found)
        if name == "changes":
            out = _changes(out, done)
        tables[name] = out
    _singled_out(tables["users"], done)
    return tables, dataclasses.replace(log.meta, other={}), done


def _changes(changes: pd.DataFrame, done: Privacy) -> pd.DataFrame:
    """Changes of columns that are left, their values scrubbed."""
    columns = changes["column"].fillna("")
    dropped = [where.partition(".")[2] for where in done.dropped]
    left = changes[~(columns.isin(dropped) | columns.str.contains(PERSONAL))]
    values, found = _scrubbed(left["value"])
    if found:
        done.scrubbed["changes.value"] = dict(found)
    return left.assign(value=values).reset_index(drop=True)


def _ids(frame: pd.DataFrame, table: str, column: str, key: bytes) -> pd.Series:
    if table == "changes":
        kinds = frame["table"].map(_KINDS)
        pairs = zip(kinds, frame[column], strict=True)
        return pd.Series([pseudonym(key, str(k), v) for k, v in pairs], frame.index, dtype="str")
    described = TABLES[table].column(column)
    kind = _KINDS.get(described.refers_to or table, "event")
    texts = frame[column].dropna().unique()
    new = {
        text: SEPARATOR.join(pseudonym(key, kind, part) for part in text.split(SEPARATOR))
        for text in map(str, texts)
    }
    return frame[column].map(new).astype("str")


def _nested(values: pd.Series) -> bool:
    return values.dtype == object and bool(values.map(pd.api.types.is_list_like).any())


def _is_text(values: pd.Series) -> bool:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return _is_text(values.cat.categories.to_series())
    return values.dtype == object or isinstance(values.dtype, pd.StringDtype)


def _scrubbed(values: pd.Series) -> tuple[pd.Series, Counter[str]]:
    whole: Counter[str] = Counter()
    new: dict[str, str] = {}
    texts = as_text(values)
    for text, count in texts.value_counts().items():
        new[str(text)], found = scrubbed(str(text))
        for kind, number in found.items():
            whole[kind] += number * int(count)
    return texts.map(new).astype("str"), +whole


def without_people(texts: pd.Series) -> pd.Series:
    """Texts (n,) with what names or reaches a person replaced by its kind."""
    return _scrubbed(texts)[0]


def _singled_out(users: pd.DataFrame, done: Privacy) -> None:
    aside = {"user_id", "signed_up_at"}
    done.quasi = [str(c) for c in users if c not in aside and users[c].notna().any()]
    if done.quasi and len(users):
        codes = pd.DataFrame(
            {c: pd.factorize(users[c], use_na_sentinel=False)[0] for c in done.quasi}
        )
        shared = _sharing(codes)
        done.k, done.few = int(shared.min()), int((shared < FEW).sum())
        done.few_without = {
            column: int((_sharing(codes.drop(columns=column)) < FEW).sum()) for column in done.quasi
        }


def _sharing(codes: pd.DataFrame) -> pd.Series:
    """How many rows (n,) share each row's values; all of them where there is no column."""
    if codes.columns.empty:
        return pd.Series(len(codes), codes.index)
    return codes.assign(n=1).groupby(list(codes.columns))["n"].transform("size")


def erased(
    raw: Mapping[str, pd.DataFrame], users: Collection[str] = (), before: pd.Timestamp | None = None
) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """Tables without some users and all that is theirs, and without what is older than an instant
    (with users that nothing is left of and who signed up before it); rows removed, by table."""
    tables = {name: frame.reset_index(drop=True) for name, frame in raw.items() if name in TABLES}
    gone = {
        name: _column(frame, name, "user_id").isin(list(users)).to_numpy(bool, copy=True)
        for name, frame in tables.items()
    }
    if before is not None:
        for name, column in (("events", "at"), ("decisions", "decided_at"), ("reviews", "at")):
            if name in tables:
                gone[name] |= (_column(tables[name], name, column) < before).to_numpy(bool)
        left = {
            user
            for name in ("events", "decisions", "reviews")
            if name in tables
            for user in _column(tables[name], name, "user_id")[~gone[name]].dropna()
        }
        own = _column(tables["users"], "users", "user_id")
        old = _column(tables["users"], "users", "signed_up_at") < before
        gone["users"] |= (old & ~own.isin(list(left))).to_numpy(bool)
    if "outcomes" in tables and "decisions" in tables:
        decided = _column(tables["decisions"], "decisions", "decision_id")[gone["decisions"]]
        mine = _column(tables["outcomes"], "outcomes", "decision_id").isin(list(decided))
        gone["outcomes"] |= mine.to_numpy(bool)
    if "changes" in tables:
        people = _column(tables["users"], "users", "user_id")[gone["users"]]
        of = tables["changes"]["table"].eq("users")
        ids = _column(tables["changes"], "changes", "id")
        gone["changes"] |= (of & ids.isin([*users, *people])).to_numpy(bool)
    kept = {name: frame[~gone[name]].reset_index(drop=True) for name, frame in tables.items()}
    return kept, {name: int(mask.sum()) for name, mask in gone.items()}


def _column(frame: pd.DataFrame, table: str, column: str) -> pd.Series:
    """A column, typed; missing throughout where the table has none."""
    described = {each.name: each for each in TABLES[table].columns}.get(column)
    if described is None or column not in frame:
        return pd.Series(None, frame.index, dtype="str")
    return parse_column(described, frame[column]).values
