"""Pseudonyms join, say nothing, and hold no person; who is erased is gone."""

import json

import pandas as pd
import pytest

from ingestion.check import findings
from ingestion.log import LogMeta
from ingestion.parse import log_of
from ingestion.privacy import erased, pseudonym, pseudonymised
from ingestion.read import read_log
from ingestion.rules import ERROR
from ingestion.scrub import scrubbed
from ingestion.write import write_log
from scripts.cli import main

KEY = b"sixteen bytes or more"


@pytest.fixture
def personal(tables):
    tables["users"] = tables["users"].assign(
        email=["ann@shop.example", "bob@shop.example"],
        First_Name=["Ann", "Bob"],
        手机=["13812345678", ""],
        plan=["gold", "gold"],
        note=["call 13812345678", "write to bob@shop.example"],
        traits=[["a"], ["b"]],
    )
    tables["reviews"] = pd.DataFrame(
        {
            "item_id": ["lamp"],
            "text": ["Good. Mail ann@shop.example or +49 30 901820"],
            "user_id": ["ann"],
            "at": ["2026-03-05T10:00:00Z"],
        }
    )
    tables["changes"] = pd.DataFrame(
        {
            "table": ["users", "users", "items"],
            "id": ["ann", "ann", "lamp"],
            "column": ["email", "plan", "price"],
            "value": ["old@shop.example", "free", "19"],
            "at": ["2026-02-01T10:00:00Z"] * 3,
        }
    )
    tables["calendar"] = pd.DataFrame({"date": ["2026-12-24"], "name": ["Christmas"]})
    return tables


def test_what_names_a_person_is_gone_and_the_log_is_still_right(personal):
    log = log_of(personal, LogMeta(other={"contact": "ann@shop.example"}))
    tables, meta, done = pseudonymised(log, KEY)
    out = log_of(tables, meta)
    assert [f for f in findings(out) if f.severity == ERROR] == []
    said = "\n".join(table.to_csv() for table in tables.values()) + str(meta)
    for secret in ("ann", "bob", "@", "13812345678", "901820", "Bob"):
        assert secret not in said.replace("warm", "")
    assert done.dropped == ["users.email", "users.First_Name", "users.手机", "users.traits"]
    assert done.scrubbed["reviews.text"] == {"email": 1, "phone": 1}
    assert len(out.tables["changes"]) == 2
    assert out.tables["users"]["plan"].tolist() == ["gold", "gold"]
    assert out.tables["calendar"].iloc[0].tolist() == ["2026-12-24", "Christmas"]


@pytest.mark.parametrize(
    "texts",
    [
        pd.Categorical(["ann@example.com", "fond of lamps"]),
        [b"ann@example.com", b"fond of lamps"],
        [b"ann@example.com", b"fond of lamps\xff"],
    ],
    ids=["categories", "bytes", "broken bytes"],
)
def test_texts_are_found_however_parquet_holds_them(tables, tmp_path, texts):
    tables["users"]["note"] = pd.Series(texts, tables["users"].index)
    write_log(tmp_path, tables, LogMeta())
    safe, _, done = pseudonymised(read_log(tmp_path), KEY)
    assert done.scrubbed == {"users.note": {"email": 1}}
    assert sorted(note.rstrip("\ufffd") for note in safe["users"]["note"]) == [
        "<email>",
        "fond of lamps",
    ]


def test_pseudonyms_join_and_depend_on_the_key_and_the_kind(personal):
    log = log_of(personal)
    one, two = (pseudonymised(log, key)[0] for key in (KEY, b"another key of 16+"))
    ann = pseudonym(KEY, "user", "ann")
    assert one["users"]["user_id"].iloc[0] == ann
    assert (one["events"]["user_id"] == ann).sum() == 2
    assert one["changes"]["id"].tolist() == [ann, pseudonym(KEY, "item", "lamp")]
    assert one["decisions"]["candidates"].iloc[0].split("|") == list(one["items"]["item_id"])
    assert not set(one["users"]["user_id"]) & set(two["users"]["user_id"])
    assert pseudonym(KEY, "user", "7") != pseudonym(KEY, "item", "7")


@pytest.mark.parametrize(
    ("coarsen", "at"), [("hour", "2026-03-01T09:00Z"), ("day", "2026-03-01T00:00Z")]
)
def test_times_are_cut_on_request(personal, coarsen, at):
    personal["events"].loc[0, "at"] = "2026-03-01T10:41:12+01:00"
    tables, meta, _ = pseudonymised(log_of(personal), KEY, coarsen)
    assert tables["events"]["at"].iloc[0] == pd.Timestamp(at)
    assert [f for f in findings(log_of(tables, meta)) if f.severity == ERROR] == []


def test_how_many_share_a_combination_is_counted(tables):
    tables["users"] = pd.concat([tables["users"], tables["users"].assign(user_id=["c", "d"])])
    tables["users"]["plan"] = ["gold", "free", "gold", "gold"]
    _, _, done = pseudonymised(log_of(tables), KEY)
    assert (done.k, done.few) == (1, 4)
    assert done.quasi == ["timezone", "consent", "plan"]
    # Two in Berlin and two in New York; three with gold and one with free.
    assert done.few_without == {"timezone": 4, "consent": 4, "plan": 4}


