"""How long off-policy evaluation takes, beside obp's, and how much memory a large table needs.

`speed`: a million rows in memory, each estimator's value from arrays (checks of the input and
weights included), medians of several runs in turns with obp 0.5.7's where `--obp` names a directory
with its package; then all of `evaluate` with 1,000 resamples over users. `memory`: tables of 1, 10
and 100 million rows in Parquet, evaluated in a process each, with its peak memory. `tasks`: what
`--ray` spreads, here and on all cores.

    python -m benchmarks.evaluation speed --obp DIRECTORY
    python -m benchmarks.evaluation memory --rows 1000000 10000000 100000000
    python -m benchmarks.evaluation tasks
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tyro

from evaluation.assessment import assess
from evaluation.intervals import Intervals
from evaluation.sample import Sample
from evaluation.specification import parse

ACTIONS = 10
TUNED = (0.5, 1.0, 2.0, 5.0, 10.0, np.inf)
"""What SLOPE chooses from on both sides."""


@dataclass(frozen=True)
class Speed:
    """Seconds for a million rows."""

    obp: Path | None = None
    """directory that holds obp 0.5.7's package, to be measured in turns"""
    rows: int = 1_000_000
    """rows in memory"""
    repeats: int = 5
    """runs of each"""
    seed: int = 0
    """seed of the data"""


@dataclass(frozen=True)
class Memory:
    """Peak memory and seconds by rows."""

    rows: tuple[int, ...] = (1_000_000, 10_000_000, 100_000_000)
    """rows in a table"""
    users: int = 2_000_000
    """users at most"""
    seed: int = 0
    """seed of the data"""


@dataclass(frozen=True)
class Tasks:
    """Seconds here and as Ray tasks."""

    users: int = 20_000
    """users of 7 decisions each"""
    large: int = 6_000_000
    """rows of a table that is read in batches"""
    seed: int = 0
    """seed of the data"""


@dataclass(frozen=True)
class One:
    """Evaluate one table and print its peak memory: what `memory` runs in a process of its own."""

    file: Path
    """Parquet table"""


