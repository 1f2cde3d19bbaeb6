"""Recording what happened: events and outcomes, each accepted, a duplicate or rejected; and
cancelling a send, which is an outcome."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, Engine, insert, select, tuple_

from mdp.attribution import on_time
from mdp.hashing import content_hash
from serving.access import audit
from serving.accounts import with_changes
from serving.archived import absent, archived_before
from serving.budget import release
from serving.history import Fields, advanced, mended, organic_event, outcome_event
from serving.outbox import withdraw
from serving.problems import Problem, UserProblem, problem_of
from serving.rows import found_by_key, rows_by_key
from serving.schemas import EventIn, OutcomeIn, iso
from serving.settings import Settings
from serving.store import count, reading, writing
from serving.tables import ARCHIVED, DECISIONS, EVENTS, ITEMS, OUTCOMES
from serving.users import User, new_user, read_users, write_users

M = TypeVar("M", bound=BaseModel)


@dataclass
class Receipt:
    """What became of each entry of a request."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    """Accepted outcomes by kind."""
    causes: Counter[str] = field(default_factory=Counter)
    """Refusals by a cause that is counted by itself."""

    def reject(self, index: int, problem: Problem) -> None:
        """Note that an entry is refused."""
        if problem.cause:
            self.causes[problem.cause] += 1
        self.rejected.append({"index": index, "error": problem.to_mapping()})

    def to_mapping(self) -> dict[str, Any]:
        """The body of the response."""
        rejected = sorted(self.rejected, key=lambda entry: int(entry["index"]))
        return {"accepted": self.accepted, "duplicates": self.duplicates, "rejected": rejected}


def parsed(model: type[M], entries: Sequence[Any], receipt: Receipt) -> dict[int, M]:
    """The entries that are well formed, by their place; the others are rejected."""
    good = {}
    for index, entry in enumerate(entries):
        try:
            good[index] = model.model_validate(entry)
        except ValidationError as error:
            receipt.reject(index, problem_of(error.errors()))
    return good


def check_time(at: int, now: int, settings: Settings) -> None:
    """Raises `Problem` for an instant further ahead than clocks may differ."""
    ahead = at - now
    if ahead > settings.clock_tolerance_seconds * 1e6 and not settings.trust_request_time:
        raise Problem(422, "at", f"{iso(at)} is {ahead / 1e6:.0f} s ahead of the server's clock")


def record_events(engine: Engine, settings: Settings, entries: Sequence[Any], now: int) -> Receipt:
    """Store what users did on their own. A user never seen is made."""
    receipt = Receipt()
    good = parsed(EventIn, entries, receipt)
    return _taken(
        good,
        receipt,
        lambda event: event.user_id,
        lambda left, taken: _take_events(engine, settings, left, taken, now),
    )


def _taken(
    good: Mapping[int, M],
    receipt: Receipt,
    user_of: Callable[[M], str | None],
    take: Callable[[Mapping[int, M], Receipt], None],
) -> Receipt:
    """What `take` makes of entries in one transaction; those of a user whose history can't be read
    are rejected, and the others taken without them."""
    while True:
        taken = deepcopy(receipt)
        try:
            take(good, taken)
            return taken
        except UserProblem as problem:
            closed = {n for n, entry in good.items() if user_of(entry) == problem.user_id}
            for index in closed:
                receipt.reject(index, problem)
            good = {n: entry for n, entry in good.items() if n not in closed}


def _take_events(
    engine: Engine, settings: Settings, good: Mapping[int, EventIn], receipt: Receipt, now: int
) -> None:
    names = {name for event in good.values() for name in (event.user_id, event.event_id) if name}
    with writing(engine, names) as connection:
        items = rows_by_key(connection, ITEMS, {event.item_id for event in good.values()})
        archived = archived_before(connection)
        rows: dict[str, dict[str, Any]] = {}
        for index, event in good.items():
            try:
                check_time(event.at, now, settings)
                if event.at < archived:
                    raise Problem(422, "at", f"what happened before {iso(archived)} is archived")
                if event.item_id not in items:
                    raise Problem(422, "item_id", f"there is no item {event.item_id!r}")
            except Problem as problem:
                receipt.reject(index, problem)
                continue
            row = event.model_dump()
            row["event_id"] = event.event_id or content_hash(row)
            receipt.duplicates += row["event_id"] in rows
            rows.setdefault(row["event_id"], row)
        known = rows_by_key(connection, EVENTS, rows)
        receipt.duplicates += len(known)
        fresh = [row for name, row in rows.items() if name not in known]
        receipt.accepted = len(fresh)
        if fresh:
            connection.execute(insert(EVENTS), fresh)
            new: dict[str, list[Fields]] = defaultdict(list)
            for row in fresh:
                new[row["user_id"]].append(organic_event(row))
            _advance(connection, settings, new, now)


def record_outcomes(
    engine: Engine, settings: Settings, entries: Sequence[Any], now: int
) -> Receipt:
    """Store what became of decisions."""
    receipt = Receipt()
    good = parsed(OutcomeIn, entries, receipt)
    owners = _owners(engine, {outcome.decision_id for outcome in good.values()})

    def take(left: Mapping[int, OutcomeIn], taken: Receipt) -> None:
        with writing(engine, set(owners.values())) as connection:
            take_outcomes(connection, settings, left, taken, now)

    return _taken(good, receipt, lambda outcome: owners.get(outcome.decision_id), take)


def take_outcomes(
    connection: Connection,
    settings: Settings,
    good: Mapping[int, OutcomeIn],
    receipt: Receipt,
    now: int,
) -> None:
    """Store outcomes, by their place in the request, in a transaction that has their users."""
    decisions = rows_by_key(connection, DECISIONS, {o.decision_id for o in good.values()})
    late = _take_late(connection, good, set(decisions), receipt, now)
    rows: dict[tuple[str, str, int], dict[str, Any]] = {}
    orphans = 0
    for index, outcome in good.items():
        if index in late:
            continue
        decision = decisions.get(outcome.decision_id)
        try:
            check_outcome(outcome, decision)
            check_time(outcome.at, now, settings)
        except Problem as problem:
            receipt.reject(index, problem)
            orphans += problem.field == "decision_id"
            continue
        key = (outcome.decision_id, outcome.outcome, outcome.at)
        receipt.duplicates += key in rows
        rows.setdefault(key, outcome.model_dump())
    known = _known_outcomes(connection, list(rows))
    receipt.duplicates += len(known)
    fresh = [row for key, row in rows.items() if key not in known]
    receipt.accepted += len(fresh)
    new: dict[str, list[Fields]] = defaultdict(list)
    receipt.kinds.update(row["outcome"] for row in fresh)
    for row in fresh:
        decision = decisions[row["decision_id"]]
        claim = row["outcome"] == "purchased"
        row["joined"] = int(on_time(decision.send_at, row["at"], claim))
        new[decision.user_id].append(outcome_event(row))
    if fresh:
        _call_off(connection, fresh, decisions)
        connection.execute(insert(OUTCOMES), fresh)
        _advance(connection, settings, new, now)
    count(connection, "orphan", orphans)
    count(connection, "duplicate", receipt.duplicates)
    count(connection, "late", len(late))
    count(connection, "received", orphans + receipt.duplicates + len(fresh) + len(late))


def _call_off(
    connection: Connection, fresh: Sequence[Mapping[str, Any]], decisions: Mapping[str, Any]
) -> None:
    """Have sends that are cancelled now, and were not before, not leave, and give back what they
    had reserved of the budget; fresh: outcomes that are about to be stored."""
    names = {row["decision_id"] for row in fresh if row["outcome"] == "cancelled"}
    if not names:
        return
    told = found_by_key(connection, OUTCOMES, names, "decision_id", "outcome")
    names -= {row.decision_id for row in told if row.outcome == "cancelled"}
    called_off = [decisions[name] for name in names]
    release(connection, [d.send_at for d in called_off if d.arm != "critical"])
    withdraw(connection, sorted(names), "cancelled")


def cancel(engine: Engine, settings: Settings, decision_id: str, now: int, who: str) -> None:
    """Cancel a send that is not due yet, which frees its caps and its budget, with a line in the
    audit log; again is no error. Raises `Problem` for one that was sent, and for a hold."""
    owners = _owners(engine, [decision_id])
    with writing(engine, owners) as connection:
        decision = rows_by_key(connection, DECISIONS, [decision_id]).get(decision_id)
        if decision is None:
            raise absent(connection, decision_id)
        told = found_by_key(connection, OUTCOMES, [decision_id], "outcome").scalars()
        if "cancelled" in told:
            return
        if decision.send_at is None:
            raise Problem(409, "decision_id", "a hold can't be cancelled")
        if decision.send_at <= now:
            raise Problem(409, "decision_id", f"it was sent at {iso(decision.send_at)}")
        # A decision is made after all that its user did, some clocks being ahead of ours.
        at = max(now, decision.decided_at)
        told_so = {"decision_id": decision_id, "outcome": "cancelled", "at": iso(at)}
        outcome, receipt = OutcomeIn.model_validate(told_so), Receipt()
        take_outcomes(connection, settings, {0: outcome}, receipt, at)
        for refused in receipt.rejected:
            raise Problem(409, "decision_id", refused["error"]["detail"])
        # With the user, so that erasing finds the row.
        detail = {"decision_id": decision_id, "user_id": decision.user_id}
        audit(connection, now, who, "cancel send", detail)


def _take_late(
    connection: Connection,
    good: Mapping[int, OutcomeIn],
    present: set[str],
    receipt: Receipt,
    now: int,
) -> set[int]:
    """Refuse outcomes of archived decisions, which come too late to be joined; but whoever
    unsubscribes by one has withdrawn their consent. Returns their places in the request.

    present: decisions that the store holds.
    """
    others = {o.decision_id for o in good.values()} - present
    archived = rows_by_key(connection, ARCHIVED, others) if others else {}
    late = {n: o for n, o in good.items() if o.decision_id in archived}
    leaving = set()
    for index, outcome in late.items():
        if outcome.outcome == "unsubscribed":
            leaving.add(archived[outcome.decision_id].user_id)
            receipt.accepted += 1
            receipt.kinds["unsubscribed"] += 1
        else:
            receipt.reject(index, absent(connection, outcome.decision_id))
    users = [mended(connection, user) for user in read_users(connection, leaving).values()]
    no_more = [with_changes(connection, user, {"consent": False}, now) for user in users]
    write_users(connection, no_more)
    return set(late)


def _owners(engine: Engine, decision_ids: Iterable[str]) -> dict[str, str]:
    """Users whom decisions are or were about, by decision: that never changes."""
    with reading(engine) as connection:
        return {
            row.decision_id: row.user_id
            for table in (DECISIONS, ARCHIVED)
            for row in found_by_key(connection, table, decision_ids, "decision_id", "user_id")
        }


def check_outcome(outcome: OutcomeIn, decision: Any) -> None:
    """Raises `Problem` for an outcome that can't be this decision's (a row, or None)."""
    if decision is None:
        raise Problem(422, "decision_id", f"there is no decision {outcome.decision_id!r}")
    if decision.send_at is None:
        raise Problem(422, "decision_id", f"decision {outcome.decision_id!r} is a hold")
    if outcome.at < decision.decided_at:
        raise Problem(
            422, "at", f"decision {outcome.decision_id!r} was made after {iso(outcome.at)}"
        )


def _known_outcomes(
    connection: Connection, keys: Sequence[tuple[str, str, int]]
) -> set[tuple[str, str, int]]:
    known = set()
    columns = (OUTCOMES.c.decision_id, OUTCOMES.c.outcome, OUTCOMES.c.at)
    for start in range(0, len(keys), 500):
        some = select(*columns).where(tuple_(*columns).in_(keys[start : start + 500]))
        known |= {tuple(row) for row in connection.execute(some)}
    return known


def _advance(
    connection: Connection, settings: Settings, new: dict[str, list[Fields]], now: int
) -> None:
    users = read_users(connection, new)
    made: dict[str, User] = {}
    for name, fields in new.items():
        since = min(now, *(int(event["at"]) for event in fields))
        made[name] = users.get(name) or new_user(
            name, since, settings.unknown_consent, settings.default_timezone
        )
    write_users(connection, advanced(connection, made.values(), new))
