"""What PostgreSQL's partitions cost and buy, beside the same store with one table each.

    python -m benchmarks.partitions [--rows 200000] [--parts convert speed archive prune]

convert: a store of three months is migrated. speed: decisions, outcomes and look-ups in turns on
both. archive: the first of the months leaves both. prune: a day's snapshots are over in both. Users
have 20 decisions a month. The archive's pauses, as long as its work, are left out.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, text

from benchmarks.crashes import prepared
from mdp.clock import DAY
from serving import archive as archiving
from serving.clocks import wall_clock
from serving.commit import Keyed
from serving.decide import Decider
from serving.ledger import ledger
from serving.monthly import archive_months
from serving.partitions import Part, keep_partitions, part_of
from serving.record import record_outcomes
from serving.registry import Registry
from serving.rows import rows_by_key
from serving.schemas import Ask, iso
from serving.settings import read_settings
from serving.store import open_store, reading, writing
from serving.tables import DECISIONS, PARTED
from serving.upkeep import prune
from serving.users import new_user, write_users

DECISIONS_EACH = 20
"""Of a user in a month."""
BYTES = 2800
"""Of a snapshot."""
FILL = """
INSERT INTO decisions (decision_id, user_id, decided_at, item_id, variant_id, send_at, propensity,
    policy, candidates, variants, hours, turn, arm, reason, schema, policy_hash, rules_hash, title,
    body, nth)
SELECT lpad(to_hex(at / 1000), 12, '0') || substr(md5(random()::text), 1, 20), 'u' || n % :users,
    at, 'i1', 'v', at + 3600000000, 0.5, 'policy', 'i0|i1|i2|i3|i4|i5', 'v',
    '8|9|10|11|12|13|14|15|16|17|18|19|20|21', 0, 'policy', 'policy', md5('s'), md5('p'),
    md5('r'), 'Candle set', 'Now 71.99 in lighting', n / :users + 1
FROM (SELECT n, :start + n * (:span / :rows) AS at FROM generate_series(0, :rows - 1) n) t
"""
OUTCOMES = """
INSERT INTO outcomes
SELECT decision_id, 'clicked', send_at + 36000000000, NULL, 1 FROM decisions
WHERE decided_at >= :start AND decided_at < :start + :span AND nth % 2 = 0
"""
SNAPSHOTS = """
INSERT INTO snapshots
SELECT lpad(to_hex(at / 1000), 12, '0') || substr(md5(random()::text), 1, 20), at, data
FROM (SELECT n, :start + n * (:span / :rows) AS at FROM generate_series(0, :rows - 1) n) t
JOIN blobs ON blobs.id = n % 1000
"""


def flat(url: str) -> None:
    """Give an empty store one table each, as stores had before."""
    engine = open_store(url)
    with writing(engine) as connection:
        for table in (table.name for table in PARTED):
            connection.execute(text(f"ALTER TABLE {table} DETACH PARTITION {table}_default"))
            connection.execute(text(f"DROP TABLE {table}"))
            connection.execute(text(f"ALTER TABLE {table}_default RENAME TO {table}"))
            connection.execute(text(f"ALTER INDEX {table}_default_pkey RENAME TO {table}_pkey"))
        given = "decisions_default_user_id_decided_at_idx"
        connection.execute(text(f"ALTER INDEX {given} RENAME TO decisions_user"))
        connection.execute(text("CREATE INDEX snapshots_at ON snapshots (at)"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0010'"))
    engine.dispose()


def months(now: int) -> list[Part]:
    """The month of now, and the two before."""
    this = part_of("decisions", now)
    last = part_of("decisions", this.begin - 1)
    return [part_of("decisions", last.begin - 1), last, this]


def filled(engine: Engine, rows: int, now: int) -> None:
    """Put so many decisions of each of three months into a store, and outcomes of half of them."""
    users = rows // DECISIONS_EACH
    with writing(engine) as connection:
        people = [new_user(f"u{n}", now, True, "UTC") for n in range(users)]
        write_users(connection, people)
        for month in months(now):
            span = min(month.end, now) - month.begin
            values = {"users": users, "start": month.begin, "span": span, "rows": rows}
            connection.execute(text(FILL), values)
            connection.execute(text(OUTCOMES), {"start": month.begin, "span": span})
        count = "(SELECT count(*) FROM decisions d WHERE d.user_id = users.user_id)"
        connection.execute(text(f"UPDATE users SET decisions = {count}"))
        received = "INSERT INTO counters SELECT 'received', count(*) FROM outcomes"
        connection.execute(text(received))
    vacuum(engine)


def vacuum(engine: Engine, words: str = "ANALYZE") -> float:
    """Vacuum the tables; seconds."""
    began = time.perf_counter()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in PARTED:
            connection.execute(text(f"VACUUM ({words}) {table.name}"))
    return time.perf_counter() - began


def megabytes(engine: Engine, *tables: str) -> float:
    """Of tables with their partitions and indexes."""
    size = (
        "SELECT pg_total_relation_size(to_regclass(:t)) + coalesce("
        "(SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits "
        "WHERE inhparent = to_regclass(:t)), 0)"
    )
    with reading(engine) as connection:
        return sum(float(connection.scalar(text(size), {"t": t})) for t in tables) / 1e6


def balanced(engine: Engine) -> dict[str, int]:
    """The ledger's decisions; stops where it is off."""
    with reading(engine) as connection:
        found = ledger(connection, wall_clock())
    assert found["unbalanced"] == 0, found
    return dict(found["decisions"])


