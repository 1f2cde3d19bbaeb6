"""Who delivers is a fact of the store: a batch's sends leave by its server, whatever the batch's
own environment says."""

import numpy as np
import pytest
from sqlalchemy import text

from mdp.errors import BadSetting
from mdp.guardrails import Guardrails
from mdp.hashing import hash_ids
from policies.baselines import Random
from policies.saved import PolicyBundle, SavedRecommender, save_policy
from scripts.cli import main
from serving.starting import prepare
from serving.store import _engine, open_store, reading, writing
from serving.tables import OUTBOX
from tests.serving.conftest import OPEN_RULES
from tests.serving.test_store import of_revision

STORES = ["shop", "postgresql_shop"]
MORE = {"webhook_url": "http://127.0.0.1:9/", "webhook_secret": "s"}


@pytest.fixture
def policy(shop):
    popular = {"popular": hash_ids(["i0", "i1"]), "size": np.array([2])}
    rules = Guardrails(**OPEN_RULES, floor=0.0)
    recommender = SavedRecommender("own_popular", popular)
    bundle = PolicyBundle(Random(hold=1e-9), None, None, guardrails=rules, recommender=recommender)
    save_policy(shop.path / "p", bundle)
    return shop.path / "p"


def serve(shop, policy, sender):
    """Start a server, and have it know three users."""
    with shop.server(policy, sender=sender, **MORE) as client:
        for name in "abc":
            client.put(f"/v1/users/{name}", json={"timezone": "UTC", "consent": True})


def decide(shop, policy):
    out = str(shop.path / "d.parquet")
    return main(["decide", str(policy), "--store", shop.store, "--out", out])


def waiting(shop):
    engine = open_store(shop.store)
    with reading(engine) as connection:
        rows = connection.execute(OUTBOX.select()).all()
    engine.dispose()
    return [row.state for row in rows]


def test_a_batch_follows_the_store_and_says_who_delivers(shop, policy, capsys):
    serve(shop, policy, "webhook")
    assert decide(shop, policy) == 0  # where PUSHWISE_SENDER is not set
    assert "3 users, 3 sends, delivered by pushwise, 0 refused" in capsys.readouterr().out
    assert waiting(shop) == ["waiting"] * 3


def test_without_a_server_that_sends_the_shop_delivers(shop, policy, capsys):
    serve(shop, policy, None)
    assert decide(shop, policy) == 0
    assert "3 sends, delivered by shop" in capsys.readouterr().out
    assert waiting(shop) == []


@pytest.mark.parametrize(("server", "batch"), [(None, "webhook"), ("webhook", "shop")])
def test_a_batch_whose_setting_contradicts_the_store_is_refused(
    shop, policy, server, batch, monkeypatch, capsys
):
    serve(shop, policy, server)
    monkeypatch.setenv("PUSHWISE_SENDER", batch)
    assert decide(shop, policy) == 1
    assert f"PUSHWISE_SENDER is {batch}, but the" in capsys.readouterr().err
    assert waiting(shop) == []


def test_a_server_without_a_sender_is_refused_until_the_shop_takes_over(shop, policy):
    serve(shop, policy, "webhook")
    decide(shop, policy)
    with pytest.raises(BadSetting, match="PUSHWISE_SENDER is not set"):
        prepare(shop.settings(), None, None, 0)
    with pytest.raises(BadSetting, match="3 sends wait for pushwise"):
        prepare(shop.settings(sender="shop"), None, None, 0)
    engine = open_store(shop.store)
    with writing(engine) as connection:
        connection.execute(OUTBOX.update().values(state="sent"))
    engine.dispose()
    prepare(shop.settings(sender="shop"), None, None, 0)
    prepare(shop.settings(), None, None, 0)  # as the store has it by now


def test_a_sender_that_lacks_something_is_refused_before_the_store_is_touched(shop, policy):
    serve(shop, policy, None)
    with pytest.raises(BadSetting, match="set PUSHWISE_WEBHOOK_URL too"):
        prepare(shop.settings(sender="webhook"), None, None, 0)
    prepare(shop.settings(), None, None, 0)


@pytest.mark.parametrize("kind", STORES)
def test_an_older_store_that_pushwise_sends_for_stays_so(kind, request):
    """Its outbox is in use; and what its audit log says of erased users goes."""
    url = request.getfixturevalue(kind).store
    of_revision(url, "0003")
    engine = _engine(url)
    with writing(engine) as connection:
        row = "'d', 'u', 1, 'sent', 1, 1, NULL"
        connection.execute(text(f"INSERT INTO outbox VALUES ({row})"))
        row = "1, 1, 'ops', 'erase user', '{\"user_hash\": \"0123\"}'"
        connection.execute(text(f"INSERT INTO audit VALUES ({row})"))
    engine.dispose()
    engine = open_store(url)
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT value FROM settings WHERE name = 'delivery'")) == (
            '"pushwise"'
        )
        assert "0123" not in connection.scalar(text("SELECT detail FROM audit"))
    engine.dispose()
