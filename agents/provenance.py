"""Where a policy comes from, as its manifest and its run's folder say it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from ingestion.log import Log
from simulator.description import Simulator
from simulator.saved import simulator_hash

PACKAGES = ("pushwise", "numpy", "torch", "stable-baselines3", "gymnasium")


def provenance(
    simulator: Simulator,
    algorithm: str,
    seed: int,
    settings: Any,
    command: Sequence[str],
    log: Log | None = None,
) -> dict[str, Any]:
    """All that the same policy could be learned again from; settings: a dataclass. log: the one
    that is learned from."""
    known = {
        "algorithm": algorithm,
        "seed": seed,
        "settings": asdict(settings),
        "command": list(command),
        "simulator_hash": simulator_hash(simulator),
        "versions": versions(),
    }
    return known if log is None else {**known, "log_hash": log.hash}


def versions() -> dict[str, str]:
    """Of Python and of the packages that what is learned depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
