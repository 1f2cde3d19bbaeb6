"""What tells one log from another."""

import pandas as pd

from ingestion.log import LogMeta
from ingestion.parse import log_of
from ingestion.read import read_log
from ingestion.write import write_log


def test_a_logs_hash_is_of_its_rows_whatever_files_hold_them(tables, tmp_path):
    log = log_of(tables)
    write_log(tmp_path / "parquet", log.tables, log.meta)
    (tmp_path / "csv").mkdir()
    for name, table in tables.items():
        table.to_csv(tmp_path / "csv" / f"{name}.csv", index=False)
    assert {read_log(tmp_path / name).hash for name in ("parquet", "csv")} == {log.hash}
    dearer = tables["items"].assign(price=["20", "401"])
    told = tables["users"].assign(plan=["gold", "none"])
    lists = tables["users"].assign(plan=[["gold"], ["none"]])
    others = [
        log_of({**tables, "items": dearer}),
        log_of({**tables, "users": told}),
        log_of({**tables, "users": lists}),
        log_of({**tables, "events": tables["events"].iloc[::-1]}),
        log_of(tables, LogMeta(complete_until=pd.Timestamp("2027-01-01", tz="UTC"))),
    ]
    assert len({log.hash, *(other.hash for other in others)}) == 6
