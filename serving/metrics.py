"""Prometheus metrics: of one process, or of all workers together where they share a directory."""

from __future__ import annotations

import os
import socket
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from serving.commit import Answer, Replayed
from serving.problems import UNKNOWN_ZONE, DamagedUser, Problem, UnreadableUser
from serving.record import Receipt

Mode = Literal["mostrecent", "livemax"]
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""Where the workers of one server keep their figures, for whichever of them is asked."""


def share_metrics(directory: str) -> None:
    """Have the workers that this process will start keep their figures in a directory."""
    os.environ[DIRECTORY] = directory


def keep_shared() -> None:
    """Make the directory that the workers of one machine share, where they were told of one, and
    take the live figures of those who are gone out of it."""
    if DIRECTORY not in os.environ:
        return
    os.makedirs(os.environ[DIRECTORY], exist_ok=True)
    for file in Path(os.environ[DIRECTORY]).glob("gauge_live*_*.db"):
        process = int(file.stem.rpartition("_")[2])
        if not _runs(process):
            with suppress(FileNotFoundError):  # another worker that starts was faster
                mark_process_dead(process)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        pass
    return True


class Grouped(Histogram):
    """A histogram that is told many values at once, and counts those of a bucket together."""

    def observe_all(self, values: Sequence[float]) -> None:
        """Note finite values; none lies above the last bucket, which is infinite."""
        buckets: defaultdict[int, int] = defaultdict(int)
        for value in values:
            buckets[bisect_left(self._upper_bounds, value)] += 1
        for place, count in buckets.items():
            self._buckets[place].inc(count)
        self._sum.inc(sum(values))


_LABELS = itemgetter("action", "reason", "policy", "arm")
"""Of an answer that is a new decision."""


class Metrics:
    """Metrics with a registry of their own, so that several apps can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._labelled = lru_cache(maxsize=4096)(lambda metric, *labels: metric.labels(*labels))
        self.requests = Histogram(
            "pushwise_request_seconds",
            "Time to answer a request",
            ("method", "route", "status"),
            registry=self.registry,
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
        )
        self.decisions = self._counter(
            "decisions", "Decisions made or refused, by action, reason, policy and arm",
            "action", "reason", "policy", "arm",
        )  # fmt: skip
        self.undecided = self._counter(
            "undecided",
            "Answers that decided nothing: dry runs, a key's answer or a day's hold given again",
            "because",
        )
        self.refused = self._counter(
            "refused", "Refusals that somebody should look into, by their cause", "cause"
        )
        for cause in (UNKNOWN_ZONE, UnreadableUser.cause, DamagedUser.cause):
            self.refused.labels(cause)  # at 0, so that the first one is seen to be one more
        self.mended = self._counter(
            "mended", "Users' histories that were damaged in the store, and rebuilt from its rows"
        )
        self.cached = self._counter(
            "cached_users", "Users looked up in Redis, by what became of that", "became"
        )
        self.propensities = Grouped(
            "pushwise_propensity",
            "Propensities of what was drawn",
            registry=self.registry,
            buckets=(0.0001, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1),
        )
        self.entries = self._counter(
            "entries", "Events and outcomes received, by what became of them", "table", "became"
        )
        self.outcomes = self._counter("outcomes", "Outcomes accepted, by kind", "outcome")
        self.sends = self._counter(
            "sends", "Sends of the outbox, by what became of them", "became", "reason"
        )
        self.ledger = self._gauge("ledger", "Decisions and outcomes by state", "of", "state")
        self.unbalanced = self._gauge("ledger_unbalanced", "By how much the ledger is off")
        self.last_day = self._gauge(
            "sends_last_day",
            "Sends whose hour was in the last 24, by what became of them",
            "became",
        )
        self.daily = {
            "decided": self._gauge(
                "decided_last_day", "Decisions of the last 24 hours, by action", "action"
            ),
            "draws": self._gauge(
                "draws_last_day",
                "Of these, what a policy drew, by whether the propensity is tiny for its lists",
                "propensity",
            ),
            "features": self._gauge(
                "feature_mean", "Mean of users' feature over a sample of their snapshots", "feature"
            ),
            "sampled": self._gauge("features_sampled", "Size of that sample"),
            "settled": self._gauge(
                "settled_sends", "Sends whose hour was 24 to 48 hours ago, whose outcomes are in"
            ),
            "reward": self._gauge(
                "settled_reward", "What these brought: clicks, value of purchases", "reward"
            ),
            "rewarded": self._gauge(
                "settled_rewarded", "How many clicks and purchases that was", "reward"
            ),
        }
        self.counted_at = self._gauge(
            "ledger_counted_timestamp_seconds", "When the ledger was counted last; 0: not yet"
        )
        self.counting = self._gauge("ledger_count_seconds", "How long that count took")
        self.overdue = self._gauge(
            "outbox_overdue_seconds", "How long the oldest send has waited past its hour"
        )
        self.ratio = self._gauge(
            "sample_ratio_p", "Chance of a split between the arms as far off as this; 1: no split"
        )
        self.clock_jumps = self._counter("clock_jumps", "Times that the clock was set by much")
        self.clock_off = self._gauge(
            "clock_off_seconds",
            "By how much the clock is off since it jumped; 0: it is not, or that was confirmed",
        )
        self.left_out = self._gauge(
            "left_out", "1 while a challenger or shadow is left out, as it can't be loaded", "role"
        )
        self.failed = self._counter(
            "failed_draws", "Decisions at which a challenger or shadow failed", "role"
        )
        self.store_fault = self._gauge(
            "store_fault", "1 while the store's SQLite file is known to be damaged, or is gone",
            mode="livemax",
        )  # fmt: skip
        self.night = self._gauge(
            "night_unfinished_seconds",
            "How long ago the first nightly batch began that is not whole and can go on; 0: none",
        )
        self.misplaced = self._gauge(
            "default_partition_rows",
            "Rows of the last day in PostgreSQL's default partition that were to have one of time",
            "table",
        )
        self.stopped = self._gauge("killed", "1 while the kill switch for everything is on")
        machine = self._gauge("machine", "1: the figures are those of this machine", "host")
        machine.labels(socket.gethostname()).set(1)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"pushwise_{name}", what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str, mode: Mode = "mostrecent") -> Gauge:
        """mode: which of the workers' values is shown."""
        return Gauge(
            f"pushwise_{name}", what, labels,
            registry=self.registry, multiprocess_mode=mode,
        )  # fmt: skip

    def note_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._labelled(self.requests, method, route, str(status)).observe(seconds)

    def count_answers(self, answers: Iterable[Answer]) -> None:
        """Count decisions, and what decided nothing by itself."""
        made: defaultdict[tuple[str, ...], int] = defaultdict(int)
        drawn = []
        for answer in answers:
            if isinstance(answer, Problem):
                made["refused", str(answer.status), "", ""] += 1
            elif because := _undecided(answer):
                self._labelled(self.undecided, because).inc()
            else:
                made[_LABELS(answer)] += 1
                if answer["reason"] == "policy":
                    drawn.append(answer["propensity"])
        self.propensities.observe_all(drawn)
        for labels, count in made.items():
            self._labelled(self.decisions, *labels).inc(count)

    def count_problem(self, problem: Problem) -> None:
        """Count a refusal that an answer gives."""
        if problem.cause:
            self._labelled(self.refused, problem.cause).inc()

    def count_cached(self, became: str, users: int) -> None:
        """Count users looked up in the cache."""
        self._labelled(self.cached, became).inc(users)

    def count_failed(self, role: str, decisions: int) -> None:
        """Count decisions at which a policy of the experiment failed."""
        self.failed.labels(role).inc(decisions)

    def count_receipt(self, table: str, receipt: Receipt) -> None:
        """Count the entries of a table."""
        self.entries.labels(table, "accepted").inc(receipt.accepted)
        self.entries.labels(table, "duplicate").inc(receipt.duplicates)
        self.entries.labels(table, "rejected").inc(len(receipt.rejected))
        for outcome, count in receipt.kinds.items():
            self.outcomes.labels(outcome).inc(count)
        for cause, count in receipt.causes.items():
            self.refused.labels(cause).inc(count)

    def show_ledger(self, state: Mapping[str, Any], seconds: float) -> None:
        """Show what was counted in the store just now, and how long that took."""
        for of in ("decisions", "outcomes", "outbox"):
            for name, count in state[of].items():
                self.ledger.labels(of, name).set(count)
        self.ledger.labels("decisions", "moved").set(state["moved"])
        for name, count in state["last_day"].items():
            self.last_day.labels(name).set(count)
        for name, figures in state["daily"].items():
            if isinstance(figures, float):
                self.daily[name].set(figures)
                continue
            for label, figure in figures.items():
                self.daily[name].labels(label).set(figure)
        self.unbalanced.set(state["unbalanced"])
        self.ratio.set(state["sample_ratio_p"])
        self.counting.set(seconds)
        self.counted_at.set(time.time())

    def text(self) -> bytes:
        """The exposition format, of all workers together where they share a directory."""
        if DIRECTORY not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)
        return generate_latest(together)


def _undecided(answer: Mapping[str, Any]) -> str | None:
    """Why an answer is no new decision; None: it is one, with a row of its own."""
    if isinstance(answer, Replayed):
        return "replayed"
    if answer.get("dry_run"):
        return "dry_run"
    return "repeated" if answer["repeated"] else None
