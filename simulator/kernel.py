"""The stepping kernel: many users' days at once, through the same state, view and events as a log.

One step is one local day of each user: a decision at local midnight, then the day's visits and
the outcomes of this and earlier sends in the order of their instants. What is drawn for a user
depends on seed, user and day only, so a user's life is the same alone and in any batch.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from mdp.clock import DAY, NEVER, local_day, next_local_midnight
from mdp.errors import BadSetting
from mdp.guardrails import Mask, mask
from mdp.observation import Requests, View, seen
from mdp.prediction import outcomes_of
from mdp.reasons import allowed_first, bound_reasons, copy_reasons, item_reasons
from mdp.recency import recency_at
from mdp.state import HISTORY, TRAITS, apply, features, put, taken
from simulator.description import Simulator, offered
from simulator.happenings import Happenings, begun, joined
from simulator.organic import HABITS, draw_day, drawn_habits
from simulator.outcomes import INSTANTS, Outcomes, draw_outcomes
from simulator.payment import Chosen, Step, chosen_of, expected, paid
from simulator.posterior import drawn_traits
from simulator.randomness import EPISODE, IDENTITY, ORGANIC, RESPONSE, keys, words
from simulator.recording import Decided, Recording

CLICKS = 8
"""Clicks on pushes that are remembered of each user, to tell a push's purchases from others."""


