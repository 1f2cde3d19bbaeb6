"""Copywriters by what a command line names: templates, a saved network, a model's address."""

from __future__ import annotations

from pathlib import Path

from generation.copy.chat import ChatWriter, Endpoint
from generation.copy.copywriter import Copywriter
from generation.copy.network_writer import NetworkWriter
from generation.copy.saved import load_writer
from generation.copy.seq2seq import TEMPERATURE
from generation.copy.templates import Templates
from mdp.errors import BadSetting


def writer_of(
    which: str, model: str = "", key_file: Path | None = None, temperature: float = TEMPERATURE
) -> Copywriter:
    """The copywriter; raises `BadSetting` or `BadArtifact`.

    which: `templates`, a directory that `pushwise copy train` wrote, or http(s)://….
    """
    if not 0 <= temperature <= 2:
        raise BadSetting(f"--temperature is {temperature}; it must be from 0 to 2")
    if which.startswith(("http://", "https://")):
        key = "" if key_file is None else key_file.read_text("utf-8").strip()
        return ChatWriter(Endpoint(which, model, key, temperature=temperature))
    if model or key_file is not None:
        raise BadSetting("--model and --key-file are for a --writer that is an address")
    if which == "templates":
        return Templates()
    if not Path(which).is_dir():
        raise BadSetting(
            f"--writer is {which!r}; it can be templates, a directory that `pushwise copy train` "
            "wrote, or the http(s):// address of a model"
        )
    saved = load_writer(which)
    return NetworkWriter(saved.network, temperature, f"seq2seq {saved.hash}")
