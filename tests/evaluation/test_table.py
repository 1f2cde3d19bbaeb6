"""Plain tables: what is read, and what is refused and how."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.batches import assess_large
from evaluation.table import read_table, sample_of
from mdp.errors import BadInput, PushwiseError


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "jsonl", "ndjson.gz"])
def test_all_kinds_of_file_give_the_same_sample(frame, sample, tmp_path: Path, ending):
    file = tmp_path / f"table.{ending}"
    if "csv" in ending:
        frame.to_csv(file, index=False, sep=";" if ending == "csv" else ",")
    elif "json" in ending:
        frame.to_json(file, orient="records", lines=True, double_precision=15)
    else:
        frame.to_parquet(file)
    found = read_table(file)
    for name in ("reward", "propensity", "target_propensity", "user", "q_logged", "v_target"):
        np.testing.assert_allclose(getattr(found, name), getattr(sample, name))


def test_without_users_each_row_is_one(frame):
    assert sample_of(frame.drop(columns="user_id")).users == len(frame)
    assert sample_of(frame).users == 400


def test_numbers_are_user_ids_too(frame, tmp_path: Path):
    frame.assign(user_id=[f"0{n % 3}" for n in range(len(frame))]).to_csv(tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").users == 3


def changed(column: str, value: object) -> pd.DataFrame:
    """Three good rows but for one value, in row 1."""
    names = ("reward", "propensity", "target_propensity", "q_logged", "user_id")
    columns = {name: [0.5, value if name == column else 0.5, 0.5] for name in names}
    return pd.DataFrame(columns, dtype=object)


BAD = [
    (
        changed("propensity", 0.0),
        "propensity must be above 0 (at least 1e-100) and at most 1: 1 of 3 rows are not",
    ),
    (changed("propensity", -0.2), "the first is -0.2 (rows 1, counted from 0)"),
    (changed("propensity", 1.5), "propensity must be above 0 (at least 1e-100) and at most 1"),
    (changed("propensity", np.nan), "1 of 3 rows are not, the first is missing (rows 1, counted"),
    (changed("propensity", np.inf), "the first is inf"),
    (changed("target_propensity", -0.1), "target_propensity must be from 0 to 1"),
    (changed("target_propensity", 1.1), "target_propensity must be from 0 to 1"),
    (changed("target_propensity", np.nan), "target_propensity must be from 0 to 1"),
    (changed("propensity", 1e-320), "propensity must be above 0 (at least 1e-100) and at most 1"),
    (changed("reward", 1e308), "reward must be a finite number, 1e+100 at most either way"),
    (changed("reward", np.nan), "reward must be a finite number"),
    (changed("reward", -np.inf), "reward must be a finite number"),
    (changed("q_logged", np.nan), "q_logged must be a finite number"),
    (changed("reward", "many"), "reward must be a number, and row 1 (counted from 0) holds 'many'"),
    (changed("user_id", None), "user_id is missing in 1 of 3 rows"),
    (changed("reward", 1)[:0], "the table has no rows"),
    (
        changed("reward", 1).drop(columns=["reward", "propensity"]),
        "the table lacks the columns reward, propensity; it has target_propensity, q_logged",
    ),
    (changed("decided_at", 1).assign(decided_at=["2026-01-01", "soon", ""]), "row 1 (counted from"),
    (changed("sent", 1).assign(sent=[1.0, np.nan, 1.0]), "sent must be a finite number"),
    (changed("sent", 1).assign(sent=[1.0, np.inf, 1.0]), "sent must be a finite number, 1e+100 at"),
    (
        changed("decided_at", 1).assign(decided_at=[1.7e9, 1.7e9, 1.7e9]),
        "decided_at must be a time",
    ),
    (changed("decision_id", 1).assign(decision_id=["a", "", "b"]), "decision_id is missing in 1"),
    (
        changed("reward", 1).rename(columns={"propensity": " propensity"}),
        "it has reward, ' propensity', target_propensity",
    ),
    (pd.DataFrame(), "the table lacks the columns reward, propensity, target_propensity; it has"),
]


@pytest.mark.parametrize(("bad", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_tables(bad, message, tmp_path: Path):
    with pytest.raises(PushwiseError) as caught:
        sample_of(bad)
    assert message in str(caught.value)
    bad.to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(PushwiseError, match=r"bad\.csv: "):
        read_table(tmp_path / "bad.csv")


def test_ids_are_read_as_they_are(frame, tmp_path: Path):
    """`NA` is a user like any other, and only an empty id is missing."""
    named = frame.assign(user_id=np.where(np.arange(len(frame)) % 2, "NA", "null"))
    named.to_csv(tmp_path / "t.csv", index=False)
    assert read_table(tmp_path / "t.csv").users == 2
    named.assign(user_id="").to_csv(tmp_path / "empty.csv", index=False)
    with pytest.raises(BadInput, match="user_id is missing in 2000 of 2000 rows"):
        read_table(tmp_path / "empty.csv")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("user_id", [1], "user_id must be a text or a number, and row 0 holds"),
        (
            "reward",
            pd.Timestamp("2026-01-01"),
            "reward must be a number, and its column holds times",
        ),
        ("reward", [1], "reward must be a number, and row 0"),
        ("segment", {"a": 1}, "segment must be a text or a number, and row 0 holds {'a': 1}"),
        ("item", [1], "item must be a text or a number, and row 0 holds"),
    ],
)
def test_parquet_columns_that_csv_can_not_have(frame, tmp_path: Path, column, value, message):
    frame.assign(**{column: [value] * len(frame)}).to_parquet(tmp_path / "table.PARQUET")
    with pytest.raises(BadInput, match=message):
        read_table(tmp_path / "table.PARQUET")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "the table lacks the columns"),
        ("broken.parquet", b"PAR1 not really", "can't be read as parquet"),
        ("binary.dat", b"PAR1\xff\xff", "can't be read as csv"),
        ("broken.csv", b'reward\n"1', "can't be read as csv"),
        ("other.csv", "reward\n1".encode("utf-16"), "can't be read as csv: save it as UTF-8"),
        (
            "twice.csv",
            b"reward,propensity,target_propensity,reward\n1,1,1,0",
            "more than one column reward",
        ),
        ("long.csv", b"reward,propensity\n1,1,0\n1,1,0", "more values than its header has names"),
        ("absent.csv", None, "there is no such file"),
        (
            "cut.csv.gz",
            gzip.compress(b"reward,propensity\n1,1\n", mtime=0)[:-9],
            "can't be read as csv",
        ),
        ("cut.jsonl", b'{"reward": 1, "prop', "can't be read as JSON lines"),
    ],
)
def test_bad_files(tmp_path: Path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read_table(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert message in str(caught.value)


def test_a_damaged_page_is_bad_input(frame, tmp_path: Path):
    file = tmp_path / "t.parquet"
    frame.to_parquet(file)
    content = bytearray(file.read_bytes())
    content[4:2000] = b"\xff" * 1996
    file.write_bytes(content)
    with pytest.raises(BadInput, match=r"t\.parquet: it can't be read as parquet"):
        read_table(file)
    with pytest.raises(BadInput, match=r"t\.parquet: it can't be read as parquet from row 0 on"):
        assess_large(file, "t")
