"""Clean a log: drop, repair or flag what `pushwise check` finds, and record every row of it.

OUT gets the tables, `cleaning.json` (counts: rows in = rows out + rows dropped) and
`cleaning.parquet` (each row dropped, each value repaired or flagged: table, row, id, column, rule,
action, before, after). Cleaning a cleaned log changes nothing. A log of more than a million rows
is worked on in parts by user, so that it need not fit into memory; with --ray on several machines,
which must all see OUT's directory. The last line says what the clean log is fit for. `--rules`
prints what each rule does.
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
    ray: bool = False
    """work on parts of the log on the Ray cluster that RAY_ADDRESS names, or on all cores of this
    machine"""
    rules: bool = False
    """print the table of rules and do nothing"""


def run(args: Args) -> None:
    """Cleans and prints what was done."""
    import json
    from contextlib import nullcontext

    from ingestion.clean_by_parts import clean_log
    from ingestion.copy_history import read_history, write_history
    from ingestion.parts import log_batches
    from ingestion.read import read_meta
    from ingestion.rules import rules_table
    from ingestion.scores import verdict
    from ingestion.spread import in_turn
    from mdp.errors import BadInput
    from scripts.on_ray import on_ray
    from scripts.parts import parts_of, progress

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
    parts = parts_of(args.logs)
    batches, meta = log_batches(args.logs), read_meta(args.logs)
    bar, report = progress(parts)
    place = on_ray() if args.ray else nullcontext(in_turn)
    with bar, place as spread:
        cleaned = clean_log(batches, meta, args.out, parts, spread, report)
    done = cleaned.to_mapping()
    steps = read_history(args.logs)
    if steps is not None:
        write_history(args.out, steps)
    (args.out / "cleaning.json").write_text(json.dumps(done, indent=1) + "\n")
    for name, count in cleaned.rows_in.items():
        print(f"{name}: {count:,} rows in, {cleaned.rows_out[name]:,} out")
        for word in ("dropped", "repaired", "flagged"):
            for reason, number in done[word].get(name, {}).items():
                print(f"  {word} {number:,}: {reason}")
    print(verdict(cleaned.checked.quality))
