"""For production: load a shop and a policy into a store, serve it, ask, and tell what happened.

python examples/researcher.py --out runs/examples
python examples/production.py runs/examples/shop runs/examples/price
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import tyro
from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """A log, a policy, and the server's place."""

    logs: Positional[Path]
    """log directory: catalogue, users and histories come from it"""
    policy: Positional[Path]
    """directory of a saved policy"""
    store: Path = Path("runs/examples/store.sqlite")
    """SQLite file of the server"""
    port: int = 8321
    """port on this machine"""
    user: str = "user-00001"
    """whom to decide for"""


def main(args: Args) -> None:
    """Load, serve, one decision, its outcome, and what the server counts."""
    store, pushwise = f"sqlite:///{args.store}", [sys.executable, "-m", "scripts.cli"]
    load = ["load", str(args.logs), "--store", store, "--policy", str(args.policy)]
    subprocess.run([*pushwise, *load], check=True)
    serve = ["serve", "--store", store, "--port", str(args.port)]
    server = subprocess.Popen([*pushwise, *serve])
    try:
        _until_ready(f"http://127.0.0.1:{args.port}/readyz", server)
        _ask(f"http://127.0.0.1:{args.port}/v1", args.user)
    finally:
        server.terminate()
        server.wait()


def _ask(url: str, user: str) -> None:
    decision = _call(f"{url}/decisions", {"user_id": user})
    print(json.dumps(decision, indent=1, ensure_ascii=False))
    if decision["action"] == "send":
        # What became of the push, and what the user does beside it, are told as they happen.
        opened = {"decision_id": decision["decision_id"], "outcome": "opened"}
        told = {"outcomes": [{**opened, "at": decision["send_at"]}]}
        print("outcome:", _call(f"{url}/outcomes", told))
        view = {"user_id": user, "item_id": decision["item_id"], "event": "view"}
        told = {"events": [{**view, "at": decision["decided_at"]}]}
        print("event:", _call(f"{url}/events", told))
    # Caps and gaps count what was decided; a hold would be repeated.
    again = _call(f"{url}/decisions", {"user_id": user})
    print("again:", again["action"], again["reason"], "repeated:", again["repeated"])
    print("ledger:", _call(f"{url}/ledger"))


def _call(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        if server.poll() is not None:
            sys.exit("the server has stopped: see above")
        try:
            with urllib.request.urlopen(url):
                return
        except URLError:
            time.sleep(0.5)
    sys.exit("the server is not ready after two minutes")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
