"""Saved simulators: a directory for a known truth and for a fit alike.

    manifest.json          schema, start, reward, guardrails, delays, hashes of the files, …
    catalog.json           ids, titles and other texts of items and variants
    users.json             ids, zones, locales, segments and attributes of the users
    arrays.safetensors     the catalogue's and users' numbers, histories, organic behaviour
    model/                 response model, traits, members of the ensemble, beliefs
    candidates/            the recommender's arrays
    logging_policy/        a saved policy

Other folders beside them, such as a fit's card, are left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as dump_arrays

from generation.candidates.saved import recommender_of
from mdp.catalog import Catalog, Items, Variants
from mdp.errors import BadArtifact
from mdp.guardrails import Guardrails
from mdp.hashing import content_hash
from mdp.observation import READABLE
from mdp.response import ResponseModel, Truth
from mdp.reward import Reward
from mdp.state import HISTORY
from policies.manifest import Artifact, contiguous, read_manifest, write
from policies.saved import (
    PolicyBundle,
    TraitStore,
    load_policy,
    save_policy,
    trait_arrays,
    traits_of,
)
from simulator.description import Arrivals, Delays, Drift, Simulator, Users
from simulator.lull import Lull
from simulator.organic import Organic
from simulator.truths import truth_of

SIMULATOR = Artifact("simulator", "simulator", READABLE, "fit it again")
_OWN = {"format", "artifact", "schema", "world", "start", "reward", "guardrails", "delays"}
_OWN |= {"manifest_hash", "organic", "recommender", "members", "belief", "forms", "files"}
_OWN |= {"arrivals", "drift", "calendar"}
_IF_ANY = ("lull", "special_day", "special")
"""Fields of `Organic` that are saved where there are any."""
_NONE, _SELF, _OTHER = "none", "own", "other"


def save_simulator(path: Path | str, simulator: Simulator) -> None:
    """Write a simulator to a directory; files of a simulator saved there before are replaced.

    Raises `BadInput` for a directory that holds anything else.
    """
    path = Path(path)
    SIMULATOR.need_place(path)
    files, own = _files(simulator), _own_entries(simulator)
    if SIMULATOR.is_at(path):
        for name in read_manifest(path)["files"]:
            (path / name).unlink(missing_ok=True)
    save_policy(path / "logging_policy", PolicyBundle(simulator.logging, None, None))
    write(path, SIMULATOR.sealed(simulator.manifest, files, own), files)


def load_simulator(path: Path | str) -> Simulator:
    """Read a simulator.

    Raises `BadArtifact`, naming what differs, for one of another schema, truncated or changed.
    """
    path = Path(path)
    manifest, files = SIMULATOR.load(path)
    try:
        return _assembled(path, manifest, files)
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise BadArtifact(f"{path} does not describe a simulator: {error!r}") from error


def simulator_hash(simulator: Simulator) -> str:
    """Hash of all that lives in a simulator depend on, but for its logging policy."""
    launches, drift = simulator.launches, simulator.drift
    return content_hash(
        _own_entries(simulator),
        {name: blake2b(content).hexdigest() for name, content in _files(simulator).items()},
        *([] if launches is None else [launches.successor, launches.since]),
        *([] if drift is None else [drift.traits.view(np.uint8), drift.items, drift.weight]),
    )


def _own_entries(simulator: Simulator) -> dict[str, Any]:
    """The manifest's entries that say what the files don't."""
    own: dict[str, Any] = {
        "world": simulator.world,
        "start": simulator.start,
        "reward": simulator.reward.to_mapping(),
        "guardrails": simulator.guardrails.to_mapping(),
        "delays": asdict(simulator.delays),
        "organic": {
            f.name: getattr(simulator.organic, f.name)
            for f in fields(Organic)
            if f.name not in _IF_ANY
            and not isinstance(getattr(simulator.organic, f.name), np.ndarray)
        },
        "recommender": simulator.recommender.kind,
        "members": len(simulator.members),
        "belief": _belief(simulator),
        "forms": _forms(simulator),
    }
    if simulator.arrivals is not None:
        own["arrivals"] = asdict(simulator.arrivals)
    if simulator.drift is not None:
        own["drift"] = {"half_life": simulator.drift.half_life}
    if simulator.calendar:
        own["calendar"] = dict(simulator.calendar)
    if simulator.organic.lull is not None:
        # Among these, so that a pushwise that knows no lull refuses it.
        own["organic"]["lull"] = asdict(simulator.organic.lull)
    return own


def _belief(simulator: Simulator) -> str:
    if simulator.model is None:
        return _NONE
    return _SELF if simulator.model is simulator.response else _OTHER


def _forms(simulator: Simulator) -> dict[str, str]:
    """Kinds of the response models that are not additive, by file."""
    models = {"parameters": simulator.response}
    if simulator.model is not None:
        models["belief"] = simulator.model
    return {name: m.kind for name, m in models.items() if m.kind != ResponseModel.kind}


def _files(simulator: Simulator) -> dict[str, bytes]:
    """Content by file name."""
    users, organic = simulator.users, simulator.organic
    traits = TraitStore(users.hashes, simulator.traits, simulator.traits[0])
    histories = np.ascontiguousarray(simulator.histories)
    arrays = {
        **{f"item.{name}": a for name, a in _split(simulator.catalog.items)[1].items()},
        **{f"organic.{name}": a for name, a in _split(organic)[1].items()},
        "users.signed_up": users.signed_up,
        "users.histories": histories.view(np.uint8).reshape(len(users), HISTORY.itemsize),
    }
    files = {
        "catalog.json": _json(
            {
                "items": _split(simulator.catalog.items)[0],
                "variants": _split(simulator.catalog.variants)[0],
            }
        ),
        "users.json": _json(_split(users)[0]),
        "arrays.safetensors": dump_arrays(contiguous(arrays)),
        "model/parameters.safetensors": _parameters(simulator.response),
        "model/traits.safetensors": dump_arrays(trait_arrays(traits)),
        "candidates/arrays.safetensors": dump_arrays(contiguous(simulator.recommender.arrays())),
    }
    for number, member in enumerate(simulator.members):
        files[f"model/member_{number}.safetensors"] = _parameters(member)
    if simulator.model is not None and _belief(simulator) == _OTHER:
        files["model/belief.safetensors"] = _parameters(simulator.model)
    if simulator.beliefs is not None:
        files["model/believed_traits.safetensors"] = dump_arrays(trait_arrays(simulator.beliefs))
    return files


def _split(value: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A dataclass's given fields: what JSON can hold, and arrays."""
    given = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
    arrays = {name: entry for name, entry in given.items() if isinstance(entry, np.ndarray)}
    return {name: entry for name, entry in given.items() if name not in arrays}, arrays


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _parameters(model: Truth) -> bytes:
    return dump_arrays(contiguous(model.arrays()))


