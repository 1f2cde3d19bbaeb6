"""A log in parts is cleaned and checked as it is in one piece, whatever the number of parts."""

import numpy as np
import pandas as pd
import pytest

from ingestion.by_parts import check_log
from ingestion.check import findings, problems_of
from ingestion.clean import clean
from ingestion.clean_by_parts import clean_log
from ingestion.log import LogMeta
from ingestion.parts import log_batches
from ingestion.quality import quality
from ingestion.read import read_log, read_raw
from ingestion.rules import Action
from ingestion.scores import scores
from ingestion.write import write_meta

META = LogMeta(default_timezone="Europe/Berlin")
BAD = ["", "gone", " lamp ", "a|b", "2026-03-01 10:00", "1970-01-01T00:00:00Z", "-1", "1e9", "ann"]


@pytest.fixture
def logs(tables, tmp_path, request):
    """Users many times over, with an attribute of their own, spoilt at random."""
    rng = np.random.default_rng(0)
    places = {"users": ["user_id"], "events": ["user_id", "event_id"]}
    places |= {"decisions": ["user_id", "decision_id"], "outcomes": ["decision_id"]}
    for name, ids in places.items():
        copies = [
            tables[name].assign(**{c: tables[name][c] + f"-{n}" for c in ids}) for n in range(25)
        ]
        table = pd.concat(copies, ignore_index=True)
        table["shoe"] = [str(n % 7) if n % 5 else "" for n in range(len(table))]
        again = table.sample(12, random_state=1)
        # Ids of rows of other users, and rows that are there twice.
        other = table.sample(6, random_state=2)
        if name != "users":
            other = other.assign(**{ids[0]: table[ids[0]].iloc[0]})
        table = pd.concat([table, again, other], ignore_index=True)
        table = table.sample(frac=1, random_state=3).reset_index(drop=True)
        for row, column, bad in zip(
            rng.integers(0, len(table), 30),
            rng.integers(0, len(table.columns) - 1, 30),
            rng.choice(BAD, 30),
            strict=True,
        ):
            table.iloc[row, column] = bad
        tables[name] = table
    tables["items"].loc[1, "price"] = "-3"
    days = {"date": ["2026-12-24", "24.12.2026", "2026-12-24"], "name": ["eve", "eve", "sale"]}
    tables["calendar"] = pd.DataFrame(days)
    for name, table in tables.items():
        if getattr(request, "param", "csv") == "csv":
            table.to_csv(tmp_path / f"{name}.csv", index=False)
        else:
            table.to_parquet(tmp_path / f"{name}.parquet", index=False)
    write_meta(tmp_path, META)
    return tmp_path


@pytest.mark.parametrize(
    ("logs", "parts"),
    [pytest.param("csv", 1, marks=pytest.mark.slow), ("csv", 8), ("parquet", 3)],
    indirect=["logs"],
)
def test_a_log_in_parts_is_cleaned_as_in_one_piece(logs, tmp_path, parts):
    whole, record = clean(*read_raw(logs))
    done = clean_log(log_batches(logs), META, tmp_path / "out", parts)
    log = read_log(tmp_path / "out")
    for name, table in whole.tables.items():
        pd.testing.assert_frame_equal(log.tables[name], table)
    rows = pd.read_parquet(tmp_path / "out" / "cleaning.parquet")
    pd.testing.assert_frame_equal(rows, record.rows, check_dtype=False)
    for word in ("dropped", "repaired", "flagged"):
        assert done.to_mapping()[word] == getattr(record, word)
    for name, count in done.rows_in.items():
        gone = sum(record.dropped.get(name, {}).values())
        assert count == done.rows_out[name] + gone == len(whole.tables[name]) + gone
    assert done.checked.findings == findings(whole)
    assert done.checked.scores == scores(whole, problems_of(whole))


@pytest.mark.parametrize("parts", [pytest.param(1, marks=pytest.mark.slow), 8])
def test_a_log_in_parts_is_checked_as_in_one_piece(logs, parts):
    log = read_log(logs)
    found = findings(log)
    checked = check_log(log_batches(logs), META, parts)
    assert len(found) > 20
    assert checked.findings == found
    assert checked.scores == scores(log, problems_of(log))
    assert checked.quality == quality(log, found)


def test_cleaning_in_parts_again_changes_nothing(logs, tmp_path):
    parts = 3
    clean_log(log_batches(logs), META, tmp_path / "out", parts)
    again = clean_log(log_batches(tmp_path / "out"), META, tmp_path / "again", parts)
    assert again.rows_in == again.rows_out
    assert {key[0] for key in again.counts} <= {Action.FLAG.value}
    for file in (tmp_path / "out").glob("*.parquet"):
        if file.stem != "cleaning":
            assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray", "ignore::FutureWarning:ray")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_ray_cleans_a_log_in_parts_as_this_process_does(logs, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'pushwise[ray]'")
    from scripts.on_ray import on_ray

    here = clean_log(log_batches(logs), META, tmp_path / "here", 4)
    with on_ray() as spread:
        there = clean_log(log_batches(logs), META, tmp_path / "there", 4, spread)
        told = check_log(log_batches(tmp_path / "there"), META, 4, spread)
    assert there.to_mapping() == here.to_mapping()
    assert there.checked.findings == here.checked.findings == told.findings
    for file in (tmp_path / "here").iterdir():
        assert file.read_bytes() == (tmp_path / "there" / file.name).read_bytes()


@pytest.mark.parametrize("parts", [pytest.param(1, marks=pytest.mark.slow), 7])
def test_a_clock_that_is_behind_is_set_by_what_all_parts_say(tables, tmp_path, parts):
    """40 users' sends, each opened two minutes later by a clock that is an hour behind: too few in
    any of seven parts to tell."""
    names = [f"u{n}" for n in range(40)]
    times = pd.date_range("2026-03-03T18:00Z", periods=40, freq="3h")
    users = pd.concat([tables["users"].iloc[[0]]] * 40).assign(user_id=names)
    sends = pd.concat([tables["decisions"].iloc[[0]]] * 40)
    sends = sends.assign(decision_id=[f"s{n}" for n in range(40)], user_id=names)
    sends["decided_at"] = sends["send_at"] = [at.isoformat() for at in times]
    opened = pd.DataFrame({"decision_id": sends["decision_id"].to_numpy(), "outcome": "opened"})
    late = [pd.Timedelta(minutes=58 - n % 3) for n in range(40)]
    opened["at"] = [(at - by).isoformat() for at, by in zip(times, late, strict=True)]
    opened["source"] = "devices"
    for name, more in {"users": users, "decisions": sends, "outcomes": opened}.items():
        tables[name] = pd.concat([tables[name], more], ignore_index=True)
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    write_meta(tmp_path, META)
    checked = check_log(log_batches(tmp_path), META, parts)
    assert checked.findings == findings(read_log(tmp_path))
    assert [f.count for f in checked.findings if f.rule == "clock_skew"] == [40]
    whole, record = clean(*read_raw(tmp_path))
    done = clean_log(log_batches(tmp_path), META, tmp_path / "out", parts)
    outcomes = read_log(tmp_path / "out").tables["outcomes"]
    pd.testing.assert_frame_equal(outcomes, whole.tables["outcomes"])
    assert done.to_mapping()["repaired"] == record.repaired == {"outcomes": {"at: clock_skew": 40}}
    assert (outcomes["at"].iloc[2:].to_numpy() >= times.to_numpy()).all()
