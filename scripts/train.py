"""Train an agent in a simulator and save the policy: all that serving it needs, in one directory.

It starts as fitted greedy with the best constant threshold, or as the planner where that is worth
more; the best checkpoint on episodes that training never meets is what is saved. While training
goes on, OUT already holds the best so far: an interrupted run leaves that.

Example:
    pushwise train runs/sim --algo ppo --out runs/ppo
    pushwise train runs/sim --algo dqn --out runs/dqn --seed 1 --guardrails rules.toml
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class Args:
    """Arguments of `pushwise train`."""

    simulator: Positional[Path]
    """a fitted simulator, or the truth of a demo (DIR/truth)"""
    out: Path
    """directory to write the policy to; a policy there is replaced"""
    algo: Literal["ppo", "dqn", "greedy"] = "ppo"
    """algorithm; greedy: no learning, the response model with its best constant threshold"""
    seed: int = 0
    """seed of all that is drawn"""
    steps: int | None = None
    """user-days to train for; default: about a minute's worth"""
    guardrails: Path | None = None
    """TOML file whose keys replace the simulator's guardrails"""
    tensorboard: Path | None = None
    """directory for TensorBoard's curves"""


def run(args: Args) -> int:
    """Trains, saves, and says what the policy is worth in the simulator."""
    import sys
    from dataclasses import replace

    import torch

    from agents.greedy import greedy_bundle
    from agents.training import train, with_steps
    from mdp.errors import BadSetting
    from policies.rules_file import read_guardrails
    from policies.saved import for_a_policy, save_policy
    from simulator.saved import load_simulator

    if args.steps is not None and args.steps < 1:
        raise BadSetting(f"--steps is {args.steps}; training needs at least 1 user-day")
    for_a_policy(args.out)
    simulator = load_simulator(args.simulator)
    if args.guardrails is not None:
        rules = read_guardrails(args.guardrails, simulator.guardrails)
        simulator = replace(simulator, guardrails=rules)
    command = ["pushwise", *sys.argv[1:]]
    if args.algo == "greedy":
        bundle = greedy_bundle(simulator, args.seed, command)
        save_policy(args.out, bundle)
        threshold = bundle.manifest["baselines"]["threshold"]
        print(f"{args.out}: greedy, sends what is predicted to earn more than {threshold:.3f}")
        return 0
    torch.set_num_threads(1)  # more only get in one another's way with networks this small
    bundle = train(
        simulator,
        args.algo,
        args.seed,
        with_steps(args.algo, args.steps),
        command=command,
        tensorboard=None if args.tensorboard is None else str(args.tensorboard),
        checkpoint=lambda best: save_policy(args.out, best),
    )
    save_policy(args.out, bundle)
    metrics = bundle.manifest["metrics"]
    print(
        f"{args.out}: {args.algo}, value per user over {metrics['days']} simulated days "
        f"{metrics['value']:.3f}; it started at {metrics['value_at_start']:.3f}, made after "
        f"fitted {bundle.manifest['start']}"
    )
    return 0
