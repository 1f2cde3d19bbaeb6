"""Each source's export becomes a log that `check` finds nothing wrong in."""

import gzip
import json

import fastavro
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.check import findings
from ingestion.importing import adapt
from ingestion.mapping import mapping_text, read_mapping, source_names
from ingestion.parse import log_of
from ingestion.read import read_log
from ingestion.records import read_records, record_files
from ingestion.rules import ERROR
from mdp.errors import BadInput, NotEnoughData
from scripts.cli import main

MAPPING = """
[log]
default_timezone = "Europe/Berlin"
currency = "EUR"

[[rows]]
table = "events"
where = { kind = ["bought", "seen"] }
user_id = "customer"
item_id = { join = ["shop", "sku"] }
event = { from = "kind", words = { bought = "purchase", seen = "view" } }
at = { from = "when", timezone = "Europe/Berlin" }
value = { product = ["price", "quantity"] }
"""
ROWS = pd.DataFrame(
    {
        "kind": ["seen", "bought", "login"],
        "customer": ["7", "7", "8"],
        "shop": ["de", "de", None],
        "sku": ["a", "a", None],
        "when": ["2026-03-01 10:00", "2026-03-01 10:05", "2026-03-01 10:06"],
        "price": [None, "2.5", None],
        "quantity": [None, "4", None],
    }
)


def _lines(path, records):
    path.write_text("\n".join(json.dumps(record) for record in records) + "\n")
    return path


def _import(tmp_path, *words):
    assert main(["import", *map(str, words), "--out", str(tmp_path / "log")]) == 0
    return read_log(tmp_path / "log"), json.loads((tmp_path / "log" / "import.json").read_text())


def _errors(log):
    return [finding for finding in findings(log) if finding.severity == ERROR]


def _segment():
    user = {"userId": "u1", "anonymousId": "a1", "messageId": "m1"}
    thing = {"product_id": 12, "name": "Lamp", "category": "light", "brand": "acme", "price": 20.0}
    track = user | {"type": "track", "timestamp": "2026-03-01T10:00:00.000Z"}
    return [
        user
        | {"type": "identify", "traits": {"createdAt": "2026-01-01T00:00:00Z"}}
        | {"context": {"timezone": "Asia/Shanghai", "locale": "zh-CN"}},
        track | {"event": "Product Viewed", "properties": thing},
        track | {"event": "Product Added", "properties": thing, "messageId": "m2"},
        track
        | {"event": "Order Completed", "messageId": "m3"}
        | {"properties": {"products": [thing | {"quantity": 2}, {"sku": "x", "price": 1}]}},
        track | {"event": "Signed Out", "properties": {}},
    ]


def test_segment(tmp_path):
    log, account = _import(tmp_path, "segment", _lines(tmp_path / "s.jsonl", _segment()))
    assert _errors(log) == []
    events = log.tables["events"]
    assert events["event"].tolist() == ["view", "cart", "purchase", "purchase"]
    assert events["item_id"].tolist() == ["12", "12", "12", "x"]
    assert events["value"].fillna(-1).tolist() == [-1, -1, 40, -1]
    user = log.tables["users"].iloc[0]
    assert (user["timezone"], user["locale"]) == ("Asia/Shanghai", "zh-CN")
    assert log.tables["items"].set_index("item_id")["price"].to_dict() == {"12": 20, "x": 1}
    assert (account["rows"], account["dropped"]) == (5, {"the mapping has no use for it": 1})
    assert log.meta.propensities == log.meta.candidates == "none"


def test_a_record_whose_list_is_empty_or_none_is_counted(tmp_path):
    order = {"type": "track", "event": "Order Completed", "timestamp": "2026-03-01T10:00:00Z"}
    empty = [{"products": []}, {"products": {"sku": "x"}}, {}]
    more = [order | {"userId": "u1", "messageId": f"e{n}"} for n in range(3)]
    records = [one | {"properties": each} for one, each in zip(more, empty, strict=True)]
    lines = _lines(tmp_path / "s.jsonl", [*_segment(), *records])
    _, account = _import(tmp_path, "segment", lines)
    assert account["rows"] == 8
    assert account["dropped"] == {"the mapping has no use for it": 4}


