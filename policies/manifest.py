"""Directories that hold what was fitted or trained: plain files, and a manifest with their hashes.

Every file's hash stands in `manifest.json`, and the manifest's own beside them, so a directory that
is truncated or was changed is refused. That tells accidents, not an attacker who can hash too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from mdp.errors import BadArtifact, BadInput

FORMAT = 1
"""Of the directories; what a kind's files hold is told by its schema."""
NAME = "manifest.json"


@dataclass(frozen=True)
class Artifact:
    """A kind of directory."""

    name: str | None
    """Entry `artifact` of its manifest; None for policies, which have no such entry."""
    what: str
    """What it is called in messages."""
    schemas: Collection[str]
    """Those that can be read, the one that is written first."""
    again: str
    """How to make another, in the imperative: "fit it again"."""

    def is_at(self, path: Path) -> bool:
        """Whether a directory holds one, sound or not."""
        try:
            return bool(read_manifest(path).get("artifact") == self.name)
        except BadArtifact:
            return False

    def need_place(self, path: Path) -> None:
        """Raises `BadInput` where one can't be saved, since something else is there."""
        if path.exists() and not path.is_dir():
            raise BadInput(f"{path} is a file: choose a directory as --out")
        if path.exists() and any(path.iterdir()) and not self.is_at(path):
            raise BadInput(f"{path} is not empty and holds no {self.what}: choose another --out")

    def load(self, path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The manifest, and the content of each file that it lists.

        Raises `BadArtifact`, naming what differs, for another kind or schema, for what is missing,
        truncated or changed.
        """
        if not (path / NAME).exists():
            raise BadArtifact(f"{path} holds no {self.what}: there is no {NAME}")
        manifest = read_manifest(path)
        if manifest.get("artifact") != self.name:
            other = manifest.get("artifact") or f"saved {manifest.get('kind')} policy"
            raise BadArtifact(f"{path} holds no {self.what}, but a {other}")
        if manifest.get("format") != FORMAT or manifest.get("schema") not in self.schemas:
            raise BadArtifact(
                f"{path} has format {manifest.get('format')}, schema {manifest.get('schema')}, and "
                f"this pushwise needs format {FORMAT}, schema {next(iter(self.schemas))}: "
                f"{self.again}"
            )
        if manifest.get("manifest_hash") != manifest_hash(manifest):
            raise BadArtifact(
                f"{path}/{NAME} is not what was saved (its hash differs): take back what was "
                f"changed, or {self.again}; guardrails are given with --guardrails"
            )
        return manifest, _files(path, manifest)

    def sealed(
        self, entries: Mapping[str, Any], files: Mapping[str, bytes], own: Mapping[str, Any]
    ) -> dict[str, Any]:
        """A manifest: entries of whoever saves, then those of the kind and of the files."""
        kind = {} if self.name is None else {"artifact": self.name}
        hashes = {name: digest_of(content) for name, content in files.items()}
        manifest = {
            **entries,
            "format": FORMAT,
            **kind,
            "schema": next(iter(self.schemas)),
            **own,
            "files": hashes,
        }
        manifest["manifest_hash"] = manifest_hash(manifest)
        return manifest


def read_manifest(path: Path) -> dict[str, Any]:
    """`manifest.json` of a directory, of whatever kind; raises `BadArtifact`."""
    try:
        manifest = json.loads((path / NAME).read_bytes())
    except FileNotFoundError as error:
        raise BadArtifact(f"{path} holds nothing saved: there is no {NAME}") from error
    except OSError as error:
        raise BadArtifact(f"{path} holds nothing saved: {error.strerror}") from error
    except ValueError as error:
        raise BadArtifact(f"{path}/{NAME} is not JSON: {error}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files", {}), dict):
        raise BadArtifact(f"{path}/{NAME} describes nothing that pushwise saves")
    return manifest


def write(path: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Write files, then the manifest, so that hashes tell where writing was cut short."""
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    (path / NAME).write_text(json.dumps(manifest, indent=1) + "\n")


def manifest_hash(manifest: Mapping[str, Any]) -> str:
    """Hash of all entries but this hash, as JSON would give them back."""
    entries = json.loads(json.dumps(manifest))
    entries.pop("manifest_hash", None)
    return digest_of(json.dumps(entries, sort_keys=True).encode())


def digest_of(content: bytes) -> str:
    """Hash of a file's content, as a manifest lists it."""
    return blake2b(content, digest_size=16).hexdigest()


def contiguous(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays as safetensors wants them: in memory order."""
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _files(path: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    files = {}
    for name, digest in manifest.get("files", {}).items():
        try:
            files[name] = (path / name).read_bytes()
        except OSError as error:
            raise BadArtifact(f"{path}/{name} is missing or can't be read") from error
        if digest_of(files[name]) != digest:
            raise BadArtifact(
                f"{path}/{name} is not the file that was saved (its hash differs): it is "
                "truncated or was changed"
            )
    return files
