"""`pushwise copy train`, and `copy generate` with what it wrote or with a language model."""

import json

import pandas as pd
import pytest

from generation.copy.saved import load_writer
from scripts import cli
from tests.generation.test_copy_chat import said, speaking


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    path = tmp_path_factory.mktemp("shop")
    (path / "users.csv").write_text(
        "user_id,timezone,signed_up_at\nann,Europe/Berlin,2026-01-01T00:00:00Z\n"
        "bob,Europe/Berlin,2026-01-01T00:00:00Z\n"
    )
    (path / "items.csv").write_text(
        "item_id,title,category,brand,price\n"
        "lamp,Desk lamp,light,Acme,20\nsofa,Sofa,seat,Acme,400\n"
    )
    (path / "variants.csv").write_text(
        "variant_id,style,locale,title,body,status\n"
        "v1,house,en,Look: {item},It is {price}.,approved\n"
        "v2,house,en,Only 5 left,{item},approved\nv3,house,en,{item},No.,draft\n"
        "v4,house,zh,{item},看看,approved\n"
    )
    days = [f"2026-03-{n:02d}T10:00:00Z" for n in range(1, 9)]
    views = [f"{u},lamp,view,{day},\n" for day in days for u in ("ann", "bob")]
    (path / "events.csv").write_text("user_id,item_id,event,at,value\n" + "".join(views))
    pushes = [f"d{n},ann,{day},lamp,v1,{day},0.5,rule,lamp|sofa\n" for n, day in enumerate(days)]
    (path / "decisions.csv").write_text(
        "decision_id,user_id,decided_at,item_id,variant_id,send_at,propensity,policy,candidates\n"
        + "".join(pushes)
    )
    clicks = [f"d{n},clicked,{day[:11]}11:00:00Z,\n" for n, day in enumerate(days)]
    (path / "outcomes.csv").write_text("decision_id,outcome,at,value\n" + "".join(clicks))
    (path / "log.json").write_text('{"currency": "EUR"}')
    return path


@pytest.fixture(scope="module")
def writer(shop, tmp_path_factory):
    out = tmp_path_factory.mktemp("writer") / "w"
    line = ["copy", "train", str(shop), "--out", str(out), "--steps", "2"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("generation.learning.copy_training.MEASURED", 6)
        assert cli.main(line) == 0
    return out


def test_what_was_learned_from_is_counted(writer):
    manifest = load_writer(writer).manifest
    assert manifest["learned_from"] == {
        "items": 2,
        "variants": 1,
        "variants_left_out": 2,
        "responses": 4,
    }
    assert set(manifest["figures"]) == {"likeliest", "0.8"}
    assert 500_000 < manifest["parameters"] < 1_000_000


def test_generate_takes_the_network_and_falls_back(shop, writer, tmp_path):
    line = ["copy", "generate", str(shop), "--out", str(tmp_path / "a"), "--locales", "en"]
    assert cli.main([*line, "--styles", "plain", "--writer", str(writer)]) == 0
    table = pd.read_parquet(tmp_path / "a" / "variants.parquet")
    assert set(table["copywriter"]) <= {"seq2seq", "templates"}
    assert set(table["item_id"]) == {"lamp", "sofa"}
    line[4] = str(tmp_path / "b")
    assert cli.main([*line, "--styles", "plain", "--writer", str(writer)]) == 0
    again = pd.read_parquet(tmp_path / "b" / "variants.parquet")
    pd.testing.assert_frame_equal(table, again)


def test_generate_takes_a_model_with_its_key(shop, tmp_path):
    (tmp_path / "key").write_text("secret\n")

    def answer(question, _):
        item = json.loads(question["messages"][1]["content"])["facts"]["item"]
        return said({"title": f"Meet {item}", "body": "Have a look.", "description": f"{item}."})

    with speaking(answer) as model:
        line = ["copy", "generate", str(shop), "--out", str(tmp_path / "a"), "--styles", "plain"]
        line += ["--locales", "en", "--writer", model.url, "--model", "m"]
        assert cli.main([*line, "--key-file", str(tmp_path / "key")]) == 0
    table = pd.read_parquet(tmp_path / "a" / "variants.parquet")
    assert set(table["title"]) == {"Meet Desk lamp", "Meet Sofa"}
    assert set(table["copywriter"]) == {"llm"}
    assert set(model.keys) == {"Bearer secret"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--writer", "nowhere"], "can be templates"),
        (["--model", "m"], "that is an address"),
        (["--writer", "http://localhost:1/v1"], "--model"),
        (["--temperature", "-1"], "--temperature"),
    ],
)
def test_generate_names_what_is_wrong(shop, tmp_path, capsys, options, said):
    line = ["copy", "generate", str(shop), "--out", str(tmp_path / "a"), *options]
    assert cli.main(line) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--steps", "0"], "--steps is 0"), (["--seed", "-1"], "--seed is -1")],
)
def test_train_names_what_is_wrong(shop, tmp_path, capsys, options, said):
    assert cli.main(["copy", "train", str(shop), "--out", str(tmp_path / "w"), *options]) == 1
    assert said in capsys.readouterr().err


def test_train_overwrites_nothing_else(shop, capsys):
    assert cli.main(["copy", "train", str(shop), "--out", str(shop)]) == 1
    assert "holds no copywriter" in capsys.readouterr().err
