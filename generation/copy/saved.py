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
from mdp.errors import BadArtifact
from policies.manifest import FORMAT, Artifact, contiguous, digest_of, write

WEIGHTS = "weights.safetensors"
_SCHEMA = digest_of(json.dumps([FORMAT, FIELDS, BUCKETS, PLACES]).encode())
WRITER = Artifact("copywriter", "copywriter", (_SCHEMA,), "train it again")


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


def save_writer(path: Path | str, writer: SavedWriter) -> None:
    """Write a network to a directory; one that is there is replaced. Raises `BadInput`."""
    path = Path(path)
    WRITER.need_place(path)
    files = {WEIGHTS: dump_arrays(contiguous(writer.network.weights))}
    vocabulary = list(writer.network.vocabulary)
    hashes = {name: digest_of(content) for name, content in files.items()}
    own = {
        "vocabulary": vocabulary,
        "writer_hash": digest_of(json.dumps([hashes, vocabulary]).encode()),
    }
    write(path, WRITER.sealed(writer.manifest, files, own), files)


def load_writer(path: Path | str) -> SavedWriter:
    """Read a network.

    Raises `BadArtifact`, naming what differs, for one of another format, truncated or changed.
    """
    path = Path(path)
    manifest, files = WRITER.load(path)
    try:
        weights = load_arrays(files[WEIGHTS])
        network = Seq2Seq(tuple(manifest["vocabulary"]), weights)
        sound = network.vocabulary[0] == END and all(
            np.isfinite(each).all() and each.dtype == np.float32 for each in weights.values()
        )
    except (KeyError, IndexError, TypeError, SafetensorError) as error:
        raise BadArtifact(f"{path} does not describe a copywriter: {error!r}") from error
    if not sound:
        raise BadArtifact(f"{path} does not describe a copywriter: weights are not finite float32")
    return SavedWriter(network, manifest)
