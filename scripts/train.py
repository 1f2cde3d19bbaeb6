"""Train a policy and save it: all that serving it needs, in one directory.

In the simulator, from fitted greedy with the best constant threshold or from the planner; the best
checkpoint on episodes that training never meets is what is saved:
    ppo         proximal policy optimisation
    dqn         deep Q-network
    greedy      no learning: the response model with its best constant threshold

From a log's decisions of before the instant that the simulator was fitted to (--logs):
    linucb      linear bandit with upper confidence bounds
    thompson    linear bandit that decides by one of 256 draws from its posterior
    recovering  copy by Duolingo's recovering difference softmax, rhythm by the best static rule
    price       what a send costs later, by Q-learning; what it earns, by the response model
    cql         the same, conservatively
    bcq         the same, among what the log is likely enough to do
    clone       the logging policy itself, by behaviour cloning

Example:
    pushwise train runs/sim --algo ppo --out runs/ppo
    pushwise train runs/sim --algo dqn --out runs/dqn --seed 1 --guardrails rules.toml
    pushwise train runs/sim --algo ppo --out runs/ppo --run runs/ppo.run --resume
    pushwise train runs/sim --algo ppo --out runs/open --newcomers 0.2
    pushwise train runs/sim --algo ppo --out runs/few --send-budget 1.5 --unsubscribe-budget 5
    pushwise train runs/sim --algo price --logs shop --out runs/price

Going on from a policy that serves, in a simulator fitted to the server's own log:
    pushwise fit runs/served --out runs/sim-2
    pushwise train runs/sim-2 --algo ppo --from runs/ppo --out runs/ppo-2
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from simulator.description import Simulator


@dataclass(frozen=True)
class Args:
    """Arguments of `pushwise train`."""

    simulator: Positional[Path]
    """a fitted simulator, or the truth of a demo (DIR/truth)"""
    out: Path
    """directory to write the policy to; a policy there is replaced, and while an agent is trained
    in the simulator it holds the best so far"""
    algo: str = "ppo"
    """algorithm, one of those above"""
    logs: Path | None = None
    """log directory, for algorithms that learn from logs"""
    seed: int = 0
    """seed of all that is drawn"""
    steps: int | None = None
    """user-days to train for, or gradient steps on a log; default: about a minute's worth"""
    settings: Path | None = None
    """TOML file of hyper-parameters, such as `pushwise tune` writes"""
    start: Annotated[Path | None, arg(name="from")] = None
    """saved policy that ppo or dqn goes on from, under its guardrails, in place of beginning at
    greedy or the planner"""
    guardrails: Path | None = None
    """TOML file whose keys replace the simulator's guardrails, or those of --from"""
    reward: Path | None = None
    """TOML file whose weights, in the log's currency, replace the reward's: purchase, click,
    dismissal, unsubscribe, send"""
    run: Path | None = None
    """folder for this run: command, settings, versions and hashes, TensorBoard's curves, and the
    state from which --resume goes on"""
    resume: bool = False
    """go on with the run in --run, where there is one; the policy is the same to the bit"""
    workers: int | None = None
    """processes, by Ray, that share ppo's work, 1 to 8: here or on the cluster that RAY_ADDRESS
    names; the policy is the same for any number, but another than without"""
    newcomers: float = 0.0
    """share of the simulated users who are new: unknown to model and recommender, with nothing
    behind them"""
    send_budget: float | None = None
    """sends per user and week that ppo or dqn may use"""
    unsubscribe_budget: float | None = None
    """unsubscribes per 1,000 users and week that ppo or dqn may cause"""


