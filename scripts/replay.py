"""Make a stored decision again, and say whether it comes out the same.

From the decision's snapshot its choice and propensity are computed once more, which must agree to
the bit; and its policy scores what it saw once more, which must agree within 1e-5. What it saw, the
response model's predictions too, is taken from the snapshot as it is. The exit status is 1 where
one does not agree. Example:

    pushwise replay 4550009bc2df4a86aa9798a7bbd74f03 --store sqlite:///pushwise.sqlite
"""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """Which decision."""

    decision_id: Positional[str]
    """the decision's id"""
    store: str
    """the store, such as sqlite:///pushwise.sqlite"""
    policy: Path | None = None
    """directory of a saved policy to score with (default: the one that decided)"""
    json: bool = False
    """print JSON"""


def run(args: Args) -> int:
    """Replays and compares."""
    import json

    from policies.saved import load_policy
    from serving.replay import replay
    from serving.store import open_store, reading

    bundle = None if args.policy is None else load_policy(args.policy)
    engine = open_store(args.store, make=False)
    try:
        with reading(engine) as connection:
            found = replay(connection, args.decision_id, bundle)
    finally:
        engine.dispose()
    model = found["model"]
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        for name in ("decided", "replayed"):
            print(f"{name:<9}" + "  ".join(f"{k} {v}" for k, v in found[name].items()))
        print("the same, to the bit" if found["same"] else "NOT the same")
        told = model.get("unavailable") or f"scores differ by {model['largest_difference']:.1e}"
        print(f"policy {model['policy']}: {told}")
    return 0 if found["same"] and model.get("same", True) else 1
