"""A user takes along all that the store holds about them, and leaves nothing when erased."""

import json

import pytest
from sqlalchemy import inspect, select, text

from mdp.clock import DAY
from policies.baselines import Hold
from serving.accounts import audited
from serving.store import _engine, open_store, reading, writing
from serving.tables import AUDIT, IDEMPOTENCY
from tests.serving.conftest import NOON, Shop
from tests.serving.test_control import SENDS, put
from tests.serving.test_store import of_revision

USER = "user-ζ'17"
TABLES = (
    "events", "decisions", "outcomes", "outbox", "changes", "snapshots", "shadows",
    "idempotency_keys", "audit", "archived", "starts",
)  # fmt: skip


def in_full_use(shop: Shop):
    """A server whose one user has rows in every table but those of archives."""
    client = shop.server(shop.policy("p", SENDS), sender="console")
    client.post("/v1/policies", json={"path": str(shop.policy("quiet", Hold()))})
    put(client, "/v1/experiment", shadow="quiet")
    ask = {"user_id": USER, "candidates": ["i0", "i1"]}
    key = {"Idempotency-Key": "k"}
    sent = client.post("/v1/decisions", json=ask, headers=key).json()
    shop.clock.now = NOON + 2 * DAY
    event = {"user_id": USER, "item_id": "i1", "event": "view", "at": "2026-01-01T00:00:00Z"}
    client.post("/v1/events", json={"events": [event]}).raise_for_status()
    outcome = {"decision_id": sent["decision_id"], "outcome": "opened", "at": sent["send_at"]}
    client.post("/v1/outcomes", json={"outcomes": [outcome]}).raise_for_status()
    put(client, f"/v1/users/{USER}", locale="de")
    body = {"user_id": USER, "item_id": "i1", "variant_id": "v0", "reason": f"{USER} is owed it"}
    client.post("/v1/critical", json=body).raise_for_status()
    return client


def mentions(client, words):
    """Tables in which some word stands in some column."""
    engine = client.app.state.service.engine
    with reading(engine) as connection:
        found = {}
        for table in inspect(connection).get_table_names():
            rows = connection.execute(text(f'SELECT * FROM "{table}"')).all()
            cells = "\n".join(str(cell) for row in rows for cell in row)
            if seen := [word for word in words if word in cells]:
                found[table] = seen
    return found


@pytest.mark.parametrize("kind", ["shop", "postgresql_shop"])
def test_a_user_takes_everything_along_and_is_erased(kind, request):
    client = in_full_use(request.getfixturevalue(kind))
    taken = client.get(f"/v1/users/{USER}:export").json()
    sizes = {name: len(rows) for name, rows in taken.items() if name != "user"}
    of = {"decisions": 2, "outbox": 2, "archived": 0, "starts": 0, "archives": 0}
    assert sizes == dict.fromkeys(TABLES, 1) | of
    state = taken["user"]["state"]
    assert [slot["send_at"] for slot in state["ring"]] == [
        row["send_at"] for row in taken["decisions"]
    ]
    assert len(state["counts"]) == 8
    assert taken["idempotency_keys"][0]["response"]["user_id"] == USER
    assert "clicks_7d" in taken["snapshots"][0]["data"]["user"]
    assert taken["audit"][0]["detail"]["reason"] == f"{USER} is owed it"
    ids = [row["decision_id"] for row in taken["decisions"]]
    assert set(mentions(client, [USER])) > {"users", "audit"}
    assert client.delete(f"/v1/users/{USER}").status_code == 204
    assert client.get(f"/v1/users/{USER}:export").status_code == 404
    assert client.get(f"/v1/decisions/{ids[0]}").status_code == 404
    assert mentions(client, [USER, *ids]) == {}
    erased, critical, *_ = client.get("/v1/audit").json()["entries"]
    assert (erased["action"], erased["detail"]) == ("erase user", None)
    assert critical["detail"] == {
        "item_id": "i1", "variant_id": "v0", "reason": "(erased) is owed it",
    }  # fmt: skip
    client.app.state.service.close()


def test_erasing_leaves_what_was_done_to_others(always):
    for name in ("u", "user"):
        put(always, f"/v1/users/{name}", consent=True, timezone="UTC")
        body = {"user_id": name, "item_id": "i1", "variant_id": "v0", "reason": "out of luck"}
        always.post("/v1/critical", json=body).raise_for_status()
    always.delete("/v1/users/u").raise_for_status()
    entries = always.get("/v1/audit").json()["entries"]
    erased, of_other, of_erased, *_ = [entry["detail"] for entry in entries]
    assert erased is None
    assert of_other["user_id"] == "user"
    assert "user_id" not in of_erased
    assert of_erased["reason"] == "out of luck"


@pytest.mark.parametrize("kind", ["shop", "postgresql_shop"])
def test_migrating_says_whose_rows_are(kind, request):
    """Of one whose user was erased before, the decision is taken out."""
    url = request.getfixturevalue(kind).store
    of_revision(url, "0006")
    engine = _engine(url)
    made = (
        "INSERT INTO decisions (decision_id, user_id, decided_at, propensity, policy, turn, arm) "
        "VALUES ('d', :user, 0, 1, 'p', 0, 'policy')"
    )
    tried = "INSERT INTO audit (at, who, action, detail) VALUES (0, 'w', 'retry send', :detail)"
    with writing(engine) as connection:
        connection.execute(text(made), {"user": USER})
        rows = [{"detail": f'{{"decision_id":"{name}"}}'} for name in ("d", "gone")]
        connection.execute(text(tried), rows)
        answered = "INSERT INTO idempotency_keys VALUES ('k', 'hash', :answer, 0, NULL)"
        connection.execute(text(answered), {"answer": json.dumps({"user_id": USER})})
    engine.dispose()
    engine = open_store(url)
    with reading(engine) as connection:
        assert connection.scalar(select(IDEMPOTENCY.c.user_id)) == USER
        details = list(connection.scalars(select(AUDIT.c.detail).order_by(AUDIT.c.number)))
        assert details == [{"decision_id": "d", "user_id": USER}, {}]
        assert [row["detail"] for row in audited(connection, USER)] == details[:1]
    engine.dispose()
