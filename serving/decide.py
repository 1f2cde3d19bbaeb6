"""The decision service: one `decide` for a single request and for a batch.

Each draw is conditional on the user's state as read. It commits only if that state, and all that
decisions share, is unchanged; else the whole decision is made again with a fresh draw, and only
the committed draw is ever logged. So caps hold however many threads and processes decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import structlog
from sqlalchemy import Connection, Engine, Row, select
from sqlalchemy.exc import DBAPIError

from mdp.errors import BadInput
from mdp.events import Kind
from serving.arms import Assigned, assigned
from serving.budget import Budget, read_budget
from serving.cache import UserCache, cache_of
from serving.clocks import Clock, wall_clock
from serving.commit import (
    Answer,
    Draft,
    Keyed,
    Replayed,
    answer,
    commit,
    decision_row,
    keep_answers,
    same_day,
)
from serving.history import assumed, mend
from serving.keys import answered_before
from serving.problems import Problem, StoreFault, as_problem, words_of_damage
from serving.registry import Registry, World
from serving.rows import inserting, rows_by_key
from serving.schemas import Ask, iso
from serving.scoring import Drawn, Question, draw
from serving.settings import Settings
from serving.store import Store, connected, reading, writing
from serving.tables import DECISIONS, IDEMPOTENCY
from serving.tracing import Tracing
from serving.users import User, check_readable, new_user, read_users, users_of

LIFTED = ("killed", "policy_killed", "consent_unknown", "timezone_unknown", "budget")
"""Holds that bind only while their reason lasts; every other hold binds for the local date."""
TOLD_AGAIN = 60.0
"""Seconds after which the log says again that a challenger or shadow fails."""
MOST_LOST = 50
"""Requests of a group that are refused one by one for damage to the store; then all the others."""
UNTRACED = Tracing()
_HOLD = int(Kind.HOLD)


class Decider:
    """Decides for the users of a store."""

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        settings: Settings,
        rng: np.random.Generator | None = None,
        clock: Clock = wall_clock,
        tracing: Tracing = UNTRACED,
        failed: Callable[[str, int], None] | None = None,
    ) -> None:
        """failed: is told at how many decisions a `challenger` or `shadow` failed."""
        self._engine, self._registry, self._settings = engine, registry, settings
        self._rng = np.random.default_rng() if rng is None else rng
        self._shadow_rng = np.random.default_rng()  # so that a shadow changes nothing of the draws
        self._clock, self._tracing = clock, tracing
        self._tolerance = round(settings.clock_tolerance_seconds * 1e6)
        self._failed, self._told_at = failed, {"challenger": -TOLD_AGAIN, "shadow": -TOLD_AGAIN}

    def decide(self, requests: Sequence[Keyed]) -> list[Answer]:
        """Answers in the order of the requests: a decision each, or a `Problem`.

        Requests of one user are decided one after the other. Not to be called by two threads at
        once (they would share the random stream).
        """
        answers: list[Answer | None] = [None] * len(requests)
        waiting = list(range(len(requests)))
        while waiting:
            turn: list[int] = []
            later: list[int] = []
            users: set[str] = set()
            keys: set[str | None] = set()
            for n in waiting:
                user, key = requests[n].ask.user_id, requests[n].key
                (later if user in users or key in keys else turn).append(n)
                users.add(user)
                if key:
                    keys.add(key)
            links = [requests[n].trace for n in turn]
            with self._tracing.span("decide", links, requests=len(turn)):
                undone = self._tolerant(requests, turn, answers)
            waiting = sorted(undone + later)
        return [answer for answer in answers if answer is not None]

    def _tolerant(
        self, requests: Sequence[Keyed], turn: list[int], answers: list[Answer | None]
    ) -> list[int]:
        """`_attempt`, by halves where rows that it needs are damaged: so only those are refused
        whose rows these are. Raises where they are most people's."""
        try:
            return self._attempt(requests, turn, answers)
        except DBAPIError as error:
            refused = sum(isinstance(answer, StoreFault) for answer in answers)
            if not words_of_damage(error) or refused >= MOST_LOST:
                raise
            if len(turn) == 1:
                answers[turn[0]] = as_problem(error)
                return []
        half = len(turn) // 2
        parts = (turn[:half], turn[half:])
        return [n for part in parts for n in self._tolerant(requests, part, answers)]

    def _attempt(
        self, requests: Sequence[Keyed], turn: list[int], answers: list[Answer | None]
    ) -> list[int]:
        """Answer what can be answered; returns the requests to decide again."""
        drafts: dict[int, Draft] = {}
        done: dict[int, dict[str, Any]] = {}
        cache = cache_of(self._engine)
        # Before the store is: what is cached is committed, so the store shows nothing older.
        cached = {} if cache is None else _cached(cache, [requests[n].ask for n in turn])
        with connected(self._engine) as own:
            with reading(own) as connection:
                try:
                    world = self._registry.world(connection)
                except BadInput as error:
                    raise Problem(409, None, str(error)) from error
                now = self._clock()  # loading a policy takes time
                missing = {requests[n].ask.user_id for n in turn} - cached.keys()
                users = cached | read_users(connection, missing)
                asked = self._sort(connection, world, requests, turn, users, answers, drafts, now)
                since = min([now, *(question.at for question, _ in asked.values())])
                budget = read_budget(connection, world.values, since)
            with self._tracing.span("draw", draws=len(asked)):
                self._draw(world, requests, asked, drafts, budget)
            for n in [n for n in drafts if requests[n].ask.dry_run]:
                draft = drafts.pop(n)
                answers[n] = {**answer(draft.user, decision_row(draft, None)), "dry_run": True}
            self._keep_repeats(own, requests, turn, answers, now)
            if drafts:
                with self._tracing.span("commit", decisions=len(drafts)):
                    done = commit(own, world, drafts, now, self._settings)
        for n, given in done.items():
            answers[n] = given
        undone = [n for n in drafts if n not in done]
        if cache is not None:
            cache.drop(requests[n].ask.user_id for n in undone)
        return undone

    def _draw(
        self,
        world: World,
        requests: Sequence[Keyed],
        asked: Mapping[int, tuple[Question, Assigned]],
        drafts: dict[int, Draft],
        budget: Budget | None,
    ) -> None:
        """Draft what the policies draw, each for its own arm, and the shadow beside them."""
        for arm in sorted({who.arm for _, who in asked.values()}):
            mine = {n: question for n, (question, who) in asked.items() if who.arm == arm}
            deciding = next(who.world for _, who in asked.values() if who.arm == arm)
            drawn = None
            if deciding.name != world.name:
                drawn = self._tried("challenger", deciding, [*mine.values()], self._rng, budget)
            if drawn is None:  # a challenger that fails leaves its users to the active policy
                deciding, drawn = world, draw(world, [*mine.values()], self._rng, budget)
            for (n, question), result in zip(mine.items(), drawn, strict=True):
                drafts[n] = Draft(requests[n], question.user, question.at, result, deciding, arm)
        if world.shadow is not None and asked:
            questions = [question for question, _ in asked.values()]
            beside = self._tried("shadow", world.shadow, questions, self._shadow_rng, budget)
            for n, result in zip(asked, beside or (), strict=beside is not None):
                drafts[n] = drafts[n]._replace(shadow=(world.shadow, result))

    def _tried(
        self,
        role: str,
        world: World,
        questions: Sequence[Question],
        rng: np.random.Generator,
        budget: Budget | None,
    ) -> list[Drawn] | None:
        """What a policy of the experiment draws; None where it fails, whatever the error is: that
        is counted and logged, and stops nobody's decision."""
        try:
            return draw(world, questions, rng, budget)
        except Exception as error:
            if self._failed is not None:
                self._failed(role, len(questions))
            if time.monotonic() - self._told_at[role] >= TOLD_AGAIN:  # it may fail at every group
                self._told_at[role] = time.monotonic()
                log = structlog.get_logger()
                log.error("draw failed", role=role, policy=world.name, exc_info=error)
            return None

    @staticmethod
    def _keep_repeats(
        store: Connection,
        requests: Sequence[Keyed],
        turn: list[int],
        answers: Sequence[Answer | None],
        now: int,
    ) -> None:
        """A hold that is given again writes no row, but a key that comes with it is answered the
        same for ever."""
        given = [
            (requests[n], answer)
            for n in turn
            if requests[n].key
            and not requests[n].ask.dry_run
            and isinstance(answer := answers[n], dict)
            and not isinstance(answer, Replayed)
            and answer["repeated"]
        ]
        if given:
            with writing(store, {f"key:{keyed.key}" for keyed, _ in given}) as connection:
                keep_answers(connection, given, now)

    def _sort(
        self,
        connection: Connection,
        world: World,
        requests: Sequence[Keyed],
        turn: list[int],
        users: dict[str, User],
        answers: list[Answer | None],
        drafts: dict[int, Draft],
        now: int,
    ) -> dict[int, tuple[Question, Assigned]]:
        """Answer repeats and bad requests, draft forced holds; returns what must be drawn."""
        lost = mend(connection, users)
        held = _last_holds(connection, users.values())
        stored = answered_before(connection, [requests[n] for n in turn])
        asked: dict[int, tuple[Question, Assigned]] = {}
        for n in turn:
            keyed = requests[n]
            try:
                if keyed.key in stored:
                    answers[n] = again(keyed, stored[keyed.key])
                    continue
                if problem := lost.get(keyed.ask.user_id):
                    raise problem
                user = users.get(keyed.ask.user_id)
                question = self._question(connection, world, keyed.ask, user, now)
                who = assigned(world, question.user)
                last = held.get(question.user.user_id)
                if last is not None and _binds(question, last, who.reason):
                    answers[n] = answer(question.user, last._mapping, repeated=True)
                elif who.reason is None:
                    asked[n] = question, who
                else:
                    nothing = Drawn("", "", "", -1, -1, None, 1.0, who.reason)
                    drafts[n] = Draft(
                        keyed, question.user, question.at, nothing, who.world, who.arm
                    )
            except Problem as problem:
                answers[n] = problem
        return asked

    def _question(
        self, connection: Connection, world: World, ask: Ask, user: User | None, now: int
    ) -> Question:
        at, consent = self._time(ask, now), self._settings.unknown_consent
        zone = ask.timezone or (user and user.timezone) or self._settings.default_timezone
        if user is None:
            user = new_user(ask.user_id, at, consent, zone)
        else:
            check_readable(user)
            user = assumed(connection, user, zone, consent)
        return Question(
            user,
            _after(user, at, self._tolerance),
            _rows(world.catalog.items.row, ask.candidates, "candidates", "item"),
            _rows(world.catalog.variants.row, ask.variants, "variants", "variant"),
        )

    def _time(self, ask: Ask, now: int) -> int:
        if ask.at is None:
            return now
        if not self._settings.trust_request_time:
            raise Problem(422, "at", "a time is accepted only with PUSHWISE_TRUST_REQUEST_TIME=1")
        return ask.at


