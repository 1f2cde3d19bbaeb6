"""The stepping kernel: many users' days at once, through the same state, view and events as a log.

One step is one local day of each user: a decision at local midnight, then the day's visits and
the outcomes of this and earlier sends in the order of their instants. What is drawn for a user
depends on seed, user and day only, so a user's life is the same alone and in any batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mdp.clock import NEVER
from mdp.errors import BadSetting
from mdp.local_time import local_day, midnights_from, next_local_midnight
from mdp.observation import Requests, View, observe
from mdp.prediction import outcomes_of
from mdp.recency import recency_at
from mdp.state import TRAITS, apply, features, put, taken
from simulator.description import Drift, Simulator
from simulator.happenings import Happenings, begun
from simulator.looking import Looking, Now
from simulator.organic import ALL_LISTED, HABITS, draw_day, drawn_habits
from simulator.outcomes import INSTANTS, Outcomes, draw_outcomes
from simulator.payment import Chosen, Step, chosen_of, expected, paid
from simulator.posterior import drawn_traits
from simulator.randomness import EPISODE, IDENTITY, ORGANIC, RESPONSE, TASTE, keys, uniforms, words
from simulator.recording import Decided, Recording

_TRAITS = np.dtype((np.void, TRAITS.itemsize))
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
        # A send whose recency the view has seen is drawn from it.
        believed = () if simulator.model is None else simulator.model.half_lives
        self._recency_alike = [np.array_equal(model.half_lives, believed) for model in truth]
        self.rows = np.zeros(size, np.int64)
        """Rows of the simulator's users (N,) int64."""
        self.at = np.zeros(size, np.int64)
        """Instants of the coming decisions (N,) int64."""
        self.day = np.zeros(size, np.int64)
        """Days since each row's episode began (N,) int64."""
        self.histories = simulator.histories[:1].repeat(size)
        """The users' states (N,) `HISTORY`."""
        self.zone = np.zeros(size, simulator.users.codes.dtype)
        self._seed = np.zeros(size, np.uint64)
        self._user = np.zeros(size, np.uint64)
        self._traits = np.zeros(size, TRAITS)
        self._habits = np.zeros(size, HABITS)
        self._member = np.zeros(size, np.int64)
        self._like = np.full(size, -1)
        self._clicked = np.zeros((size, CLICKS), np.uint64)
        self._clicked_at = np.full((size, CLICKS), NEVER)
        self._pending = Happenings.none()
        self._looking = Looking(simulator, size)
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
        new = np.flatnonzero(where)
        self.rows[new] = rows
        seeds = np.asarray(seed).astype(np.uint64)
        self._seed[new] = seeds
        self._user[new] = user = simulator.users.hashes[rows]
        self.zone[new] = zone = simulator.users.codes[rows]
        self.at[new] = midnights_from(simulator.start, zone, start_day)
        self.day[new] = 0
        put(self.histories, new, taken(simulator.histories, rows))
        episode = keys(self._seed[new], EPISODE, user, np.zeros(len(rows), np.int64))
        self._traits[new] = drawn_traits(simulator.traits[rows], episode)
        self._habits[new] = drawn_habits(simulator.organic, rows, episode)
        members = words(episode, 1000) % np.uint64(len(self._truth))
        drawn = members.astype(np.int64)
        self._member[new] = drawn if member is None else np.where(member < 0, drawn, member)
        self._like[new] = -1
        self._clicked_at[new] = NEVER
        self._pending = self._pending.taken(~where[self._pending.owner])
        self._looking.begin(new, self._now())

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Zone codes are this process's own, whatever they were where the kernel was pickled."""
        self.__dict__.update(state)
        self.zone = self.simulator.users.codes[self.rows]

    def release(self) -> None:
        """Forget the view of the coming decisions, so that a reset of some rows leaves the arrays
        that were handed out as they are."""
        self._looking.forget()

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
        view, items = self._seen()
        variants = self._looking.variants
        states = features(self.histories, self.at)
        return Requests(
            states, self.at, self.zone, items, variants, view.mask.item, view.mask.variant
        )

    def view(self) -> View:
        """The coming decisions as a policy sees them."""
        return self._seen()[0]

    def _now(self) -> Now:
        return Now(self.rows, self._user, self.at, self.zone, self.histories)

    def _seen(self) -> tuple[View, np.ndarray]:
        """The coming decisions as a policy sees them, and their candidates (N, K)."""
        return self._looking.at(self._now())

    def true_view(self) -> View:
        """The coming decisions as one sees them who knows the simulator's own response model."""
        simulator = self.simulator
        return observe(
            self.requests(),
            simulator.catalog,
            simulator.guardrails,
            simulator.reward,
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

        propensity: (N,), and policy: only kept in the recording. Raises `BadInput` for what are
        no actions.
        """
        (view, items), simulator = self._seen(), self.simulator
        chosen = chosen_of(actions, view.mask, items, self._looking.variants)
        until = next_local_midnight(self.at, self.zone)
        probability = self._probability(chosen, view)
        day_key = keys(self._seed, RESPONSE, self._user, self.day)
        outcomes = draw_outcomes(probability, chosen.send_at, day_key, simulator.delays)
        self._remember_clicks(chosen.item, outcomes.clicked)
        happening = self._happening(chosen, outcomes, until)
        if self.recording is not None:
            self._record(chosen, items, view, propensity, policy)
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
        self._looking.forget()
        if simulator.drift is not None:
            self._change_tastes(simulator.drift)
        return step

    def _change_tastes(self, drift: Drift) -> None:
        """Give some users the tastes of others for the day that begins and those after it."""
        key = keys(self._seed, TASTE, self._user, self.day)
        rows = np.flatnonzero(uniforms(key, 1000) < drift.share)
        other = (words(key[rows], 1001) % np.uint64(len(drift.traits))).astype(np.int64)
        self._like[rows] = other
        self._traits["taste"][rows] = drawn_traits(drift.traits[other], key[rows])["taste"]

    def _probability(self, chosen: Chosen, view: View) -> np.ndarray:
        """Conditional probabilities (N, 5) of what follows the chosen sends."""
        out = np.zeros((self.N, len(INSTANTS)))
        sent = chosen.item >= 0
        for number in range(len(self._truth)):
            mine = sent if len(self._truth) == 1 else sent & (self._member == number)
            rows = np.flatnonzero(mine)
            out[rows] = self._answered(number, rows, chosen, view)
        return out

    def _answered(self, member: int, mine: np.ndarray, chosen: Chosen, view: View) -> np.ndarray:
        """What a member says of the sends in the rows `mine` (M,): (M, 5)."""
        recency = None
        if view.terms is not None and self._recency_alike[member]:
            recency = recency_at(view.terms.recency, mine, chosen.k[mine], chosen.v[mine])
        terms = self._truth[member].terms(
            features(taken(self.histories, mine), self.at[mine])
            if recency is None
            else self.histories,
            self._traits.view(_TRAITS)[mine].view(TRAITS),
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
        view, items = self._seen()
        chosen = chosen_of(actions, view.mask, items, self._looking.variants)
        sent = np.flatnonzero(chosen.item >= 0)
        out = np.zeros((len(self._truth), self.N))
        catalog, reward = self.simulator.catalog, self.simulator.reward
        for number in range(len(self._truth)):
            probability = np.zeros((self.N, len(INSTANTS)))
            probability[sent] = self._answered(number, sent, chosen, view)
            out[number] = expected(chosen, probability, catalog, reward)
        return out

    def _remember_clicks(self, item: np.ndarray, clicked: np.ndarray) -> None:
        rows = np.flatnonzero(clicked != NEVER)
        slot = self.day[rows] % CLICKS
        self._clicked[rows, slot] = self.simulator.catalog.items.hashes[item[rows]]
        self._clicked_at[rows, slot] = clicked[rows]

    def _happening(self, chosen: Chosen, outcomes: Outcomes, until: np.ndarray) -> Happenings:
        """What is pending, and what begins on this day."""
        simulator = self.simulator
        organic, drift, launches = simulator.organic, simulator.drift, simulator.launches
        drawn = draw_day(
            organic,
            self.rows,
            self._habits,
            self.day,
            keys(self._seed, ORGANIC, self._user, self.day),
            local_day(self.at, self.zone),
            self.view().mask.send_at,
            until,
            self.histories["known"],
            simulator.catalog.items.hashes,
            self._clicked,
            self._clicked_at,
            (organic.own_items, organic.own_weight, self._like)
            if drift is None
            else (drift.items, drift.weight, self._like),
            ALL_LISTED if launches is None else (launches.successor, launches.since),
        )
        identity = keys(self._seed, IDENTITY, self._user, self.day)
        happening = begun(
            self._pending,
            chosen,
            self.at,
            outcomes,
            drawn,
            words(identity, 0),
            words(identity, 1),
            self.unsubscribed,
            self.zone,
            simulator.catalog,
            organic.spend,
        )
        if self.recording is not None:
            happening.named(len(self._pending.owner))
        return happening

    def _record(
        self,
        chosen: Chosen,
        items: np.ndarray,
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
                send_at=chosen.send_at[on],
                propensity=np.full(len(on), np.nan) if propensity is None else propensity[on],
                policy=policy,
                candidates=np.where(view.mask.item == 0, items, -1)[on],
                variants=np.where(view.mask.variant == 0, self._looking.variants, -1)[on],
                hours=(view.mask.hour == 0)[on],
            )
        )