class Kernel:
    """Steps N users of a simulator, a local day at a time.

    rows: (N,) rows of `simulator.users`, repeats allowed. seed: one number, or one for each row.
    days: length of an episode. record: keep what happens for `tables()`.
    """

    def __init__(
        self,
        simulator: Simulator,
        rows: np.ndarray,
        seed: int | np.ndarray = 0,
        days: int = 28,
        record: bool = False,
    ) -> None:
        self.simulator, self.days = simulator, days
        catalog, size = simulator.catalog, len(rows)
        self.N = size
        self.recording = Recording(simulator) if record else None
        truth = simulator.members or (simulator.response,)
        self._truth = [model.bind(catalog) for model in truth]
        self._mean = simulator.response.bind(catalog)
        self._belief = None if simulator.model is None else simulator.model.bind(catalog)
        # A send whose recency the view has seen is drawn from it.
        believed = () if simulator.model is None else simulator.model.half_lives
        self._seen_alike = [np.array_equal(model.half_lives, believed) for model in truth]
        self._offered = np.tile(offered(catalog), (size, 1))
        self._hashes = np.append(catalog.items.hashes, np.uint64(0))  # the last is padding's
        users = simulator.users
        self._copy_reason = copy_reasons(
            catalog,
            np.tile(offered(catalog), (len(users), 1)),
            list(users.locales) or None,
            list(users.segments) or None,
        )
        self.rows = np.zeros(size, np.int64)
        """Rows of the simulator's users (N,) int64."""
        self.at = np.zeros(size, np.int64)
        """Instants of the coming decisions (N,) int64."""
        self.day = np.zeros(size, np.int64)
        """Days since each row's episode began (N,) int64."""
        self.histories = simulator.histories[:1].repeat(size)
        """The users' states (N,) `HISTORY`."""
        self.zone = np.zeros(size, users.codes.dtype)
        self._seed = np.zeros(size, np.uint64)
        self._user = np.zeros(size, np.uint64)
        self._traits = np.zeros(size, TRAITS)
        self._believed = np.zeros(size, TRAITS)
        self._habits = np.zeros(size, HABITS)
        self._member = np.zeros(size, np.int64)
        self._clicked = np.zeros((size, CLICKS), np.uint64)
        self._clicked_at = np.full((size, CLICKS), NEVER)
        self._pending = Happenings.none()
        self._coming: tuple[Requests, Mask] | None = None
        self._view: View | None = None
        self.reset(np.ones(size, bool), rows, seed)

    def reset(
        self,
        where: np.ndarray,
        rows: np.ndarray,
        seed: int | np.ndarray,
        start_day: int | np.ndarray = 0,
        member: np.ndarray | None = None,
    ) -> None:
        """Begin a new episode in the rows `where` (N,) bool, with users `rows` (M,) and seeds
        (M,), M being the number of rows that begin anew.

        start_day: days (M,) after the simulator's start, through which nothing happens. member:
        which of the ensemble responds (M,), -1 and None to draw one.
        """
        simulator, rows = self.simulator, np.asarray(rows, np.int64)
        self.rows[where] = rows
        seeds = np.asarray(seed).astype(np.uint64)
        self._seed[where] = seeds
        self._user[where] = user = simulator.users.hashes[rows]
        self.zone[where] = zone = simulator.users.codes[rows]
        first = np.full(len(rows), simulator.start - 1) + np.asarray(start_day, np.int64) * DAY
        self.at[where] = next_local_midnight(first, zone)
        self.day[where] = 0
        put(self.histories, where, taken(simulator.histories, rows))
        episode = keys(self._seed[where], EPISODE, user, np.zeros(len(rows), np.int64))
        self._traits[where] = drawn_traits(simulator.traits[rows], episode)
        self._habits[where] = drawn_habits(simulator.organic, rows, episode)
        members = words(episode, 1000) % np.uint64(len(self._truth))
        drawn = members.astype(np.int64)
        self._member[where] = drawn if member is None else np.where(member < 0, drawn, member)
        if simulator.beliefs is not None:
            self._believed[where] = simulator.beliefs.rows(user)[0]
        self._clicked_at[where] = NEVER
        self._pending = self._pending.taken(~where[self._pending.owner])
        if where.all():
            self._coming = self._view = None
        elif self._coming is not None and self._view is not None:
            self._renew(np.flatnonzero(where))

    def release(self) -> None:
        """Forget the view of the coming decisions, so that a reset of some rows leaves the arrays
        that were handed out as they are."""
        self._coming = self._view = None

    def _renew(self, which: np.ndarray) -> None:
        """Make the cached view anew in the rows `which` (M,), which begin an episode."""
        requests, allowed = self._asked(which)
        assert self._coming is not None
        _put(self._coming[0], which, requests)
        _put(self._view, which, self._seen(requests, allowed, which))

    @property
    def done(self) -> bool:
        """Whether every row's episode is over."""
        return bool((self.day >= self.days).all())

    @property
    def unsubscribed(self) -> np.ndarray:
        """Whether each user has unsubscribed (N,) bool."""
        return self.histories["unsubscribed"] == 1

    def tables(self) -> dict[str, pd.DataFrame]:
        """What happened so far as the tables of a log; raises `BadSetting` without `record`."""
        if self.recording is None:
            raise BadSetting("this kernel keeps no recording: make it with record=True")
        return self.recording.tables()

    def requests(self) -> Requests:
        """The coming decisions. Candidates that are allowed come first, the others are left out,
        so slots are those of the lists that a log shows."""
        return self._asking()[0]

    def _asking(self) -> tuple[Requests, Mask]:
        if self._coming is None:
            self._coming = self._asked(slice(None))
        return self._coming

    def _asked(self, which: np.ndarray | slice) -> tuple[Requests, Mask]:
        """The coming decisions of the rows `which`, with states as they stand then."""
        simulator = self.simulator
        at, zone = self.at[which], self.zone[which]
        asking = self.histories if isinstance(which, slice) else taken(self.histories, which)
        states = features(asking, at)
        items = simulator.recommender.candidates(self._user[which], states, at)
        variants = self._offered[: len(at)]
        item_reason = item_reasons(simulator.catalog, items, at)
        variant_reason = bound_reasons(
            simulator.catalog, items, variants, self._copy_reason[self.rows[which]]
        )
        allowed = mask(
            simulator.guardrails,
            states,
            at,
            zone,
            self._hashes[items],
            simulator.catalog.items.available_until[items],
            item_reason,
            variant_reason,
        )
        items, reasons = allowed_first(items, allowed.item)
        requests = Requests(states, at, zone, items, variants, reasons, variant_reason)
        return requests, replace(allowed, item=reasons)

    def view(self) -> View:
        """The coming decisions as a policy sees them."""
        if self._view is None:
            self._view = self._seen(*self._asking(), slice(None))
        return self._view

    def _seen(self, requests: Requests, allowed: Mask, which: np.ndarray | slice) -> View:
        simulator = self.simulator
        return seen(
            requests,
            requests.histories,
            allowed,
            simulator.catalog,
            simulator.reward,
            self._belief,
            self._believed[which],
        )

    def true_view(self) -> View:
        """The coming decisions as one sees them who knows the simulator's own response model."""
        requests, allowed = self._asking()
        return seen(
            requests,
            requests.histories,
            allowed,
            self.simulator.catalog,
            self.simulator.reward,
            self._mean,
            self._traits,
        )

    def step(
        self,
        actions: np.ndarray,
        propensity: np.ndarray | None = None,
        policy: str = "",
    ) -> Step:
        """Take flat actions (N,) and live to the next local midnight.

        propensity: (N,), and policy: only kept in the recording.
        """
        view, requests, simulator = self.view(), self.requests(), self.simulator
        chosen = chosen_of(np.asarray(actions, np.int64), view, requests)
        send_at = np.where(
            chosen.item >= 0, view.mask.send_at[np.arange(self.N), chosen.hour], NEVER
        )
        until = next_local_midnight(self.at, self.zone)
        probability = self._probability(chosen, view, requests)
        day_key = keys(self._seed, RESPONSE, self._user, self.day)
        outcomes = draw_outcomes(probability, send_at, day_key, simulator.delays)
        self._remember_clicks(chosen.item, outcomes.clicked)
        happening = self._happening(chosen, send_at, outcomes, until)
        if self.recording is not None:
            self._record(chosen, send_at, requests, view, propensity, policy)
        applied, self._pending = happening.due(until)
        apply(self.histories, applied.owner, applied.events)
        if self.recording is not None:
            self.recording.happened(self.rows[applied.owner], applied.events, applied.ids)
        step = paid(
            chosen,
            outcomes,
            probability,
            applied.owner,
            applied.events,
            self.at,
            simulator.catalog,
            simulator.reward,
        )
        self.at = until
        self.day = self.day + 1
        self._coming = self._view = None
        return step

    def _probability(self, chosen: Chosen, view: View, requests: Requests) -> np.ndarray:
        """Conditional probabilities (N, 5) of what follows the chosen sends."""
        out = np.zeros((self.N, len(INSTANTS)))
        sent = chosen.item >= 0
        for number in range(len(self._truth)):
            mine = np.flatnonzero(sent & (self._member == number))
            out[mine] = self._answered(number, mine, chosen, view, requests)
        return out

    def _answered(
        self, member: int, mine: np.ndarray, chosen: Chosen, view: View, requests: Requests
    ) -> np.ndarray:
        """What a member says of the sends in the rows `mine` (M,): (M, 5)."""
        recency = None
        if view.terms is not None and self._seen_alike[member]:
            recency = recency_at(view.terms.recency, mine, chosen.k[mine], chosen.v[mine])
        terms = self._truth[member].terms(
            taken(requests.histories, mine) if recency is None else requests.histories,
            self._traits[mine],
            chosen.item[mine, None],
            chosen.variant[mine, None],
            self.at[mine],
            self.zone[mine],
            recency,
        )
        first = np.zeros(len(mine), np.int64)
        return outcomes_of(terms, first, first, chosen.hour[mine])

    def expected_by_member(self, actions: np.ndarray) -> np.ndarray:
        """Expected rewards (members, N) float64 of flat actions (N,) under each member of the
        ensemble, before they are taken."""
        view, requests = self.view(), self.requests()
        chosen = chosen_of(np.asarray(actions, np.int64), view, requests)
        sent = np.flatnonzero(chosen.item >= 0)
        out = np.zeros((len(self._truth), self.N))
        catalog, reward = self.simulator.catalog, self.simulator.reward
        for number in range(len(self._truth)):
            probability = np.zeros((self.N, len(INSTANTS)))
            probability[sent] = self._answered(number, sent, chosen, view, requests)
            out[number] = expected(chosen, probability, catalog, reward)
        return out

    def _remember_clicks(self, item: np.ndarray, clicked: np.ndarray) -> None:
        rows = np.flatnonzero(clicked != NEVER)
        slot = self.day[rows] % CLICKS
        self._clicked[rows, slot] = self.simulator.catalog.items.hashes[item[rows]]
        self._clicked_at[rows, slot] = clicked[rows]

    def _happening(
        self, chosen: Chosen, send_at: np.ndarray, outcomes: Outcomes, until: np.ndarray
    ) -> Happenings:
        """What is pending, and what begins on this day."""
        simulator = self.simulator
        drawn = draw_day(
            simulator.organic,
            self.rows,
            self._habits,
            self.day,
            keys(self._seed, ORGANIC, self._user, self.day),
            (local_day(self.at, self.zone) + 3) % 7,
            self.view().mask.send_at,
            until,
            self.histories["known"],
            simulator.catalog.items.hashes,
            self._clicked,
            self._clicked_at,
        )
        identity = keys(self._seed, IDENTITY, self._user, self.day)
        new = begun(
            chosen,
            self.at,
            send_at,
            np.stack([getattr(outcomes, name) for name in INSTANTS], 1),
            drawn,
            words(identity, 0),
            words(identity, 1),
            self.unsubscribed,
            self.zone,
            simulator.catalog,
            simulator.organic.spend,
        )
        if self.recording is not None:
            new.named()
        return joined(self._pending, new)

    def _record(
        self,
        chosen: Chosen,
        send_at: np.ndarray,
        requests: Requests,
        view: View,
        propensity: np.ndarray | None,
        policy: str,
    ) -> None:
        assert self.recording is not None
        on = np.flatnonzero(~self.unsubscribed)
        decision = words(keys(self._seed, IDENTITY, self._user, self.day), 0)[on]
        self.recording.decided.append(
            Decided(
                ids=[f"d{number:016x}" for number in decision.tolist()],
                users=self.rows[on],
                decided_at=self.at[on],
                item=chosen.item[on],
                variant=chosen.variant[on],
                send_at=send_at[on],
                propensity=np.full(len(on), np.nan) if propensity is None else propensity[on],
                policy=policy,
                candidates=np.where(view.mask.item == 0, requests.items, -1)[on],
                variants=np.where(view.mask.variant == 0, requests.variants, -1)[on],
                hours=(view.mask.hour == 0)[on],
            )
        )


def _put(target: Any, rows: np.ndarray, source: Any) -> None:
    """Write the rows of `source`'s arrays into the rows (M,) of `target`'s, by name."""
    if isinstance(target, np.ndarray):
        if target.dtype == HISTORY:
            put(target, rows, source)
        else:
            target[rows] = source
    elif isinstance(target, dict):
        for name in target:
            _put(target[name], rows, source[name])
    elif target is not None:
        for name in _by_row(target.__class__):
            _put(getattr(target, name), rows, getattr(source, name))


@lru_cache
def _by_row(kind: Any) -> tuple[str, ...]:
    """Names of a dataclass's fields that have a row for each decision."""
    return tuple(part.name for part in fields(kind) if part.metadata.get("rows", True))
