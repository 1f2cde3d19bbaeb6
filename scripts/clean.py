"""Clean a log: drop, repair or flag what `pushwise check` finds, and record every row of it.

OUT gets the tables, `cleaning.json` (counts: rows in = rows out + rows dropped) and
`cleaning.parquet` (each row dropped, each value repaired or flagged: table, row, id, column, rule,
action, before, after). Cleaning a cleaned log changes nothing. `--rules` prints what each rule
does.
Examples:

    pushwise clean shop shop-clean
    pushwise clean --rules
"""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """What to clean, and where to."""

    logs: Positional[Path | None] = None
    """directory of the log's tables"""
    out: Positional[Path | None] = None
    """directory for the cleaned log"""
    rules: bool = False
    """print the table of rules and do nothing"""


def run(args: Args) -> None:
    """Cleans and prints what was done."""
    import json

    from ingestion.clean import clean
    from ingestion.read import read_raw
    from ingestion.rules import rules_table
    from ingestion.write import write_log
    from mdp.errors import BadInput

    if args.rules:
        print(rules_table(), end="")
        return
    if args.logs is None or args.out is None:
        raise BadInput("two directories are needed: the log, and one for the cleaned log")
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
    record.rows.to_parquet(args.out / "cleaning.parquet", index=False)
    for name, count in record.rows_in.items():
        print(f"{name}: {count:,} rows in, {len(log.tables[name]):,} out")
        for word in ("dropped", "repaired", "flagged"):
            for reason, number in done[word].get(name, {}).items():
                print(f"  {word} {number:,}: {reason}")
