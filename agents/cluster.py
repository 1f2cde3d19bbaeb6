"""Ray while something needs it: the one that runs, a cluster's, or one started on this machine."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from mdp.errors import BadSetting


@contextmanager
def running() -> Iterator[None]:
    """Ray, while the context lasts; one that this process uses already goes on after it.

    It is the cluster's that RAY_ADDRESS names (HOST:PORT or ray://HOST:PORT), else this machine's.
    Raises `BadSetting` where it does not answer or does not start.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS") or None
    try:
        _reach(address)
        ray.init(
            address,
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    # A plain Exception is what Ray raises where its processes don't come up in time.
    except Exception as error:
        ray.shutdown()
        what = (
            f"the Ray cluster {address} can't be joined (RAY_ADDRESS names it)"
            if address
            else "Ray does not start here; this machine may be too busy for it: try again, or "
            "leave --ray (of train: --workers) out"
        )
        raise BadSetting(f"{what} ({first_words(error)})") from error
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str | None) -> None:
    """Raises `OSError` where nobody listens at HOST:PORT, which Ray would try again for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def first_words(error: Exception) -> str:
    """What Ray says in its first sentence; pages may follow."""
    return str(error).strip().partition("\n")[0].partition(". ")[0]
