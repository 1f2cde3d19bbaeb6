"""A training's run folder: what was run, and the state from which it goes on.

    run.json              command, settings, seed, versions, hashes of simulator and log
    state.json            how far it came: judgements, prices, draws and the time it took
    state-N.safetensors   networks, optimizer; of DQN also the replay
    events.out.tfevents…  TensorBoard's curves

The state is that at the end of a part. What is done at once (greedy, bandits) has no state, and is
done again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdp.errors import BadArtifact, BadInput

if TYPE_CHECKING:
    from stable_baselines3.common.logger import Logger
    from torch import Tensor

PARTS = 8
"""Parts, at least, that a training is divided into; the state is kept, and an agent in the
simulator is judged, after each."""
LONGEST = 2
"""A part is at most so many times an algorithm's default steps, which take about a minute."""


def parts_of(steps: int, usual: int) -> int:
    """Parts that so many steps are divided into; usual: the algorithm's default. By steps alone,
    never by time, so that the same arguments give the same policy."""
    return max(PARTS, -(-steps // (LONGEST * usual)))


@dataclass
class Run:
    """The folder of one training."""

    folder: Path
    began: float = field(default_factory=time.process_time)
    """The process's seconds of processor at the run's beginning; below 0 for one that is gone on
    with."""

    @classmethod
    def begun(cls, folder: Path | None, description: Mapping[str, Any], resume: bool) -> Run | None:
        """The run in a folder, gone on with or begun, where what is run is written; None for no
        folder. Nothing is deleted. Raises `BadInput` where the folder holds anything else, where
        it holds a run and none is to be resumed, and where that run is not the one described."""
        if folder is None:
            return None
        run = cls(folder)
        run._begin(description, resume)
        return run

    def _begin(self, description: Mapping[str, Any], resume: bool) -> None:
        if (self.folder / "run.json").exists():
            if not resume:
                raise BadInput(
                    f"{self.folder} holds a run already: go on with it by --resume, or choose "
                    "another directory as --run"
                )
            self._same(description)
            return
        if self.folder.exists() and not self.folder.is_dir():
            raise BadInput(f"{self.folder} is a file: choose a directory as --run")
        if self.folder.exists() and any(self.folder.iterdir()):
            raise BadInput(f"{self.folder} is not empty and holds no run: choose another as --run")
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / "run.json", description)

    def _same(self, description: Mapping[str, Any]) -> None:
        """A run that went on differently would be what neither of the two describes."""
        found = json.loads((self.folder / "run.json").read_text())
        wanted = json.loads(json.dumps(description))
        for name, before, now in _differing(found, wanted):
            if name != "command":
                raise BadInput(
                    f"{self.folder} is of a run with {name} {before!r}, and now it is {now!r}: "
                    "give what it began with, or choose another directory as --run"
                )

    @property
    def has_state(self) -> bool:
        """Whether there is a state to go on from."""
        return (self.folder / "state.json").exists()

    def keep(self, part: int, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Write the state after a part in the place of the one before, and what the run took so
        far; numbers: as JSON has them."""
        from safetensors.torch import save_file

        temporary = self.folder / f"state.part{os.getpid()}"
        save_file({name: value.contiguous().clone() for name, value in tensors.items()}, temporary)
        # The numbers go last: what they tell of is there.
        temporary.rename(self.folder / f"state-{part}.safetensors")
        spent = {"part": part, "cpu_seconds": time.process_time() - self.began}
        _write(self.folder / "state.json", {**spent, **numbers})
        for old in self.folder.glob("state-*.safetensors"):
            if old.name != f"state-{part}.safetensors":
                old.unlink()

    def restore(
        self, put_back: Callable[[Mapping[str, Tensor], Mapping[str, Any]], None]
    ) -> dict[str, Any]:
        """Let a state's tensors and numbers be put back; returns the numbers. Raises
        `BadArtifact` where that fails."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            numbers: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
            put_back(load_file(self.folder / f"state-{numbers['part']}.safetensors"), numbers)
            self.began -= float(numbers["cpu_seconds"])
            return numbers
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise BadArtifact(f"{self.folder} holds no state to resume from: {error}") from error

    def curves(self) -> Logger:
        """Writes curves for TensorBoard into the folder."""
        from stable_baselines3.common.logger import configure

        return configure(str(self.folder), ["tensorboard"])


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


def _write(path: Path, values: Mapping[str, Any]) -> None:
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(values, indent=1) + "\n")
    temporary.rename(path)