def test_rees46_messages(tmp_path):
    rows = pd.DataFrame(
        {
            "message_id": ["m1", "m2", "m3", "m4"],
            "campaign_id": ["64", "64", "65", "65"],
            "message_type": ["bulk", "bulk", "trigger", "bulk"],
            "client_id": ["1515", "1516", "1515", "9"],
            "channel": ["mobile_push", "mobile_push", "web_push", "email"],
            "date": "2021-05-06",
            "sent_at": "2021-05-06 15:14:38",
            "is_opened": ["t", "f", "f", "t"],
            "opened_first_time_at": ["2021-05-06 16:00:01.5", None, None, "2021-05-06 17:00:00"],
            "is_clicked": ["t", "f", "f", "f"],
            "clicked_first_time_at": ["2021-05-06 16:00:09", None, None, None],
            "is_unsubscribed": ["f", "t", "f", "f"],
            "unsubscribed_at": [None, "2021-05-07 01:00:00", None, None],
            "is_hard_bounced": ["f", "f", "t", "f"],
            "is_soft_bounced": "f",
            "is_complained": "f",
            "is_blocked": "f",
            "is_purchased": ["t", "f", "f", "f"],
            "purchased_at": ["2021-05-06 18:00:00", None, None, None],
        }
    )
    rows.to_csv(tmp_path / "m.csv", index=False)
    log, account = _import(tmp_path, "rees46-messages", tmp_path / "m.csv")
    assert _errors(log) == []
    assert account["dropped"] == {"the mapping has no use for it": 1}
    outcomes = log.tables["outcomes"].groupby("decision_id")["outcome"].agg(list).to_dict()
    assert outcomes == {
        "m1": ["opened", "clicked", "purchased"],
        "m2": ["unsubscribed"],
        "m3": ["failed"],
    }
    assert log.tables["items"]["kind"].unique().tolist() == ["promotion"]
    assert log.tables["decisions"]["send_at"].iloc[0] == pd.Timestamp("2021-05-06T15:14:38Z")


@pytest.mark.parametrize("ending", ["json", "parquet"])
def test_ga4(tmp_path, ending):
    items = [
        {"item_id": "SKU1", "item_name": "Lamp", "item_brand": "acme", "item_category": "light"}
    ]
    bought = [items[0] | {"price": 20.0, "quantity": 2}]
    base = {"user_id": None, "user_pseudo_id": "12.34", "event_timestamp": 1767225600000001}
    params = [{"key": "transaction_id", "value": {"string_value": "T9", "int_value": None}}]
    records = [
        base | {"event_name": "first_visit", "user_first_touch_timestamp": 1767225600000000},
        base | {"event_name": "view_item", "items": [items[0] | {"price": 20.0, "quantity": None}]},
        base | {"event_name": "purchase", "items": bought, "event_params": params},
        base | {"event_name": "scroll", "items": []},
    ]
    if ending == "json":
        file = _lines(tmp_path / "ga4.json", records)
    else:
        file = tmp_path / "ga4.parquet"
        pd.DataFrame(records).to_parquet(file)
    log, _ = _import(tmp_path, "ga4", file)
    assert _errors(log) == []
    events = log.tables["events"]
    assert events["event"].tolist() == ["view", "purchase"]
    assert events["value"].fillna(0).tolist() == [0, 40]
    assert events["at"].iloc[0] == pd.Timestamp("2026-01-01T00:00:00.000001Z")
    assert events["transaction_id"].fillna("").tolist() == ["", "T9"]
    assert log.tables["items"]["title"].tolist() == ["Lamp"]


