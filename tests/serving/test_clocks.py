"""The clock is set while the server runs."""

from mdp.clock import DAY, HOUR
from serving.clocks import ClockWatch
from tests.serving.conftest import NOON

ASK = {"user_id": "u", "candidates": ["i0", "i1"]}
SECOND = 1_000_000


def test_a_jump_is_counted_and_slow_drift_is_not():
    counted: list[int] = []
    wall, running = [NOON], [0]
    watch = ClockWatch(lambda: wall[0], 300.0, lambda: counted.append(wall[0]), lambda: running[0])
    for jump in (0, SECOND, -SECOND, 250 * SECOND, 250 * SECOND, DAY, 0, -HOUR, 0):
        wall[0] += 10 * SECOND + jump
        running[0] += 10 * SECOND
        watch.look()
    assert len(counted) == 2


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
