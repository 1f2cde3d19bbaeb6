"""Where the processor's time of a group of decisions goes, part by part.

    python -m benchmarks.serving_parts [--size 16] [--groups 500]

Decides for groups of users who have not been asked yet, as one thread of a server on SQLite does
(the shop and the policy are those of `benchmarks.serving`), and adds up the processor's time of
each part. A part's time is without that of the parts inside it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving import prepared, requests
from policies.base import Policy
from policies.composition import Distribution
from policies.network import NetworkPolicy
from serving import commit, decide, scoring
from serving.commit import Keyed
from serving.prepared import Prepared
from serving.schemas import Ask
from serving.service import open_service
from serving.settings import read_settings

PARTS: dict[str, list[tuple[Any, str]]] = {
    "transactions: begin and commit": [(decide, "reading"), (commit, "writing")],
    "reading users, holds, settings": [
        (decide, "read_users"), (decide, "_last_holds"), (decide, "read_budget"),
        (decide.Registry, "world"), (commit, "all_settings"), (commit, "read_stamps"),
    ],
    "sorting requests": [(decide.Decider, "_sort")],
    "lists and the catalogue's rules": [(scoring, "requests_of")],
    "observation and mask (numba)": [(scoring, "_view")],
    "scores (numba)": [(NetworkPolicy, "scores")],
    "distribution, draw, propensity": [
        (Policy, "distribution_of"), (Distribution, "drawn"), (Distribution, "probability"),
        (scoring, "taken_in_turns"),
    ],
    "snapshots": [(scoring, "packed")],
    "rest of drawing": [(decide, "draw")],
    "rows, answers, new histories": [
        (commit, "decision_row"), (commit, "answer"), (commit, "_moved_on"),
    ],
    "statements": [(Prepared, "run"), (commit, "write_users"), (commit, "_keep_snapshots")],
    "rest of committing": [(decide, "commit")],
    "rest": [(decide.Decider, "decide")],
}  # fmt: skip


class Account:
    """Seconds of this thread's processor by part."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._inside = [0.0]

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """While a part runs: what it takes, less what the parts inside it do."""
        began = time.thread_time()
        self._inside.append(0.0)
        try:
            yield
        finally:
            taken = time.thread_time() - began
            self.spent[part] += taken - self._inside.pop()
            self._inside[-1] += taken

    def around(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The function, accounted for; of a context manager its beginning and its end."""

        @wraps(call)
        def accounted(*args: Any, **named: Any) -> Any:
            with self.of(part):
                made = call(*args, **named)
            return self._managed(part, made) if hasattr(made, "__enter__") else made

        return accounted

    @contextmanager
    def _managed(self, part: str, manager: Any) -> Iterator[Any]:
        with self.of(part):
            value = manager.__enter__()
        try:
            yield value
        finally:
            with self.of(part):
                manager.__exit__(None, None, None)


def main() -> None:
    """Decides and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=16, help="decisions in a group")
    parser.add_argument("--groups", type=int, default=500)
    args = parser.parse_args()
    account = Account()
    for part, places in PARTS.items():
        for owner, name in places:
            setattr(owner, name, account.around(part, getattr(owner, name)))
    with tempfile.TemporaryDirectory() as directory:
        store = f"sqlite:///{directory}/store.sqlite"
        bodies = requests(prepared(Path(directory), store))
        settings = read_settings(store=store, unknown_consent=True, default_timezone="UTC")
        service = open_service(settings)
        decider = decide.Decider(service.engine, service.registry, settings)
        spent = []
        for _ in range(20 + args.groups):
            asks = [Keyed(Ask.model_validate_json(next(bodies))) for _ in range(args.size)]
            account.spent.clear()
            decider.decide(asks)
            spent.append(dict(account.spent))
        service.close()
    typical = {p: 1000 * np.median([each.get(p, 0.0) for each in spent[20:]]) for p in PARTS}
    whole = sum(typical.values())
    print(f"medians of {args.groups} groups of {args.size}, ms of the processor, share:")
    for part, value in typical.items():
        print(f"  {value:6.2f}  {100 * value / whole:3.0f} %  {part}")
    print(f"  {whole:6.2f}  {whole / args.size:.3f} a decision")


if __name__ == "__main__":
    main()
