"""numba's `njit`, with a cache on disk for each state of the sources.

numba asks of a cached function whether the file that it stands in has changed, not whether those
have that it calls into. So after an update a function of a file that stayed would go on with the
old code of one that did not.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

import numba
from numba import njit

__all__ = ["njit"]

_ROOT = Path(__file__).parents[1]
_CALLED = ("mdp", "policies", "simulator")
"""Packages whose compiled functions those of other files call."""
_USUAL = Path(__file__).parent / "__pycache__"


def _sources() -> list[bytes]:
    """Contents of the files whose functions are compiled, and of all that `mdp` holds: constants
    are compiled in."""
    files = sorted(file for name in _CALLED for file in (_ROOT / name).rglob("*.py"))
    contents = [(file, file.read_bytes()) for file in files]
    return [code for file, code in contents if file.parent.name == "mdp" or b"mdp.compiled" in code]


def cache_place(below: Path) -> Path:
    """Where compiled code is kept for the sources as they are."""
    digest = blake2b(digest_size=8)
    for code in _sources():
        digest.update(len(code).to_bytes(8, "big") + code)
    return below / f"compiled-{digest.hexdigest()}"


_place = cache_place(Path(os.environ.get("NUMBA_CACHE_DIR") or _USUAL))
numba.config.CACHE_DIR = str(_place)  # type: ignore[attr-defined]  # numba sets it by its name
