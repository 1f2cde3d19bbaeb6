"""For analysts: what is a policy worth on days it has not seen, and what has it learned?

python examples/researcher.py --out runs/examples
python examples/analyst.py runs/examples/shop runs/examples/price --out runs/examples/report
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro
from tyro.conf import Positional

from evaluation.explaining import explain
from evaluation.explaining_page import write_explanation
from evaluation.logs import assess_policy
from evaluation.replayed import replayed
from ingestion.read import load_checked
from policies.saved import load_policy


@dataclass(frozen=True)
class Args:
    """A log, a policy, and where to write."""

    logs: Positional[Path]
    """log directory"""
    policy: Positional[Path]
    """directory of a saved policy"""
    out: Path = Path("runs/examples/report")
    """directory for the page of pictures"""


def main(args: Args) -> None:
    """The estimates with their intervals, the verdict and why; then the pictures."""
    replay, bundle = replayed(load_checked(args.logs)), load_policy(args.policy)
    found = assess_policy(replay, bundle, args.policy.name)
    for estimate in found.estimates:
        gain = estimate.difference
        said = f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
        print(f"{estimate.estimator}: {said} a decision more than the log earned")
    print(f"verdict: {found.verdict.answer}")
    for reason in found.verdict.reasons:
        print(f"  {reason}")

    told = explain(replay, {args.policy.name: bundle})
    for name, policy in told["policies"].items():
        print(f"{name}: pushes at {policy['sends']:.0%} of the decisions")
    price = told["price"][args.policy.name]
    if price is not None:
        print(f"a push must be predicted to earn {price['price']['median']:.2f} to be sent")
    page, _ = write_explanation(args.out, told, f"What {args.policy.name} has learned")
    print(f"pictures: {page}")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
