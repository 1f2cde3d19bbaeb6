"""Clean a log: drop or repair what `pushwise check` calls an error, and record it.

OUT gets the tables without errors and `cleaning.json`: rows in = rows out + rows dropped.
Example:

    pushwise clean shop shop-clean
"""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """What to clean, and where to."""

    logs: Positional[Path]
    """directory of the log's tables"""
    out: Positional[Path]
    """directory for the cleaned log"""


def run(args: Args) -> None:
    """Cleans and prints what was done."""
    import json

    from ingestion.clean import clean
    from ingestion.read import read_raw
    from ingestion.write import write_log
    from mdp.errors import BadInput

    if args.out.resolve() == args.logs.resolve():
        raise BadInput(
            f"OUT is {args.out}, the log itself: give another directory, so that what is dropped "
            "stays somewhere"
        )
    tables, meta = read_raw(args.logs)
    log, record = clean(tables, meta)
    done = record.to_mapping(log)
    write_log(args.out, {name: log.tables[name] for name in record.rows_in}, meta)
    (args.out / "cleaning.json").write_text(json.dumps(done, indent=1) + "\n")
    for name, count in record.rows_in.items():
        print(f"{name}: {count:,} rows in, {len(log.tables[name]):,} out")
        for word, reasons in (("dropped", record.dropped), ("repaired", record.repaired)):
            for reason, number in reasons.get(name, {}).items():
                print(f"  {word} {number:,}: {reason}")