def test_braze_from_avro_in_directories(tmp_path):
    sent = {
        **{"dispatch_id": "d", "user_id": "b1", "external_user_id": "u1", "time": 1767225600},
        **{"campaign_id": "c", "campaign_name": "Sale", "message_variation_id": "v"},
        "timezone": "America/New_York",
    }
    opened = {"dispatch_id": "d", "user_id": "b1", "time": 1767225700}
    for kind, record in (("Send", sent), ("Open", opened)):
        below = (
            tmp_path / "in" / f"event_type=users.messages.pushnotification.{kind}" / "date=2026-01"
        )
        below.mkdir(parents=True)
        fields = [
            {"name": name, "type": "long" if isinstance(value, int) else "string"}
            for name, value in record.items()
        ]
        with (below / "part.avro").open("wb") as file:
            fastavro.writer(file, {"type": "record", "name": kind, "fields": fields}, [record])
    log, _ = _import(tmp_path, "braze", tmp_path / "in")
    assert _errors(log) == []
    assert log.tables["decisions"]["decision_id"].tolist() == ["d-b1"]
    assert log.tables["outcomes"]["at"].tolist() == [pd.Timestamp("2026-01-01T00:01:40Z")]
    assert log.tables["users"]["timezone"].tolist() == ["America/New_York"]


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl", "jsonl.gz"])
def test_an_own_format_needs_a_mapping_and_no_code(tmp_path, ending):
    (tmp_path / "shop.toml").write_text(MAPPING)
    file = tmp_path / f"export.{ending}"
    if ending == "csv":
        ROWS.to_csv(file, index=False)
    elif ending == "parquet":
        ROWS.to_parquet(file)
    else:
        lines = "\n".join(json.dumps(row) for row in ROWS.to_dict("records")).replace("NaN", "null")
        file.write_bytes(gzip.compress(lines.encode()) if ending.endswith("gz") else lines.encode())
    log, account = _import(tmp_path, tmp_path / "shop.toml", file)
    assert _errors(log) == []
    events = log.tables["events"]
    assert events["item_id"].tolist() == ["de-a", "de-a"]
    assert events["at"].iloc[0] == pd.Timestamp("2026-03-01T09:00:00Z")
    assert events["value"].iloc[1] == 10
    assert (log.meta.currency, account["rows"]) == ("EUR", 3)
    assert account["repaired"]["users only named, made up"] == 1


def test_amounts_are_brought_to_one_unit_and_currency():
    text = MAPPING.replace(
        'value = { product = ["price", "quantity"] }',
        'value = { from = "cents", factor = 0.01, currency = "in", rates = { eur = 1, USD = 0.5 }}',
    )
    rows = pd.DataFrame({"cents": [250, 250, 250, None], "in": ["EUR", "usd", "JPY", "EUR"]})
    rows = rows.assign(kind="bought", customer="7", shop="de", sku="a", when="2026-03-01 10:00")
    done = adapt([rows], read_mapping(text, "shop.toml"))
    assert done.tables["events"]["value"].fillna("").tolist() == ["2.5", "1.25", "250 JPY", ""]
    found = findings(log_of(done.tables, done.meta))
    assert [f.values for f in found if f.rule == "wrong_type"] == [("250 JPY",)]


def test_whole_numbers_beyond_all_measure_are_kept_for_check_to_name():
    rows = ROWS[1:2].astype(object).assign(price=10**400)
    done = adapt([rows], read_mapping(MAPPING, "shop.toml"))
    assert "out_of_range" in {f.rule for f in findings(log_of(done.tables, done.meta))}


def test_two_sources_make_one_log(tmp_path):
    first = _lines(tmp_path / "s.jsonl", _segment())
    _import(tmp_path, "segment", first)
    (tmp_path / "shop.toml").write_text(MAPPING)
    ROWS.to_csv(tmp_path / "export.csv", index=False)
    (tmp_path / "ids.csv").write_text("id,user_id\n7,u1\n7,u2\n")
    words = [tmp_path / "shop.toml", tmp_path / "export.csv", "--add"]
    log, account = _import(tmp_path, *words, "--identities", tmp_path / "ids.csv")
    assert _errors(log) == []
    assert log.tables["users"]["user_id"].tolist() == ["u1"]
    assert log.tables["users"]["timezone"].tolist() == ["Asia/Shanghai"]
    assert len(log.tables["events"]) == 6
    assert account["found"]["ids that the identities give to a second user, the first kept"] == 1
    assert account["repaired"]["ids joined to their user"] == 2
    assert account["merged"] == {"users: in both": 1}
    again, account = _import(tmp_path, *words, "--identities", tmp_path / "ids.csv")
    assert account["merged"]["events: rows in both, kept once"] == 2
    assert len(again.tables["events"]) == 6


