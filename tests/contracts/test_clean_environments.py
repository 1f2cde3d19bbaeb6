"""The wheel, and what works of it in environments that hold one extra and nothing else."""

import csv
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from pushwise import PACKAGES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"


def run(*command: str | Path, cwd: Path) -> str:
    """Runs a command outside the checkout; returns its stdout, fails with all that it said."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that an old build/ can't leak into it."""
    source = tmp_path_factory.mktemp("source")
    without_caches = shutil.ignore_patterns("__pycache__")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=without_caches)
    for aside in ("tests", "benchmarks", "docs"):
        if (ROOT / aside).is_dir():
            shutil.copytree(ROOT / aside, source / aside, ignore=without_caches)
    for name in ("pyproject.toml", "pushwise.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(sys.executable, "-m", "build", "--wheel", cwd=source)
    (built,) = (source / "dist").glob("*.whl")
    return built


def environment(directory: Path, requirement: str) -> Path:
    """Makes a virtual environment with one requirement; returns its folder of programs."""
    venv.create(directory, with_pip=True)
    programs = directory / "bin"
    run(programs / "pip", "install", "-q", requirement, "-c", CONSTRAINTS, cwd=directory)
    return programs


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    return environment(tmp_path_factory.mktemp("base"), f"pushwise @ {wheel.as_uri()}")


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    return environment(tmp_path_factory.mktemp("serve"), f"pushwise[serve] @ {wheel.as_uri()}")


def missing(programs: Path, *modules: str) -> list[str]:
    """Those of `modules` that the environment can't import."""
    code = (
        "import sys; from importlib.util import find_spec;"
        "print(*[module for module in sys.argv[1:] if find_spec(module) is None])"
    )
    return run(programs / "python", "-c", code, *modules, cwd=programs).split()


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == {*expected, "pushwise.py"}


VERDICTS = ("better", "worse", "no_difference", "cannot_tell")
LEARNING = ("torch", "ray", "gymnasium", "stable_baselines3")


def test_base_brings_nothing_that_learns_or_serves(base):
    assert missing(base, *LEARNING, "fastapi", "pytest") == [*LEARNING, "fastapi", "pytest"]
    run(base / "pip", "check", cwd=base)


@pytest.mark.parametrize("command", [(), ("check",), ("clean",), ("evaluate",)])
def test_base_shows_help(base, tmp_path, command):
    shown = run(base / "pushwise", *command, "--help", cwd=tmp_path)
    assert " ".join(("usage: pushwise", *command)) in shown


def test_base_evaluates_a_plain_table(base, tmp_path):
    with (tmp_path / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["reward", "propensity", "target_propensity"])
        rows.writerows([[number % 2, 0.5, 0.5] for number in range(400)])
    shown = run(base / "pushwise", "evaluate", "--table", "table.csv", "--json", cwd=tmp_path)
    json.loads(shown)
    assert any(f'"{verdict}"' in shown for verdict in VERDICTS)


LOGS = {
    "users.csv": "user_id,timezone,signed_up_at\nu1,Asia/Shanghai,2026-01-01T00:00:00Z\n",
    "items.csv": "item_id,title,category,brand,price\ni1,Tea,drinks,Leaf,4.5\n",
    "variants.csv": "variant_id,style,locale,title,body\nv1,plain,en,{item},now {price}\n",
    "events.csv": "user_id,item_id,event,at,value\nu1,i1,view,2026-01-02T00:00:00Z,\n",
    "decisions.csv": (
        "decision_id,user_id,decided_at,item_id,variant_id,send_at,propensity,policy,candidates\n"
        "d1,u1,2026-01-03T00:00:00Z,i1,v1,2026-01-03T02:00:00Z,0.5,random,i1\n"
    ),
    "outcomes.csv": "decision_id,outcome,at,value\nd1,opened,2026-01-03T03:00:00Z,\n",
}


def test_base_checks_a_log(base, tmp_path):
    for name, text in LOGS.items():
        (tmp_path / name).write_text(text)
    json.loads(run(base / "pushwise", "check", ".", "--json", cwd=tmp_path))


def test_base_says_which_extra_a_command_needs(base, tmp_path):
    done = subprocess.run(
        [base / "pushwise", "train", "sim", "--algo", "ppo", "--out", "policy"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "pip install 'pushwise[train]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_base_imports_the_root_module(base, tmp_path):
    code = "import pushwise; print(pushwise.HISTORY)"
    assert run(base / "python", "-W", "error", "-c", code, cwd=tmp_path)


def test_the_server_needs_no_torch(serve, tmp_path):
    assert missing(serve, *LEARNING, "fastapi", "onnxruntime") == [*LEARNING]
    run(serve / "pip", "check", cwd=serve)
    code = "import importlib, pkgutil, serving\n" + (
        "for module in pkgutil.walk_packages(serving.__path__, 'serving.'):\n"
        "    if module.name != 'serving.migrations.env':  # Alembic alone runs it\n"
        "        importlib.import_module(module.name)"
    )
    run(serve / "python", "-W", "error", "-c", code, cwd=tmp_path)
    assert "usage: pushwise serve" in run(serve / "pushwise", "serve", "--help", cwd=tmp_path)
