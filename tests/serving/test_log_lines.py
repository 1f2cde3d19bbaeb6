"""The log: JSON lines on standard error; standard output is the console sender's alone."""

import json
import logging.config
import os
import signal
import subprocess
import sys
import urllib.request

import pytest
import structlog

from benchmarks.crashes import free_port
from serving.log_lines import configure_logging, uvicorn_logging
from serving.starting import prepare


def test_own_lines_and_those_of_libraries_are_alike(capsys):
    before = {name: logging.getLogger(name).handlers[:] for name in (None, "uvicorn")}
    try:
        configure_logging("info")
        logging.config.dictConfig(uvicorn_logging())
        structlog.get_logger().info("request", status=200)
        structlog.get_logger().info("odd", half="\ud83d", large=2**64, other={1})
        structlog.get_logger().info("étrange")
        logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
        try:
            raise ValueError("x")
        except ValueError:
            logging.getLogger("asyncio").exception("a task failed")
    finally:
        for name, handlers in before.items():
            logging.getLogger(name).handlers[:] = handlers
    said = capsys.readouterr()
    own, odd, strange, theirs, failed = (json.loads(line) for line in said.err.splitlines())
    assert said.out == ""
    assert (own["event"], own["status"], own["level"]) == ("request", 200, "info")
    assert (odd["half"], odd["large"], odd["other"]) == ("\ud83d", 2**64, "{1}")
    assert strange["event"] == "étrange"
    assert said.err.isascii()
    assert theirs["event"] == "Started server process [7]"
    assert (theirs["level"], theirs["logger"]) == ("info", "uvicorn.error")
    assert "ValueError: x" in failed["exception"]
    assert {"event", "level", "timestamp"} <= own.keys() & theirs.keys()


@pytest.mark.slow
def test_a_server_says_nothing_but_json_on_standard_error(shop):
    prepare(shop.settings(), shop.policy("p"), None, shop.clock())
    port = free_port()
    words = [sys.executable, "-m", "scripts.cli", "serve", "--store", shop.store, "--port"]
    server = subprocess.Popen(
        [*words, str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PUSHWISE_SENDER": "console"},
    )  # fmt: skip
    try:
        assert server.stderr is not None
        lines = [json.loads(server.stderr.readline())]
        while "running on" not in lines[-1]["event"]:
            lines.append(json.loads(server.stderr.readline()))
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").read()
    finally:
        server.send_signal(signal.SIGTERM)
        out, err = server.communicate(timeout=60)
    lines += [json.loads(line) for line in err.splitlines()]
    assert {"Started server process", "request", "Shutting down"} <= {
        line["event"].split(" [")[0] for line in lines
    }
    assert out == ""
