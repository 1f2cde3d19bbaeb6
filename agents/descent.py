"""Descent along gradients over logged decisions: shown while it goes on, kept in a run's folder,
and gone on with to the same bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.curves import health
from agents.network import FactorNetwork, Soft
from agents.progress import Shown
from agents.ranges import Count, InRange, Pace
from agents.runs import Run, parts_of
from agents.states import named, of_optimizer, restore_optimizer, under

POINTS = 100
"""Of a curve, at least."""


@dataclass(frozen=True, kw_only=True)
class DescentSettings(InRange):
    """Settings of whatever descends along gradients over logged decisions."""

    steps: Count = 3_000
    """gradient steps"""
    batch_size: Count = 1024
    """decisions in a gradient step"""
    learning_rate: Pace = 1e-3
    """of Adam; falls linearly to a tenth"""
    hidden: Count = 64
    """width of the network's layers"""


class Descent:
    """Adam over rows (M,), in batches drawn alike."""

    def __init__(
        self,
        network: FactorNetwork | Soft,
        parameters: Iterable[nn.Parameter],
        settings: DescentSettings,
        seed: int,
        name: str,
        run: Run | None = None,
        target: nn.Module | None = None,
    ) -> None:
        """parameters: those of the network that learn. name: of the algorithm. run: where curves
        and the state go. target: what else changes as the network learns."""
        self._network, self._settings, self._name, self._run = network, settings, name, run
        self._changes = {"network": network} | ({} if target is None else {"target": target})
        self._optimizer = torch.optim.Adam(parameters, settings.learning_rate)
        self._decline = torch.optim.lr_scheduler.LinearLR(self._optimizer, 1.0, 0.1, settings.steps)
        self._draws = np.random.default_rng([seed, 17])

    def run(
        self,
        loss: Callable[[Tensor], dict[str, Tensor]],
        rows: np.ndarray,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """All steps, or those that a run which is gone on with has left. loss: parts by name, whose
        sum is descended, of the rows in a batch (B,). after: called after each step.

        Raises `BadArtifact` for a run's state that is broken.
        """
        run, steps = self._run, self._settings.steps
        first = 0
        if run is not None and run.has_state:
            first = int(run.restore(self._put_back)["steps"])
        parts = parts_of(steps, type(self._settings)().steps)
        ends = {-(-steps * part // parts): part for part in range(1, parts + 1)}
        curves = None if run is None else run.curves()
        with Shown() as progress:
            task = progress.add_task(f"training {self._name}", total=steps, completed=first)
            for step in range(first + 1, steps + 1):
                for name, value in self._step(loss, rows).items():
                    if curves is not None:
                        curves.record_mean(f"train/{name}", value)
                after()
                progress.update(task, completed=step)
                if curves is not None and (step in ends or step % -(-steps // POINTS) == 0):
                    for name, value in health(self._network).items():
                        curves.record(name, value)
                    curves.dump(step)
                if run is not None and step in ends:
                    run.keep(ends[step], *self._state(step))

    def _step(
        self, loss: Callable[[Tensor], dict[str, Tensor]], rows: np.ndarray
    ) -> dict[str, float]:
        parts = loss(torch.as_tensor(self._draws.choice(rows, self._settings.batch_size)))
        self._optimizer.zero_grad()
        sum(parts.values(), torch.zeros(())).backward()
        self._optimizer.step()
        self._decline.step()
        return {name: part.item() for name, part in parts.items()}

    def _state(self, step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = of_optimizer(self._optimizer)
        for name, module in self._changes.items():
            tensors |= named(name, module.state_dict())
        return tensors, {
            "steps": step,
            "learning_rate": self._optimizer.param_groups[0]["lr"],
            "draws": self._draws.bit_generator.state,
        }

    def _put_back(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        for name, module in self._changes.items():
            module.load_state_dict(under(name, tensors))
        restore_optimizer(self._optimizer, tensors)
        self._optimizer.param_groups[0]["lr"] = float(numbers["learning_rate"])
        self._decline.last_epoch = int(numbers["steps"])
        self._draws.bit_generator.state = numbers["draws"]
