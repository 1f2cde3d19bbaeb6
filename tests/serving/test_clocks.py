"""The clock is set while the server runs."""

import time

import pytest

from mdp.clock import DAY, HOUR, MINUTE, SECOND
from serving import record
from serving.app import create_app
from serving.clock_watch import ClockWatch
from serving.problems import Problem
from serving.sending import LEASE, Dispatcher
from serving.tables import OUTBOX
from tests.serving.conftest import NOON, Clock
from tests.serving.receivers import listening
from tests.serving.test_control import actions, decide, put
from tests.serving.test_sending import Shop

ASK = {"user_id": "u", "candidates": ["i0", "i1"]}


@pytest.fixture
def receiver():
    with listening() as receiver:
        yield receiver


@pytest.fixture
def sending(request, receiver):
    """In SQLite, where a test does not name the store."""
    shop = Shop(request.getfixturevalue(getattr(request, "param", "shop")), receiver)
    yield shop
    shop.client.app.state.service.close()


anywhere = pytest.mark.parametrize("sending", ["shop", "postgresql_shop"], indirect=True)


def machine(sending, name: str, clock: Clock) -> Dispatcher:
    """Sends for the same store on another machine."""
    service = sending.client.app.state.service
    watch = ClockWatch(service.engine, clock, 300.0, service.metrics, name)
    return Dispatcher(
        service.engine, service.registry, service.settings, service.dispatcher._sender, watch,
        service.metrics,
    )  # fmt: skip


def paused(client):
    return client.get("/v1/outbox").json()["paused"]


