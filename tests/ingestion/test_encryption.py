"""An encrypted log is read with its key and by nobody else."""

import os

import pandas as pd
import pytest

from ingestion.encryption import _PART, decrypted, encrypt_log, encrypted, opened, reading_with
from ingestion.log import LogMeta
from ingestion.parse import log_of
from ingestion.read import read_log
from ingestion.write import write_log
from mdp.errors import BadInput, BadLog
from scripts.cli import main

KEY, OTHER = b"k" * 32, b"o" * 32


@pytest.fixture
def shop(tables, tmp_path):
    """An encrypted log, and the file of its key."""
    write_log(tmp_path / "shop", log_of(tables).tables, LogMeta(currency="EUR"))
    log_of(tables).tables["users"].to_csv(tmp_path / "shop" / "users.csv", index=False)
    (tmp_path / "shop" / "users.parquet").unlink()
    (tmp_path / "shop" / "cleaning.parquet").write_text("rows of ann")
    (tmp_path / "shop" / "truth").mkdir()
    (tmp_path / "key").write_bytes(KEY)
    words = ["encrypt", str(tmp_path / "shop"), "--key-file", str(tmp_path / "key")]
    assert main(words) == 0
    return tmp_path / "shop", tmp_path / "key"


def test_nothing_is_left_in_plain_and_the_key_reads_it(shop, tables, capsys):
    path, key = shop
    files = [file for file in path.iterdir() if file.is_file()]
    assert len(files) == 11
    assert {file.suffix for file in files} == {".enc"}
    assert not any(b"ann" in file.read_bytes() for file in files)
    with reading_with(KEY):
        log = read_log(path)
    for name, table in log_of(tables).tables.items():
        pd.testing.assert_frame_equal(log.tables[name], table)
    assert log.meta.currency == "EUR"
    assert main(["--log-key", str(key), "check", str(path)]) == 0
    assert main(["encrypt", str(path), "--key-file", str(key)]) == 0
    said = capsys.readouterr().out
    assert "encrypted: nothing, all of it was" in said
    assert "left as they are: the directories truth" in said


@pytest.mark.parametrize(
    "words",
    [
        ["check"],
        ["clean", "{}", "{}/../out"],
        ["pseudonymise", "{}", "{}/../out", "--key-file", "{}/../key"],
        ["erase", "{}", "ann"],
        ["fit", "{}", "--out", "{}/../sim"],
        ["import", "segment", "{}/../new.jsonl", "--out", "{}", "--add"],
    ],
    ids=lambda words: words[0],
)
def test_commands_refuse_it_without_the_key_in_one_sentence(shop, capsys, words):
    path, _ = shop
    (path.parent / "new.jsonl").write_text(
        '{"type": "track", "event": "Product Viewed", "userId": "u", "messageId": "m",'
        '"timestamp": "2026-03-01T10:00:00Z", "properties": {"product_id": "i"}}'
    )
    words = [word.format(path) for word in words] if len(words) > 1 else [*words, str(path)]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "is encrypted: give its key (`pushwise --log-key FILE COMMAND …`)" in said
    assert "JSON" not in said
    assert said.count("\n") == 1


def test_nothing_is_written_in_plain_into_it(shop, capsys):
    path, key = shop
    assert main(["--log-key", str(key), "erase", str(path), "ann"]) == 1
    assert "nothing is written in plain" in capsys.readouterr().err
    words = ["import", "segment", str(path.parent), "--follow", "--out", str(path)]
    assert main(words) == 1
    assert "is encrypted" in capsys.readouterr().err
    assert {file.suffix for file in path.iterdir() if file.is_file()} == {".enc"}


def test_it_comes_back_as_it_was(shop, capsys):
    path, key = shop
    out = path.parent / "plain"
    assert main(["decrypt", str(path), str(out), "--key-file", str(key)]) == 0
    assert read_log(out).tables["users"]["user_id"].tolist() == ["ann", "bob"]
    assert (out / "cleaning.parquet").read_text() == "rows of ann"
    assert main(["decrypt", str(path), str(out), "--key-file", str(key)]) == 1
    assert "not an empty directory" in capsys.readouterr().err
    assert main(["decrypt", str(out), str(out), "--key-file", str(key)]) == 1
    assert "nothing that is encrypted" in capsys.readouterr().err
    key.write_bytes(OTHER)
    assert main(["decrypt", str(path), str(path.parent / "x"), "--key-file", str(key)]) == 1
    assert "under another key, or it was changed" in capsys.readouterr().err
    assert not (path.parent / "x").exists()


def test_a_kill_in_between_loses_nothing(tables, tmp_path, monkeypatch):
    write_log(tmp_path, log_of(tables).tables, LogMeta())
    replace, calls = os.replace, []

    def dying(source, target):
        calls.append(target)
        if len(calls) == 3:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        encrypt_log(tmp_path, KEY)
    monkeypatch.setattr(os, "replace", replace)
    encrypt_log(tmp_path, KEY)
    assert {file.suffix for file in tmp_path.iterdir()} == {".enc"}
    with reading_with(KEY):
        assert len(read_log(tmp_path).tables["events"]) == 3


SIZES = [0, 1, _PART - 1, _PART, _PART + 1, 2 * _PART]


@pytest.mark.parametrize("size", SIZES)
def test_any_size_comes_back(size):
    content = os.urandom(size)
    assert decrypted(encrypted(content, "a", KEY), "a", KEY, "a") == content


def test_a_changed_cut_moved_or_renamed_file_is_refused():
    good = encrypted(os.urandom(2 * _PART + 5), "a", KEY)
    part, begin = _PART + 16, len(good) - (2 * _PART + 5 + 48)
    swapped = good[:begin] + good[begin + part : begin + 2 * part] + good[begin : begin + part]
    for bad, name in [
        (good[:-1], "a"),
        (good[: begin + part], "a"),  # whole parts, but not the last
        (swapped + good[begin + 2 * part :], "a"),
        (good[:-1] + bytes([good[-1] ^ 1]), "a"),
        (good, "b"),
    ]:
        with pytest.raises(BadLog, match="another key, or it was changed"):
            decrypted(bad, name, KEY, "x")
    for bad in (b"", b"PAR1" + good, good[:30]):
        with pytest.raises(BadLog, match="no file that"):
            decrypted(bad, "a", KEY, "x")
    assert decrypted(good, "a", KEY, "x") is not None


def test_the_key_is_needed_and_named(tables, tmp_path, capsys):
    write_log(tmp_path / "shop", log_of(tables).tables, LogMeta())
    key = tmp_path / "shop" / "key"
    key.write_bytes(KEY)
    assert main(["encrypt", str(tmp_path / "shop"), "--key-file", str(key)]) == 1
    assert "keep it apart" in capsys.readouterr().err
    assert main(["encrypt", str(tmp_path), "--key-file", str(key)]) == 1
    assert "holds no log" in capsys.readouterr().err
    assert main(["--log-key", str(key)]) == 2
    assert main(["--log-key", str(tmp_path / "none"), "check", "x"]) == 1
    with pytest.raises(BadLog, match="is encrypted"):
        opened(tmp_path / "users.parquet.enc")
    encrypt_log(tmp_path / "shop", KEY)
    with pytest.raises(BadInput, match="is encrypted"):
        write_log(tmp_path / "shop", {}, LogMeta())