def _assembled(path: Path, manifest: dict[str, Any], files: dict[str, bytes]) -> Simulator:
    arrays = load_arrays(files["arrays.safetensors"])

    def part(prefix: str) -> dict[str, Any]:
        names = [name for name in arrays if name.startswith(prefix + ".")]
        return {name.removeprefix(prefix + "."): arrays[name] for name in names}

    def model(name: str) -> Truth:
        kind = manifest.get("forms", {}).get(name, ResponseModel.kind)
        return truth_of(kind, load_arrays(files[f"model/{name}.safetensors"]))

    texts, people = json.loads(files["catalog.json"]), json.loads(files["users.json"])
    catalog = Catalog(
        Items(**_tuples(texts["items"]), **part("item")), Variants(**_tuples(texts["variants"]))
    )
    known = part("users")
    attributes = _tuples(people.pop("attributes"))
    users = Users(**_tuples(people), signed_up=known["signed_up"], attributes=attributes)
    response = model("parameters")
    traits = traits_of(load_arrays(files["model/traits.safetensors"])).traits
    drift, single = manifest.get("drift"), dict(manifest["organic"])
    lull = single.pop("lull", None)
    organic = Organic(**part("organic"), **single, lull=None if lull is None else Lull(**lull))
    beliefs = files.get("model/believed_traits.safetensors")
    believed = {_NONE: lambda: None, _SELF: lambda: response, _OTHER: lambda: model("belief")}
    return Simulator(
        catalog=catalog,
        users=users,
        traits=traits,
        response=response,
        organic=organic,
        histories=np.ascontiguousarray(known["histories"]).view(HISTORY).reshape(-1),
        start=int(manifest["start"]),
        recommender=recommender_of(
            manifest["recommender"], load_arrays(files["candidates/arrays.safetensors"]), catalog
        ),
        logging=load_policy(path / "logging_policy").policy,
        reward=Reward.from_mapping(manifest["reward"]),
        guardrails=Guardrails().updated(manifest["guardrails"]),
        world=manifest["world"],
        members=tuple(model(f"member_{number}") for number in range(manifest["members"])),
        delays=Delays(**manifest["delays"]),
        model=believed[manifest["belief"]](),
        beliefs=None if beliefs is None else traits_of(load_arrays(beliefs)),
        drift=None if drift is None else Drift.among(drift["half_life"], traits, organic),
        calendar=manifest.get("calendar", {}),
        arrivals=Arrivals(**manifest["arrivals"]) if "arrivals" in manifest else None,
        manifest={name: value for name, value in manifest.items() if name not in _OWN},
    )


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(entry) for name, entry in values.items()}
