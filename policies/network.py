"""A trained network as a policy: an ONNX graph from an observation to factor scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from mdp.errors import BadArtifact
from mdp.observation import Observation
from policies.base import Policy
from policies.composition import Factors
from policies.forward import Weights, forward, unflat

OUTPUTS = ("hold", "pair", "hour")


@dataclass(frozen=True, kw_only=True)
class NetworkPolicy(Policy):
    """Scores by an ONNX graph whose inputs are named as the observation's arrays, and whose
    outputs are `hold` (N,), `pair` (N, K, V) and `hour` (N, 24)."""

    graph: bytes
    """The ONNX model."""
    weights: np.ndarray | None = field(default=None, compare=False)
    """The same network's parameters as `policies.forward` computes it, several times as fast, (D,)
    float32; None for one of another shape, whose graph is run."""
    kind: ClassVar[str] = "network"

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(
                self.graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own errors share no base but Exception
            raise BadArtifact(
                f"policy {self.name}: its network can't be loaded: {error}"
            ) from error

    @cached_property
    def _inputs(self) -> list[str]:
        return [entry.name for entry in self._session.get_inputs()]

    @cached_property
    def _weights(self) -> Weights | None:
        return None if self.weights is None else unflat(self.weights)

    def scores(self, observation: Observation) -> Factors:
        """The network's scores."""
        N, K, V = observation["pairs"].shape[:3]
        if not N or not K or not V:
            return Factors(np.ones(N), np.zeros((N, K, V)), np.zeros((N, 24)))
        if self._weights is not None:
            return Factors(*forward(self._weights, observation))
        given = {name: observation[name] for name in self._inputs}
        hold, pair, hour = self._session.run(OUTPUTS, given)
        return Factors(*(np.asarray(part, np.float64) for part in (hold, pair, hour)))