def metric(client, name):
    lines = client.get("/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def test_a_clock_set_forward_sends_nothing_early_until_that_is_undone(sending, receiver):
    """At noon the clock is set to 19:00; the send is for 18:00."""
    put(sending.client, "/v1/guardrails", quiet_hours={"start": "22:00", "end": "08:00"})
    decide(sending.client)  # for 18:00
    sending.shop.clock.jump(7 * HOUR)
    sending.run()
    (entry,) = paused(sending.client)
    assert (entry["seconds"], entry["at"]) == (7 * 3600.0, "2026-02-16T12:00:00Z")
    assert (receiver.requests, sending.row().state) == ([], "waiting")
    assert metric(sending.client, "pushwise_clock_off_seconds") == 7 * 3600.0
    sending.run(HOUR)  # an hour goes by, and nobody has looked
    assert receiver.requests == []
    sending.shop.clock.jump(-7 * HOUR)
    sending.run()
    assert (paused(sending.client), receiver.requests) == ([], [])
    assert metric(sending.client, "pushwise_clock_off_seconds") == 0
    sending.run(5 * HOUR)
    assert (len(receiver.requests), sending.row().attempts) == (1, 1)
    assert metric(sending.client, "pushwise_clock_jumps_total") == 1


def test_what_was_decided_before_the_clock_was_set_back_can_be_cancelled(sending, monkeypatch):
    sent = decide(sending.client)
    sending.shop.clock.jump(-2 * HOUR)
    path = f"/v1/decisions/{sent['decision_id']}:cancel"
    with monkeypatch.context() as refusing:
        refusing.setattr(record, "check_time", refused)
        answer = sending.client.post(path)
        assert (answer.status_code, answer.json()["detail"]) == (409, "not now")
    for _ in range(2):
        answer = sending.client.post(path)
        assert answer.status_code == 200
        told = {"outcome": "cancelled", "at": sent["decided_at"], "value": None}
        assert answer.json()["outcomes"] == [told]
    assert (sending.row().state, sending.ledger()["unbalanced"]) == ("cancelled", 0)


def refused(*args):
    raise Problem(422, "at", "not now")


def test_what_a_clock_set_back_decides_at_night_does_not_leave(sending, receiver):
    """At 23:00 the clock is set to 18:00, at which a push may leave."""
    put(sending.client, "/v1/guardrails", quiet_hours={"start": "22:00", "end": "08:00"})
    sending.run(11 * HOUR)
    sending.shop.clock.jump(-5 * HOUR)
    sent = decide(sending.client)
    assert sent["send_at"] == "2026-02-16T18:00:00Z"
    sending.run(MINUTE)
    assert (receiver.requests, sending.row().state) == ([], "waiting")
    sending.shop.clock.jump(5 * HOUR)
    sending.run()
    assert (receiver.requests, sending.row().reason) == ([], "too_late")
    assert sending.ledger()["unbalanced"] == 0


@anywhere
def test_an_operator_confirms_a_clock_for_all_its_workers(sending, receiver):
    """What is too late by then is cancelled, so that no burst of old pushes leaves."""
    clock = sending.shop.clock
    for n in range(3):
        decide(sending.client, user_id=f"a{n}")  # for 18:00
    other = machine(sending, sending.client.app.state.service.watch._machine, clock)
    clock.jump(7 * HOUR)  # to 19:00
    workers = (sending.client.app.state.service.dispatcher, other)
    assert [worker.run() for worker in workers] == [0, 0]
    assert len(paused(sending.client)) == 1
    clock.now += 2 * HOUR  # to 21:00
    (entry,) = sending.client.post("/v1/outbox:resume").json()["resumed"]
    assert entry["seconds"] == 7 * 3600.0
    assert actions(sending.client)[0] == "confirm clocks"
    assert paused(sending.client) == []
    assert sum(worker.run() for worker in workers) == 3
    assert receiver.requests == []
    assert {(row.state, row.reason) for row in sending.rows(OUTBOX)} == {("cancelled", "too_late")}
    decide(sending.client, user_id="b")  # for 18:00 tomorrow
    clock.now += 21 * HOUR
    assert (other.run(), len(receiver.requests)) == (1, 1)
    assert sending.client.post("/v1/outbox:resume").json()["resumed"] == []
    assert actions(sending.client).count("confirm clocks") == 1
    other._pool.shutdown()


def test_a_clock_is_confirmed_once_for_a_worker_who_looks_late_too(sending, receiver):
    decide(sending.client)  # for 18:00
    late = machine(sending, sending.client.app.state.service.watch._machine, sending.shop.clock)
    sending.shop.clock.jump(5 * HOUR)
    sending.run()
    assert len(sending.client.post("/v1/outbox:resume").json()["resumed"]) == 1
    assert late.run() == 0
    assert paused(sending.client) == []
    sending.shop.clock.now += HOUR
    assert (late.run(), len(receiver.requests)) == (1, 1)
    sending.shop.clock.jump(-2 * HOUR)  # which nobody has confirmed
    assert late.run() == 0
    assert len(paused(sending.client)) == 1
    late._pool.shutdown()


def test_machines_whose_clocks_are_right_go_on(sending, receiver):
    """The one whose clock jumped takes nothing from them."""
    decide(sending.client)
    clock = Clock()
    other = machine(sending, "other", clock)
    clock.jump(6 * HOUR)
    assert other.run() == 0
    assert paused(sending.client) != []
    for each in (clock, sending.shop.clock):
        each.now += 6 * HOUR
    assert other.run() == 0
    sending.run()
    assert (len(receiver.requests), sending.outcomes()) == (1, ["delivered"])
    other._pool.shutdown()


def test_a_server_that_is_started_again_still_waits(sending, receiver):
    decide(sending.client)
    sending.shop.clock.jump(6 * HOUR)
    sending.run()
    settings = sending.client.app.state.service.settings
    again = create_app(settings, sending.shop.clock).state.service
    assert again.dispatcher.run() == 0
    sending.shop.clock.jump(-6 * HOUR)
    sending.shop.clock.now += 6 * HOUR
    assert (again.dispatcher.run(), len(receiver.requests)) == (1, 1)
    again.close()


def test_a_jump_after_a_send_was_taken_leaves_it_to_whoever_has_the_time(sending, receiver):
    decide(sending.client)
    sending.shop.clock.now += 6 * HOUR
    dispatcher = sending.client.app.state.service.dispatcher
    (due,) = dispatcher._take()
    sending.shop.clock.jump(3 * HOUR)
    dispatcher._settle(due)
    assert (sending.row().state, sending.outcomes()) == ("waiting", [])  # not cancelled as too late
    sending.shop.clock.jump(-3 * HOUR)
    sending.run(LEASE)
    assert len(receiver.requests) == 1


@anywhere
def test_a_critical_message_waits_for_no_clock(sending, receiver):
    put(sending.client, "/v1/users/u", consent=True, timezone="UTC")
    decide(sending.client, user_id="other")
    sending.shop.clock.jump(7 * HOUR)
    body = {"user_id": "u", "item_id": "i1", "variant_id": "v0", "reason": "recall"}
    sending.client.post("/v1/critical", json=body).raise_for_status()
    sending.run()
    (request,) = receiver.requests
    assert request.headers["idempotency-key"] in {
        row.decision_id for row in sending.rows(OUTBOX) if row.user_id == "u"
    }


def test_small_steps_pass_until_they_have_become_a_jump(sending):
    watch = sending.client.app.state.service.watch
    for step, believed in ((-SECOND, True), (250 * SECOND, True), (250 * SECOND, False)):
        sending.shop.clock.jump(step)
        assert watch.read()[1] is believed
        watch.look()
        assert (paused(sending.client) == []) is believed


@pytest.mark.slow
def test_a_running_server_pauses_and_goes_on_by_itself(shop, receiver):
    sending = Shop(shop, receiver)
    with sending.client as client:
        decide(client)
        shop.clock.jump(6 * HOUR)
        while not paused(client):
            time.sleep(0.05)
        assert receiver.requests == []
        shop.clock.jump(-6 * HOUR)
        shop.clock.now += 6 * HOUR
        while not receiver.requests:
            time.sleep(0.05)
        assert paused(client) == []
    assert [row.attempts for row in sending.rows(OUTBOX)] == [1]


def test_a_clock_set_forward_and_back_breaks_no_cap(shop):
    """Whoever was decided for ahead of the clock is refused until it gets there."""
    with shop.server(shop.policy("always", per_7d=1, floor=0.0)) as client:
        shop.clock.now = NOON + 3 * DAY
        ahead = client.post("/v1/decisions", json=ASK)
        assert ahead.status_code == 200
        shop.clock.now = NOON
        back = client.post("/v1/decisions", json=ASK)
        assert (back.status_code, back.json()["field"]) == (409, "at")
        assert "has events up to" in back.json()["detail"]
        other = client.post("/v1/decisions", json={**ASK, "user_id": "other"})
        assert other.status_code == 200
        shop.clock.now = NOON + 3 * DAY + HOUR
        assert client.post("/v1/decisions", json=ASK).status_code == 200
        ledger = client.get("/v1/ledger").json()
        assert ledger["unbalanced"] == 0


def test_an_event_ahead_of_the_clock_is_refused(always, shop):
    event = {"user_id": "u", "item_id": "i0", "event": "view", "at": "2099-01-01T00:00:00Z"}
    (refused,) = always.post("/v1/events", json={"events": [event]}).json()["rejected"]
    assert refused["error"]["field"] == "at"
    assert "ahead of the server" in refused["error"]["detail"]