def test_values_that_differ_are_counted_and_the_first_stays(tmp_path):
    _import(tmp_path, "segment", _lines(tmp_path / "s.jsonl", _segment()))
    records = _segment()
    records[1]["properties"] = records[1]["properties"] | {"brand": "other"}
    log, account = _import(tmp_path, "segment", _lines(tmp_path / "t.jsonl", records[:2]), "--add")
    assert account["merged"]["items.brand: conflicts, the first kept"] == 1
    assert log.tables["items"]["brand"].iloc[0] == "acme"


def test_what_neither_source_knows_is_made_up_still(tmp_path):
    (tmp_path / "shop.toml").write_text(MAPPING)
    ROWS[:2].to_csv(tmp_path / "a.csv", index=False)
    ROWS[:2].assign(when="2026-03-02 09:00").to_csv(tmp_path / "b.csv", index=False)
    _import(tmp_path, tmp_path / "shop.toml", tmp_path / "a.csv")
    log, _ = _import(tmp_path, tmp_path / "shop.toml", tmp_path / "b.csv", "--add")
    assert findings(log) == []
    assert log.tables["users"]["timezone"].tolist() == ["Europe/Berlin"]
    assert log.tables["items"]["title"].tolist() == ["de-a"]


@pytest.mark.parametrize("name", source_names())
def test_every_source_is_a_mapping_that_can_be_shown(name, capsys):
    assert main(["import", name, "--show"]) == 0
    assert read_mapping(capsys.readouterr().out, name).rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[log", "is not TOML"),
        ("[rules]", "'rules' is unknown"),
        ("[log]", "no \\[\\[rows\\]\\]"),
        ("[[rows]]\ntable = 'things'", "table is 'things'"),
        ("[[rows]]\ntable = 'users'\nid = 'a'", "users need user_id"),
        ("[[rows]]\ntable = 'events'\nat = 3", "at is 3; write a path"),
        ("[[rows]]\ntable = 'events'\nat = {from = 'a', value = 'b'}", "2 of them are given"),
        ("[[rows]]\ntable = 'events'\nat = {from = 'a', form = 'b'}", "'form' is unknown"),
        ("[[rows]]\ntable = 'events'\nat = {from = 'a', unit = 'h'}", "unit is 'h'"),
        ("[[rows]]\ntable = 'events'\nvalue = {from = 'a', factor = 0}", "factor is 0"),
        ("[[rows]]\ntable = 'events'\nvalue = {from = 'a', currency = 'b'}", "`rates` say"),
        ("[[rows]]\ntable = 'events'\nat = []", r"from is \[\]; write paths"),
        ("[[rows]]\ntable = 'events'\nat = {join = []}", r"join is \[\]; write paths"),
        ("[[rows]]\ntable = 'events'\nat = {from = 'a', timezone = 'Mars'}", "timezone is 'Mars'"),
        ("[[rows]]\ntable = 'events'\nevent = {from = 'a', words = ['b']}", "words is"),
        ("[[rows]]\ntable = 'events'\nvalue = {from = 'a', rates = 'b'}", "rates is 'b'"),
        ("[[rows]]\ntable = ['events']", "table is"),
        ("rows = [1]", r"\[\[rows\]\] 1 is 1"),
        ("log = 1\n[[rows]]\ntable = 'events'", "log is 1"),
        ("[log]\ndefault_timezone = 'Mars'\n[[rows]]\ntable = 'events'", "default_timezone"),
    ],
)
def test_a_bad_mapping_is_refused_by_name(text, message):
    with pytest.raises(BadInput, match=message):
        read_mapping(text, "shop.toml")


