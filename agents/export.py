"""Networks as ONNX graphs that need no torch: N, K and V stay dynamic."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import Dim

from agents.network import INPUTS, FactorNetwork, Scores, Soft, tensors
from mdp.observation import Observation
from policies.forward import ORDER, Weights, flat
from policies.network import NetworkPolicy

OUTPUTS = ("hold", "pair", "hour")


def exported(
    network: nn.Module,
    example: Observation,
    name: str,
    temperature: float | None,
    floor: float = 0.0,
) -> NetworkPolicy:
    """The network as a policy that needs no torch. example: as `to_onnx` takes it."""
    return NetworkPolicy(
        graph=to_onnx(network, example),
        weights=weights_of(network),
        name=name,
        temperature=temperature,
        floor=floor,
    )


def weights_of(network: nn.Module) -> np.ndarray | None:
    """The parameters as `policies.forward` takes them (D,) float32; None for a network that it does
    not compute."""
    plain = network.network if isinstance(network, Soft) else network
    if type(plain) is not FactorNetwork:
        return None
    send = choice = torch.ones(())
    if isinstance(network, Soft):
        send = network.sharpness * network.log_send.exp()
        choice = network.sharpness * network.log_choice.exp()
    soft, trust = torch.tensor(float(isinstance(network, Soft))), plain.trust.exp() / plain.unit
    layers: list[Any] = [plain.trunk[0], plain.trunk[2], plain.weights]
    return flat(
        Weights(
            _array(torch.stack([soft, plain.threshold, trust, send, choice])),
            tuple(
                (_array(getattr(plain, f"{name}_center")), _array(getattr(plain, f"{name}_scale")))
                for name in ORDER
            ),
            tuple((_array(layer.weight.T), _array(layer.bias)) for layer in layers),
        )
    )


def _array(values: Any) -> np.ndarray:
    array: np.ndarray = values.detach().numpy()
    return array


def to_onnx(network: nn.Module, example: Observation) -> bytes:
    """The graph that maps an observation's arrays to scores, as `policies.saved` stores it; the
    same bytes for the same network, in whatever process and from wherever pushwise is installed.

    example: any observation of at least 2 decisions, 2 candidates and 2 variants; only its shapes
    matter, and only their last axes stay fixed.
    """
    observation = tensors(_at_least_two(example))
    axes = {"user": 1, "candidates": 2, "variants": 2, "hours": 1, "pairs": 3, "action_mask": 2}
    shapes = {name: dict.fromkeys(range(axes[name]), Dim.DYNAMIC) for name in INPUTS}
    # It warns of torchvision, which nothing here needs.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            Scores(network).eval(),
            tuple(observation[name] for name in INPUTS),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes=tuple(shapes[name] for name in INPUTS),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    graph = model.graph
    values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for part in (model, graph, *graph.node, *values):
        # The exporter's notes hold paths of source files and addresses of this very process.
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model.SerializeToString(deterministic=True)


def _at_least_two(example: Observation) -> Observation:
    """The example with axes of size 1 doubled: the exporter takes a 1 for a constant."""
    N, K, V = example["pairs"].shape[:3]
    n, k, v = (np.arange(max(size, 2)) % size for size in (N, K, V))
    mask = example["action_mask"][n]
    return {
        "user": example["user"][n],
        "candidates": example["candidates"][n][:, k],
        "variants": example["variants"][n][:, v],
        "hours": example["hours"][n],
        "pairs": example["pairs"][n][:, k][:, :, v],
        "action_mask": np.concatenate(
            [mask[:, :K][:, k], mask[:, K : K + V][:, v], mask[:, K + V :]], 1
        ),
    }
