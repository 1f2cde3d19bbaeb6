"""The layers hold, the contracts of import-linter can break, and no package is left out of them."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest

from pushwise import PACKAGES

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# What the table of layers in CONTRIBUTING.md lets each package import.
MAY_IMPORT = {
    "scripts": {*PACKAGES} - {"scripts"},
    "serving": {"generation", "policies", "ingestion", "mdp"},
    "evaluation": {"policies", "ingestion", "mdp"},
    "agents": {"envs", "simulator", "generation", "policies", "ingestion", "mdp"},
    "envs": {"simulator", "policies", "mdp"},
    "simulator": {"generation", "policies", "ingestion", "mdp"},
    "generation": {"policies", "ingestion", "mdp"},
    "policies": {"mdp"},
    "ingestion": {"mdp"},
    "mdp": set(),
}
NEVER = (
    *(("mdp", library) for library in ("pandas", "torch", "pyarrow", "onnxruntime")),
    *(("policies", library) for library in ("torch", "gymnasium", "stable_baselines3", "ray")),
    *(("ingestion", library) for library in ("torch", "ray")),
    *(("evaluation", library) for library in ("torch", "ray")),
    *(("serving", library) for library in ("torch", "gymnasium", "stable_baselines3", "ray")),
    ("generation", "torch"),
    ("simulator", "gymnasium"),
    ("envs", "torch"),
)


def violations() -> list[tuple[str, str]]:
    """Each (importing module, imported module) that the layers forbid."""
    upwards = [
        (package, other)
        for package in PACKAGES
        for other in PACKAGES
        if other != package and other not in MAY_IMPORT[package]
    ]
    return [*upwards, *NEVER]


def lint(tmp_path: Path, *imports: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs the project's contracts over empty packages with just these imports."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for package in (*PACKAGES, "generation.learning"):
        directory = tmp_path / package.replace(".", "/")
        directory.mkdir()
        (directory / "__init__.py").touch()
    for importer, imported in imports:
        with (tmp_path / importer.replace(".", "/") / "__init__.py").open("a") as file:
            file.write(f"import {imported}\n")
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )


def test_all_that_the_table_allows_is_kept(tmp_path):
    allowed = [(package, other) for package in PACKAGES for other in MAY_IMPORT[package]]
    torch = [("generation.learning", "torch"), ("simulator", "torch"), ("agents", "torch")]
    done = lint(tmp_path, *allowed, *torch, ("envs", "gymnasium"), ("agents", "ray"))
    assert done.returncode == 0, done.stdout


def test_all_that_the_table_forbids_is_broken(tmp_path):
    forbidden = violations()
    done = lint(tmp_path, *forbidden)
    assert done.returncode == 1
    unseen = [edge for edge in forbidden if "{} -> {} (l.".format(*edge) not in done.stdout]
    assert unseen == []


def test_serving_may_not_reach_torch_through_generation(tmp_path):
    done = lint(tmp_path, ("serving", "generation.learning"), ("generation.learning", "torch"))
    assert done.returncode == 1
    assert "serving runs without anything that learns BROKEN" in done.stdout


def test_mdp_imports_numpy_numba_and_the_standard_library_only():
    graph = grimp.build_graph("mdp", include_external_packages=True)
    external = {module for module in graph.modules if graph.is_module_squashed(module)}
    assert "numpy" in external
    assert external - sys.stdlib_module_names <= {"numpy", "numba"}


def test_no_package_is_left_out():
    on_disk = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert on_disk == set(PACKAGES)
    assert set(PYPROJECT["tool"]["importlinter"]["root_packages"]) == set(PACKAGES)
    found = PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert set(found) == {*PACKAGES, *(f"{package}.*" for package in PACKAGES)}


def test_every_folder_with_modules_is_a_package():
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("name", [*PACKAGES, "pushwise"])
def test_no_dependency_brings_a_package_of_our_name(name):
    assert set(packages_distributions()[name]) == {"pushwise"}