def convert(url: str, rows: int) -> None:
    """Migrate a store of before."""
    flat(url)
    engine = open_flat(url)
    filled(engine, rows, wall_clock())
    before, size = balanced(engine), megabytes(engine, "decisions", "outcomes")
    engine.dispose()
    began = time.perf_counter()
    engine = open_store(url)
    seconds = time.perf_counter() - began
    assert balanced(engine) == before
    print(f"converted {before['total']:,} decisions, {size:.0f} MB: {seconds:.3f} s")
    began = time.perf_counter()
    keep_partitions(engine, read_settings(store=url), wall_clock())
    print(f"the first partitions, beside all of these rows: {time.perf_counter() - began:.3f} s")
    engine.dispose()


def open_flat(url: str) -> Engine:
    """A store with one table each, which is not migrated."""
    from serving.store import _engine

    return _engine(url)


@contextmanager
def both(urls: tuple[str, str]) -> Iterator[dict[str, Engine]]:
    """A store with one table each, and one with partitions."""
    flat(urls[0])
    engines = {"one table": open_flat(urls[0]), "partitions": open_store(urls[1])}
    settings = read_settings(store=urls[1])
    for month in months(wall_clock()):
        keep_partitions(engines["partitions"], settings, month.begin)
    keep_partitions(engines["partitions"], settings, wall_clock())
    yield engines
    for engine in engines.values():
        engine.dispose()


def speed(urls: tuple[str, str], rows: int) -> None:
    """Decisions, outcomes and look-ups, in turns."""
    with both(urls) as engines, tempfile.TemporaryDirectory() as directory:
        ids, deciders = {}, {}
        for (name, engine), url in zip(engines.items(), urls, strict=True):
            filled(engine, rows, wall_clock())
            with writing(engine) as connection:
                connection.execute(text("UPDATE alembic_version SET version_num = '0011'"))
            prepared(Path(directory), url)
            deciders[name] = Decider(engine, Registry(), read_settings(store=url))
            with reading(engine) as connection:
                found = connection.scalars(text("SELECT decision_id FROM decisions LIMIT 300000"))
                ids[name] = np.random.default_rng(0).permutation(list(found)).tolist()

        def decide(name: str, turn: int, size: int) -> None:
            asked = [Keyed(Ask(user_id=f"n{turn}-{n}")) for n in range(size)]
            deciders[name].decide(asked)

        def look_up(name: str, turn: int, size: int) -> None:
            with reading(engines[name]) as connection:
                rows_by_key(connection, DECISIONS, ids[name][turn * size :][:size])

        def tell(name: str, turn: int, size: int) -> None:
            at = iso(wall_clock())
            told = [
                {"decision_id": one, "outcome": "opened", "at": at}
                for one in ids[name][-(turn + 1) * size :][:size]
            ]
            record_outcomes(engines[name], deciders[name]._settings, told, wall_clock())

        jobs: list[tuple[str, Callable[[str, int, int], None], int, int]] = [
            ("decide for 1", decide, 1, 150),
            ("decide for 16", decide, 16, 600),
            ("decide for 1,000", decide, 1000, 24),
            ("look up 1 decision", look_up, 1, 300),
            ("look up 16", look_up, 16, 200),
            ("take 16 outcomes", tell, 16, 60),
        ]
        for offset, (said, job, size, turns) in enumerate(jobs):
            in_turns(said, job, list(engines), size, turns, offset * 100_000)