def test_a_path_that_leads_nowhere_is_named():
    with pytest.raises(BadInput, match=r"events\.at \(whenn\)"):
        adapt([ROWS], read_mapping(MAPPING.replace('"when"', '"whenn"'), "shop.toml"))
    done = adapt([ROWS], read_mapping(MAPPING.replace('"quantity"', '"count"'), "shop.toml"))
    assert done.found["made rows of events"] == 2
    with pytest.raises(NotEnoughData, match="no record of 3"):
        adapt(
            [ROWS], read_mapping(MAPPING.replace('"kind" =', '"x" =').replace("kind =", "x ="), "s")
        )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "{}\n[1]\n", "record 2 is list"),
        ("a.jsonl", "{}\nnope\n", "line 2 is not JSON"),
        ("a.parquet", "nope", "can't be read as parquet"),
        ("a.avro", "nope", "can't be read as avro"),
        ("a.csv", "", "can't be read as csv"),
        ("a.csv.gz", "nope", "can't be read as csv"),
        ("a.csv", "a,b\n1,2\n1,2,3\n", "Expected 2 fields in line 3, saw 3"),
        ("a.csv", "a,b,a\n1,2,3\n", "has the column 'a' twice"),
        ("a.csv", "a\nGr\xf6\xdfe\n".encode("latin-1"), "not in UTF-8.*iconv"),
        ("a.csv", "a\n1\n".encode("utf-16"), "not in UTF-8"),
        ("a.jsonl", gzip.compress(b"{}\n", mtime=0), "it is gzipped: give it a name"),
        ("a.csv", b"PK\x03\x04\x14\xff", "an Excel file"),
        ("a.xml", "<x/>", "ends in none of"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(tmp_path, name, content, message):
    bytes_ = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(bytes_)
    with pytest.raises(BadInput, match=message):
        read_records(tmp_path / name)
    with pytest.raises(BadInput, match="not there"):
        record_files([tmp_path / "none"])


def test_a_parquet_file_with_a_column_twice_is_refused(tmp_path):
    column = pa.array(["1"])
    pq.write_table(pa.Table.from_arrays([column, column], ["a", "a"]), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="has the column 'a' twice"):
        read_records(tmp_path / "a.parquet")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_header_says_what_separates_a_csv_files_columns(tmp_path, separator):
    rows = [["shop", "", "paid"], ["de", "x", "2.5"], ['"a, b; c"', "y", '"12,50"']]
    text = "\n".join(map(separator.join, rows)) + "\n"
    (tmp_path / "a.csv").write_text(text, encoding="utf-8-sig")
    frame = read_records(tmp_path / "a.csv")
    assert frame.to_dict("list") == {"shop": ["de", "a, b; c"], "paid": ["2.5", "12,50"]}


def test_half_a_character_in_json_is_a_question_mark(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": "x\\ud83d", "b": "\\ud83d\\ude00"}\n')
    assert read_records(tmp_path / "a.jsonl").to_dict("list") == {"a": ["x?"], "b": ["😀"]}


def test_files_without_a_record_are_refused(tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text("")
    words = ["import", "segment", str(tmp_path / "a.jsonl"), "--out", str(tmp_path / "log")]
    assert main(words) == 1
    assert "there is no record in what was given" in capsys.readouterr().err
    assert not (tmp_path / "log").exists()


def test_an_unknown_source_is_refused_with_the_known_ones(tmp_path, capsys):
    assert main(["import", "segmnt", str(tmp_path), "--out", str(tmp_path / "x")]) == 1
    assert "segment" in capsys.readouterr().err
    assert mapping_text("ga4").startswith("#")


def test_what_cannot_be_typed_is_kept_for_check_to_name():
    rows = ROWS.assign(when=["2026-03-01 10:00", "soon", ""])
    done = adapt([rows], read_mapping(MAPPING, "shop.toml"))
    found = findings(log_of(done.tables, done.meta))
    assert [(f.rule, f.values) for f in found if f.severity == ERROR] == [("bad_time", ("soon",))]