def run(args: Args) -> int:
    """Trains, saves, and says what the policy is."""
    import sys
    from dataclasses import replace

    from agents.algorithms import algorithm_of
    from agents.learning import learn
    from agents.progress import doing
    from agents.standing import standing
    from ingestion.read import load_checked
    from policies.rules_file import read_guardrails, read_reward
    from policies.saved import POLICY, load_policy, save_policy
    from simulator.saved import load_simulator

    algorithm_of(args.algo)
    POLICY.need_place(args.out)
    if args.run is not None:
        _apart(args.out, args.run)
    simulator = load_simulator(args.simulator)
    settings = _settings(args, simulator.world)
    start = None if args.start is None else load_policy(args.start)
    if start is not None:
        simulator = replace(simulator, guardrails=start.guardrails, reward=start.reward)
    if args.guardrails is not None:
        rules = read_guardrails(args.guardrails, simulator.guardrails)
        simulator = replace(simulator, guardrails=rules)
    if args.reward is not None:
        simulator = replace(simulator, reward=read_reward(args.reward, simulator.reward))
    simulator = peopled(simulator, args)
    bundle = learn(
        simulator,
        args.algo,
        None if args.logs is None else load_checked(args.logs),
        args.seed,
        settings,
        ["pushwise", *sys.argv[1:]],
        lambda best: save_policy(args.out, best),
        args.run,
        args.resume,
        start,
        args.workers,
    )
    with doing("living beside simple policies"):
        found = standing(simulator, bundle, args.seed)
    bundle = replace(bundle, manifest={**bundle.manifest, "standing": found})
    save_policy(args.out, bundle)
    print(f"{args.out}: {args.algo}, {_said(bundle.manifest)}")
    if (level := _level(args.simulator)) is not None:
        print(f"  the simulator's card: {level}")
    return 0


def _level(simulator: Path) -> str | None:
    """What a simulator's fidelity card says against its values; a truth has no card."""
    import json

    from simulator.fidelity_goals import level_of_values

    card = simulator / "card" / "card.json"
    return level_of_values(json.loads(card.read_text())) if card.exists() else None


def _apart(out: Path, run: Path) -> None:
    """Raises `BadSetting` for two directories that are one or lie in each other: a policy is
    replaced whole, and a run's folder holds the run alone."""
    from mdp.errors import BadSetting

    one, other = out.resolve(), run.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise BadSetting(
            f"--out {out} and --run {run} are one directory or lie in each other: "
            "choose two side by side"
        )


def peopled(simulator: Simulator, args: Args) -> Simulator:
    """The simulator with as many newcomers as were asked for."""
    from agents.algorithms import algorithm_of
    from mdp.errors import BadSetting
    from simulator.newcomers import with_newcomers

    if args.newcomers and algorithm_of(args.algo).from_logs:
        raise BadSetting(f"{args.algo} learns from logged decisions: leave out --newcomers")
    if args.newcomers and simulator.model is None:
        # A truth is taken at its word, but not of those who are still to come.
        simulator = simulator.believing(simulator)
    return with_newcomers(simulator, args.newcomers)


def _settings(args: Args, world: str) -> Any:
    """The algorithm's settings as the arguments say."""
    from dataclasses import replace

    from agents.algorithms import algorithm_of
    from agents.settings_file import read_settings
    from mdp.errors import BadSetting

    if args.settings is None:
        settings = algorithm_of(args.algo).default_settings()
    else:
        settings = read_settings(args.settings, world, args.algo)
    for name in ("steps", "send_budget", "unsubscribe_budget"):
        value = getattr(args, name)
        if value is None:
            continue
        if not hasattr(settings, name):
            raise BadSetting(f"{args.algo} takes no --{name.replace('_', '-')}")
        settings = replace(settings, **{name: value})
    return settings


def _said(manifest: Any) -> str:
    """What a manifest says of its policy, in lines."""
    from policies.standing import doubt, standing_said

    lines = [_found(manifest)]
    if manifest.get("standing") is not None:
        lines.append(f"  {standing_said(manifest['standing'])}")
    if (minded := doubt(manifest)) is not None:
        lines.append(f"  warning: {minded}")
    return "\n".join(lines)


def _found(manifest: Any) -> str:
    """What training found, and whether it kept to its budgets."""
    if "learned_from" in manifest:
        found = manifest["learned_from"]
        return f"learned from {found['decisions']:,} decisions, {found['sends']:,} of them pushes"
    if "metrics" not in manifest:
        threshold = manifest["baselines"]["threshold"]
        return f"sends what is predicted to earn more than {threshold:.3f}"
    metrics = manifest["metrics"]
    lines = [
        f"value per user over {metrics['days']} simulated days {metrics['value']:.3f}; it started "
        f"at {metrics['value_at_start']:.3f}, made after {manifest['start']}"
    ]
    units = {"send": "sends per user and week", "unsubscribe": "unsubscribes per 1,000 and week"}
    for name, limit in manifest.get("budgets", {}).items():
        line = f"  {units[name]}: {limit['used']:.2f} of {limit['budget']:g}"
        price = f"at a price of {limit['price']:.3f} for one more {name}"
        lines.append(
            f"{line}, {price}"
            if limit["kept"]
            else f"{line}: the budget is not kept, {price}; give more --steps, or a larger budget"
        )
    return "\n".join(lines)
