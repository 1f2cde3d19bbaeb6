"""Saved networks that write copy: a directory, without pickle.

    manifest.json           vocabulary, what it was trained on, hashes of the files
    weights.safetensors     the network's weights, float32

A file that is truncated or was changed is refused, as with saved policies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as dump_arrays

from generation.copy.seq2seq import Seq2Seq
from generation.copy.source import BUCKETS, END, FIELDS, PLACES
from mdp.errors import BadArtifact, BadInput
from policies.saved import checked_files, contiguous, digest_of, manifest_hash, read_manifest

FORMAT = 1
ARTIFACT = "copywriter"
WEIGHTS = "weights.safetensors"
_SCHEMA = digest_of(json.dumps([FORMAT, FIELDS, BUCKETS, PLACES]).encode())
_OWN = ("format", "artifact", "schema", "vocabulary", "files", "writer_hash", "manifest_hash")


@dataclass(frozen=True)
class SavedWriter:
    """A network, and what is known of how it was made."""

    network: Seq2Seq
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """further entries: command, seed, figures, …; after loading, all entries"""

    @property
    def hash(self) -> str:
        """Content hash of weights and vocabulary; "" before it was saved."""
        return str(self.manifest.get("writer_hash", ""))


def for_a_writer(path: Path) -> None:
    """Raises `BadInput` where a network can't be saved, since something else is there."""
    if path.exists() and not path.is_dir():
        raise BadInput(f"{path} is a file: choose a directory as --out")
    if path.exists() and any(path.iterdir()):
        known = (path / "manifest.json").exists()
        if not known or read_manifest(path).get("artifact") != ARTIFACT:
            raise BadInput(f"{path} is not empty and holds no copywriter: choose another --out")


def save_writer(path: Path | str, writer: SavedWriter) -> None:
    """Write a network to a directory; one that is there is replaced. Raises `BadInput`."""
    path = Path(path)
    for_a_writer(path)
    content = dump_arrays(contiguous(writer.network.weights))
    files = {WEIGHTS: digest_of(content)}
    vocabulary = list(writer.network.vocabulary)
    manifest = {
        **{name: value for name, value in writer.manifest.items() if name not in _OWN},
        "format": FORMAT,
        "artifact": ARTIFACT,
        "schema": _SCHEMA,
        "vocabulary": vocabulary,
        "files": files,
        "writer_hash": digest_of(json.dumps([files, vocabulary]).encode()),
    }
    manifest["manifest_hash"] = manifest_hash(manifest)
    path.mkdir(parents=True, exist_ok=True)
    (path / WEIGHTS).write_bytes(content)
    # Last, so that hashes tell where writing was cut short.
    (path / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def load_writer(path: Path | str) -> SavedWriter:
    """Read a network.

    Raises `BadArtifact`, naming what differs, for one of another format, truncated or changed.
    """
    path = Path(path)
    if not (path / "manifest.json").exists():
        raise BadArtifact(f"{path} holds no copywriter: there is no manifest.json")
    manifest = read_manifest(path)
    if manifest.get("artifact") != ARTIFACT:
        raise BadArtifact(f"{path} holds no copywriter: `pushwise copy train` writes one")
    if manifest.get("schema") != _SCHEMA:
        raise BadArtifact(
            f"{path} has schema {manifest.get('schema')}, and this pushwise needs {_SCHEMA}: "
            "train it again"
        )
    if manifest.get("manifest_hash") != manifest_hash(manifest):
        raise BadArtifact(f"{path}/manifest.json is not what was saved (its hash differs)")
    try:
        weights = load_arrays(checked_files(path, manifest)[WEIGHTS])
        network = Seq2Seq(tuple(manifest["vocabulary"]), weights)
        sound = network.vocabulary[0] == END and all(
            np.isfinite(each).all() and each.dtype == np.float32 for each in weights.values()
        )
    except (KeyError, IndexError, TypeError, SafetensorError) as error:
        raise BadArtifact(f"{path} does not describe a copywriter: {error!r}") from error
    if not sound:
        raise BadArtifact(f"{path} does not describe a copywriter: weights are not finite float32")
    return SavedWriter(network, manifest)
