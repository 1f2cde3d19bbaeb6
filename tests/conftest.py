"""Settings of every test: one thread, reproducible draws, and a word on what was left out."""

import os
from itertools import count
from typing import Any

# Before NumPy or torch is imported: they read it once.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("pushwise", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("pushwise")


@pytest.fixture(autouse=True)
def seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What draws without a seed, as servers do, gets one: 0, 1, 2, … in each test."""
    generator, seeds = np.random.default_rng, count()
    monkeypatch.setattr(
        np.random,
        "default_rng",
        lambda seed=None: generator(next(seeds) if seed is None else seed),
    )


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits take few steps: for tests of what is done with a fit, not of how true it is."""
    names = {"fit_half_lives": ("COLD", "WARM", "ITERATIONS"), "fit_tuning": ("COLD", "WARM")}
    for module, own in {**names, "fit_response": ("COLD",)}.items():
        for name in own:
            monkeypatch.setattr(f"simulator.{module}.{name}", 5)


SLOW_LEFT_OUT = pytest.StashKey[int]()


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Counts the slow tests that this run leaves out."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.config.stash[SLOW_LEFT_OUT] = item.config.stash.get(SLOW_LEFT_OUT, 0) + 1


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node: Any) -> None:
    """Takes the count of a worker that is done; all of them leave out the same."""
    count = getattr(node, "workeroutput", {}).get("slow_left_out", 0)
    node.config.stash[SLOW_LEFT_OUT] = max(count, node.config.stash.get(SLOW_LEFT_OUT, 0))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells its count."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["slow_left_out"] = session.config.stash.get(SLOW_LEFT_OUT, 0)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Says how many slow tests were left out and how to run them."""
    count = config.stash.get(SLOW_LEFT_OUT, 0)
    if count:
        terminalreporter.write_line(f"{count} slow test(s) left out: `make test-all` runs them")
