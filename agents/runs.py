"""A training's run folder: what was run, and the state from which it goes on.

    run.json              command, settings, seed, versions and the simulator's hash
    state.json            how far it came, its judgements, the budgets' prices and the time it took
    state.safetensors     network, best network, optimizer; of DQN also target network and replay
    events.out.tfevents…  TensorBoard's curves

The state is that at the end of a part, where nothing else is alive (`agents.in_parts`).
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from agents.budgets import Prices
from agents.dqn import MaskedDQN
from agents.judging import Judge, Judgement
from agents.network import FactorNetwork, Soft
from agents.ppo import PartialPPO
from mdp.errors import BadArtifact, BadInput

VERSIONED = ("numpy", "torch", "stable-baselines3", "gymnasium")
_REPLAY = ("actions", "rewards", "risks", "terminated", "truncated")


@dataclass(frozen=True)
class Run:
    """The folder of one training."""

    folder: Path

    def begin(self, description: Mapping[str, Any], resume: bool) -> bool:
        """Whether a run goes on from the state in the folder; otherwise what is run is written
        there. Nothing is deleted. Raises `BadInput` where the folder holds anything else, where it
        holds a run and none is to be resumed, and where that run is not the one described."""
        if (self.folder / "run.json").exists():
            if not resume:
                raise BadInput(
                    f"{self.folder} holds a run already: go on with it by --resume, or choose "
                    "another directory as --run"
                )
            self._same(description)
            return (self.folder / "state.json").exists()
        if self.folder.exists() and not self.folder.is_dir():
            raise BadInput(f"{self.folder} is a file: choose a directory as --run")
        if self.folder.exists() and any(self.folder.iterdir()):
            raise BadInput(f"{self.folder} is not empty and holds no run: choose another as --run")
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / "run.json", described(description))
        return False

    def _same(self, description: Mapping[str, Any]) -> None:
        """A run that went on differently would be what neither of the two describes."""
        found = json.loads((self.folder / "run.json").read_text())
        wanted = json.loads(json.dumps(described(description)))
        for name, before, now in _differing(found, wanted):
            if name != "command":
                raise BadInput(
                    f"{self.folder} is of a run with {name} {before!r}, and now it is {now!r}: "
                    "give what it began with, or choose another directory as --run"
                )

    def save(
        self,
        model: PartialPPO | MaskedDQN,
        judge: Judge,
        part: int,
        prices: Prices,
        cpu_seconds: float,
    ) -> None:
        """Write the state after a part, the prices of the next, and what the run took so far."""
        tensors = {f"network.{name}": value for name, value in judge.network.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in judge.best.items()}
        state = model.policy.optimizer.state_dict()["state"]
        tensors |= {
            f"optimizer.{row}.{name}": value
            for row, values in state.items()
            for name, value in values.items()
        }
        added = 0
        if isinstance(model, MaskedDQN):
            replay, target = model.replay_buffer, model.q_net_target.state_dict()
            arrays = {name: getattr(replay, name) for name in _REPLAY} | replay.observations
            tensors |= {f"replay.{name}": torch.from_numpy(a) for name, a in arrays.items()}
            tensors |= {f"target.{name}": value for name, value in target.items()}
            added = replay.added
        temporary = self.folder / f"state.part{os.getpid()}"
        save_file({name: value.contiguous().clone() for name, value in tensors.items()}, temporary)
        numbers = {
            "part": part,
            "num_timesteps": model.num_timesteps,
            "n_updates": model._n_updates,
            "replay_added": added,
            "prices": asdict(prices),
            "cpu_seconds": cpu_seconds,
            "judgements": [asdict(each) for each in judge.judgements],
        }
        # The numbers go last: what they tell of is there.
        temporary.rename(self.folder / f"state-{part}.safetensors")
        _write(self.folder / "state.json", numbers)
        for old in self.folder.glob("state-*.safetensors"):
            if old.name != f"state-{part}.safetensors":
                old.unlink()

    def restore(
        self, model: PartialPPO | MaskedDQN, network: FactorNetwork | Soft, judge: Judge
    ) -> tuple[int, Prices, float]:
        """Put the state back; returns the last finished part, the prices after it, and the seconds
        of processor that the run took. Raises `BadArtifact`."""
        try:
            numbers = json.loads((self.folder / "state.json").read_text())
            part = int(numbers["part"])
            tensors = load_file(self.folder / f"state-{part}.safetensors")
            network.load_state_dict(_under(tensors, "network."))
            judge.best = _under(tensors, "best.")
            judge.judgements = [
                Judgement(**{**each, "prices": Prices(**each["prices"])})
                for each in numbers["judgements"]
            ]
            _restore_optimizer(model.policy.optimizer, _under(tensors, "optimizer."))
            if isinstance(model, MaskedDQN):
                model.q_net_target.load_state_dict(_under(tensors, "target."))
                replay = model.replay_buffer
                for name, value in _under(tensors, "replay.").items():
                    array = getattr(replay, name) if name in _REPLAY else replay.observations[name]
                    array[...] = value.numpy()
                replay.added = int(numbers["replay_added"])
            model.num_timesteps = int(numbers["num_timesteps"])
            model._n_updates = int(numbers["n_updates"])
            # States of before have no time.
            return part, Prices(**numbers["prices"]), float(numbers.get("cpu_seconds", 0.0))
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise BadArtifact(f"{self.folder} holds no state to resume from: {error}") from error


def described(description: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's folder says of it: the description, and what it ran with."""
    versions = {name: version(name) for name in VERSIONED}
    return {**description, "versions": {"python": platform.python_version(), **versions}}


def _differing(
    found: Mapping[str, Any], wanted: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Names in alphabetical order with their two values; of settings, those that differ."""
    for name in sorted(wanted.keys() | found.keys()):
        before, now = found.get(name), wanted.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from _differing(before, now)
        elif before != now:
            yield name, before, now


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]
) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        row, _, key = name.partition(".")
        state.setdefault(int(row), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _under(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _write(path: Path, values: Mapping[str, Any]) -> None:
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(values, indent=1) + "\n")
    temporary.rename(path)
