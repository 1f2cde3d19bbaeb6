"""Whatever bytes a file holds, a reader reads it or refuses it by a documented error."""

import gc
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.parts import log_batches
from ingestion.read import read_meta, read_raw
from mdp.errors import BadLog
from tests.ingestion.fuzzing import READERS, fuzz, mutated


def failures(name: str, count: int, seed: int) -> list[str]:
    return [f"{error!r} of {content[:200]!r}" for content, error in fuzz(name, count, seed)]


@pytest.mark.parametrize("name", READERS)
def test_a_few_mutations_of_every_format(name):
    assert failures(name, 4, 1) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_mutations_of_every_format(name):
    assert failures(name, 60, 2) == []


def test_mutations_change_files_and_come_from_the_seed():
    good = b"a,b\n1,2\n"
    first, again = (
        [mutated(good, np.random.default_rng(seed)) for seed in range(50)] for _ in range(2)
    )
    assert first == again
    assert sum(content != good for content in first) > 40


def test_what_is_not_documented_is_reported(monkeypatch):
    def crashing(directory, content):
        raise KeyError("lost")

    monkeypatch.setitem(READERS, "CSV", (lambda: b"a", crashing))
    assert len(failures("CSV", 5, 0)) == 5


@pytest.mark.parametrize("key", ["numpy_type", "pandas_type"])
def test_damaged_notes_of_pandas_in_parquet_are_refused(tmp_path, key):
    frame = pd.DataFrame({"user_id": ["u1"], "n": pd.array([1], "Int64")})
    table = pa.Table.from_pandas(frame)
    notes = (table.schema.metadata or {})[b"pandas"].replace(key.encode(), b"x" * len(key))
    pq.write_table(table.replace_schema_metadata({"pandas": notes}), tmp_path / "users.parquet")
    for read in (read_raw, lambda path: list(log_batches(path))):
        with pytest.raises(BadLog, match="can't be read as parquet"):
            read(tmp_path)


def test_half_a_character_in_log_json_is_refused(tmp_path):
    (tmp_path / "log.json").write_text('{"complete_until": "2026-03-01T\\ud80000:00:00Z"}')
    with pytest.raises(BadLog, match="is not JSON"):
        read_meta(tmp_path)


def test_a_log_that_is_refused_half_way_is_closed(tmp_path):
    (tmp_path / "users.csv").write_text("user_id,user_id\nu1,u1\n")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(BadLog, match="has the column 'user_id' twice"):
            list(log_batches(tmp_path))
        gc.collect()
    assert told == []
