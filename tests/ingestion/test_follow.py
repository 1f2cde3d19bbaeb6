"""New files go into a log exactly once, wherever the process is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest

from ingestion.check import findings
from ingestion.follow import Batch, Following, following
from ingestion.imported import Imported
from ingestion.importing import adapt
from ingestion.mapping import mapping_text, read_mapping
from ingestion.read import read_log
from ingestion.rules import ERROR
from mdp.errors import BadInput
from scripts.cli import main

SEGMENT = read_mapping(mapping_text("segment"), "segment")


def importing(frames: Sequence[pd.DataFrame]) -> Imported:
    return adapt(frames, SEGMENT)


def land(place: Path, number: int, rows: int = 3) -> Path:
    """A file of `rows` views by two users, whole at once."""
    place.mkdir(exist_ok=True)
    lines = [
        {
            **{"type": "track", "event": "Product Viewed", "userId": f"u{row % 2}"},
            **{
                "messageId": f"m{number}-{row}",
                "timestamp": f"2026-03-{number + 1:02}T10:0{row}:00Z",
            },
            "properties": {"product_id": f"i{row}", "name": f"Thing {row}", "price": 5.0},
        }
        for row in range(rows)
    ]
    file = place / f"part{number}.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return file


def taken(follower: Following) -> list[str]:
    """Looks until nothing is new, which takes two looks."""
    names: list[str] = []
    for _ in range(2):
        if (batch := follower.look()) is not None:
            names += batch.taken
    return names


def look(follower: Following) -> Batch:
    """A look that finds something."""
    batch = follower.look()
    assert batch is not None
    return batch


def told(out: Path) -> tuple[list[str], dict]:
    """Ids of the log's events, in order, and the account."""
    log = read_log(out)
    assert [f for f in findings(log) if f.severity == ERROR] == []
    return sorted(log.tables["events"]["event_id"]), json.loads((out / "import.json").read_text())


def test_files_are_taken_as_they_land_and_once(tmp_path):
    place, out = tmp_path / "in", tmp_path / "log"
    first = land(place, 0)
    with following([place], out, importing) as follower:
        assert follower.look() is None
        assert list(look(follower).taken.values()) == [3]
        assert taken(follower) == []
        second = land(place, 1)
        (place / "again.jsonl").write_bytes(first.read_bytes())
        (place / ".half.jsonl").write_text("{")
        (place / "bad.jsonl").write_text("nope")
        follower.look()
        batch = look(follower)
    assert list(batch.taken) == [str(second)]
    assert batch.again == {str(place / "again.jsonl"): str(first)}
    assert "line 1 is not JSON" in batch.refused[str(place / "bad.jsonl")]
    ids, account = told(out)
    assert ids == [f"m{file}-{row}" for file in (0, 1) for row in range(3)]
    assert (account["rows"], account["kept"]) == (6, 6)
    with following([place], out, importing) as follower:
        assert taken(follower) == []
        (place / "bad.jsonl").unlink()
        land(place, 2).rename(place / "bad.jsonl")
        assert taken(follower) == [str(place / "bad.jsonl")]
    assert len(told(out)[0]) == 9


def test_a_file_that_grows_brings_its_new_rows(tmp_path):
    place, out = tmp_path / "in", tmp_path / "log"
    place.mkdir()
    with following([place], out, importing) as follower:
        land(place, 0, 2)
        taken(follower)
        land(place, 0, 4)
        taken(follower)
    assert told(out)[0] == [f"m0-{row}" for row in range(4)]


def test_a_file_without_a_record_of_use_does_not_keep_the_others_out(tmp_path):
    place, out = tmp_path / "in", tmp_path / "log"
    land(place, 0)
    other = place / "other.jsonl"
    other.write_text('{"type": "page"}\n')
    mapping = SEGMENT
    with following([place], out, lambda frames: adapt(frames, mapping)) as follower:
        follower.look()
        batch = look(follower)
    assert batch.refused == {}  # beside others it is only of no use
    assert sum(batch.taken.values()) == 4
    other.write_text('{"type": "screen"}\n')
    with following([place], out, importing) as follower:
        follower.look()
        assert "no record of 1" in look(follower).refused[str(other)]
    assert len(told(out)[0]) == 3


