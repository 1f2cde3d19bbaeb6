"""A database that dies for good: its standby, promoted, holds all that was acknowledged."""

import pytest

from tests.serving.conftest import Shop
from tests.serving.postgresql import binaries, running
from tests.serving.test_control import SENDS, batch, decide


@pytest.mark.slow
def test_a_promoted_standby_goes_on_where_the_primary_stopped(tmp_path):
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian's package: postgresql)")
    with running() as primary:
        url = primary.database()
        with primary.replica() as standby:
            # As the runbook has it: whichever of the two takes writes.
            either = f"{url}&host={standby.path}&target_session_attrs=read-write"
            shop = Shop(tmp_path, either)
            rules = {"floor": 0.0, "per_7d": 2, "item_cooldown_days": 0.0}
            with shop.server(shop.policy("p", SENDS, **rules)) as client:
                acknowledged = [*batch(client, range(50)), decide(client, user_id="u0")]
                primary.stop()
                gone = client.post("/v1/decisions", json={"user_id": "u1", "candidates": ["i0"]})
                assert gone.status_code == 503
                standby.control("promote")
                for row in acknowledged:
                    shown = client.get(f"/v1/decisions/{row['decision_id']}").json()
                    assert shown["propensity"] == row["propensity"]
                ledger = client.get("/v1/ledger").json()
                assert (ledger["decisions"]["total"], ledger["unbalanced"]) == (51, 0)
                third = decide(client, user_id="u0", candidates=["i2", "i3"])
                assert third["reason"].startswith("cap_")
        primary.start()
