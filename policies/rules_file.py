"""Guardrails from a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path

from mdp.errors import BadSetting
from mdp.guardrails import Guardrails

DEFAULT_RULES = Guardrails()


def read_guardrails(path: Path | str, base: Guardrails = DEFAULT_RULES) -> Guardrails:
    """`base` with the keys of a TOML file put over it; raises `BadSetting` for what is wrong.

    A table `[budget]` is the server's alone.
    """
    try:
        tables = tomllib.loads(Path(path).read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path} is not TOML: {error}") from error
    tables.pop("budget", None)
    return base.updated(tables)
