"""`pushwise copy generate` and `verify`, as a user types them."""

import json
from importlib.util import find_spec

import pandas as pd
import pytest

from generation.copy import generate
from scripts import cli


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    path = tmp_path_factory.mktemp("shop")
    (path / "users.csv").write_text(
        "user_id,timezone,signed_up_at\nann,Europe/Berlin,2026-01-01T00:00:00Z\n"
    )
    (path / "items.csv").write_text(
        "item_id,title,category,brand,price,list_price,stock,colour\n"
        "lamp,Desk lamp,light,Acme,20,25,3,red\nsofa,Sofa,seat,Acme,400,,,\n"
    )
    (path / "events.csv").write_text(
        "user_id,item_id,event,at,value\nann,lamp,view,2026-03-01T10:00:00+01:00,\n"
    )
    (path / "log.json").write_text('{"currency": "EUR", "propensities": "none"}')
    return path


@pytest.fixture(scope="module")
def drafts(shop, tmp_path_factory):
    out = tmp_path_factory.mktemp("drafts")
    assert cli.main(["copy", "generate", str(shop), "--out", str(out), "--each", "3"]) == 0
    return out


def test_drafts_carry_where_they_come_from(drafts):
    table = pd.read_parquet(drafts / "variants.parquet")
    assert set(table["status"]) == {"draft"}
    assert set(table["locale"]) == {"en", "zh"}
    assert set(table["style"][table["item_id"] == "sofa"]) == {"plain", "warm"}
    assert set(table["style"][table["item_id"] == "lamp"]) == {
        "plain",
        "warm",
        "urgent",
        "discount",
    }
    assert set(table["copywriter"]) == {"templates"}
    urgent = table[table["style"] == "urgent"].iloc[0]
    assert json.loads(urgent["evidence"])["scarcity"] == "stock 3"
    assert table["variant_id"].is_unique
    page = (drafts / "samples.html").read_text("utf-8")
    assert all(row in page for row in ("Desk lamp", "huawei", "UCS-2", "scarcity: stock 3"))


def test_the_same_seed_writes_the_same_and_other_items_change_nothing(shop, drafts, tmp_path):
    line = ["copy", "generate", str(shop), "--out", str(tmp_path), "--each", "3", "--items", "1"]
    assert cli.main(line) == 0
    one = pd.read_parquet(tmp_path / "variants.parquet")
    both = pd.read_parquet(drafts / "variants.parquet")
    assert set(one["item_id"]) == {"lamp"}
    pd.testing.assert_frame_equal(one, both[both["item_id"] == "lamp"].reset_index(drop=True))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `ray`")
@pytest.mark.filterwarnings("ignore")
def test_ray_tasks_write_the_same(shop, drafts, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "TOGETHER", 1)
    line = ["copy", "generate", str(shop), "--out", str(tmp_path), "--each", "3", "--ray"]
    assert cli.main(line) == 0
    for name in ("variants.parquet", "samples.html"):
        assert (tmp_path / name).read_bytes() == (drafts / name).read_bytes()


def test_copy_for_some_readers_is_their_segments(shop, tmp_path):
    line = ["copy", "generate", str(shop), "--out", str(tmp_path), "--styles", "personal"]
    assert cli.main([*line, "--readers", "cart", "likes"]) == 0
    table = pd.read_parquet(tmp_path / "variants.parquet")
    assert set(table["segment"]) == {"cart", "likes"}
    assert (
        cli.main(["copy", "verify", str(tmp_path / "variants.parquet"), "--logs", str(shop)]) == 0
    )


def test_drafts_are_held_until_a_price_changes(shop, drafts, tmp_path, capsys):
    line = ["copy", "verify", str(drafts / "variants.parquet"), "--logs"]
    assert cli.main([*line, str(shop)]) == 0
    for file in shop.iterdir():
        text = file.read_text().replace(",20,25,3,", ",21,25,3,")
        (tmp_path / file.name).write_text(text)
    capsys.readouterr()
    assert cli.main([*line, str(tmp_path), "--json"]) == 1
    results = json.loads(capsys.readouterr().out)["results"]
    wrong = [result for result in results if not result["held"]]
    assert {result["item_id"] for result in wrong} == {"lamp"}
    rules = {finding["rule"] for result in wrong for finding in result["findings"]}
    assert "price" in rules


def test_a_text_for_any_item_must_be_so_of_all(shop, tmp_path, capsys):
    file = tmp_path / "mine.csv"
    file.write_text(
        "variant_id,title,body\nv1,{item},Now {price} in {category}.\n"
        "v2,Last chance: {item},Only a few left.\nv3,{item},Order it\n"
    )
    assert cli.main(["copy", "verify", str(file), "--logs", str(shop), "--json"]) == 1
    held = json.loads(capsys.readouterr().out)["results"]
    assert [result["held"] for result in held] == [True, False, True]
    assert held[1]["items"] == 1
    assert cli.main(["copy", "verify", str(file), "--logs", str(shop)]) == 1
    assert "2 of 3 texts are held by the log's facts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["--styles", "shouty"], "--styles has 'shouty'; it can be plain, urgent"),
        (["--locales", "fr"], "--locales has 'fr'; it can be en, zh"),
        (["--each", "0"], "--each is 0; it must be at least 1"),
        (["--styles", "personal"], "'personal', which needs --readers"),
        (["--readers", "cart"], "--readers other than any are for --styles personal"),
        (["--at", "yesterday"], "--at is 'yesterday'"),
    ],
)
def test_what_can_not_be_written_is_said(shop, tmp_path, capsys, line, sentence):
    assert cli.main(["copy", "generate", str(shop), "--out", str(tmp_path / "o"), *line]) == 1
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("none.csv", None, "there is no file"),
        ("a.txt", "x", "is not .csv or .parquet"),
        ("a.csv", "name\nx\n", "has no column 'title'"),
        ("a.parquet", "no parquet", "can't be read"),
    ],
)
def test_a_file_that_is_no_table_of_variants_is_refused(
    shop, tmp_path, capsys, name, text, sentence
):
    if text is not None:
        (tmp_path / name).write_text(text)
    assert cli.main(["copy", "verify", str(tmp_path / name), "--logs", str(shop)]) == 1
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "{shop}"], "is the log itself"),
        (["--out", "{shop}/items.csv"], "is a file; give a directory"),
        (["--out", "{out}", "--attributes", "color"], "has 'color'; the log's items have colour"),
    ],
)
def test_what_would_go_wrong_is_said_before_anything_is_written(
    shop, tmp_path, capsys, options, message
):
    given = [option.format(shop=shop, out=tmp_path / "out") for option in options]
    assert cli.main(["copy", "generate", str(shop), *given]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert not (shop / "variants.parquet").exists()


def test_a_writer_that_is_not_there_leaves_the_texts_to_the_templates_and_that_is_said(
    shop, tmp_path, capsys
):
    line = ["copy", "generate", str(shop), "--out", str(tmp_path), "--locales", "en"]
    assert cli.main([*line, "--writer", "http://127.0.0.1:9/v1", "--model", "none"]) == 0
    assert "written by templates: 6" in capsys.readouterr().out
