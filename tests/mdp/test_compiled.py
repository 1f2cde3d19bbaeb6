"""Compiled code's cache knows of all sources that it was made of."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mdp import compiled

CALLER = "{}\nfrom mdp.callee import told\n\n\n@njit(cache=True)\ndef asked():\n    return told()\n"
CALLEE = "{}\n\n\n@njit(cache=True)\ndef told():\n    return {}\n"
OURS, PLAIN = "from mdp.compiled import njit", "from numba import njit"
ROOT = Path(compiled.__file__).parents[1]


def asked(place: Path) -> str:
    """What a new process says."""
    line = [sys.executable, "-c", "from mdp.caller import asked; print(asked())"]
    env = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return subprocess.run(
        line, cwd=place, env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize(("imported", "second"), [(OURS, "2"), (PLAIN, "1")])
def test_a_function_is_compiled_anew_where_what_it_calls_has_changed(tmp_path, imported, second):
    """As it is not by numba itself: the day this fails for the plain one, all this can go."""
    package = tmp_path / "mdp"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(compiled.__file__, package)
    (package / "caller.py").write_text(CALLER.format(imported))
    (package / "callee.py").write_text(CALLEE.format(imported, 1))
    assert asked(tmp_path) == asked(tmp_path) == "1"
    assert any(tmp_path.rglob("*.nbi"))
    (package / "callee.py").write_text(CALLEE.format(imported, 2))
    assert asked(tmp_path) == second


def test_where_the_user_says_is_where_it_is_kept(tmp_path):
    line = [sys.executable, "-c", "import mdp.compiled, numba; print(numba.config.CACHE_DIR)"]
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    told = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert Path(told.stdout.strip()) == compiled.cache_place(tmp_path)


def test_all_compiled_functions_share_the_cache():
    places = [place for place in ROOT.iterdir() if (place / "__init__.py").exists()]
    files = [file for place in places for file in place.rglob("*.py") if place.name != "tests"]
    assert len(files) > 300
    plain = [file.name for file in files if PLAIN in file.read_text().splitlines()]
    assert plain == ["compiled.py"]
