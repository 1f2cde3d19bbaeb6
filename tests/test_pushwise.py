"""The root module: its names, the environments it registers, and what may shadow a package."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import pushwise


@pytest.mark.parametrize("name", pushwise.HOME)
def test_each_name_is_that_of_its_module(name):
    assert getattr(pushwise, name) is getattr(import_module(pushwise.HOME[name]), name)
    assert name in dir(pushwise)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'pushwise' has no attribute 'nothing'"):
        _ = pushwise.nothing


def python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=cwd, capture_output=True, text=True
    )


@pytest.mark.parametrize("first", ["pushwise", "gymnasium"])
def test_environments_are_registered_whichever_is_imported_first(tmp_path, first):
    code = f"import {first}, gymnasium, pushwise\nprint(gymnasium.spec('pushwise/Push-v0').id)"
    done = python(code, tmp_path)
    assert (done.stdout, done.stderr) == ("pushwise/Push-v0\n", "")


def test_importing_it_loads_none_of_the_heavy_libraries(tmp_path):
    done = python("import pushwise, sys; print(*sys.modules)", tmp_path)
    assert "envs" in done.stdout.split()
    assert not {"torch", "pandas", "stable_baselines3", "numba"} & set(done.stdout.split())


@pytest.mark.parametrize("taken", ["policies/__init__.py", "envs.py", "agents/notes.txt"])
def test_a_package_that_is_not_ours_is_named(tmp_path, taken):
    path = tmp_path / taken
    path.parent.mkdir(exist_ok=True)
    path.touch()
    done = python("import pushwise", tmp_path)
    sentence = done.stderr.splitlines()[-1]
    name = Path(taken).parts[0].removesuffix(".py")
    assert sentence.startswith(f"ImportError: {tmp_path}")
    assert f"shadows pushwise's package {name!r}" in sentence