def test_what_singles_people_out_is_named(tables):
    names = [f"u{n}" for n in range(20)]
    users = pd.DataFrame({"user_id": names, "timezone": "Europe/Berlin"})
    users["signed_up_at"] = "2026-01-01T00:00:00Z"
    users["shoe_size"] = [str(35 + n) for n in range(19)] + [None]
    _, _, done = pseudonymised(log_of({**tables, "users": users}), KEY)
    assert (done.k, done.few) == (1, 20)
    assert done.few_without == {"timezone": 20, "consent": 20, "shoe_size": 0}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("mail a.b+c@x-y.co.uk!", "mail <email>!"),
        ("ring 020 7946 0018 now", "ring <phone> now"),
        ("电话13812345678，谢谢", "电话<phone>，谢谢"),
        ("身份证11010519491231002X。", "身份证<id-card>。"),
        ("身份证110105194912310021。", "身份证110105194912310021。"),
        ("card 4111 1111 1111 1111", "card <bank-card>"),
        ("from 192.168.0.1", "from <ip>"),
        ("to 221B Baker Street, NW1 6XE", "to <address>, <address>"),
        ("地址：北京市朝阳区建国路88号院", "地址：<address>"),
        ("寄到北京市朝阳区建国路88号院", "<address>院"),
        ("北京朝阳区三里屯SOHO 3号楼2单元501室，谢谢", "<address>，谢谢"),
        ("广东省深圳市南山区科技园科兴科学城A栋", "<address>"),
        ("放在3栋1802门口", "放在<address>门口"),
        ("上海市的店很好，买了2号", "上海市的店很好，买了2号"),
        ("打我手机+86 138 1234 5678", "打我手机<phone>"),
        ("座机010-62345678", "座机<phone>"),
        ("my SSN 078-05-1120, NI AB 12 34 56 C", "my SSN <id-card>, NI <id-card>"),
        ("pay GB29 NWBK 6016 1331 9268 19", "pay <bank-card>"),
        ("pay GB29 NWBK 6016 1331 9268 18", "pay GB29 NWBK 6016 1331 9268 18"),
        ("订单号 202603011234567", "订单号 202603011234567"),
        ("order 12345, 3 for 20.00, size 42", "order 12345, 3 for 20.00, size 42"),
        ("很好用，推荐👍", "很好用，推荐👍"),
    ],
)
def test_personal_data_is_found_by_its_form(text, clean):
    assert scrubbed(text)[0] == clean
    assert scrubbed(clean)[0] == clean


def test_who_is_erased_is_in_no_table(personal, tmp_path, capsys):
    write_log(tmp_path, log_of(personal).tables, LogMeta())
    (tmp_path / "cleaning.parquet").write_text("rows of ann")
    assert main(["erase", str(tmp_path), "ann"]) == 0
    assert "events: 2 rows removed, 1 left" in capsys.readouterr().out
    log = read_log(tmp_path)
    assert [f for f in findings(log) if f.severity == ERROR] == []
    said = "\n".join(table.to_csv() for table in log.tables.values())
    assert "ann" not in said
    assert log.tables["outcomes"].empty
    assert not (tmp_path / "cleaning.parquet").exists()
    assert main(["erase", str(tmp_path), "ann"]) == 1
    assert "ann: no such user" in capsys.readouterr().err


def test_what_is_too_old_goes_with_users_that_nothing_is_left_of(personal):
    before = pd.Timestamp("2026-03-01T23:00:00Z")
    tables, removed = erased(personal, before=before)
    assert removed["events"] == 1
    assert tables["users"]["user_id"].tolist() == ["ann", "bob"]
    tables, removed = erased(personal, before=pd.Timestamp("2026-03-04T00:00:00Z"))
    assert tables["users"]["user_id"].tolist() == ["ann"]
    assert removed["decisions"] == removed["outcomes"] == 2
    assert len(tables["reviews"]) == 1


def test_a_person_is_erased_from_a_pseudonymised_log_by_the_key(personal, tmp_path, capsys):
    write_log(tmp_path / "shop", log_of(personal.copy()).tables, LogMeta())
    key = tmp_path / "key"
    words = ["pseudonymise", str(tmp_path / "shop"), str(tmp_path / "out"), "--key-file", str(key)]
    assert main(words) == 1
    assert "make a key" in capsys.readouterr().err
    key.write_bytes(b"short")
    assert main(words) == 1
    assert "holds 5 bytes" in capsys.readouterr().err
    key.write_bytes(KEY)
    assert main(words) == 0
    account = json.loads((tmp_path / "out" / "privacy.json").read_text())
    assert account["ids"]["events.user_id"] == 3
    assert main(["erase", str(tmp_path / "out"), "ann", "--key-file", str(key)]) == 0
    left = read_log(tmp_path / "out").tables["users"]["user_id"].tolist()
    assert left == [pseudonym(KEY, "user", "bob")]


def test_a_key_in_the_log_and_an_erasure_of_nothing_are_refused(personal, tmp_path, capsys):
    write_log(tmp_path / "shop", log_of(personal).tables, LogMeta())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "key").write_bytes(KEY)
    key = str(tmp_path / "out" / "key")
    shop = str(tmp_path / "shop")
    assert main(["pseudonymise", shop, str(tmp_path / "out"), "--key-file", key]) == 1
    assert main(["pseudonymise", shop, shop, "--key-file", key]) == 1
    assert main(["erase", shop]) == 1
    assert main(["erase", shop, "--older-than", "0"]) == 1
    assert "must be above 0" in capsys.readouterr().err
