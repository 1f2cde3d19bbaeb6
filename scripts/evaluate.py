"""What a policy is worth on logged decisions that it has not seen, and whether the log can tell.

Either saved policies on a log, or a plain table (CSV, Parquet, JSON lines) of logged decisions with
the columns reward, propensity, target_propensity and, where there are, q_logged, v_target, user_id.
With --gate the exit status is the verdict: 0 better, 3 no_difference, 4 cannot_tell, 5 worse.

Example:
    pushwise evaluate runs/ppo --logs shop --out runs/report
    pushwise evaluate --table decisions.csv --estimators ips,snips,switch_dr:10 --json
    pushwise evaluate runs/ppo --logs shop --gate && pushwise serve runs/ppo
    pushwise evaluate runs/ppo --logs live --reconcile runs/report/report.json --ledger held.jsonl
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

if TYPE_CHECKING:
    from evaluation.assessment import Assessment
    from evaluation.intervals import Intervals
    from evaluation.replayed import Replayed
    from evaluation.specification import Estimator
    from ingestion.spread import Spread
    from policies.saved import PolicyBundle

GATE = {"better": 0, "no_difference": 3, "cannot_tell": 4, "worse": 5}
"""Exit status by verdict with --gate; 1 is bad input and 2 an unknown argument."""


@dataclass(frozen=True)
class Args:
    """Arguments of `pushwise evaluate`."""

    policies: Positional[tuple[Path, ...]] = ()
    """directories of saved policies"""
    logs: Path | None = None
    """log directory; only days after a policy's training are used"""
    table: Path | None = None
    """plain table instead of policies and a log"""
    estimators: str | None = None
    """such as snips,dr,ips:clip=10,switch_dr:10,dros:slope; default: those most readers need"""
    intervals: Literal["bootstrap", "analytic"] = "bootstrap"
    """resampling users, or in closed form"""
    segment: str | None = None
    """column of the log's users table to report by, such as locale"""
    days: bool = False
    """also what the policy is worth over a user's days, and on the first of them"""
    discount: float = 1.0
    """with --days: of the reward of each further decision, above 0 and at most 1"""
    guardrails: Path | None = None
    """TOML file whose keys replace the policies' guardrails"""
    out: Path | None = None
    """directory for report.html, report.md, report.json and pictures"""
    mixture: Path | None = None
    """directory for the largest mixture with the running policy that the log certifies"""
    running: Path | None = None
    """with --mixture: saved policy that made the log, to save both as one that draws between them
    at every decision"""
    reconcile: Path | None = None
    """report.json that predicted the policy, to set against --logs of its live days"""
    ledger: Path | None = None
    """file that keeps what was reconciled, to say how many predictions have held"""
    gate: bool = False
    """exit with 0 only where every policy is better than the logging one"""
    json: bool = False
    """print JSON"""
    seed: int = 0
    """seed of the bootstrap"""
    ray: bool = False
    """make resamples, refits and batches as Ray tasks, with the same numbers: on the cluster that
    RAY_ADDRESS names, or on all of this machine's cores"""


def run(args: Args) -> int:
    """Evaluates, prints, and writes the report where one is asked for."""
    if not args.ray:
        return _run(args)
    from scripts.on_ray import on_ray

    with on_ray() as spread:
        return _run(args, spread)


def _run(args: Args, spread: Spread | None = None) -> int:
    from evaluation.intervals import Intervals
    from mdp.errors import BadInput

    _check(args)
    how = Intervals(args.intervals, args.seed)
    if spread is not None:
        how = replace(how, spread=spread)
    if args.table is not None:
        return _report(args, [_of_table(args.table, args, how)])
    if not args.policies or args.logs is None:
        raise BadInput("give saved policies with --logs LOGS, or a plain table with --table FILE")
    if args.reconcile is not None:
        return _reconcile(args, args.logs)
    from evaluation.replayed import replayed
    from ingestion.read import load_checked

    log = replayed(load_checked(args.logs))
    running = None if args.running is None else _running(args, log)
    found = _of_policies(args, log, how)
    status = _report(args, found)
    if args.mixture is not None:
        _save_mixture(args, found[0], running)
    return status


def _check(args: Args) -> None:
    """Raises `BadInput` for arguments that don't go together."""
    from mdp.errors import BadInput

    of_policies = (args.policies, args.logs, args.guardrails, args.segment, args.mixture)
    if args.table is not None and any((*of_policies, args.running, args.reconcile)):
        raise BadInput(
            "--table stands alone: leave out policies, --logs, --guardrails, --mixture, "
            "--running, --reconcile, --segment (a column segment of the table is reported by)"
        )
    if (args.mixture or args.reconcile) and len(args.policies) > 1:
        raise BadInput(
            f"--mixture and --reconcile are of one policy, and {len(args.policies)} are given"
        )
    if args.running is not None and args.mixture is None:
        raise BadInput("--running is of --mixture: say with it where to save the mixture")
    if args.discount != 1.0 and not (args.days or _chosen(args)[1]):
        raise BadInput("--discount is of a user's days: add --days")
    if args.ledger is not None and args.reconcile is None:
        raise BadInput("--ledger is of --reconcile: say with it which report predicted the policy")
    if args.reconcile and (args.gate or args.out or args.mixture or args.days or args.estimators):
        raise BadInput(
            "--reconcile stands alone: leave out --gate, --out, --mixture, --days, --estimators"
        )
    if args.out is not None and args.out.exists() and not args.out.is_dir():
        raise BadInput(f"{args.out} is a file: choose a directory as --out")