def test_one_follows_at_a_time_and_into_a_log_only(tmp_path, capsys):
    place, out = tmp_path / "in", tmp_path / "log"
    land(place, 0)
    again = following([place], out, importing)
    with following([place], out, importing), pytest.raises(BadInput, match="another process"):
        again.__enter__()
    words = ["import", "segment", str(place), "--follow", "--out"]
    assert main([*words, str(place)]) == 1
    assert "holds no log" in capsys.readouterr().err
    assert main([*words, str(out), "--every", "0"]) == 1
    assert main(["import", "segment", str(tmp_path / "x"), "--follow", "--out", str(out)]) == 1
    assert "no directory" in capsys.readouterr().err
    new = tmp_path / "new"
    assert main(["import", "segment", str(tmp_path / "x"), "--follow", "--out", str(new)]) == 1
    assert not new.exists()
    assert main(["import", "open-bandit", "sqlite:///x", "--follow", "--out", str(out)]) == 1


def test_the_command_follows_until_nothing_lands(tmp_path, capsys):
    place, out = tmp_path / "in", tmp_path / "log"
    file = land(place, 0)
    words = ["import", "segment", str(place), "--out", str(out), "--follow"]
    assert main([*words, "--every", "0.01", "--idle", "0.1"]) == 0
    assert f"{file}: 3 records" in capsys.readouterr().out
    assert len(told(out)[0]) == 3
    assert main(["import", "segment", str(place), "--out", str(out)]) == 0
    assert not (out / "followed.json").exists()


class Killed(BaseException):
    """Stands for a signal that nothing survives."""


def steps(place: Path, out: Path, until: int | None) -> Iterator[str]:
    """Follow, and die at the step of that number without tidying up."""
    names: list[str] = []

    def report(step: str) -> None:
        names.append(step)
        if len(names) - 1 == until:
            raise Killed

    with following([place], out, importing, report) as follower:
        taken(follower)
    return iter(names)


@pytest.mark.parametrize(
    "chosen",
    [slice(1, 6, 3), pytest.param(slice(None), marks=pytest.mark.slow)],
    ids=["two", "all"],
)
def test_dying_at_any_step_neither_loses_nor_doubles(tmp_path, chosen):
    place, whole = tmp_path / "in", tmp_path / "whole"
    land(place, 0)
    names = list(steps(place, whole, None))
    assert names[:2] == ["written beside the log", "counts"]
    expected = told(whole)
    for number, step in list(enumerate(names))[chosen]:
        out = tmp_path / f"log{number}"
        with pytest.raises(Killed):
            steps(place, out, number)
        assert list(steps(place, out, None))[-1:] == ([] if step == "done" else ["done"])
        assert told(out) == expected
        assert sorted(each.name for each in tmp_path.iterdir() if each.name.startswith(".")) == []


@pytest.mark.slow
def test_sigkill_at_any_time_neither_loses_nor_doubles(tmp_path):
    place, out = tmp_path / "in", tmp_path / "log"
    words = [
        sys.executable,
        "-m",
        "scripts.cli",
        "import",
        "segment",
        str(place),
        "--out",
        str(out),
    ]
    words += ["--follow", "--every", "0.01"]
    ids = []
    started: list[float] = []
    for number in range(6):
        land(place, number)
        ids += [f"m{number}-{row}" for row in range(3)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ})
        if not started:
            begun = time.monotonic()
            assert process.stdout is not None
            process.stdout.readline()  # the first batch is in
            started.append(time.monotonic() - begun)
        else:
            # From before the batch is read to after it is moved.
            time.sleep(started[0] * (0.5 + 0.12 * number))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert main([*words[3:], "--idle", "0.2"]) == 0
    found, account = told(out)
    assert found == sorted(ids)
    assert account["kept"] == len(ids)
