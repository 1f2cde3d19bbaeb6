"""A SQLite store whose file is damaged, moved or deleted while it is served."""

from pathlib import Path

import pytest
from sqlalchemy import text

from serving.store import PAGE, checkpoint, reading, writing
from tests.serving.test_control import ASK, batch

MALFORMED = "the store's file is damaged: database disk image is malformed"
GONE = "was moved, deleted or replaced while it was served"


@pytest.fixture
def file(always):
    engine = always.app.state.service.engine
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL looks after its files itself")
    return Path(engine.url.database)


def ask(client, user):
    return client.post("/v1/decisions", json={**ASK, "user_id": user})


def gauge(client):
    """The gauge as it is after the next look."""
    client.app.state.observer.look()
    lines = client.get("/metrics").text.splitlines()
    return next(line for line in lines if line.startswith("pushwise_store_fault "))


def damage(client, file):
    """Overwrite the page of the table of users in which the last of them lies."""
    engine = client.app.state.service.engine
    change = "UPDATE users SET attributes = '\"the last\"' WHERE user_id = 'u199'"
    with writing(engine) as connection:
        connection.execute(text(change))
    checkpoint(engine)
    content = bytearray(file.read_bytes())
    place = content.index(b"the last") // PAGE * PAGE
    content[place : place + PAGE] = b"\xff" * PAGE
    with file.open("r+b") as written:
        written.write(content)
    engine.dispose()  # no connection has the page in memory


def test_a_damaged_page_is_told_in_sqlites_words(always, file):
    batch(always, range(200))
    assert gauge(always).endswith(" 0.0")
    damage(always, file)
    refused = ask(always, "u199")
    assert (refused.status_code, refused.json()["detail"]) == (503, MALFORMED)
    assert "retry-after" not in refused.headers
    assert ask(always, "u0").status_code == 200  # lies in another page
    answers = batch(always, range(200))
    lost = [n for n, answer in enumerate(answers) if "error" in answer]
    assert 199 in lost
    assert len(lost) <= 3  # a page holds no more
    assert {answers[n]["error"]["detail"] for n in lost} == {MALFORMED}
    ready = always.get("/readyz")
    assert (ready.status_code, ready.json()["damaged"]) == (200, MALFORMED)
    assert gauge(always).endswith(" 1.0")


def test_where_most_users_are_lost_a_batch_is_not_asked_for_one_by_one(always, file, monkeypatch):
    monkeypatch.setattr("serving.decide.MOST_LOST", 0)
    batch(always, range(200))
    damage(always, file)
    asks = {"requests": [{**ASK, "user_id": f"u{n}"} for n in range(200)]}
    refused = always.post("/v1/decisions:batch", json=asks)
    assert (refused.status_code, refused.json()["detail"]) == (503, MALFORMED)


def test_a_file_that_is_moved_away_takes_no_more(always, file, tmp_path, monkeypatch):
    monkeypatch.setattr("serving.access.KNOWN_FOR", 0.0)  # keys are read again for every request
    assert ask(always, "u0").status_code == 200
    moved = file.rename(tmp_path / "elsewhere.sqlite")
    for refused in (ask(always, "u1"), always.get("/readyz"), always.get("/v1/guardrails")):
        assert refused.status_code == 503
        assert GONE in refused.json()["detail"]
        assert "retry-after" not in refused.headers
    assert gauge(always).endswith(" 1.0")
    assert always.get("/healthz").status_code == 200
    assert not file.exists()  # nobody opened an empty one in its place
    moved.rename(file)
    assert ask(always, "u1").status_code == 200
    assert (always.get("/readyz").status_code, gauge(always)[-4:]) == (200, " 0.0")
    with reading(always.app.state.service.engine) as connection:
        assert connection.scalar(text("SELECT count(*) FROM decisions")) == 2


def test_another_file_in_its_place_is_no_store_to_write_to(always, file):
    """As after a backup is put back under a running server."""
    copy = file.read_bytes()
    file.unlink()
    file.write_bytes(copy)
    assert GONE in ask(always, "u0").json()["detail"]
    assert always.get("/readyz").status_code == 503
