"""An import in bounded memory writes the same bytes however many records come at a time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ingestion import records
from ingestion.imported import Account
from ingestion.importing import import_records
from ingestion.mapping import read_mapping
from ingestion.read import read_raw
from ingestion.records import record_batches

MAPPING = read_mapping(
    """
[log]
default_timezone = "Europe/Berlin"
propensities = "none"
candidates = "none"

[[rows]]
table = "users"
where = { kind = "joined" }
user_id = "who"
locale = "locale"
signed_up_at = "when"

[[rows]]
table = "items"
where = { kind = ["seen", "bought"] }
item_id = "what"
title = "name"

[[rows]]
table = "events"
where = { kind = ["seen", "bought"] }
user_id = "who"
item_id = "what"
event = { from = "kind", words = { bought = "purchase", seen = "view" } }
at = { from = "when", timezone = "Europe/Berlin" }
value = "paid"
shop = "shop"

[[rows]]
table = "decisions"
where = { kind = "sent" }
decision_id = "id"
user_id = "who"
item_id = "what"
variant_id = "copy"
decided_at = "when"
send_at = "when"
policy = { value = "rules" }
""",
    "shop.toml",
)


def export(rows: int) -> pd.DataFrame:
    """Records of all kinds, mixed; some amounts and times are none, users and items come back."""
    rng = np.random.default_rng(0)
    kind = rng.choice(["joined", "seen", "bought", "sent", "login"], rows)
    frame = pd.DataFrame({"kind": kind, "id": [f"d{n}" for n in range(rows)]})
    for name, letter, count in (("who", "u", 40), ("what", "i", 11), ("copy", "v", 3)):
        frame[name] = [f"{letter}{n}" for n in rng.integers(0, count, rows)]
    frame["locale"] = rng.choice(["de", "en", ""], rows)
    frame["name"] = [f"Thing {n}" if n % 4 else "" for n in rng.integers(0, 20, rows)]
    frame["paid"] = [str(n) if n % 3 else "" for n in rng.integers(1, 90, rows)]
    minutes = rng.integers(0, 40_000, rows)
    times = pd.Timestamp("2026-03-01T08:00:00Z") + pd.to_timedelta(minutes, unit="min")
    frame["when"] = [time.isoformat() for time in times]
    frame["shop"] = rng.choice(["de", "at"], rows)
    return frame


def imported(file: Path, out: Path, users_at_once: int = 1_000) -> Account:
    out.mkdir()
    return import_records(record_batches(file), MAPPING, out, {"u1": "u2"}, users_at_once)


@pytest.mark.parametrize(("ending", "spoilt"), [("csv", True), ("parquet", False), ("jsonl", True)])
def test_the_size_of_batches_and_parts_changes_no_byte(tmp_path, monkeypatch, ending, spoilt):
    frame, file = export(120), tmp_path / f"export.{ending}"
    if spoilt:
        frame.loc[17, "paid"], frame.loc[90, "when"], frame.loc[91, "when"] = "12,5", "soon", ""
        frame.loc[[17, 90], "kind"] = "bought"
    if ending == "csv":
        frame.to_csv(file, index=False)
    elif ending == "parquet":
        frame.to_parquet(file, index=False)
    else:
        frame.to_json(file, orient="records", lines=True)
    whole = imported(file, tmp_path / "whole")
    assert whole.rows == 120
    assert whole.repaired["users only named, made up"] > 0
    assert whole.repaired["ids joined to their user"] > 0
    monkeypatch.setattr(records, "BATCH", 23)
    assert imported(file, tmp_path / "parts", 20) == whole
    for one in (tmp_path / "whole").iterdir():
        assert one.read_bytes() == (tmp_path / "parts" / one.name).read_bytes(), one.name
    tables, meta = read_raw(tmp_path / "whole")
    assert meta.propensities == "none"
    assert {name: len(table) for name, table in tables.items()} == dict(whole.sizes)
    texts = {"paid": "value", "when": "at"}
    assert [tables["events"][name].dtype == "str" for name in texts.values()] == [spoilt, spoilt]


def test_what_is_said_last_of_a_user_or_item_counts_and_they_come_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BATCH", 2)
    rows = [
        ("seen", "u9", "i1", "Lamp", "", "2026-03-03"),
        ("joined", "u5", "", "", "de", "2026-03-02"),
        ("bought", "u5", "i1", "", "", "2026-03-01"),
        ("seen", "u7", "i2", "", "", "2026-03-04"),
        ("bought", "u9", "i1", "Big lamp", "", "2026-03-05"),
        ("joined", "u5", "", "", "en", ""),
        ("sent", "u3", "i0", "", "", "2026-03-06"),
    ]
    frame = pd.DataFrame(rows, columns=["kind", "who", "what", "name", "locale", "when"])
    frame["when"] += frame["when"].map(lambda day: "T10:00:00+01:00" if day else "")
    frame["paid"] = ["", "", "30", "", "10", "", ""]
    frame = frame.assign(copy="v1", id="d1")
    frame.assign(shop="de").to_csv(tmp_path / "export.csv", index=False)
    imported(tmp_path / "export.csv", tmp_path / "log", 2)
    tables = read_raw(tmp_path / "log")[0]
    users, items = tables["users"], tables["items"]
    assert users["user_id"].tolist() == ["u5", "u9", "u7", "u3"]
    assert users["locale"].fillna("").tolist() == ["en", "", "", ""]
    assert [at.day for at in users["signed_up_at"]] == [2, 3, 4, 6]
    assert items["item_id"].tolist() == ["i1", "i2", "i0"]
    assert items["title"].tolist() == ["Big lamp", "i2", "i0"]
    assert items["price"].tolist() == [20.0, 0.0, 0.0]
    assert tables["variants"]["variant_id"].tolist() == ["v1"]
