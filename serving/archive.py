"""Old rows leave the store as a log: what happened to users before an instant.

The store's transactions are what counts. Rows are appended to files beside the log, and are on
disk when the transaction commits that deletes them and keeps how long the files now are. Whoever
comes after a kill cuts the files to that length and goes on, so that each row is in the log or in
the store, and never in both. When the last user is done the directory gets its name.

Of a user all goes that happened before the instant, or before an earlier one: a decision stays,
with what came after it, while it has outcomes of after the instant or waits to be sent. What the
store keeps is the history as of then, which later rebuilds start from, and each decision's id and
user. Users, the catalogue and changes stay, and are in the log too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import structlog
from sqlalchemy import Connection, Engine, Row, Table, delete, func, insert, select, update

from ingestion.read import meta_of
from ingestion.write import sync, write_tables
from mdp.clock import DAY
from mdp.errors import BadInput
from serving.access import audit
from serving.archived import unfinished
from serving.checksums import NEXT, checksums
from serving.export import as_csv, framed, log_meta, logged_columns, table_frame, typed
from serving.history import replayed
from serving.partitions import keep_partitions
from serving.problems import UserProblem
from serving.rows import by_key, found_by_key, key_list, upsert
from serving.schemas import iso
from serving.settings import Settings
from serving.store import reading, writing
from serving.tables import (
    ARCHIVED,
    ARCHIVES,
    DECISIONS,
    EVENTS,
    OUTBOX,
    OUTCOMES,
    SHADOWS,
    SNAPSHOTS,
    STARTS,
    USERS,
)
from serving.users import read_users

SETTLED = 30
"""Days that everything stays at least, for outcomes that come late."""
AT_ONCE = 20
"""Users of one transaction, which other writers may wait for."""
LOCK = "archive"
"""Name that the transactions of all archiving processes share."""
MOVED = {"events": EVENTS, "decisions": DECISIONS, "outcomes": OUTCOMES}
"""Tables whose rows leave."""
EVER = 2**62
Progress = Callable[[int, int], None]
"""Is told how many users of how many are done."""
REST = ("users", "items", "variants", "changes")
"""Tables that are copied."""


def no_progress(done: int, total: int) -> None:
    """Tells nobody."""


def archive(
    engine: Engine,
    settings: Settings,
    before: int,
    out: Path,
    now: int,
    progress: Progress = no_progress,
) -> Row[Any]:
    """Move what happened before an instant into a new log; returns the row of `archives`.

    After a kill the same call goes on, and does nothing once all is done. Raises `BadInput` where
    `out` is there already, where the instant is less than `SETTLED` days ago or within the time
    that snapshots and answers to idempotency keys are kept, and where another archive is not
    finished.

    After each transaction as much time is left to other writers as it took.
    """
    row = _begun(engine, settings, before, out, now)
    if row.done:
        return row
    with reading(engine) as connection:
        total = connection.scalar(select(func.count()).select_from(USERS)) or 0
    done, start = 0, time.monotonic()
    while _beside(out).exists() and (moved := _moved(engine, row.number, out)):
        done += moved
        progress(min(done, total), total)
        time.sleep(time.monotonic() - start)
        start = time.monotonic()
    row = _finished(engine, settings, row.number, out, now)
    keep_partitions(engine, settings, now)
    return row


def latest(settings: Settings, now: int) -> int:
    """The latest instant that may be archived before."""
    kept = max(SETTLED, settings.snapshot_days, settings.idempotency_days)
    return now - round(kept * DAY)


def _begun(engine: Engine, settings: Settings, before: int, out: Path, now: int) -> Row[Any]:
    """The archive, which is new or was begun before."""
    mine = select(ARCHIVES).where(ARCHIVES.c.before == before, ARCHIVES.c.out == str(out))
    with writing(engine) as connection:
        if (begun := connection.execute(mine).first()) is not None:
            return begun
        if (other := unfinished(connection)) is not None:
            raise BadInput(
                f"the archive before {iso(other.before)} into {other.out} is not finished: give "
                "the same command again first"
            )
        if before > latest(settings, now):
            raise BadInput(
                f"--before is {iso(before)}; what is younger than {iso(latest(settings, now))} "
                f"stays: outcomes may come for {SETTLED} days, and snapshots and answers to "
                "idempotency keys are kept for their time"
            )
        if out.exists():
            raise BadInput(f"{out} is there already: name a new directory")
        row = {"before": before, "out": str(out), "at": now, "upto": "", "sizes": {}, "done": 0}
        connection.execute(insert(ARCHIVES).values(**row, **dict.fromkeys(MOVED, 0)))
        _beside(out).mkdir(parents=True, exist_ok=True)  # there until it gets its name
        return connection.execute(mine).one()


@dataclass
class Leaving:
    """What of one user leaves."""

    before: int
    """All that happened before this instant."""
    events: list[str] = field(default_factory=list)
    """Ids."""
    decisions: list[str] = field(default_factory=list)
    """Ids; their outcomes leave with them."""


def _moved(engine: Engine, number: int, out: Path) -> int:
    """Move what some users have to leave; returns the number of users, 0 after the last."""
    of = ARCHIVES.c.number == number
    with reading(engine) as connection:
        upto = connection.scalar(select(ARCHIVES.c.upto).where(of))
        later = select(USERS.c.user_id).where(USERS.c.user_id > upto)
        users = list(connection.scalars(later.order_by(USERS.c.user_id).limit(AT_ONCE)))
    if not users:
        return 0
    with writing(engine, {*users, LOCK}) as connection:
        row = connection.execute(select(ARCHIVES).where(of)).one()
        if row.upto != upto:  # another process has done so
            return len(users)
        leaving = _leaving(connection, users, row.before)
        starts = _starts(connection, leaving)
        leaving = {start["user_id"]: leaving[start["user_id"]] for start in starts}
        ids = {
            "events": [name for each in leaving.values() for name in each.events],
            "decisions": [name for each in leaving.values() for name in each.decisions],
        }
        frames = {
            name: _rows(connection, name, ids["events" if name == "events" else "decisions"])
            for name in MOVED
        }
        sizes = _appended(_beside(out), frames, row.sizes)
        _keep_what_remains(connection, starts, leaving, number)
        _uncount(connection, ids["decisions"])
        _delete(connection, [EVENTS], ids["events"])
        _delete(connection, [OUTCOMES, SNAPSHOTS, SHADOWS, OUTBOX, DECISIONS], ids["decisions"])
        counts = {name: getattr(row, name) + len(frame) for name, frame in frames.items()}
        values = {"upto": users[-1], "sizes": sizes, **counts}
        connection.execute(update(ARCHIVES).where(of).values(**values))
    return len(users)


def _leaving(connection: Connection, users: Sequence[str], before: int) -> dict[str, Leaving]:
    """What leaves of those users of whom something does."""
    made = (
        select(DECISIONS.c.user_id, DECISIONS.c.decision_id, DECISIONS.c.decided_at)
        .where(DECISIONS.c.user_id.in_(users), DECISIONS.c.decided_at < before)
        .order_by(DECISIONS.c.decided_at.desc())
    )
    decisions = connection.execute(made).all()
    open_until = _open_until(connection, [row.decision_id for row in decisions])
    all_of = {user: Leaving(before) for user in users}
    for row in decisions:  # the last ones first
        mine = all_of[row.user_id]
        if row.decided_at < mine.before <= open_until.get(row.decision_id, row.decided_at):
            mine.before = row.decided_at
    for row in reversed(decisions):
        if row.decided_at < all_of[row.user_id].before:
            all_of[row.user_id].decisions.append(row.decision_id)
    happened = select(EVENTS.c.user_id, EVENTS.c.event_id, EVENTS.c.at).where(
        EVENTS.c.user_id.in_(users), EVENTS.c.at < before
    )
    for event in connection.execute(happened.order_by(EVENTS.c.at, EVENTS.c.event_id)):
        if event.at < all_of[event.user_id].before:
            all_of[event.user_id].events.append(event.event_id)
    return {user: each for user, each in all_of.items() if each.events or each.decisions}


def _open_until(connection: Connection, decisions: list[str]) -> dict[str, int]:
    """The last outcome of decisions that have one; the end of time for what waits to be sent."""
    last = select(OUTCOMES.c.decision_id, func.max(OUTCOMES.c.at)).group_by(OUTCOMES.c.decision_id)
    of = OUTCOMES.c.decision_id.in_(by_key(DECISIONS, ("decision_id",)))
    found = {
        row[0]: row[1] for row in connection.execute(last.where(of), {"keys": key_list(decisions)})
    }
    for row in found_by_key(connection, OUTBOX, decisions, "decision_id", "state"):
        if row.state == "waiting":
            found[row.decision_id] = EVER
    return found


def _rows(connection: Connection, name: str, keys: list[str]) -> pd.DataFrame:
    """Rows of a table by the first column of its key, as the log has them."""
    columns = [column.name for column in logged_columns(name)]
    frame = framed(found_by_key(connection, MOVED[name], keys, *columns))
    order = [column for column in ("at", "decided_at") if column in frame] + columns[:1]
    return typed(frame.sort_values(order, ignore_index=True), name)


def _appended(
    directory: Path, frames: Mapping[str, pd.DataFrame], sizes: Mapping[str, int]
) -> dict[str, int]:
    """Append rows to the files, cut to the sizes that count first; returns the sizes by then."""
    new = {}
    for name, frame in frames.items():
        file, size = directory / f"{name}.csv", sizes.get(name, 0)
        file.touch()
        if file.stat().st_size < size:
            raise BadInput(f"{file} was cut off: {size} bytes of it have left the store")
        with file.open("r+b") as opened:
            opened.seek(size)
            opened.truncate()
            opened.write(as_csv(frame, header=size == 0))
            opened.flush()
            os.fsync(opened.fileno())
            new[name] = opened.tell()
    if not sizes:
        sync(directory)
        sync(directory.parent)
    return new


def _starts(connection: Connection, leaving: Mapping[str, Leaving]) -> list[dict[str, Any]]:
    """The histories that rebuilds start from; none of a user whose changes of consent no key
    opens, or whose last such history is damaged: of them everything stays."""
    starts = []
    for name, user in read_users(connection, leaving).items():
        before = leaving[name].before
        try:
            history = replayed(connection, user, before).tobytes()
        except UserProblem as problem:
            structlog.get_logger().warning("not archived", error=str(problem))
            continue
        (kept,) = checksums([history], [before])
        starts.append({"user_id": name, "before": before, "history": history, "checksum": kept})
    return starts


def _keep_what_remains(
    connection: Connection,
    starts: list[dict[str, Any]],
    leaving: Mapping[str, Leaving],
    number: int,
) -> None:
    """Keep the histories that rebuilds start from, and the ids of decisions."""
    upsert(connection, STARTS, starts)
    ids = [
        {"decision_id": decision, "user_id": user, "archive": number}
        for user, each in leaving.items()
        for decision in each.decisions
    ]
    if ids:
        connection.execute(insert(ARCHIVED), ids)


def _uncount(connection: Connection, decisions: list[str]) -> None:
    """Count a user's decisions without those that leave; who is about to be decided for is drawn
    again."""
    of = DECISIONS.c.decision_id.in_(by_key(DECISIONS, ("decision_id",)))
    left = select(DECISIONS.c.user_id, func.count(DECISIONS.c.nth)).where(of)
    keys = {"keys": key_list(decisions)}
    for user, count in connection.execute(left.group_by(DECISIONS.c.user_id), keys).all():
        if count:
            values = {
                "decisions": USERS.c.decisions - count,
                "version": USERS.c.version + 1,
                "checksum": USERS.c.checksum + NEXT,
            }
            connection.execute(update(USERS).where(USERS.c.user_id == user).values(**values))


def _delete(connection: Connection, tables: Iterable[Table], keys: list[str]) -> None:
    for table in tables:
        key = next(iter(table.primary_key.columns))
        gone = delete(table).where(key.in_(by_key(table, (key.name,))))
        connection.execute(gone, {"keys": key_list(keys)})


def _finished(engine: Engine, settings: Settings, number: int, out: Path, now: int) -> Row[Any]:
    """Give the log its other tables and its name."""
    of = ARCHIVES.c.number == number
    part = _beside(out)
    with reading(engine) as connection:
        row = connection.execute(select(ARCHIVES).where(of)).one()
        if part.exists():
            nothing = {name: _rows(connection, name, []) for name in MOVED}
            _appended(part, nothing, row.sizes)
            tables = {name: table_frame(connection, name, settings) for name in REST}
            write_tables(part, tables, meta_of(log_meta(connection, settings, row.before)))
            for file in part.iterdir():
                sync(file)
            os.replace(part, out)
            sync(out.parent)
        elif not out.exists():
            raise BadInput(f"{part} is gone, and rows had left the store for it: put it back")
    with writing(engine) as connection:
        connection.execute(update(ARCHIVES).where(of).values(done=1))
        row = connection.execute(select(ARCHIVES).where(of)).one()
        counts = {name: getattr(row, name) for name in MOVED}
        detail = {"before": iso(row.before), "out": row.out, **counts}
        audit(connection, now, "command line", "archive", detail)
        return row


def _beside(out: Path) -> Path:
    """Where the log is written until it is whole."""
    return out.with_name(f"{out.name}.part")
