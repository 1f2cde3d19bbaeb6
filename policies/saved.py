"""Saved policies: a directory that holds all that deciding needs, without torch or pickle.

    manifest.json         kind, schema and content hashes, reward, guardrails, trained_until, …
    arrays.safetensors    the policy's own arrays; a network's parameters, if they are computed here
    network.onnx          only for a network
    network.safetensors   the same network as training goes on from it; deciding never reads it
    running/, new/        of a mixture: both policies' arrays and networks
    model/                the response model and the users' traits that its observations come from
    candidates/           the recommender's arrays

`policies/manifest.py` seals the directory and refuses one that is truncated or was changed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as dump_arrays

from mdp.clock import DAY, NEVER
from mdp.compiled import njit
from mdp.errors import BadArtifact
from mdp.guardrails import Guardrails
from mdp.observation import READABLE
from mdp.response import ResponseModel
from mdp.reward import Reward
from mdp.shop import Shop
from mdp.state import TRAITS
from policies.bandits import LinearThompson, LinearUCB
from policies.base import Policy
from policies.baselines import Greedy, Hold, Popular, Random, StaticRule, Table
from policies.manifest import Artifact, contiguous, digest_of, write
from policies.mixture import Mixture
from policies.network import NetworkPolicy
from policies.planner import Planner
from policies.recovering import RecoveringSoftmax

POLICY = Artifact(None, "saved policy", READABLE, "train it again")
TYPES: dict[str, type[Policy]] = {
    cls.__name__: cls
    for cls in (
        *(Greedy, Hold, Popular, Random, StaticRule, Table, NetworkPolicy, Planner),
        *(LinearUCB, LinearThompson, RecoveringSoftmax, Mixture),
    )
}
"""Policy classes by the name that a manifest gives."""
_PARTS = ("running", "new")
"""Of a mixture."""


@dataclass(frozen=True)
class TraitStore:
    """What a fitted model believes of each user, by the hash of the user's id."""

    hashes: np.ndarray
    """Hashes of user ids (U,) uint64, ascending."""
    traits: np.ndarray
    """(U,) `TRAITS`"""
    default: np.ndarray
    """Traits of a user never fitted () `TRAITS`."""

    def rows(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Traits (N,) `TRAITS` of users by hash (N,) uint64, and whether each was fitted (N,)."""
        out, known = np.empty(len(hashes), TRAITS), np.empty(len(hashes), bool)
        _look_up(self.hashes, self.traits, self.default.reshape(1), hashes, out, known)
        return out, known


@njit(cache=True)
def _look_up(hashes: Any, traits: Any, default: Any, wanted: Any, out: Any, known: Any) -> None:
    """Fills what `TraitStore.rows` returns."""
    for n in range(wanted.size):
        place = np.searchsorted(hashes, wanted[n])
        known[n] = place < hashes.size and hashes[place] == wanted[n]
        out[n] = traits[place] if known[n] else default[0]


@dataclass(frozen=True)
class SavedRecommender:
    """A recommender as `generation.candidates` saves it."""

    kind: str
    """Which recommender."""
    arrays: Mapping[str, np.ndarray]
    """Its arrays by name."""


@dataclass(frozen=True)
class PolicyBundle:
    """A policy and all that its decisions depend on."""

    policy: Policy
    model: ResponseModel | None
    """None for a policy that needs no prediction."""
    traits: TraitStore | None
    reward: Reward = field(default_factory=Reward)
    guardrails: Guardrails = field(default_factory=Guardrails)
    recommender: SavedRecommender | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """Further entries: trained_until, command, metrics, …; after loading, all entries."""
    learned: Mapping[str, np.ndarray] = field(default_factory=dict)
    """The network's parameters by name, for training to go on from; empty where there is none."""

    @property
    def trained_until(self) -> int | None:
        """Last instant of the log that the policy was trained on, microseconds UTC."""
        return self.manifest.get("trained_until")

    @property
    def shop(self) -> Shop | None:
        """What tells the logs of the shop that it was trained for from another's; None where it
        does not say."""
        days = self.manifest.get("signed_up")
        if days is None or self.model is None or self.traits is None:
            return None
        signed_up = np.full(len(self.traits.hashes), NEVER)
        signed_up[: len(days)] = [NEVER if day is None else day * DAY for day in days]
        return Shop(self.traits.hashes, signed_up, self.model.item_hash)

    @property
    def hash(self) -> str:
        """Content hash of the whole saved policy."""
        return str(self.manifest.get("policy_hash", ""))


def save_policy(path: Path | str, bundle: PolicyBundle) -> None:
    """Write a policy to a directory, which is replaced where it holds a saved policy already.

    Raises `BadInput` for a directory that holds anything else.
    """
    path = Path(path)
    POLICY.need_place(path)
    files, policy = _files(bundle), bundle.policy
    own = {
        "kind": policy.kind,
        "type": type(policy).__name__,
        "parameters": _parameters(policy),
        "reward": bundle.reward.to_mapping(),
        "guardrails": bundle.guardrails.to_mapping(),
        "reward_hash": bundle.reward.hash,
        "rules_hash": bundle.guardrails.hash,
        "model_hash": None if bundle.model is None else bundle.model.hash,
        "recommender": None if bundle.recommender is None else bundle.recommender.kind,
    }
    hashes = {name: digest_of(content) for name, content in files.items()}
    own["policy_hash"] = digest_of(
        json.dumps([hashes, own["type"], own["parameters"]], sort_keys=True).encode()
    )
    temporary = path.with_name(path.name + f".part{os.getpid()}")
    write(temporary, POLICY.sealed(bundle.manifest, files, own), files)
    old = path.with_name(path.name + f".old{os.getpid()}")
    if path.exists():
        path.rename(old)
    temporary.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def load_policy(path: Path | str) -> PolicyBundle:
    """Read a saved policy.

    Raises `BadArtifact`, naming what differs, for one of another schema, truncated or changed.
    """
    path = Path(path)
    manifest, files = POLICY.load(path)
    try:
        policy = _policy_of(manifest, files)
        reward = Reward.from_mapping(manifest["reward"])
        guardrails = Guardrails().updated(manifest["guardrails"])
    except (KeyError, TypeError, SafetensorError) as error:
        raise BadArtifact(f"{path}/manifest.json does not describe a policy: {error!r}") from error
    model, traits, recommender = None, None, None
    if "model/parameters.safetensors" in files:
        model = ResponseModel(**load_arrays(files["model/parameters.safetensors"]))
    if "model/traits.safetensors" in files:
        traits = traits_of(load_arrays(files["model/traits.safetensors"]))
    if "candidates/arrays.safetensors" in files:
        arrays = load_arrays(files["candidates/arrays.safetensors"])
        recommender = SavedRecommender(manifest["recommender"], arrays)
    learned = {}
    if "network.safetensors" in files:
        learned = load_arrays(files["network.safetensors"])
    return PolicyBundle(policy, model, traits, reward, guardrails, recommender, manifest, learned)


def with_floor(bundle: PolicyBundle, floor: float) -> Policy:
    """The bundle's policy with another exploration floor."""
    return replace(bundle.policy, floor=floor)


def _files(bundle: PolicyBundle) -> dict[str, bytes]:
    """Content by file name."""
    files = _policy_files(bundle.policy)
    if bundle.learned:
        files["network.safetensors"] = dump_arrays(contiguous(bundle.learned))
    if bundle.model is not None:
        files["model/parameters.safetensors"] = dump_arrays(contiguous(bundle.model.arrays()))
    if bundle.traits is not None:
        files["model/traits.safetensors"] = dump_arrays(trait_arrays(bundle.traits))
    if bundle.recommender is not None:
        files["candidates/arrays.safetensors"] = dump_arrays(contiguous(bundle.recommender.arrays))
    return files


def _policy_files(policy: Policy, place: str = "") -> dict[str, bytes]:
    """What a policy, or both of a mixture, need beside their parameters, by file name."""
    if isinstance(policy, Mixture):
        parts = (_policy_files(getattr(policy, part), f"{place}{part}/") for part in _PARTS)
        return {name: content for files in parts for name, content in files.items()}
    own = {
        f.name: getattr(policy, f.name)
        for f in fields(policy)
        if isinstance(getattr(policy, f.name), np.ndarray)
    }
    files = {f"{place}arrays.safetensors": dump_arrays(own)}
    if isinstance(policy, NetworkPolicy):
        files[f"{place}network.onnx"] = policy.graph
    return files


def _policy_of(entry: Mapping[str, Any], files: Mapping[str, bytes], place: str = "") -> Policy:
    """The policy that `_parameters` and `_policy_files` took apart; entry: type and parameters."""
    cls, values = TYPES[entry["type"]], dict(entry["parameters"])
    if cls is Mixture:
        for part in _PARTS:
            values[part] = _policy_of(values[part], files, f"{place}{part}/")
        return cls(**values)
    values |= load_arrays(files[f"{place}arrays.safetensors"])
    if cls is NetworkPolicy:
        values["graph"] = files[f"{place}network.onnx"]
    return cls(**values)


def trait_arrays(traits: TraitStore) -> dict[str, np.ndarray]:
    """A trait store as plain arrays; `traits_of` is the inverse."""
    rows = np.concatenate([traits.default.reshape(1), traits.traits])
    return {
        "hashes": traits.hashes,
        "traits": rows.view(np.uint8).reshape(len(rows), TRAITS.itemsize),
    }


def traits_of(arrays: Mapping[str, np.ndarray]) -> TraitStore:
    """The trait store that `trait_arrays` took apart."""
    rows = np.ascontiguousarray(arrays["traits"]).view(TRAITS).reshape(-1)
    return TraitStore(arrays["hashes"], rows[1:], rows[0])


def _parameters(policy: Policy) -> dict[str, Any]:
    values = {f.name: getattr(policy, f.name) for f in fields(policy)}
    for name, value in values.items():
        if isinstance(value, Policy):
            values[name] = {"type": type(value).__name__, "parameters": _parameters(value)}
    return {
        name: value for name, value in values.items() if not isinstance(value, np.ndarray | bytes)
    }
