"""`pushwise candidates recommend`: a list for every user, the same on Ray."""

from importlib.util import find_spec

import pandas as pd
import pytest

from generation.candidates import prepare
from generation.candidates.ranked import COOL_DOWN
from ingestion.log import epoch_us
from ingestion.read import read_log
from scripts.cli import main


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    path = tmp_path_factory.mktemp("shop") / "logs"
    assert main(["demo", str(path), "--users", "25", "--days", "8", "--seed", "2"]) == 0
    return path


def test_everybody_gets_a_list_without_what_was_pushed_lately(shop, tmp_path, capsys):
    out = tmp_path / "lists.csv"
    assert main(["candidates", "recommend", str(shop), "--out", str(out), "--size", "8"]) == 0
    assert "to 25 users" in capsys.readouterr().out
    lists, log = pd.read_csv(out), read_log(shop)
    assert set(lists["user_id"]) == set(log.tables["users"]["user_id"])
    assert set(lists["item_id"]) <= set(log.tables["items"]["item_id"])
    assert not lists.duplicated(["user_id", "item_id"]).any()
    assert (lists.groupby("user_id")["rank"].max() == 8).all()
    sends = log.tables["decisions"].dropna(subset="send_at")
    end = max(epoch_us(log.tables["events"]["at"]).max(), epoch_us(sends["decided_at"]).max())
    late = sends[epoch_us(sends["send_at"]) > end - COOL_DOWN]
    assert len(late) > 10
    assert lists.merge(late, on=["user_id", "item_id"]).empty


def test_what_came_later_changes_nothing(shop, tmp_path):
    log = read_log(shop)
    middle = sorted(log.tables["events"]["at"])[70].isoformat()
    found = []
    for place in (shop, tmp_path / "early"):
        out = tmp_path / f"{place.name}.parquet"
        words = ["candidates", "recommend", str(place), "--out", str(out), "--until", middle]
        if place != shop:
            write_early(shop, place, middle)
        assert main(words) == 0
        found.append(pd.read_parquet(out))
    pd.testing.assert_frame_equal(found[0], found[1])


def write_early(shop, place, until):
    """The log as it stood at an instant."""
    from ingestion.splits import before
    from ingestion.write import write_log

    log = read_log(shop)
    early = before(log, int(pd.Timestamp(until).value // 1000))
    write_log(place, early.tables, log.meta)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `ray`")
@pytest.mark.filterwarnings("ignore")
def test_ray_tasks_rank_the_same(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "TOGETHER", 10)
    for name, extra in (("here.parquet", []), ("ray.parquet", ["--ray"])):
        words = ["candidates", "recommend", str(shop), "--out", str(tmp_path / name)]
        assert main([*words, *extra]) == 0
    assert (tmp_path / "ray.parquet").read_bytes() == (tmp_path / "here.parquet").read_bytes()


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("lists.txt", [], "end it with .csv or .parquet"),
        ("nowhere/lists.csv", [], "there is no directory"),
        ("lists.csv", ["--size", "0"], "--size is 0"),
    ],
)
def test_bad_options_are_named(shop, tmp_path, capsys, out, options, message):
    words = ["candidates", "recommend", str(shop), "--out", str(tmp_path / out), *options]
    assert main(words) == 1
    assert message in capsys.readouterr().err
