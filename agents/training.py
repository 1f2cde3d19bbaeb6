"""Training: from a simulator to a policy that stands on its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from agents import states
from agents.algorithms import algorithm_of
from agents.budgets import Budget, Prices, first_prices, priced
from agents.continuing import learned_by, network_of
from agents.dqn import DQNSettings, MaskedDQN, build_dqn
from agents.export import exported
from agents.judging import Judge, Judgement, TorchPolicy, deciding, divided
from agents.network import FactorNetwork, Soft
from agents.paying import ExpectedRewards
from agents.ppo import PartialPPO, PPOSettings, build_ppo
from agents.progress import doing
from agents.provenance import provenance
from agents.runs import Run, parts_of
from agents.search import baselines, best_static_rule, best_threshold
from agents.start import starting_network, teach_critic
from envs.vector import PushVectorEnv
from mdp.errors import BadSetting
from policies.baselines import Greedy, StaticRule
from policies.planner import Planner, planner
from policies.saved import PolicyBundle, SavedRecommender
from simulator.best_days import with_habits
from simulator.description import Simulator
from simulator.kernel import Kernel


@dataclass(frozen=True)
class Prepared:
    """What training starts from."""

    simulator: Simulator
    """With the users' habits."""
    network: FactorNetwork | Soft
    start: str
    """Name of the policy that the network was made after."""
    threshold: float
    rule: StaticRule
    plan: Planner
    budget: Budget
    prices: Prices
    """That hold the planner within the budgets."""
    scales: Prices
    """How large a price is that matters."""


def prepared(
    simulator: Simulator,
    settings: PPOSettings | DQNSettings,
    seed: int,
    start_from: PolicyBundle | None = None,
) -> Prepared:
    """Searches for what simple policies can do, and starts there, or from a saved policy."""
    if simulator.model is None:
        simulator = simulator.believing(simulator)
    threshold = best_threshold(simulator, seed)
    rule = best_static_rule(simulator, seed)
    simulator = with_habits(simulator, threshold, seed)
    assert simulator.model is not None
    plan = replace(planner(simulator.model, simulator.reward), gamma=settings.gamma)
    budget = Budget(settings.send_budget, settings.unsubscribe_budget)
    scales = Prices(max(threshold, 0.01), max(-simulator.reward.unsubscribe, 1.0))
    prices = first_prices(simulator, plan, budget, scales, seed)
    network: FactorNetwork | Soft
    if start_from is None:
        network, start = starting_network(
            simulator, threshold, priced(plan, prices), settings.hidden, seed
        )
        network = network if isinstance(settings, DQNSettings) else Soft(network)
    else:
        algo, start = "dqn" if isinstance(settings, DQNSettings) else "ppo", "a saved policy"
        network = network_of(start_from, algo)
        teach_critic(simulator, plain(network), deciding(network), priced(plan, prices), seed)
    return Prepared(simulator, network, start, threshold, rule, plan, budget, prices, scales)


def plain(network: FactorNetwork | Soft) -> FactorNetwork:
    """The network that a stochastic policy is made of, or itself."""
    return network.network if isinstance(network, Soft) else network


def train(
    simulator: Simulator,
    algo: str,
    seed: int = 0,
    settings: PPOSettings | DQNSettings | None = None,
    command: Sequence[str] = (),
    checkpoint: Callable[[PolicyBundle], None] | None = None,
    run: Path | None = None,
    resume: bool = False,
    report: Callable[[Judgement], None] | None = None,
    start_from: PolicyBundle | None = None,
    workers: int | None = None,
) -> PolicyBundle:
    """Train an agent in a simulator; the best checkpoint on held-out episodes is the result.

    A simulator without beliefs (a known truth) is taken at its word. Same arguments, same policy,
    whether it was interrupted and resumed or not. checkpoint: is given the best policy so far,
    while training goes on. run: folder for TensorBoard's curves and for the state to resume from.
    resume: go on with the run in the folder, where there is one; without it such a folder is
    refused. report: is told each
    judgement of training. start_from: a saved policy to go on from, in place of fitted greedy or
    the planner; its width of the layers holds. workers: processes that share PPO's work
    (`agents.parallel`); the policy is the same for any number of them, and another without.
    Raises `BadSetting`, and `BadInput` where the folder holds something else.
    """
    began = time.process_time()
    chosen = settings or algorithm_of(algo).default_settings()
    if start_from is not None:
        width = plain(network_of(start_from, algo)).trunk[0].out_features
        chosen = replace(chosen, hidden=width)
    description = provenance(simulator, algo, seed, chosen, command)
    if start_from is not None:
        description["from"] = start_from.hash
    if workers is not None:
        description["in_shards"] = True
    folder = Run.begun(run, description, resume)
    with doing("searching for what simple policies can do, to start there"):
        ready = prepared(simulator, chosen, seed, start_from)
    network = ready.network
    learned, judged = divided(ready.simulator)
    env = ExpectedRewards(
        PushVectorEnv(learned, chosen.users, chosen.days),
        float(plain(network).value_unit),
        chosen.pessimism,
    )

    def bundle(judge: Judge) -> PolicyBundle:
        network.load_state_dict(judge.best)
        best = judge.judgements[judge.chosen]
        limits = ready.budget.said(best.prices, best.sends, best.unsubscribes)
        return bundle_of(
            deciding(network),
            learned_by(network),
            algo,
            ready.simulator,
            {
                **description,
                "start": ready.start,
                "trained_until": simulator.manifest.get("trained_until"),
                "signed_up": ready.simulator.sign_up_days,
                "baselines": baselines(ready.threshold, ready.rule),
                "metrics": judge.metrics,
                "budgets": limits,
                "cpu_seconds": round(
                    time.process_time() - (began if folder is None else folder.began), 1
                ),
                "user_days": judge.judgements[-1].steps,
            },
        )

    judge = Judge(
        network,
        judged,
        seed,
        chosen.steps,
        algo,
        ready.budget,
        {"greedy + threshold": Greedy(threshold=ready.threshold), "planner": ready.plan},
        None if checkpoint is None else lambda judge: checkpoint(bundle(judge)),
    )
    part, prices = (0, ready.prices)
    with judge, _learner(env, network, chosen, seed, workers) as model:
        if folder is not None:
            model.set_logger(folder.curves())
            judge.init_callback(model)
            if folder.has_state:
                part, prices = states.restore(folder, model, judge)
        _learn(model, env, judge, ready, chosen, seed, part, prices, folder, report)
    return bundle(judge)


