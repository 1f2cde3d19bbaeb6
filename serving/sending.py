"""Sending from the outbox: a send that was decided leaves at its hour, at least
once, or says why it did not.

A row is written in the decision's own transaction. A dispatcher in every worker takes rows that
are due (each is leased, so no two take the same), asks the guardrails once more, sends, and
records what became of it: `delivered`, `moved` where it left late, `failed` or `cancelled`. Should
a worker die in between, the lease ends and another sends again, with the same key. While a
machine's clock can't be believed (`serving.clock_watch`), its workers take critical messages alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row, exists, func, select, update

from mdp.clock import HOUR, MINUTE
from mdp.masking import first_quiet
from serving.allowed import refused
from serving.arms import deciding
from serving.clock_watch import ClockWatch
from serving.history import whole_user
from serving.metrics import Metrics
from serving.problems import Problem, UserProblem
from serving.record import Receipt, take_outcomes
from serving.registry import Registry, World
from serving.rows import rows_by_key
from serving.schemas import OutcomeIn, iso
from serving.senders import Message, Result, Sender
from serving.settings import Settings
from serving.store import reading, writing
from serving.tables import DECISIONS, ITEMS, OUTBOX, OUTCOMES
from serving.users import User

LEASE = 5 * MINUTE
"""How long a worker has to send what it took."""
LATE = 5 * MINUTE
"""A send that leaves later than this has been moved."""
AT_ONCE, THREADS = 200, 16
ATTEMPTS = 8
"""After as many failures a row is dead."""
OF_CRITICAL = exists().where(
    DECISIONS.c.decision_id == OUTBOX.c.decision_id, DECISIONS.c.arm == "critical"
)
"""Sends that no clock holds up, as they pass quiet hours, caps and gaps."""
UNREADABLE = Result(False, reason="unreadable_user")
"""Of a send to a user whose fields no key opens, their push token among them: it may pass."""


@dataclass(frozen=True)
class Due:
    """A send of the outbox, with its decision."""

    decision: Mapping[Any, Any]
    attempts: int
    due_at: int


class Dispatcher:
    """Sends what is due."""

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        settings: Settings,
        sender: Sender,
        watch: ClockWatch,
        metrics: Metrics,
    ) -> None:
        self._engine, self._registry, self._settings = engine, registry, settings
        self._sender, self._watch, self._metrics = sender, watch, metrics
        self._pool = ThreadPoolExecutor(THREADS, "send")

    def close(self) -> None:
        """Finish what is being sent."""
        self._pool.shutdown()
        self._sender.close()

    def run(self) -> int:
        """Take and settle what is due now; returns the number of rows."""
        self._watch.look()
        total = 0
        while rows := self._take():
            list(self._pool.map(self._settle, rows))
            total += len(rows)
        return total

    def _take(self) -> list[Due]:
        now, is_right = self._watch.read()
        which = (OUTBOX.c.state == "waiting") & (OUTBOX.c.next_at <= now)
        if not is_right:
            which &= OF_CRITICAL
        due = (
            select(OUTBOX)
            .where(which)
            .order_by(OUTBOX.c.next_at)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        with reading(self._engine) as connection:  # SQLite's readers wait for nobody
            if connection.scalar(select(exists().where(which))) == 0:
                return []
        with writing(self._engine, ()) as connection:
            rows = {row.decision_id: row for row in connection.execute(due)}
            taken = OUTBOX.c.decision_id.in_(list(rows))
            connection.execute(
                update(OUTBOX)
                .where(taken)
                .values(next_at=now + LEASE, attempts=OUTBOX.c.attempts + 1)
            )
            found = connection.execute(
                select(DECISIONS).where(DECISIONS.c.decision_id.in_(list(rows)))
            ).mappings()
            return [
                Due(row, rows[row["decision_id"]].attempts + 1, rows[row["decision_id"]].due_at)
                for row in found
            ]

    def _settle(self, due: Due) -> None:
        (now, is_right), user_id = self._watch.read(), due.decision["user_id"]
        if not is_right and due.decision["arm"] != "critical":
            return  # whoever has the right time takes it when its lease has ended
        reason: str | None = "user_erased"
        try:
            with reading(self._engine) as connection:
                world = self._registry.world(connection)
                user = whole_user(connection, user_id)
                if user is not None:
                    moved = now - due.due_at > LATE
                    reason = why_not(connection, world, self._settings, user, due, now, moved)
                    message = self._message(connection, world, user, due, now)
        except UserProblem as problem:  # no guardrail can be asked, and no outcome told
            self._later(due, Result(False, reason=problem.cause or ""), now)
            return
        if user is None or reason is not None:
            self._cancel(due, reason or "user_erased", now)
            return
        result = self._attempt(message) if user.is_readable else UNREADABLE
        if not result.ok and not result.permanent and due.attempts < ATTEMPTS:
            self._later(due, result, now)
            return
        self._finish(due, result, now)

    def _attempt(self, message: Message) -> Result:
        """What became of one; whatever goes wrong in a sender is a failure like another."""
        try:
            return self._sender.send(message)
        except Exception as error:
            log = structlog.get_logger()
            log.error("sender", decision_id=message.decision_id, exc_info=error)
            # Its words may hold a token or a message, and are a label of the metrics.
            return Result(False, type(error).__name__)

    def _message(
        self, connection: Connection, world: World, user: User, due: Due, now: int
    ) -> Message:
        decision = due.decision
        expires_at = due.due_at + round(self._settings.send_within_hours * HOUR)
        if decision["arm"] != "critical":  # a phone that comes back at night must not ring
            rules = deciding(world, decision["arm"]).guardrails
            expires_at = first_quiet(rules, user.zone, now, expires_at)
        of = select(ITEMS.c.body).where(ITEMS.c.item_id == decision["item_id"])
        item = connection.scalar(of) or {}
        token = user.attributes.get("push_token")
        return Message(
            decision_id=decision["decision_id"],
            user_id=decision["user_id"],
            item_id=decision["item_id"],
            variant_id=decision["variant_id"],
            title=decision["title"] or "",
            body=decision["body"] or "",
            deep_link=item.get("deep_link"),
            image_url=item.get("image_url"),
            token=None if token is None else str(token),
            expires_at=expires_at,
        )

    def _later(self, due: Due, result: Result, now: int) -> None:
        """Try again after twice as long as the last time, and a bit, or when the receiver says."""
        doubled = 2.0 ** min(due.attempts, 10)  # whose history is damaged may wait for weeks
        wait = result.after or min(doubled, 600.0) * random.uniform(0.75, 1.25)
        mine = (OUTBOX.c.decision_id == due.decision["decision_id"]) & (OUTBOX.c.state == "waiting")
        with writing(self._engine, [due.decision["user_id"]]) as connection:
            next_at = now + round(wait * 1e6)
            values = {"next_at": next_at, "reason": result.reason}
            connection.execute(update(OUTBOX).where(mine).values(**values))
        self._metrics.sends.labels("retry", result.reason).inc()

    def _finish(self, due: Due, result: Result, now: int) -> None:
        if result.ok:
            outcomes = ["delivered", *(["moved"] if now - due.due_at > LATE else [])]
            self._end(due, "sent", None, outcomes, now)
            self._metrics.sends.labels("sent", "").inc()
        else:
            self._end(due, "dead", result.reason, ["failed"], now)
            self._metrics.sends.labels("dead", result.reason).inc()

    def _cancel(self, due: Due, reason: str, now: int) -> None:
        self._end(due, "cancelled", reason, ["cancelled"], now)
        self._metrics.sends.labels("cancelled", reason).inc()

    def _end(self, due: Due, state: str, reason: str | None, outcomes: list[str], now: int) -> None:
        """The row's last state and the outcomes, in one transaction."""
        decision = due.decision
        mine = (OUTBOX.c.decision_id == decision["decision_id"]) & (OUTBOX.c.state == "waiting")
        with writing(self._engine, [decision["user_id"]]) as connection:
            change = update(OUTBOX).where(mine).values(state=state, reason=reason)
            if not connection.execute(change).rowcount:
                return  # another worker was faster, or the user was erased
            record(connection, self._settings, decision, outcomes, now)


