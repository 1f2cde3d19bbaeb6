"""What docs/production.md has pasted into a shell works, with a server of a demo shop behind it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from policies.baselines import Random
from policies.saved import PolicyBundle, save_policy
from scripts import cli

ROOT = Path(__file__).parents[2]


def pasted() -> str:
    """The page's calls of the server, but for the transcript at its head; a failing one ends it."""
    fence, blocks, block = None, [], []
    for line in (ROOT / "docs" / "production.md").read_text().splitlines():
        if not line.startswith("```"):
            block.append(line)
        elif fence is None:
            fence, block = line, []
        else:
            calls = fence == "```" and any(re.match("URL|curl", each) for each in block)
            blocks += block if calls else []
            fence = None
    assert sum(line.startswith("curl") for line in blocks) >= 20
    # What is drawn may be due at once, and then it can't be called off any more.
    answers = '| grep -E \'"status":409|"decision_id"\''
    blocks = [f"{line} {answers}" if line.endswith(":cancel") else line for line in blocks]
    return re.sub(r"\bcurl\b", "curl --fail-with-body -sS", "\n".join(["set -eu", *blocks]))


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(shutil.which, ("curl", "jq"))), reason="needs curl and jq (Debian's packages)"
)
def test_every_call_of_the_server_works_as_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["demo", "shop", "--users", "20", "--days", "14"]) == 0
    for name in ("ppo", "dqn"):
        save_policy(name, PolicyBundle(Random(hold=1e-9, floor=0.0), None, None))
    store = "sqlite:///pushwise.sqlite"
    assert cli.main(["load", "shop", "--store", store, "--policy", "ppo"]) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pushwise").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m scripts.cli "$@"'
    )
    (tmp_path / "bin" / "pushwise").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    server = subprocess.Popen(["pushwise", "serve", "--store", store, "--port", port])
    try:
        for _ in range(600):
            try:
                urlopen(f"http://127.0.0.1:{port}/readyz").close()  # nosec: our own
                break
            except OSError:
                time.sleep(0.1)
        script = pasted().replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        done = subprocess.run(["bash", "-x", "-c", script], capture_output=True, text=True)
    finally:
        server.terminate()
        server.wait()
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    assert "This log is fit for" in done.stdout
