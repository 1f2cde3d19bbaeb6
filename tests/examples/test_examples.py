"""The examples for the three kinds of users run, one after the other, as their first lines say."""

import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _run(*words: str) -> str:
    words = (sys.executable, f"examples/{words[0]}.py", *words[1:])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_researcher_analyst_and_production_follow_one_another(tmp_path):
    small = ("--users", "60", "--days", "32", "--steps", "20")
    told = _run("researcher", "--out", str(tmp_path), *small)
    values = {line.split()[0]: float(line.split()[1]) for line in told.splitlines()}
    assert set(values) == {"greedy", "price", "hold", "logging", "tired"}
    assert values["hold"] == 0

    shop, policy = str(tmp_path / "shop"), str(tmp_path / "price")
    told = _run("analyst", shop, policy, "--out", str(tmp_path / "report"))
    assert "verdict: cannot_tell" in told  # a log this small can't, and says so
    assert (tmp_path / "report" / "explanation.html").exists()

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    store = str(tmp_path / "s.sqlite")
    told = _run("production", shop, policy, "--store", store, "--port", port)
    assert '"propensity"' in told
    assert "'unbalanced': 0" in told


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(find_spec, ("ray", "tree", "lz4", "ormsgpack"))),
    reason="needs the extra `ray`, dm-tree, lz4 and ormsgpack",
)
def test_rllib_learns_under_masks():
    told = _run("rllib", "--days", "7", "--iterations", "2", "--batch", "256")
    returns = [float(line.split()[-1]) for line in told.splitlines() if "mean return" in line]
    assert len(returns) == 2
