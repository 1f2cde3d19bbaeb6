"""Prometheus metrics of one server process."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from serving.commit import Answer
from serving.problems import Problem
from serving.record import Receipt


class Metrics:
    """Metrics with a registry of their own, so that several apps can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "pushwise_request_seconds",
            "Time to answer a request",
            ("method", "route", "status"),
            registry=self.registry,
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
        )
        self.decisions = Counter(
            "pushwise_decisions",
            "Decisions answered, by action and reason",
            ("action", "reason"),
            registry=self.registry,
        )
        self.entries = Counter(
            "pushwise_entries",
            "Events and outcomes received, by what became of them",
            ("table", "became"),
            registry=self.registry,
        )

        self.sends = Counter(
            "pushwise_sends",
            "Sends of the outbox, by what became of them",
            ("became", "reason"),
            registry=self.registry,
        )

    def count_answers(self, answers: Iterable[Answer]) -> None:
        """Count decisions."""
        for answer in answers:
            if isinstance(answer, Problem):
                self.decisions.labels("refused", str(answer.status)).inc()
            else:
                self.decisions.labels(answer["action"], answer["reason"]).inc()

    def count_receipt(self, table: str, receipt: Receipt) -> None:
        """Count the entries of a table."""
        self.entries.labels(table, "accepted").inc(receipt.accepted)
        self.entries.labels(table, "duplicate").inc(receipt.duplicates)
        self.entries.labels(table, "rejected").inc(len(receipt.rejected))

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
