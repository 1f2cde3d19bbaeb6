"""`pushwise demo` writes a log that reads back and a truth that goes with it."""

import json

import pytest

from ingestion.catalog import catalog_of
from ingestion.read import read_log
from scripts.cli import main
from simulator.saved import load_simulator


def files(path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def assert_accepted(shop, capsys) -> None:
    """The shop's copy is held by its facts, and moderation finds nothing in it."""
    assert main(["copy", "verify", str(shop / "variants.parquet"), "--logs", str(shop)]) == 0
    capsys.readouterr()
    assert main(["copy", "review", str(shop), "--json"]) == 0
    variants = json.loads(capsys.readouterr().out)["variants"]
    assert len(variants) == 6
    assert not any(variant["rules"] for variant in variants)


def test_the_log_reads_back_and_the_truth_knows_its_catalogue(tmp_path, capsys):
    command = ["demo", str(tmp_path / "shop"), "--users", "30", "--days", "6"]
    assert main(command) == 0
    assert "30 users, 149 items, 6 days" in capsys.readouterr().out
    assert_accepted(tmp_path / "shop", capsys)
    log, truth = read_log(tmp_path / "shop"), load_simulator(tmp_path / "shop" / "truth")
    assert not log.problems
    assert catalog_of(log).hash == truth.catalog.hash
    assert tuple(log.tables["users"]["user_id"]) == truth.users.ids
    first = files(tmp_path / "shop")
    assert main(command) == 0
    assert files(tmp_path / "shop") == first
    assert main([*command, "--seed", "1"]) == 0
    assert files(tmp_path / "shop") != first


def test_the_world_over_a_shops_log(tmp_path):
    shop, out = tmp_path / "shop", tmp_path / "out"
    assert main(["demo", str(shop), "--users", "60", "--days", "30"]) == 0
    assert main(["demo", str(out), "--shop", str(shop), "--users", "20", "--days", "5"]) == 0
    log = read_log(out)
    assert len(log.tables["users"]) == 20
    assert not log.problems
    assert log.tables["events"]["at"].min() < log.tables["decisions"]["decided_at"].min()
    assert log.tables["events"]["at"].max() > log.tables["decisions"]["decided_at"].min()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--users", "0"], "--users is 0"),
        (["--days", "0"], "--days is 0"),
        (["--world", "moon"], "unknown world 'moon'"),
        (["--shop", "nowhere"], "nowhere"),
    ],
)
def test_bad_options_are_named(tmp_path, capsys, options, message):
    assert main(["demo", str(tmp_path / "shop"), *options]) == 1
    assert message in capsys.readouterr().err
