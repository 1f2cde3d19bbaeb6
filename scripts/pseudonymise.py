"""Copy a log without what names a person: keyed pseudonyms, scrubbed texts, coarser times.

Every id becomes its HMAC under the key, the same each time, so that logs still join and nobody
without the key can tell whose they are. Other columns that are named as e-mail, phone, name,
address and the like are dropped; free texts are searched for e-mail, phone, identity and bank cards
and addresses (English and Chinese). OUT/privacy.json counts all of it and says how many users an
attribute combination singles out. docs/privacy.md says what this is not. Example:

    head -c 32 /dev/urandom > key
    pushwise pseudonymise shop shared --key-file key --coarsen hour
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """What to copy, where to, under which key."""

    logs: Positional[Path]
    """directory of the log's tables"""
    out: Positional[Path]
    """directory for the pseudonymised log"""
    key_file: Path
    """file with the secret key, at least 16 bytes"""
    coarsen: Literal["hour", "day"] | None = None
    """cut all times to this, UTC"""


def run(args: Args) -> None:
    """Copies, and says what was done."""
    import json
    from dataclasses import asdict

    from ingestion.copy_history import pseudonymised_history, read_history, write_history
    from ingestion.privacy import FEW, pseudonymised, read_key
    from ingestion.read import load_checked
    from ingestion.write import write_log
    from mdp.errors import BadInput

    if args.out.resolve() == args.logs.resolve():
        raise BadInput(f"OUT is {args.out}, the log itself: give another directory")
    key = read_key(args.key_file)
    if args.key_file.resolve().is_relative_to(args.out.resolve()):
        raise BadInput(f"the key {args.key_file} lies in {args.out}: keep it apart from the log")
    log, steps = load_checked(args.logs), read_history(args.logs)
    tables, meta, done = pseudonymised(log, key, args.coarsen)
    write_log(args.out, tables, meta)
    if steps is not None:
        before = log.tables["variants"]
        after = tables.get("variants", before)
        write_history(args.out, pseudonymised_history(steps, before, after, key, args.coarsen))
    (args.out / "privacy.json").write_text(json.dumps(asdict(done), indent=1) + "\n")
    print(f"{sum(done.ids.values()):,} ids replaced in {len(done.ids)} columns")
    print(f"columns dropped: {', '.join(done.dropped) or 'none'}")
    for where, found in done.scrubbed.items():
        said = ", ".join(f"{count:,} {kind}" for kind, count in found.items())
        print(f"scrubbed in {where}: {said}")
    if done.k is not None:
        print(
            f"k-anonymity over {', '.join(done.quasi)}: {done.k}; {done.few:,} of "
            f"{len(tables['users']):,} users share theirs with fewer than {FEW - 1} others"
        )
        for attribute, few in done.few_without.items():
            if few < done.few:
                print(f"  without {attribute}: {few:,}")