def in_turns(
    said: str,
    job: Callable[[str, int, int], None],
    names: list[str],
    size: int,
    turns: int,
    first: int,
) -> None:
    """Prints the median of milliseconds on each store, and of this process's processor time."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for turn in range(turns):
        for name in names if turn % 2 else names[::-1]:
            began, used = time.perf_counter(), time.process_time()
            job(name, first + turn if "decide" in said else turn, size)
            took[name].append((time.perf_counter() - began, time.process_time() - used))
    medians = {name: 1000 * np.median(took[name][turns // 10 :], axis=0) for name in names}
    shown = ", ".join(f"{n} {m[0]:.2f} ms ({m[1]:.2f})" for n, m in medians.items())
    print(f"{said}: {shown}", flush=True)


def archive(urls: tuple[str, str], rows: int) -> None:
    """The first month leaves both stores."""
    archiving.time.sleep = lambda _: None
    keep = archiving.keep_partitions
    with both(urls) as engines, tempfile.TemporaryDirectory() as directory:
        for name, engine in engines.items():
            filled(engine, rows, wall_clock())
            before = megabytes(engine, "decisions", "outcomes")
            dropping: list[float] = []

            def kept(*given: object, name: str = name, took: list[float] = dropping) -> None:
                began = time.perf_counter()
                if name == "partitions":
                    keep(*given)  # type: ignore[arg-type]
                took.append(time.perf_counter() - began)

            archiving.keep_partitions = kept  # type: ignore[assignment]
            deleting = timed_deletes()
            began, cpu = time.perf_counter(), os.times().user
            out = Path(directory) / name
            (done,) = archive_months(engine, read_settings(), out, wall_clock())
            seconds, used = time.perf_counter() - began, os.times().user - cpu
            after = megabytes(engine, "decisions", "outcomes")
            print(
                f"{name}: {done.decisions:,} decisions, {done.outcomes:,} outcomes left in "
                f"{seconds:.1f} s ({used:.1f} of this process's processor), {deleting():.1f} of it "
                f"deletes, {sum(dropping):.2f} dropping; {before:.0f} MB before, {after:.0f} after"
            )
            print(f"  {balanced(engine)}")
            seconds, size = vacuum(engine), megabytes(engine, "decisions", "outcomes")
            print(f"  VACUUM: {seconds:.1f} s, {size:.0f} MB after")
            seconds, size = vacuum(engine, "FULL"), megabytes(engine, "decisions", "outcomes")
            print(f"  VACUUM FULL: {seconds:.1f} s, {size:.0f} MB after", flush=True)


def timed_deletes() -> Callable[[], float]:
    """Tells the seconds of the archive's deletes from now on."""
    took, delete = [0.0], archiving._delete

    def timed(*given: object) -> None:
        began = time.perf_counter()
        delete(*given)  # type: ignore[arg-type]
        took[0] += time.perf_counter() - began

    archiving._delete = timed  # type: ignore[assignment]
    return lambda: took[0]


def pruning(urls: tuple[str, str], rows: int) -> None:
    """A day's snapshots are over, and another's stay."""
    rng, now = np.random.default_rng(0), wall_clock()
    today = part_of("snapshots", now).begin
    with both(urls) as engines:
        for name, engine in engines.items():
            settings = read_settings(snapshot_days=(now - today) / DAY + 1)
            if name == "partitions":
                keep_partitions(engine, settings.model_copy(), today - 2 * DAY)
            with writing(engine) as connection:
                connection.execute(text("CREATE TEMP TABLE blobs (id int, data bytea)"))
                blobs = [{"id": n, "data": rng.bytes(BYTES)} for n in range(1000)]
                connection.execute(text("INSERT INTO blobs VALUES (:id, :data)"), blobs)
                for start in (today - 2 * DAY, today - DAY):
                    values = {"start": start, "span": DAY, "rows": rows}
                    connection.execute(text(SNAPSHOTS), values)
            vacuum(engine)
            before, began = megabytes(engine, "snapshots"), time.perf_counter()
            if name == "partitions":
                keep_partitions(engine, settings, now)
            else:
                prune_flat(engine, settings, now)
            seconds, after = time.perf_counter() - began, megabytes(engine, "snapshots")
            print(f"{name}: {seconds:.2f} s, {before:.0f} MB before, {after:.0f} after")
            seconds, size = vacuum(engine), megabytes(engine, "snapshots")
            print(f"  VACUUM: {seconds:.1f} s, {size:.0f} MB after", flush=True)


def prune_flat(engine: Engine, settings: object, now: int) -> None:
    """Delete row by row, as in SQLite."""
    from serving import upkeep

    upkeep.keep_partitions, upkeep.default_of = (lambda *_: None), (lambda table: table)
    prune(engine, settings, now)  # type: ignore[arg-type]


def main() -> None:
    """Prints lines."""
    from tests.serving.postgresql import running

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="decisions of a month")
    known = ("convert", "speed", "archive", "prune")
    parser.add_argument("--parts", nargs="+", choices=known, default=known)
    args = parser.parse_args()
    print(f"{args.rows:,} decisions a month, {datetime.now(UTC):%d %B %Y}")
    for part in args.parts:
        with running() as cluster:
            print(f"{part}:")
            if part == "convert":
                convert(cluster.database(), args.rows)
                continue
            do = {"speed": speed, "archive": archive, "prune": pruning}[part]
            do((cluster.database(), cluster.database()), args.rows)


if __name__ == "__main__":
    main()