def _chosen(args: Args) -> tuple[tuple[Estimator, ...], tuple[str, ...]]:
    """The estimators per decision, and the names of those over a user's days."""
    from evaluation.specification import divided

    return ((), ()) if args.estimators is None else divided(args.estimators)


def _running(args: Args, log: Replayed) -> PolicyBundle:
    from evaluation.mixture import same_world
    from policies.saved import load_policy

    assert args.running is not None
    running = load_policy(args.running)
    hashes = log.log.tables["decisions"]["policy_hash"].dropna().unique()
    same_world(load_policy(args.policies[0]), running, hashes.tolist())
    return running


def _reconcile(args: Args, logs: Path) -> int:
    from dataclasses import asdict

    from evaluation.reconcile import read_report, reconcile, record
    from evaluation.replayed import replayed
    from evaluation.report import dumps, reconciled_lines
    from ingestion.read import load_checked
    from policies.saved import load_policy

    assert args.reconcile is not None
    path = args.policies[0]
    report, bundle = read_report(args.reconcile), load_policy(path)
    found = reconcile(report, replayed(load_checked(logs)), bundle, str(path), args.seed)
    so_far = None if args.ledger is None else record(args.ledger, found)
    if args.json:
        share = None if so_far is None else {"predictions": so_far[0], "held": so_far[1]}
        print(dumps({**asdict(found), "so_far": share}))
    else:
        print("\n".join(reconciled_lines(found, so_far)))
    return 0


def _save_mixture(args: Args, found: Assessment, running: PolicyBundle | None) -> None:
    """Save what is certified and say how to serve it, on stderr; or say that nothing is."""
    from evaluation.mixture import save_certified
    from policies.saved import load_policy

    assert args.mixture is not None
    share = save_certified(args.mixture, load_policy(args.policies[0]), found, running)
    if share is None:
        said = "no mixture of this policy and the running one is certified by this log: not saved"
    elif running is not None:
        said = (
            f"{args.mixture}: draws the new policy's decision {share:.0%} of the time, the running "
            "one's otherwise; serve it in place of the running one"
        )
    else:
        said = (
            f"{args.mixture}: certified for {share:.0%} of the users; add it to the server's "
            f"policies, then PUT {args.mixture}/experiment.json to /v1/experiment (served alone it "
            "would decide for all; --running saves one policy that draws between both)"
        )
    print(said, file=sys.stderr)


def _of_table(file: Path, args: Args, how: Intervals) -> Assessment:
    from evaluation.arrays import evaluate
    from evaluation.batches import LARGE, assess_large, is_large
    from evaluation.table import naming, read_frame
    from mdp.errors import BadInput

    chosen, named = _chosen(args)
    if is_large(file):
        if named or args.days:
            raise BadInput(
                f"{file} has {LARGE:,} rows or more and is read in batches, which can't follow "
                "users over their days: give a table with fewer users"
            )
        return assess_large(file, file.name, chosen, how)
    with naming(file):
        return evaluate(
            read_frame(file), estimators=args.estimators, name=file.name, seed=how.seed,
            method=how.method, days=args.days, discount=args.discount, spread=how.spread,
        )  # fmt: skip


def _of_policies(args: Args, log: Replayed, how: Intervals) -> list[Assessment]:
    from rich.console import Console
    from rich.progress import Progress

    from evaluation.logs import assess_policy
    from policies.rules_file import read_guardrails
    from policies.saved import load_policy

    chosen, named = _chosen(args)
    bundles = [load_policy(path) for path in args.policies]
    found = []
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for path, bundle in zip(args.policies, bundles, strict=True):
            rules = bundle.guardrails
            if args.guardrails is not None:
                rules = read_guardrails(args.guardrails, rules)
            task = progress.add_task(f"evaluating {path}", total=None)

            def step(done: int, total: int, task: Any = task) -> None:
                progress.update(task, completed=done, total=total)

            found.append(
                assess_policy(
                    log, bundle, str(path), rules, chosen, how, step,
                    comparisons=len(bundles), segment=args.segment,
                    days=named if args.days or named else None, discount=args.discount,
                )
            )  # fmt: skip
    return found


def _report(args: Args, found: list[Assessment]) -> int:
    from evaluation.page import write_report
    from evaluation.report import dumps, show, terminal, to_json

    plain = [to_json(each) for each in found]
    values = plain[0] if args.table is not None else {"logs": str(args.logs), "policies": plain}
    written = [] if args.out is None else write_report(args.out, found, values)
    status = max(GATE[each.verdict.answer] for each in found) if args.gate else 0
    if args.json:
        print(dumps(values))
        return status
    console = terminal()
    for each in found:
        show(each, console)
    if written:
        paths = ", ".join(str(path) for path in written)
        console.print(f"written: {paths}", highlight=False, markup=False, soft_wrap=True)
    return status