def arrays(rows: int, seed: int) -> dict[str, np.ndarray]:
    """A logged bandit as obp wants it, in float64."""
    rng = np.random.default_rng(seed)
    logging, target = (
        weights / weights.sum(1, keepdims=True)
        for weights in (0.1 + rng.random((rows, ACTIONS)), rng.random((rows, ACTIONS)) ** 3)
    )
    action = (logging.cumsum(1) > rng.random((rows, 1))).argmax(1)
    each = np.arange(rows)
    q = 0.1 + 0.05 * rng.random((rows, ACTIONS))
    return {
        "action": action,
        "reward": (rng.random(rows) < 0.1 + 0.01 * action).astype(float),
        "propensity": logging[each, action],
        "target": target,
        "q": q,
        "user": rng.integers(0, rows // 5, rows),
    }


def estimates(data: dict[str, np.ndarray]) -> dict[str, Callable[[], float]]:
    """Each estimator from arrays of rows, as `evaluation.arrays.evaluate` takes them."""
    rows = np.arange(len(data["action"]))
    given = {
        "reward": data["reward"],
        "propensity": data["propensity"],
        "target_propensity": data["target"][rows, data["action"]],
        "q_logged": data["q"][rows, data["action"]],
        "v_target": (data["target"] * data["q"]).sum(1),
    }

    def value(label: str) -> Callable[[], float]:
        (estimator,) = parse(label)
        names = list(given)[: 3 if "ips" in label else 5]

        def run() -> float:
            columns: dict[str, Any] = {name: given[name] for name in names}
            return estimator.terms(Sample(user=rows, **columns)).value

        return run

    labels = (
        "ips", "snips", "ips:clip=5", "sg_ips:0.1", "dm", "dr", "sndr", "switch_dr:5", "dros:5",
        "sg_dr:0.1", "ips:clip=slope", "switch_dr:slope", "dros:slope",
    )  # fmt: skip
    return {label: value(label) for label in labels}


def from_distributions(data: dict[str, np.ndarray]) -> Callable[[], float]:
    """`dr` from whole distributions, as obp takes it: with the look-ups and the mean of q."""
    from evaluation.arrays import of_distributions

    rows = np.arange(len(data["action"]))
    (dr,) = parse("dr")

    def run() -> float:
        columns: dict[str, Any] = of_distributions(data["action"], data["target"], data["q"])
        sample = Sample(reward=data["reward"], propensity=data["propensity"], user=rows, **columns)
        return dr.terms(sample).value

    return run


def obp_estimates(data: dict[str, np.ndarray], directory: Path) -> dict[str, Callable[[], float]]:
    """The same by obp."""
    sys.path.insert(0, str(directory))
    import obp.ope as ope

    given = {
        "reward": data["reward"],
        "action": data["action"],
        "pscore": data["propensity"],
        "action_dist": data["target"][:, :, None],
        "position": np.zeros(len(data["action"]), int),
    }
    model = {"estimated_rewards_by_reg_model": data["q"][:, :, None]}
    numbers = list(TUNED)
    made = {
        "ips": lambda: ope.InverseProbabilityWeighting(),
        "snips": lambda: ope.SelfNormalizedInverseProbabilityWeighting(),
        "ips:clip=5": lambda: ope.InverseProbabilityWeighting(lambda_=5.0),
        "sg_ips:0.1": lambda: ope.SubGaussianInverseProbabilityWeighting(lambda_=0.1),
        "dm": lambda: ope.DirectMethod(),
        "dr": lambda: ope.DoublyRobust(),
        "sndr": lambda: ope.SelfNormalizedDoublyRobust(),
        "switch_dr:5": lambda: ope.SwitchDoublyRobust(lambda_=5.0),
        "dros:5": lambda: ope.DoublyRobustWithShrinkage(lambda_=5.0),
        "sg_dr:0.1": lambda: ope.SubGaussianDoublyRobust(lambda_=0.1),
        "ips:clip=slope": lambda: ope.InverseProbabilityWeightingTuning(lambdas=numbers.copy()),
        "switch_dr:slope": lambda: ope.SwitchDoublyRobustTuning(lambdas=numbers.copy()),
        "dros:slope": lambda: ope.DoublyRobustWithShrinkageTuning(lambdas=numbers.copy()),
    }

    def value(make: Callable[[], Any]) -> Callable[[], float]:
        return lambda: float(make().estimate_policy_value(**given, **model))

    return {label: value(make) for label, make in made.items()}


def timed(run: Callable[[], Any]) -> float:
    """Seconds."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def speed(args: Speed) -> None:
    """Time every estimator and print a table."""
    data = arrays(args.rows, args.seed)
    ours = estimates(data)
    ours["dr, from distributions"] = from_distributions(data)
    theirs = {} if args.obp is None else obp_estimates(data, args.obp)
    if theirs:
        theirs["dr, from distributions"] = theirs["dr"]
    print(f"{args.rows:,} rows, median of {args.repeats} runs in turns, seconds\n")
    print("| estimator | pushwise | obp 0.5.7 | times as fast |\n|---|---|---|---|")
    for label, run in ours.items():
        own, other = [], []
        for _ in range(args.repeats):
            own.append(timed(run))
            if label in theirs:
                other.append(timed(theirs[label]))
        cells = f"{median(other):.4f} | {median(other) / median(own):.1f}" if other else " | "
        print(f"| {label} | {median(own):.4f} | {cells} |", flush=True)
    rows = np.arange(args.rows)
    sample = Sample(
        reward=data["reward"],
        propensity=data["propensity"],
        target_propensity=data["target"][rows, data["action"]],
        q_logged=data["q"][rows, data["action"]],
        v_target=(data["target"] * data["q"]).sum(1),
        user=np.unique(data["user"], return_inverse=True)[1],
    )
    for how in (Intervals(), Intervals("analytic")):
        seconds = timed(lambda: assess(sample, "t", how=how))  # noqa: B023
        print(f"\nall of an evaluation, six estimators, {how.method}: {seconds:.2f} s", end="")
    print(f" ({sample.users:,} users)")


def write_table(file: Path, rows: int, users: int, seed: int, part: int = 1_000_000) -> None:
    """A table of rows, in parts."""
    rng = np.random.default_rng(seed)
    writer = None
    for start in range(0, rows, part):
        n = min(part, rows - start)
        propensity = rng.uniform(0.1, 0.9, n)
        target = np.clip(propensity * rng.choice([0.6, 1.4], n), 0, 1)
        columns = {
            "reward": (rng.random(n) < 0.1).astype(float),
            "propensity": propensity,
            "target_propensity": target,
            "q_logged": np.full(n, 0.1),
            "v_target": np.full(n, 0.1),
            "user_id": rng.integers(0, min(users, rows // 2), n),
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def memory(args: Memory) -> None:
    """Evaluate tables of growing size in processes of their own and print a table."""
    print("| rows | seconds | peak memory, MB | file, MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "table.parquet"
        for rows in args.rows:
            write_table(file, rows, args.users, args.seed)
            command = [sys.executable, "-m", "benchmarks.evaluation", "one", "--file", str(file)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            size = file.stat().st_size / 1e6
            print(
                f"| {rows:,} | {found['seconds']:.1f} | {found['peak']:,.0f} | {size:,.0f} |",
                flush=True,
            )


def tasks(args: Tasks) -> None:
    """Time what Ray may make elsewhere, check that the numbers are the same, and print a table."""
    from evaluation.arrays import evaluate
    from evaluation.batches import assess_large
    from evaluation.report import to_json
    from ingestion.spread import Spread, in_turn
    from scripts.on_ray import on_ray

    rng, n = np.random.default_rng(args.seed), args.users * 7
    send, tired = rng.integers(0, 2, n), rng.integers(0, 2, n)
    columns: dict[str, Any] = {
        "user_id": np.arange(n) // 7,
        "step": np.arange(n) % 7,
        "reward": rng.random(n) < 0.1 + 0.2 * send,
        "propensity": np.full(n, 0.5),
        "target_propensity": np.where(send == 1, 0.6, 0.4),
        "state": tired,
        "feature_send": send,
        "target_feature_send": np.full(n, 0.6),
    }
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "table.parquet"
        write_table(file, args.large, args.large // 5, args.seed)
        runs: dict[str, Callable[[Spread], Any]] = {
            f"snips, pdis, mis, fqe of {n:,} rows": lambda spread: evaluate(
                **columns, estimators="snips,pdis,mis,fqe", spread=spread
            ),
            f"six estimators of {args.large:,} rows, in batches": lambda spread: assess_large(
                file, "t", how=Intervals(spread=spread)
            ),
        }
        print("| what | here, s | as Ray tasks, s | same numbers |\n|---|---|---|---|")
        with on_ray() as spread:
            for _ in spread(_nothing, None, range(8)):  # processes start with the first tasks
                pass
            for name, run in runs.items():
                seconds, found = [], []
                for where in (in_turn, spread):
                    start = time.perf_counter()
                    found.append(to_json(run(where)))
                    seconds.append(time.perf_counter() - start)
                same = "yes" if found[0] == found[1] else "NO"
                print(f"| {name} | {seconds[0]:.1f} | {seconds[1]:.1f} | {same} |", flush=True)


def _nothing(shared: None, part: int) -> None:
    time.sleep(0.2)


def one(args: One) -> None:
    """Evaluate one table in batches and print seconds and peak memory as JSON."""
    from evaluation.batches import assess_large

    seconds = timed(lambda: assess_large(args.file, "t"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak": peak}))


def main() -> None:
    """Run what was asked for."""
    args = tyro.extras.subcommand_cli_from_dict(
        {"speed": Speed, "memory": Memory, "tasks": Tasks, "one": One}, description=__doc__
    )
    runs: dict[type, Callable[[Any], None]] = {
        Speed: speed,
        Memory: memory,
        Tasks: tasks,
        One: one,
    }
    runs[type(args)](args)


if __name__ == "__main__":
    main()