@contextmanager
def _learner(
    env: ExpectedRewards,
    network: FactorNetwork | Soft,
    settings: PPOSettings | DQNSettings,
    seed: int,
    workers: int | None,
) -> Iterator[PartialPPO | MaskedDQN]:
    """What learns, and the processes that it learns with."""
    if isinstance(settings, DQNSettings):
        if workers is not None:
            raise BadSetting("dqn learns in one process: leave out --workers")
        yield build_dqn(env, plain(network), settings, seed)
        return
    assert isinstance(network, Soft)
    if workers is None:
        yield build_ppo(env, network, settings, seed)
        return
    from agents.parallel import parallel_ppo  # needs Ray, which few have

    with parallel_ppo(env, network, settings, seed, workers) as model:
        yield model


def ends_of(settings: PPOSettings | DQNSettings) -> np.ndarray:
    """User-days (P,) int64 after which a training's parts end, and it is judged."""
    length = settings.users * (settings.rollout if isinstance(settings, PPOSettings) else 1)
    rounds = -(-settings.steps // length)
    parts = parts_of(settings.steps, type(settings)().steps)
    return np.unique(np.linspace(0, rounds, parts + 1).round().astype(int))[1:] * length


def _learn(
    model: PartialPPO | MaskedDQN,
    env: ExpectedRewards,
    judge: Judge,
    ready: Prepared,
    settings: PPOSettings | DQNSettings,
    seed: int,
    part: int,
    prices: Prices,
    folder: Run | None,
    report: Callable[[Judgement], None] | None,
) -> None:
    """All parts after the one given; judged, and the state kept, after each."""
    ends = ends_of(settings)
    model.whole = int(ends[-1])
    env.prices = prices
    if not judge.judgements:
        judge.judge(0, prices)
    for number, end in enumerate(ends[part:], part + 1):
        if judge.tired(settings.patience):
            return
        model.learn_part(number, int(end) - model.num_timesteps, seed, judge)
        found = judge.judge(model.num_timesteps, env.prices)
        if report is not None:
            report(found)
        moved = ready.budget.moved(env.prices, found.sends, found.unsubscribes, ready.scales)
        if isinstance(model, MaskedDQN):
            model.end_part(env.prices, moved, env.unit)
        env.prices = moved
        if folder is not None:
            states.save(folder, model, judge, number, moved)


def bundle_of(
    policy: TorchPolicy,
    learned: Mapping[str, np.ndarray],
    name: str,
    simulator: Simulator,
    manifest: dict[str, Any],
) -> PolicyBundle:
    """A trained network and all that its decisions depend on, without torch. learned: what
    training could go on from."""
    example = Kernel(simulator, np.zeros(2, np.int64)).view().observation
    return PolicyBundle(
        policy=exported(
            policy.network, example, name, policy.temperature, simulator.guardrails.floor
        ),
        model=simulator.additive_model,
        traits=simulator.beliefs,
        reward=simulator.reward,
        guardrails=simulator.guardrails,
        recommender=SavedRecommender(simulator.recommender.kind, simulator.recommender.arrays()),
        learned=learned,
        manifest=manifest,
    )