def retry(
    connection: Connection, world: World, settings: Settings, row: Row[Any], now: int
) -> None:
    """Have a dead send (its row of the outbox) tried once more, now: it takes its place among caps
    and gaps again. Raises `Problem` where the guardrails do not allow it any more.

    The transaction must be one about the send's user.
    """
    (decision,) = rows_by_key(connection, DECISIONS, [row.decision_id]).values()
    user = whole_user(connection, row.user_id)
    assert user is not None
    due = Due(decision._mapping, row.attempts, row.due_at)
    reason = why_not(connection, world, settings, user, due, now, moved=True)
    if reason is not None:
        raise Problem(409, "decision_id", f"the guardrails allow it no more: {reason}")
    mine = OUTBOX.c.decision_id == row.decision_id
    again = {"state": "waiting", "attempts": 0, "next_at": now}
    connection.execute(update(OUTBOX).where(mine).values(**again))
    record(connection, settings, due.decision, ["moved"], now)


def record(
    connection: Connection,
    settings: Settings,
    decision: Mapping[Any, Any],
    outcomes: list[str],
    now: int,
) -> None:
    """Store what became of a send, after all that was told of it before."""
    of = OUTCOMES.c.decision_id == decision["decision_id"]
    before = of & OUTCOMES.c.outcome.in_(("failed", "moved"))
    last = connection.scalar(select(func.max(OUTCOMES.c.at)).where(before))
    at = iso(max(now, decision["decided_at"], -1 if last is None else last + 1))
    told = {
        n: OutcomeIn.model_validate(
            {"decision_id": decision["decision_id"], "outcome": outcome, "at": at}
        )
        for n, outcome in enumerate(outcomes)
    }
    take_outcomes(connection, settings, told, Receipt(), now)


def why_not(
    connection: Connection,
    world: World,
    settings: Settings,
    user: User,
    due: Due,
    now: int,
    moved: bool,
) -> str | None:
    """Why a send to a user that was due may not leave now any more; None: it may.

    moved: as for `refused`.
    """
    of = OUTCOMES.c.decision_id == due.decision["decision_id"]
    if "cancelled" in set(connection.scalars(select(OUTCOMES.c.outcome).where(of))):
        return "cancelled"
    if now - due.due_at > settings.send_within_hours * HOUR:
        return "too_late"
    return refused(world, user, due.decision, now, moved)
