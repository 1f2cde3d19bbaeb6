"""What lives on from one part of a training to the next: networks, optimizer, replay, prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from agents.budgets import Prices
from agents.dqn import MaskedDQN
from agents.judging import Judge, Judgement
from agents.ppo import PartialPPO
from agents.runs import Run

_REPLAY = ("actions", "rewards", "risks", "terminated", "truncated")


def save(run: Run, model: PartialPPO | MaskedDQN, judge: Judge, part: int, prices: Prices) -> None:
    """Write the state after a part, and the prices of the next."""
    tensors = named("network", judge.network.state_dict()) | named("best", judge.best)
    tensors |= of_optimizer(model.policy.optimizer)
    added = 0
    if isinstance(model, MaskedDQN):
        replay = model.replay_buffer
        arrays = {name: getattr(replay, name) for name in _REPLAY} | replay.observations
        tensors |= named("replay", {name: torch.from_numpy(a) for name, a in arrays.items()})
        tensors |= named("target", model.q_net_target.state_dict())
        added = replay.added
    numbers = {
        "num_timesteps": model.num_timesteps,
        "n_updates": model._n_updates,
        "replay_added": added,
        "prices": asdict(prices),
        "judgements": [asdict(each) for each in judge.judgements],
    }
    run.keep(part, tensors, numbers)


def restore(run: Run, model: PartialPPO | MaskedDQN, judge: Judge) -> tuple[int, Prices]:
    """Put the state back; returns the last finished part, and the prices after it. Raises
    `BadArtifact`."""

    def put_back(tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        judge.network.load_state_dict(under("network", tensors))
        judge.best = under("best", tensors)
        judge.judgements = [
            Judgement(**{**each, "prices": Prices(**each["prices"])})
            for each in numbers["judgements"]
        ]
        restore_optimizer(model.policy.optimizer, tensors)
        if isinstance(model, MaskedDQN):
            model.q_net_target.load_state_dict(under("target", tensors))
            replay = model.replay_buffer
            for name, value in under("replay", tensors).items():
                array = getattr(replay, name) if name in _REPLAY else replay.observations[name]
                array[...] = value.numpy()
            replay.added = int(numbers["replay_added"])
        model.num_timesteps = int(numbers["num_timesteps"])
        model._n_updates = int(numbers["n_updates"])

    numbers = run.restore(put_back)
    return numbers["part"], Prices(**numbers["prices"])


def named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under names with a prefix; `under` is the inverse."""
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of the tensors that `named` gave this prefix, under their own names."""
    return {
        name.removeprefix(f"{prefix}."): value
        for name, value in tensors.items()
        if name.startswith(f"{prefix}.")
    }


def of_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimizer remembers of each parameter."""
    return {
        f"optimizer.{row}.{name}": value
        for row, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer back what `of_optimizer` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in under("optimizer", tensors).items():
        row, _, key = name.partition(".")
        state.setdefault(int(row), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
