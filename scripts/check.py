"""Check a log: what is wrong in it, and what it is good for.

Exits 1 where there are errors. Example:

    pushwise check shop
    pushwise check shop --json
"""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """What to check."""

    logs: Positional[Path]
    """directory of the log's tables"""
    json: bool = False
    """print findings and quality as JSON"""


def run(args: Args) -> int:
    """Checks, prints, and returns 1 where there are errors."""
    import json

    from ingestion.check import ERROR, findings
    from ingestion.quality import quality
    from ingestion.read import read_log

    log = read_log(args.logs)
    found = findings(log)
    figures = quality(log, found)
    errors = any(finding.severity == ERROR for finding in found)
    if args.json:
        said = [finding.to_mapping() for finding in found]
        print(json.dumps({"findings": said, "quality": figures.to_mapping()}, indent=1))
        return int(errors)
    for finding in found:
        print(f"{finding.severity}: {finding.message}")
    print(", ".join(f"{count} {name}" for name, count in figures.rows.items() if count))
    if figures.first is not None:
        print(f"from {figures.first} to {figures.last}")
    if figures.rates:
        shares = ", ".join(f"{kind} {rate:.2%}" for kind, rate in figures.rates.items())
        print(f"{figures.sends} sends ({figures.send_share:.0%} of decisions); of them {shares}")
    print(f"good for fit: {figures.fit}")
    print(f"good for evaluate: {figures.evaluate}")
    return int(errors)
