"""The whole path on one shop, from logs to a live decision: `make quickstart`.

    python -m scripts.quickstart
    python -m scripts.quickstart --shop online_retail_II.xlsx

Runs the same commands that a person would type, shows each, and leaves logs, simulator, policies,
tables, pictures and a report in runs/quickstart.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import tyro

DAYS, USERS = 42, 1000
STEPS = "steps.json"
"""Which commands were run, and what each took; also tells that a directory is a quickstart's."""


@dataclass(frozen=True)
class Args:
    """What to run on."""

    shop: Path | None = None
    """Online Retail II (.xlsx, .parquet or .csv) or a log directory to lay the demo's pushes over;
    default: a made-up shop"""
    out: Path = Path("runs/quickstart")
    """where everything goes; what an earlier run left there is replaced"""
    steps: int | None = None
    """user-days that each agent is trained for (default: about a minute)"""
    users: int = USERS
    """how many users"""


@dataclass
class Run:
    """The commands run so far, with what each took."""

    out: Path
    steps: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, *words: str | Path) -> None:
        """Run one `pushwise` command; its failure is ours."""
        line = shlex.join(["pushwise", *map(str, words)])
        print(f"\n$ {line}", flush=True)
        began = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "scripts.cli", *map(str, words)])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(process.returncode)
        taken = {"command": line, "seconds": time.monotonic() - began}
        self.steps.append(taken | {"peak_mb": usage.ru_maxrss / 1024})


def main(args: Args) -> None:
    """Everything, one step after another."""
    began = time.monotonic()
    out = args.out
    if out.exists() and any(out.iterdir()) and not (out / STEPS).exists():
        raise SystemExit(
            f"error: {out} is not empty and holds no earlier quickstart: choose another"
        )
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / STEPS).write_text("[]\n")
    run = Run(out)
    shop, sim = out / "shop", out / "sim"
    demo = ["demo", shop, "--users", str(args.users), "--days", str(DAYS)]
    if args.shop is not None and args.shop.is_file():
        run("import", "online-retail-ii", args.shop, "--out", out / "customers")
        demo += ["--shop", out / "customers"]
    elif args.shop is not None:
        demo += ["--shop", args.shop]
    run(*map(str, demo))
    run("check", shop)
    run("fit", shop, "--out", sim)
    truth = shop / "truth"
    run("train", sim, "--algo", "greedy", "--out", out / "greedy")
    once = ["--users", "300", "--seeds", "1"]
    run("compare", truth, out / "greedy", *once, "--out", out / "baselines")
    length = [] if args.steps is None else ["--steps", str(args.steps)]
    for algo in ("dqn", "ppo"):
        run("train", sim, "--algo", algo, "--out", out / algo, *length)
    run("compare", truth, out / "dqn", out / "ppo", "--users", "400", "--out", out / "comparison")
    run("evaluate", out / "dqn", out / "ppo", "--logs", shop, "--out", out / "evaluation")
    picture(out, truth)
    run("load", shop, "--store", f"sqlite:///{out / 'store.db'}", "--policy", out / "ppo")
    decision = live(out)
    seconds = time.monotonic() - began
    report(out, run.steps, decision, seconds)
    print(f"\nDone in {seconds:.0f} s. Everything is in {out}: open {out / 'report.html'}")
    print("Next:")
    print(f"  researchers   pushwise train {sim} --algo ppo --out my-policy --seed 1")
    print(f"  analysts      pushwise evaluate {out / 'ppo'} --logs {shop} --out my-report")
    print("  production    make serve, then open http://127.0.0.1:8000/docs")


def picture(out: Path, truth: Path) -> None:
    """One user's month under the shop's rules and under the learned policy."""
    from dataclasses import replace

    import numpy as np

    from agents.rollouts import rollout
    from policies.saved import load_policy
    from simulator.month import draw_months, month_of
    from simulator.saved import load_simulator

    world, bundle = load_simulator(truth), load_policy(out / "ppo")
    seen = replace(world, model=bundle.model, beliefs=bundle.traits)
    learned = replace(bundle.policy, name="learned policy", floor=0.0)
    rules = replace(world.logging, name="the shop's rules")
    rows = np.arange(min(len(world.users), 200))
    gains = rollout(seen, learned, rows, 0, 28).value - rollout(seen, rules, rows, 0, 28).value
    # A user whom the learned policy serves better than most: the upper quartile of the gains.
    row = int(rows[np.argsort(gains)[int(0.75 * (len(rows) - 1))]])
    draw_months(out / "month.png", [month_of(seen, policy, row) for policy in (rules, learned)])