def _cached(cache: UserCache, asks: Sequence[Ask]) -> dict[str, User]:
    """Users by id, of those that are cached. None whose answer would be given without a commit,
    which tells whether they are as they were read: of dry runs, and of whose hold may be given
    again."""
    names = {ask.user_id for ask in asks} - {ask.user_id for ask in asks if ask.dry_run}
    return {
        name: user
        for name, user in users_of(cache.rows(sorted(names))).items()
        if user.is_intact and not user.state["held"]
    }


def _after(user: User, at: int, tolerance: int) -> int:
    """The instant to decide at: after everything that the user's history holds."""
    if user.is_new:
        return at
    state = user.state
    last, kind = int(state["last_at"]), int(state["last_kind"])
    if at > last or (at == last and kind < _HOLD):
        return at
    if last - at > tolerance:
        raise Problem(409, "at", f"user {user.user_id!r} has events up to {iso(last)}")
    return last + 1


def _rows(
    row: dict[str, int], ids: Sequence[str] | None, field: str, kind: str
) -> tuple[int, ...] | None:
    if ids is None:
        return None
    try:
        rows = tuple(map(row.__getitem__, ids))
    except KeyError:
        rows = ()
    if len(set(rows)) == len(ids):
        return rows
    for place, name in enumerate(ids):
        if name not in row:
            raise Problem(422, f"{field}[{place}]", f"there is no {kind} {name!r}")
        if name in ids[:place]:
            raise Problem(422, f"{field}[{place}]", f"{kind} {name!r} is there twice")
    return rows


