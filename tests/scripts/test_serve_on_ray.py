"""The same app on Ray Serve, over the same store."""

import http.client
import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.crashes import free_port, prepared
from serving.store import open_store, reading
from serving.users import all_user_ids

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `ray`")
def test_replicas_decide_over_one_store(tmp_path):
    store, port = f"sqlite:///{tmp_path / 'store.sqlite'}", free_port()
    prepared(tmp_path, store)
    words = ["serve", "--store", store, "--port", str(port), "--ray", "--workers", "2"]
    settings = {"PUSHWISE_UNKNOWN_CONSENT": "1", "PUSHWISE_DEFAULT_TIMEZONE": "UTC"}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "scripts.cli", *words],
            cwd=ROOT, env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
    assert server.stdout is not None
    try:
        assert b"2 replicas" in server.stdout.readline(), (tmp_path / "log").read_text()
        answers = [ask(port, f"u{n}") for n in range(20)]
        again = ask(port, "u0", key="again"), ask(port, "u0", key="again")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        server.stdout.close()
    assert all(0 < answer["propensity"] <= 1 for answer in answers)
    assert again[0] == again[1]
    engine = open_store(store)
    with reading(engine) as connection:
        assert all_user_ids(connection) == sorted(f"u{n}" for n in range(20))
    engine.dispose()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `ray`")
@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("RAY_TMPDIR", "/proc/none", "Ray does not start here"),
        ("RAY_ADDRESS", "127.0.0.1:1", "the Ray cluster 127.0.0.1:1 can't be joined"),
    ],
)
@pytest.mark.parametrize("command", ["serve", "decide"])
def test_ray_that_does_not_start_is_told_in_one_sentence(tmp_path, command, setting, value, said):
    store = f"sqlite:///{tmp_path / 'store.sqlite'}"
    prepared(tmp_path, store)
    words = {
        "serve": ["serve", "--store", store, "--port", str(free_port()), "--ray"],
        "decide": ["decide", tmp_path / "policy", "--store", store, "--out", "d.csv", "--ray"],
    }[command]
    done = subprocess.run(
        [sys.executable, "-m", "scripts.cli", *words],
        cwd=ROOT, env={**os.environ, setting: value}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("error: ") == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def ask(port: int, user: str, key: str | None = None) -> dict:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"user_id": user, "candidates": ["i0", "i1"]})
    headers = {"content-type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    connection.request("POST", "/v1/decisions", body, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    assert response.status == 200, answer
    return answer