def live(out: Path) -> dict[str, Any]:
    """Start the server, ask it for one decision, and stop it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    store = f"sqlite:///{out / 'store.db'}"
    words = ["serve", out / "ppo", "--store", store, "--port", port]
    print(f"\n$ pushwise {shlex.join(map(str, words))} &", flush=True)
    with (out / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "scripts.cli", *map(str, words)], stdout=log, stderr=log
        )
    try:
        _wait(f"{base}/readyz", server, out / "server.log")
        user = _some_user(out / "shop")
        print(f"$ curl -X POST {base}/v1/decisions -d '{json.dumps({'user_id': user})}'")
        body = json.dumps({"user_id": user}).encode()
        request = Request(f"{base}/v1/decisions", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as response:  # our own server  # nosec B310
            decision: dict[str, Any] = json.load(response)
        print(json.dumps(decision, indent=1, ensure_ascii=False))
        address = f"{base}/v1/decisions/{decision['decision_id']}"
        print(f"$ curl {address}     # among other things, why:")
        with urlopen(address, timeout=30) as response:  # our own server  # nosec B310
            decision["why"] = json.load(response)["why"]
        print(json.dumps(decision["why"], indent=1))
    finally:
        server.terminate()
        server.wait(timeout=30)
    return decision


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if server.poll() is not None:
            raise SystemExit(f"the server did not start; it said: {log.read_text()[-2000:]}")
        try:
            with urlopen(address, timeout=2):  # our own server  # nosec B310
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise SystemExit(f"the server did not answer at {address} within a minute; see {log}")


def _some_user(shop: Path) -> str:
    """The user with the most events."""
    from ingestion.read import read_log

    return str(read_log(shop).tables["events"]["user_id"].value_counts().index[0])


def report(
    out: Path, steps: list[dict[str, Any]], decision: dict[str, Any], seconds: float
) -> None:
    """`report.html` and `steps.json`."""
    from html import escape

    (out / STEPS).write_text(json.dumps(steps, indent=1) + "\n")
    rows = "".join(
        f"<tr><td><code>{escape(step['command'])}</code><td>{step['seconds']:.0f} s"
        f"<td>{step['peak_mb']:.0f} MB"
        for step in steps
    )
    (out / "report.html").write_text(
        "<!doctype html><meta charset=utf-8><title>pushwise quickstart</title>"
        "<style>body{font:16px sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
        "img{max-width:100%}pre{overflow-x:auto}table{border-collapse:collapse}"
        "th,td{padding:.25em .8em;text-align:right;border-bottom:1px solid #ddd}"
        "th:first-child,td:first-child{text-align:left}td+td{white-space:nowrap}</style>"
        "<h1>From a shop's logs to live decisions</h1>"
        "<h2>A user's month</h2><p>The same user with the same draws, in the world the logs came"
        " from. One user, at the upper quartile of what the learned policy gains.<p>"
        "<img src=month.png alt='pushes by day and hour under two policies'>"
        "<h2>What each policy is worth</h2><p>True values over 42 days: the world's own, which no"
        " real shop knows. The learned policies saw the log only; the oracle knows the truth."
        f"<p>{_table(out / 'comparison' / 'comparison.json')}"
        "<img src=comparison/comparison.png alt='values with intervals'>"
        f"<p>Can the log tell? {_verdicts(out / 'evaluation' / 'report.json')} See"
        " <a href=evaluation/report.html>the off-policy evaluation</a>. How true is the"
        " simulator? See <a href=sim/card/card.html>its fidelity card</a>."
        "<h2>One live decision</h2><p>Its answer and why: what guardrails ruled out, what the"
        " response model expects of the send, and the sends that it likes best."
        f"<pre>{escape(json.dumps(decision, indent=1))}</pre>"
        f"<h2>What it took</h2><p>{seconds:.0f} s in all.<table>{rows}</table>\n"
    )


def _table(file: Path) -> str:
    """The comparison as an HTML table."""
    heads = (
        "policy",
        "value per user (95 %)",
        "minus greedy + threshold",
        "of oracle",
        "sends a week",
        "unsubscribes per 1,000",
        "revenue minus hold's",
    )
    rows = [
        (
            line["policy"],
            f"{line['value']:.2f} ({line['low']:.2f} to {line['high']:.2f})",
            f"{line['difference']:+.2f} ({line['difference_low']:+.2f} to"
            f" {line['difference_high']:+.2f})",
            f"{line['share_of_oracle']:.0%}" if line["share_of_oracle"] is not None else "",
            f"{line['sends_per_week']:.2f}",
            f"{line['unsubscribes']:.0f}",
            f"{line['revenue_minus_hold']:+.2f}",
        )
        for line in json.loads(file.read_text())["policies"]
    ]
    body = "".join("<tr>" + "".join(f"<td>{cell}" for cell in row) for row in rows)
    return f"<table><tr>{''.join(f'<th>{head}' for head in heads)}{body}</table>"


def _verdicts(file: Path) -> str:
    """What the evaluation says of each policy, in a sentence."""
    policies = json.loads(file.read_text())["policies"]
    said = (f"{Path(found['name']).name}: <b>{found['verdict']}</b>" for found in policies)
    return "On the days kept apart, off-policy evaluation says " + ", ".join(said) + "."


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
