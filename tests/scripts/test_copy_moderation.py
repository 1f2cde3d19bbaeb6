"""`pushwise copy moderate` and `copy review` as their users type them."""

import json
from pathlib import Path

import pandas as pd
import pytest

from scripts.cli import main


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.txt"
    file.write_bytes("﻿第一眼就喜欢\r\n全 网 最 低\nLast chance\n".encode() + b"\xff\n")
    return file


def test_json_has_one_result_a_line(texts, capsys):
    assert main(["copy", "moderate", str(texts), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed) == ["results"]
    assert [each["approved"] for each in printed["results"]] == [True, False, False, False]
    assert printed["results"][0] == {"text": "第一眼就喜欢", "approved": True, "rules": []}
    assert printed["results"][3]["rules"][0]["rule"] == "text.undecodable"


def test_the_gate_is_the_exit_status(texts, capsys):
    assert main(["copy", "moderate", str(texts)]) == 0
    assert "1 of 4 texts approved" in capsys.readouterr().out
    assert main(["copy", "moderate", str(texts), "--gate"]) == 3
    texts.write_text("Last chance")
    assert main(["copy", "moderate", str(texts), "--gate", "--evidence", "deadline"]) == 0


def test_without_packs_nothing_is_approved(texts, tmp_path, capsys):
    assert main(["copy", "moderate", str(texts), "--packs", str(tmp_path), "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert not any(each["approved"] for each in results)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.txt"], "nowhere.txt: No such file"),
        (["."], "is a directory"),
        (["{texts}", "--evidence", "cats"], "--evidence is 'cats'"),
        (["{texts}", "--packs", "nowhere"], "is not a directory"),
    ],
)
def test_bad_input_is_one_sentence(texts, capsys, arguments, message):
    filled = [each.format(texts=texts) for each in arguments]
    assert main(["copy", "moderate", *filled]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_copy_is_approved_on_the_command_line(tmp_path, capsys):
    variants = {"variant_id": ["v"], "style": ["a"], "locale": ["en"], "title": ["Hi"]}
    pd.DataFrame({**variants, "body": ["there"], "status": ["draft"]}).to_parquet(
        tmp_path / "variants.parquet"
    )
    logs = str(tmp_path)
    assert main(["copy", "review", logs, "approve", "v"]) == 1
    assert "--who" in capsys.readouterr().err
    assert main(["copy", "review", logs, "approve", "v", "--who", "ann"]) == 0
    capsys.readouterr()
    assert main(["copy", "review", logs, "--json"]) == 0
    (variant,) = json.loads(capsys.readouterr().out)["variants"]
    assert (variant["status"], variant["who"]) == ("approved", "ann")
    assert main(["copy", "review", logs, "history"]) == 0
    assert "ann" in capsys.readouterr().out
