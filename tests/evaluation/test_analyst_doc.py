"""The example in docs/analyst.md still runs, and prints what the page says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.specification import PARAMETRIC, PLAIN
from scripts.cli import main

DOC = (Path(__file__).parents[2] / "docs" / "analyst.md").read_text()


def block(language: str) -> str:
    """The page's one block of code in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOC, re.DOTALL)
    return found


def test_the_example_prints_what_the_page_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", block("python")], check=True, cwd=tmp_path)
    assert main(["evaluate", "--table", "decisions.csv", "--out", "report"]) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed == block("text").splitlines()
    found, said = json.loads(Path("report/report.json").read_text()), json.loads(block("json"))
    assert list(found) == list(said)
    for name in ("estimators", "differences"):
        for number, value in said[name]["snips"].items():
            assert found[name]["snips"][number] == pytest.approx(value, rel=1e-3)
    assert set(said["diagnostics"]) < set(found["diagnostics"])


def test_every_estimator_is_explained():
    for name in (*PLAIN, *PARAMETRIC):
        assert re.search(rf"^\| `{name}[`:]", DOC, re.MULTILINE), name