def _last_holds(connection: Connection, users: Iterable[User]) -> dict[str, Row[Any]]:
    """Last decision by user, of those whose last decision is a hold."""
    ids = [user.last_decision for user in users if user.last_decision and user.state["held"]]
    rows = rows_by_key(connection, DECISIONS, ids) if ids else {}
    return {row.user_id: row for row in rows.values()}


def _binds(question: Question, last: Row[Any], reason: str | None) -> bool:
    """Whether an earlier hold of the same local date still answers."""
    if not same_day(question.user, last.decided_at, question.at):
        return False
    return last.reason not in LIFTED or last.reason == reason


def again(keyed: Keyed, row: Row[Any]) -> Replayed:
    """The answer that a key got before; raises `Problem` where that was to another request."""
    _same(row.request, keyed.hash)
    return Replayed(row.response)


def claim(store: Store, key: str, batch: str, now: int) -> None:
    """Have a key mean one batch before anything of it is decided; raises `Problem` where the key
    was used with another request.

    batch: its hash. The answers are under keys of their own, so a batch that was cut off goes on.
    """
    row = {"key": key, "request": batch, "response": None, "at": now, "user_id": None}
    stored = select(IDEMPOTENCY.c.request).where(IDEMPOTENCY.c.key == key)
    with writing(store, [f"key:{key}"]) as connection:
        connection.execute(inserting(connection, IDEMPOTENCY).on_conflict_do_nothing(), row)
        _same(connection.scalar(stored), batch)


def _same(stored: str | None, given: str) -> None:
    if stored != given:
        raise Problem(422, "Idempotency-Key", "this key was used with another request")
