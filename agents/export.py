"""Networks as ONNX graphs that need no torch: N, K and V stay dynamic."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import torch
from torch import nn
from torch.export import Dim

from agents.network import INPUTS, Scores, tensors
from mdp.observation import Observation

OUTPUTS = ("hold", "pair", "hour")


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
