"""Everyone is decided for, wherever the parts are."""

from ingestion.spread import in_turn
from serving.batch import Night, decide_all
from serving.settings import read_settings

DRAWN = ("user_id", "item_id", "variant_id", "send_at", "propensity", "reason")


def backwards(work, night, parts):
    """The last part first, as other processes might."""
    done = {number: work(night, (number, users)) for number, users in reversed(parts)}
    return (done[number] for number, _ in parts)


def test_parts_are_decided_the_same_in_any_order(shop, tmp_path):
    policy = shop.policy("p")
    made = []
    for name, spread in (("here", in_turn), ("backwards", backwards)):
        shop.store = f"sqlite:///{tmp_path / name}.sqlite"
        with shop.server(policy) as client:
            for n in range(25):
                client.put(f"/v1/users/u{n}", json={"timezone": "UTC", "consent": True})
        settings = read_settings(store=shop.store, trust_request_time=True)
        told: list[tuple[int, int]] = []
        night = Night(settings, policy, shop.clock.now, seed=3)
        rows = decide_all(night, 7, lambda *far, told=told: told.append(far), spread)
        assert told == [(7, 25), (14, 25), (21, 25), (25, 25)]
        made.append([[row[name] for name in DRAWN] for row in rows])
    assert made[0] == made[1]
    assert len({row[0] for row in made[0]}) == 25
