"""The import of Online Retail II: every row accounted for."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from ingestion.check import findings
from ingestion.clean import clean
from ingestion.online_retail import COLUMNS, categories, import_online_retail, read_online_retail
from ingestion.parse import log_of
from ingestion.rules import ERROR
from ingestion.write import write_log
from mdp.errors import BadInput, NotEnoughData
from scripts.cli import main

DATA = Path(os.environ.get("PUSHWISE_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL = DATA / "online_retail_ii_2009_2010.parquet"


@pytest.fixture
def raw() -> pd.DataFrame:
    """One good line, and one for every reason to leave a line out."""
    good = ("489434", "85048", "GLASS  LAMP", 2, "2009-12-01 07:45:00", 6.95, 13085.0, "France")
    rows: list[tuple[object, ...]] = [good, good]
    for column, value in (
        ("Customer ID", None),
        ("Invoice", "C489434"),
        ("Quantity", -1),
        ("Price", 0.0),
        ("InvoiceDate", "yesterday"),
        ("StockCode", "POST"),
        ("Country", "Unspecified"),
    ):
        row = dict(zip(COLUMNS, good, strict=True)) | {column: value}
        rows.append(tuple(row.values()))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_every_row_is_kept_or_counted(raw):
    done = import_online_retail(raw)
    assert done.dropped == {
        "no customer": 1,
        "exact duplicate": 1,
        "cancellation": 1,
        "quantity not positive": 1,
        "price not positive": 1,
        "time not ISO 8601, or with a zone": 1,
        "not a product": 1,
        "cancelled in full later": 0,
    }
    assert done.repaired["country unknown, shop's zone used"] == 1
    assert done.rows == len(done.tables["events"]) + sum(done.dropped.values())


def test_a_line_counts_under_all_that_is_wrong_with_it(raw):
    raw = pd.concat([raw, raw.iloc[[2]].assign(Invoice="C1", Quantity=-3)])
    assert import_online_retail(raw).found["no customer"] == 2
    assert import_online_retail(raw).found["quantity not positive"] == 2
    assert import_online_retail(raw).found["cancellation"] == 2


@pytest.mark.parametrize(
    ("bought", "back", "left", "value"),
    [
        (["10:00"], (-2, "11:00"), 0, 0),
        (["10:00"], (-2, "09:00"), 1, 13.9),
        (["10:00"], (-1, "10:00"), 1, 6.95),
        (["10:00", "10:30"], (-3, "11:00"), 1, 6.95),
    ],
)
def test_a_cancellation_is_taken_off_earlier_purchases(raw, bought, back, left, value):
    line = raw.iloc[[0]]
    other = line.assign(StockCode="11111")
    at = [line.assign(InvoiceDate=f"2009-12-01 {hour}:00") for hour in bought]
    undone = line.assign(Invoice="C2", Quantity=back[0], InvoiceDate=f"2009-12-01 {back[1]}:00")
    done = import_online_retail(pd.concat([other, *at, undone]))
    events = done.tables["events"].query("item_id == '85048'")
    assert len(events) == left
    assert events["value"].sum() == value
    assert done.rows == len(done.tables["events"]) + sum(done.dropped.values())


def test_the_tables_are_a_log_without_errors(raw):
    done = import_online_retail(raw)
    assert [f for f in findings(log_of(done.tables, done.meta)) if f.severity == ERROR] == []
    assert done.tables["items"]["title"].tolist() == ["Glass lamp"]
    assert done.tables["users"]["timezone"].tolist() == ["Europe/Paris"]
    event = done.tables["events"].iloc[0]
    assert event["value"] == 13.9
    assert event["at"] == pd.Timestamp("2009-12-01T07:45:00Z")


def test_a_category_is_the_frequent_noun_that_comes_last():
    titles = pd.Series([f"Lamp {n}" for n in range(12)] + ["Lamps with blue bags", "Odd thing"])
    assert categories(titles) == ["lamp"] * 13 + ["other"]
    assert categories(pd.Series([f"Lunch boxes {n}" for n in range(12)])) == ["box"] * 12


def test_both_sheets_of_an_xlsx_are_read(raw, tmp_path):
    file = tmp_path / "retail.xlsx"
    # As in UCI's file: times are times, and codes are numbers where they can be.
    raw["InvoiceDate"] = pd.to_datetime(raw["InvoiceDate"], errors="coerce")
    for name in ("Invoice", "StockCode"):
        raw[name] = [int(code) if code.isdigit() else code for code in raw[name]]
    with pd.ExcelWriter(file) as writer:
        raw.to_excel(writer, sheet_name="Year 2009-2010", index=False)
        raw.to_excel(writer, sheet_name="Year 2010-2011", index=False)
    done = import_online_retail(read_online_retail(file))
    assert done.rows == 2 * len(raw)
    assert len(done.tables["events"]) == 2
    assert done.tables["items"]["item_id"].tolist() == ["85048"]
    assert done.tables["events"]["at"].iloc[0] == pd.Timestamp("2009-12-01T07:45:00Z")


def test_several_files_are_read_as_one(raw, tmp_path, capsys):
    raw.iloc[:4].to_parquet(tmp_path / "first.parquet")
    raw.iloc[1:].to_parquet(tmp_path / "second.parquet")
    files = [str(tmp_path / name) for name in ("first.parquet", "second.parquet")]
    assert main(["import", "online-retail-ii", *files, "--out", str(tmp_path / "log")]) == 0
    account = json.loads((tmp_path / "log" / "import.json").read_text())
    assert account["rows"] == len(raw) + 3
    assert account["kept"] == 2
    assert "first.parquet, second.parquet: 12 rows" in capsys.readouterr().out
    assert main(["import", "online-retail-ii", "--out", str(tmp_path / "log")]) == 1
    assert "no file is given" in capsys.readouterr().err


def test_other_files_are_refused(raw, tmp_path):
    (tmp_path / "retail.txt").write_text("x")
    with pytest.raises(BadInput, match="xlsx"):
        read_online_retail(tmp_path / "retail.txt")
    raw.drop(columns="Price").to_parquet(tmp_path / "retail.parquet")
    with pytest.raises(BadInput, match="'Price'"):
        read_online_retail(tmp_path / "retail.parquet")
    (tmp_path / "retail.xlsx").write_text("x")
    with pytest.raises(BadInput, match="can't be read"):
        read_online_retail(tmp_path / "retail.xlsx")
    (tmp_path / "broken.parquet").write_text("x")
    with pytest.raises(BadInput, match="can't be read"):
        read_online_retail(tmp_path / "broken.parquet")
    assert main(["import", "online-retail-ii", str(tmp_path / "none"), "--out", "x"]) == 1


def test_times_with_zones_and_numbers_beyond_all_bounds_are_counted(raw):
    lines = raw.iloc[[0, 0, 0, 0]].reset_index(drop=True).astype(object)
    lines.loc[1:2, "InvoiceDate"] = ["2009-12-01 07:45:00-10", "2009-12-01 07:45:00Z"]
    lines.loc[3, "Price"] = 10**400
    done = import_online_retail(lines)
    assert {name: n for name, n in done.dropped.items() if n} == {
        "price not positive": 1,
        "time not ISO 8601, or with a zone": 2,
    }


def test_a_file_without_one_purchase_is_refused_with_the_reason(raw):
    with pytest.raises(NotEnoughData, match="3 of 3: cancellation"):
        import_online_retail(raw.iloc[[3, 3, 3]].assign(Country=["a", "b", "c"]))


@pytest.mark.skipif(not REAL.exists(), reason="the real file is not in PUSHWISE_DATA")
def test_the_start_of_the_real_file():
    done = import_online_retail(read_online_retail(REAL).iloc[:60_000])
    assert done.rows == 60_000 == len(done.tables["events"]) + sum(done.dropped.values())
    assert [f for f in findings(log_of(done.tables, done.meta)) if f.severity == ERROR] == []
    assert 10 <= done.tables["items"]["category"].nunique() <= 60


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="the real file is not in PUSHWISE_DATA")
def test_all_dirt_of_the_real_file_is_found_and_what_is_left_fits(tmp_path):
    done = import_online_retail(read_online_retail(REAL))
    assert done.rows == 525_461 == len(done.tables["events"]) + sum(done.dropped.values())
    assert done.found == {
        "no customer": 107_927,
        "exact duplicate": 6_865,
        "cancellation": 10_206,
        "quantity not positive": 12_326,
        "price not positive": 3_690,
        "time not ISO 8601, or with a zone": 0,
        "not a product": 3_097,
        "no description": 2_928,
        "cancellation with its purchase": 7_866,
        "cancellation with part of its purchase": 82,
    }
    assert done.dropped["cancelled in full later"] == 3_092
    log, record = clean(done.tables, done.meta)
    assert record.dropped == {}
    assert len(log.tables["events"]) == 396_460
    write_log(tmp_path / "shop", {name: log.tables[name] for name in record.rows_in}, log.meta)
    demo, sim = str(tmp_path / "demo"), str(tmp_path / "sim")
    shop = ["--shop", str(tmp_path / "shop"), "--users", "150", "--days", "28"]
    assert main(["demo", demo, *shop]) == 0
    assert main(["fit", demo, "--out", sim]) == 0
