"""Prometheus metrics: of one process, or of all workers together where they share a directory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from mdp.observation import USER
from serving.commit import Answer, Replayed
from serving.problems import Problem
from serving.record import Receipt

WATCHED = ("sends_7d", "opens_7d", "clicks_7d", "organic_views_7d", "days_since_send", "fatigue")
"""Features of users whose mean is watched for drift; none is ever negative."""
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""Where the workers of one server keep their figures, for whichever of them is asked."""


def share_metrics(directory: str) -> None:
    """Have the workers that this process will start keep their figures in a directory."""
    os.environ[DIRECTORY] = directory


def keep_shared() -> None:
    """Make the directory that the workers of one machine share, where they were told of one."""
    if DIRECTORY in os.environ:
        os.makedirs(os.environ[DIRECTORY], exist_ok=True)


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
        self.propensities = Histogram(
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
        self.seen = self._counter("feature_seen", "Drawn decisions whose features were summed")
        self.features = self._counter(
            "feature_sum", "Sum over drawn decisions of a feature of the user", "feature"
        )
        self.ledger = self._gauge("ledger", "Decisions and outcomes by state", "of", "state")
        self.unbalanced = self._gauge("ledger_unbalanced", "By how much the ledger is off")
        self.last_day = self._gauge(
            "sends_last_day",
            "Sends whose hour was in the last 24, by what became of them",
            "became",
        )
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
        self.left_out = self._gauge(
            "left_out", "1 while a challenger or shadow is left out, as it can't be loaded", "role"
        )
        self.stopped = self._gauge("killed", "1 while the kill switch for everything is on")

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"pushwise_{name}", what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(
            f"pushwise_{name}", what, labels,
            registry=self.registry, multiprocess_mode="mostrecent",
        )  # fmt: skip

    def note_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._labelled(self.requests, method, route, str(status)).observe(seconds)

    def count_answers(self, answers: Iterable[Answer]) -> None:
        """Count decisions, and what decided nothing by itself."""
        for answer in answers:
            if isinstance(answer, Problem):
                self._labelled(self.decisions, "refused", str(answer.status), "", "").inc()
                continue
            if because := _undecided(answer):
                self._labelled(self.undecided, because).inc()
                continue
            labels = answer["action"], answer["reason"], answer["policy"], answer["arm"]
            self._labelled(self.decisions, *labels).inc()
            if answer["reason"] == "policy":
                self.propensities.observe(answer["propensity"])

    def count_problem(self, problem: Problem) -> None:
        """Count a refusal that an answer gives."""
        if problem.cause:
            self._labelled(self.refused, problem.cause).inc()

    def watch(self, users: np.ndarray) -> None:
        """Sum the watched features of users (N, U)."""
        self.seen.inc(len(users))
        sums = users[:, [USER.index(name) for name in WATCHED]].sum(0, dtype=np.float64)
        for name, total in zip(WATCHED, sums.tolist(), strict=True):
            self._labelled(self.features, name).inc(max(total, 0.0))

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
