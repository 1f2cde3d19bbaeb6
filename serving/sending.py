"""Sending from the outbox: a send that was decided leaves at its hour, at least
once, or says why it did not.

A row is written in the decision's own transaction. A dispatcher in every worker takes rows that
are due (each is leased, so no two take the same), asks the guardrails once more, sends, and
records what became of it: `delivered`, `moved` where it left late, `failed` or `cancelled`. Should
a worker die in between, the lease ends and another sends again, with the same key.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from sqlalchemy import Connection, Engine, Row, exists, func, select, update

from mdp.clock import HOUR, MINUTE, NEVER
from mdp.guardrails import Reason
from mdp.hashing import hash_id
from mdp.masking import mask
from mdp.reasons import catalog_reasons, item_reasons
from mdp.state import RELEASED, features
from serving.explaining import reason_name
from serving.metrics import Metrics
from serving.problems import Problem
from serving.record import Receipt, take_outcomes
from serving.registry import Registry, World
from serving.schemas import OutcomeIn, iso
from serving.scoring import about
from serving.senders import Message, Result, Sender
from serving.settings import Settings
from serving.store import reading, rows_by_key, writing
from serving.tables import DECISIONS, ITEMS, OUTBOX, OUTCOMES
from serving.users import User, read_users

LEASE = 5 * MINUTE
"""How long a worker has to send what it took."""
LATE = 5 * MINUTE
"""A send that leaves later than this has been moved."""
AT_ONCE, THREADS = 200, 16
ATTEMPTS = 8
"""After as many failures a row is dead."""
UNREADABLE = Result(False, reason="unreadable_user")
"""Of a send to a user whose fields no key opens, their push token among them: it may pass."""


@dataclass(frozen=True)
class Due:
    """A row that this worker has leased, with its decision."""

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
        clock: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self._engine, self._registry, self._settings = engine, registry, settings
        self._sender, self._clock, self._metrics = sender, clock, metrics
        self._pool = ThreadPoolExecutor(THREADS, "send")

    def close(self) -> None:
        """Finish what is being sent."""
        self._pool.shutdown()
        self._sender.close()

    def run(self) -> int:
        """Take and settle what is due now; returns the number of rows."""
        total = 0
        while rows := self._take(self._clock()):
            list(self._pool.map(self._settle, rows))
            total += len(rows)
        return total

    def _take(self, now: int) -> list[Due]:
        due = (
            select(OUTBOX)
            .where(OUTBOX.c.state == "waiting", OUTBOX.c.next_at <= now)
            .order_by(OUTBOX.c.next_at)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        with reading(self._engine) as connection:  # SQLite's readers wait for nobody
            waiting = OUTBOX.c.state == "waiting"
            if connection.scalar(select(exists().where(waiting, OUTBOX.c.next_at <= now))) == 0:
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
        now, decision = self._clock(), due.decision
        with reading(self._engine) as connection:
            world = self._registry.world(connection)
            at = now if now - due.due_at > LATE else due.due_at
            reason = why_not(connection, world, self._settings, decision, due.due_at, at, now)
            user = read_users(connection, [decision["user_id"]]).get(decision["user_id"])
            message = None if user is None else self._message(connection, user, due)
            closed = user is not None and not user.is_readable
        if reason is None and message is not None:
            result = UNREADABLE if closed else self._attempt(message)
            if not result.ok and not result.permanent and due.attempts < ATTEMPTS:
                self._later(due, result, now)
                return
            self._finish(due, result)
        else:
            self._cancel(due, reason or "user_erased")

    def _attempt(self, message: Message) -> Result:
        """What became of one; whatever goes wrong in a sender is a failure like another."""
        try:
            return self._sender.send(message)
        except Exception as error:
            log = structlog.get_logger()
            log.error("sender", decision_id=message.decision_id, exc_info=error)
            # Its words may hold a token or a message, and are a label of the metrics.
            return Result(False, type(error).__name__)

    def _message(self, connection: Connection, user: User, due: Due) -> Message:
        decision = due.decision
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
            expires_at=due.due_at + round(self._settings.send_within_hours * HOUR),
        )

    def _later(self, due: Due, result: Result, now: int) -> None:
        """Try again after twice as long as the last time, and a bit, or when the receiver says."""
        wait = result.after or min(2.0**due.attempts, 600.0) * random.uniform(0.75, 1.25)
        mine = (OUTBOX.c.decision_id == due.decision["decision_id"]) & (OUTBOX.c.state == "waiting")
        with writing(self._engine, [due.decision["user_id"]]) as connection:
            next_at = now + round(wait * 1e6)
            values = {"next_at": next_at, "reason": result.reason}
            connection.execute(update(OUTBOX).where(mine).values(**values))
        self._metrics.sends.labels("retry", result.reason).inc()

    def _finish(self, due: Due, result: Result) -> None:
        now = self._clock()
        if result.ok:
            outcomes = ["delivered", *(["moved"] if now - due.due_at > LATE else [])]
            self._end(due, "sent", None, outcomes, now)
            self._metrics.sends.labels("sent", "").inc()
        else:
            self._end(due, "dead", result.reason, ["failed"], now)
            self._metrics.sends.labels("dead", result.reason).inc()

    def _cancel(self, due: Due, reason: str) -> None:
        self._end(due, "cancelled", reason, ["cancelled"], self._clock())
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
    reason = why_not(connection, world, settings, decision._mapping, row.due_at, now, now)
    if reason is not None:
        raise Problem(409, "decision_id", f"the guardrails allow it no more: {reason}")
    mine = OUTBOX.c.decision_id == row.decision_id
    again = {"state": "waiting", "attempts": 0, "next_at": now}
    connection.execute(update(OUTBOX).where(mine).values(**again))
    record(connection, settings, decision._mapping, ["moved"], now)


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
    decision: Mapping[Any, Any],
    due_at: int,
    at: int,
    now: int,
) -> str | None:
    """Why a send that was due may not leave at an instant any more; None: it may."""
    of = OUTCOMES.c.decision_id == decision["decision_id"]
    if "cancelled" in set(connection.scalars(select(OUTCOMES.c.outcome).where(of))):
        return "cancelled"
    if now - due_at > settings.send_within_hours * HOUR:
        return "too_late"
    user = read_users(connection, [decision["user_id"]]).get(decision["user_id"])
    return "user_erased" if user is None else refused(world, user, decision, at)


def refused(world: World, user: User, decision: Mapping[Any, Any], at: int) -> str | None:
    """Which guardrail forbids a send at an instant, were it not decided already; None: none."""
    items, variants = world.catalog.items.row, world.catalog.variants.row
    item, variant = items.get(decision["item_id"]), variants.get(decision["variant_id"])
    critical = decision["arm"] == "critical"
    stopped = world.stopped
    if stopped.everything or (decision["policy"] in stopped.policies and not critical):
        return "killed"
    if item is None or variant is None:
        return "not_available"
    states = features(user.state.reshape(1).copy(), np.array([at], np.int64))
    if critical and (states["unsubscribed"][0] or not states["consent"][0]):
        return "unsubscribed" if states["unsubscribed"][0] else "consent"
    if (bar := barred(world, item, variant, at)) is not None:
        return bar[1]
    if critical:
        return None
    mine = states["ring"]["decision"] == hash_id(decision["decision_id"])
    states["ring"]["status"][mine] = RELEASED
    rows, instant = (np.array([[item]]), np.array([[variant]])), np.array([at], np.int64)
    locales, segments, blocked = about([user])
    reasons = catalog_reasons(world.catalog, *rows, instant, locales, segments, blocked)
    allowed = mask(
        world.guardrails,
        states,
        instant,
        np.array([user.zone], np.int16),
        world.catalog.items.hashes[rows[0]],
        np.full((1, 1), NEVER),  # it leaves now: only what has ended by now is not available
        *reasons,
    )
    now = int(np.flatnonzero(allowed.send_at[0] == at)[0])
    for code in (allowed.item[0, 0], allowed.variant[0, 0], allowed.hour[0, now]):
        if code != Reason.ALLOWED:
            return reason_name(int(code))
    return None


def barred(world: World, item: int, variant: int, at: int) -> tuple[str, str] | None:
    """What nobody may be sent at an instant, `item` or `variant`, and why: it was stopped, is sold
    out or over, or is copy that is not approved. By rows of the catalogue; None: nothing."""
    if world.stopped.items[item]:
        return "item", "killed"
    if world.stopped.variants[variant]:
        return "variant", "killed"
    if world.catalog.variants.refused[variant]:
        return "variant", reason_name(Reason.NOT_APPROVED)
    code = int(item_reasons(world.catalog, np.array([[item]]), np.array([at], np.int64))[0, 0])
    return None if code == Reason.ALLOWED else ("item", reason_name(code))
