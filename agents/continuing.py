"""Going on from a saved policy: its network again, as something to train."""

from __future__ import annotations

import numpy as np
import torch

from agents.network import FactorNetwork, Scaling, Soft
from mdp.errors import BadSetting
from mdp.observation import NAMES
from policies.saved import PolicyBundle


def network_of(bundle: PolicyBundle, algo: str) -> FactorNetwork | Soft:
    """The network that a saved policy was exported from, with its critic: a `Soft` for ppo.

    Raises `BadSetting` for a policy that no network of this algorithm was exported to.
    """
    if not bundle.learned:
        raise BadSetting(
            f"the policy to go on from ({bundle.policy.name}) keeps no network that training "
            "could go on from: give one that this version trained by ppo, dqn, price, cql or clone"
        )
    state = {name: torch.from_numpy(array.copy()) for name, array in bundle.learned.items()}
    soft = "log_send" in state
    if soft != (algo == "ppo"):
        raise BadSetting(
            f"the policy to go on from is of {bundle.manifest.get('algorithm')}, whose network "
            f"{algo} can't train: go on by {'ppo' if soft else 'dqn'}"
        )
    whose = "network." if soft else ""
    scaling = Scaling(
        {name: state[f"{whose}{name}_center"].numpy() for name in NAMES},
        {name: state[f"{whose}{name}_scale"].numpy() for name in NAMES},
        float(state[f"{whose}unit"]),
    )
    plain = FactorNetwork(scaling, 0.0, hidden=len(state[f"{whose}trunk.0.bias"]))
    network: FactorNetwork | Soft = Soft(plain) if soft else plain
    network.load_state_dict(state)
    return network


def learned_by(network: torch.nn.Module) -> dict[str, np.ndarray]:
    """What a saved policy keeps so that training can go on from it."""
    return {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}
