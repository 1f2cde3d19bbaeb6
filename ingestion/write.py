"""Writes a log directory: one Parquet file per table, and `log.json`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from ingestion.log import LogMeta
from ingestion.read import META_FILE
from ingestion.schema import TABLES
from mdp.errors import BadInput


def write_log(path: Path | str, tables: Mapping[str, pd.DataFrame], meta: LogMeta) -> None:
    """Write a log; optional columns that are missing throughout are left out.

    The same tables give the same bytes. Nothing of an earlier log in the directory is touched
    before all of this one is written beside it; then its tables are replaced, and files that are
    no tables are left alone. Raises `BadInput` where the directory holds files but no log.
    """
    path = Path(path)
    mine = {META_FILE} | {f"{name}.{ending}" for name in TABLES for ending in ("parquet", "csv")}
    there = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    if path.exists() and not path.is_dir():
        raise BadInput(f"{path} is a file: give a directory for the log")
    if there and not there & mine:
        raise BadInput(f"{path} is not empty and holds no log: choose another directory")
    temporary = path.with_name(path.name + f".part{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        for name, frame in tables.items():
            wanted = TABLES[name]
            optional = {column.name for column in wanted.columns if not column.required}
            empty = [c for c in frame.columns if c in optional and not frame[c].notna().any()]
            frame.drop(columns=empty).to_parquet(temporary / f"{name}.parquet", index=False)
        (temporary / META_FILE).write_text(json.dumps(meta_values(meta), indent=1) + "\n")
        path.mkdir(parents=True, exist_ok=True)
        new = sorted(file.name for file in temporary.iterdir())
        for name in new:
            os.replace(temporary / name, path / name)
        for name in (there & mine) - set(new):
            (path / name).unlink()
    finally:
        shutil.rmtree(temporary)


def meta_values(meta: LogMeta) -> dict[str, object]:
    """`log.json` as plain values, without what is not given."""
    values = {name: value for name, value in asdict(meta).items() if value is not None}
    if meta.complete_until is not None:
        values["complete_until"] = meta.complete_until.isoformat()
    return {**dict(values.pop("other")), **values}
