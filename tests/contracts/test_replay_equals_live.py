"""A log replayed at once, event by event, or in chunks as they came in: the same users."""

import numpy as np
import pytest

from ingestion.catalog import catalog_of
from ingestion.logged_decisions import decisions_of, requests_of
from ingestion.parse import log_of
from ingestion.replay import UserEvents, replay, snapshots, to_events
from mdp.clock import DAY
from mdp.guardrails import Guardrails
from mdp.observation import Requests, observe
from mdp.reward import Reward
from mdp.state import HISTORY, apply, is_late, new_histories
from policies.baselines import Random
from simulator.kernel import Kernel
from simulator.worlds.logit import LogitShop

USERS, DAYS = 40, 12


@pytest.fixture(scope="module")
def log():
    """Pushed every day that the guardrails allow, some outcomes and visits of all kinds."""
    kernel = Kernel(LogitShop().simulator(USERS, 2), np.arange(USERS), 2, DAYS, record=True)
    policy, rng = Random(hold=0.3), np.random.default_rng(0)
    while not kernel.done:
        kernel.step(*policy.act(kernel.view().observation, rng), "random")
    return log_of(kernel.tables())


@pytest.fixture(scope="module")
def users(log) -> UserEvents:
    return to_events(log)


class Live:
    """What a server does with events as they come in: applies them, or rebuilds whose are late."""

    def __init__(self, users: UserEvents) -> None:
        self.users = users
        self.stored = np.zeros(len(users.events), bool)
        self.histories = new_histories(USERS, users.consent)
        self.rebuilt = 0

    def take(self, chunk: np.ndarray) -> None:
        """chunk: (m,) indices of events, in any order."""
        chunk = np.sort(chunk)  # stored in the order (owner, at, kind, id)
        self.stored[chunk] = True
        owner, events = self.users.owner[chunk], self.users.events[chunk]
        late = np.unique(owner[is_late(self.histories, owner, events)])
        fresh = ~np.isin(owner, late)
        apply(self.histories, owner[fresh], events[fresh])
        self.histories[late] = new_histories(USERS, self.users.consent)[late]
        again = self.stored & np.isin(self.users.owner, late)
        apply(self.histories, self.users.owner[again], self.users.events[again])
        self.rebuilt += len(late)


def seen(log, users: UserEvents, histories: np.ndarray) -> dict[str, np.ndarray]:
    """What a policy is shown of every user on the day after the log."""
    catalog = catalog_of(log)
    rows = np.arange(len(catalog.items), dtype=np.int32)[:6]
    items = np.tile(rows, (USERS, 1))
    variants = np.tile(np.arange(len(catalog.variants), dtype=np.int32), (USERS, 1))
    at = np.full(USERS, users.events["at"].max() + DAY)
    requests = Requests(
        histories, at, users.zone, items, variants,
        np.zeros(items.shape, np.uint8), np.zeros(variants.shape, np.uint8),
    )  # fmt: skip
    return observe(requests, catalog, Guardrails(), Reward()).observation


def test_events_one_by_one_give_the_same_bytes(log, users):
    live = Live(users)
    for n in np.argsort(users.events["at"], kind="stable"):
        live.take(np.array([n]))
    assert live.histories.tobytes() == replay(users).tobytes()


@pytest.mark.parametrize("seed", range(5))
def test_chunks_with_late_events_give_the_same_bytes_and_observations(log, users, seed):
    rng = np.random.default_rng(seed)
    delay = rng.exponential(0.5 * DAY, len(users.events))
    arrival = np.argsort(users.events["at"] + delay.astype(np.int64), kind="stable")
    cuts = np.sort(rng.choice(len(arrival), 60, replace=False))
    live = Live(users)
    for chunk in np.split(arrival, cuts):
        live.take(chunk)
    assert live.rebuilt > USERS
    whole = replay(users)
    assert live.histories.tobytes() == whole.tobytes()
    expected = seen(log, users, whole)
    for name, array in seen(log, users, live.histories).items():
        assert array.tobytes() == expected[name].tobytes(), name


def test_a_late_event_that_is_only_appended_is_another_history(users):
    order = np.argsort(users.events["at"], kind="stable")[::-1]
    histories = new_histories(USERS, users.consent)
    apply(histories, users.owner[order], users.events[order])
    assert histories.tobytes() != replay(users).tobytes()


def test_a_snapshot_is_the_replay_until_then(log, users):
    decisions = decisions_of(log, catalog_of(log), users)
    chosen = np.random.default_rng(1).choice(len(decisions.rows), 30, replace=False)
    owner, at = decisions.owner[chosen], decisions.decided_at[chosen]
    found = snapshots(users, owner, at)
    for n in range(len(chosen)):
        # At the very instant: the user's own visits (kinds below a decision) come first.
        assert found[n].tobytes() == replay(users, int(at[n]))[owner[n]].tobytes()
    assert found.dtype == HISTORY


def test_a_decision_in_a_batch_is_seen_as_alone(log, users):
    catalog = catalog_of(log)
    decisions = decisions_of(log, catalog, users)
    together = observe(requests_of(log, catalog, users, decisions), catalog, Guardrails(), Reward())
    for n in (0, len(decisions.rows) // 2, len(decisions.rows) - 1):
        one = decisions.only(np.array([n]))
        alone = observe(requests_of(log, catalog, users, one), catalog, Guardrails(), Reward())
        for name, array in alone.observation.items():
            assert array[0].tobytes() == together.observation[name][n].tobytes(), name
