"""Splits and figures of the leaderboard, against what can be worked out by hand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from generation.candidates.interactions import Interactions, interactions_of
from generation.candidates.leaderboard import judged, leaderboard
from generation.candidates.methods import METHODS, configurations
from generation.candidates.simple import OwnHistory, Popular
from generation.candidates.splits import splits_of
from ingestion.log import LogMeta
from ingestion.parse import log_of
from ingestion.write import write_log
from mdp.clock import DAY
from mdp.errors import BadSetting, NotEnoughData
from scripts.cli import main
from tests.generation.test_rankers import START, made_up


@pytest.fixture(scope="module")
def log() -> Interactions:
    return made_up()


def test_by_time_nothing_of_the_days_asked_about_is_known(log):
    validation, test = splits_of(log, 30)
    assert validation.known.until == START + 30 * DAY
    assert test.known.until == START + 60 * DAY
    for split in (validation, test):
        assert split.known.at.max() < split.known.until
        later = (log.at >= split.known.until) & (log.at < split.known.until + 30 * DAY)
        for user in split.users:
            found = set(split.truth[user].indices.tolist())
            assert found == set(log.item[later & (log.user == user)].tolist())


def test_new_items_are_those_that_the_user_had_not_met(log):
    _, test = splits_of(log, 30)
    users, truth, barred = test.asked(True)
    met = test.known.met[users]
    assert truth.multiply(met).nnz == 0
    assert (barred != met).nnz == 0
    assert (np.diff(truth.indptr) > 0).all()


def test_figures_worked_out_by_hand(log):
    """One user bought items 1 and 2, which own history lists first and third."""
    met, later = np.array([1, 1, 1, 3, 3, 2]), np.array([1, 2])
    one = replace(
        log,
        user=np.zeros(8, np.int64),
        item=np.concatenate([met, later]),
        at=np.array([0, 1, 2, 3, 31, 32, 65, 66]) * DAY,
        bought=np.ones(8, bool),
        until=67 * DAY,
    )
    split = splits_of(one, 31)[1]
    score = judged(OwnHistory().fit(split.known), split, new=False)
    assert (score.users, score.recall) == (1, 1)
    assert score.ndcg == pytest.approx((1 + 1 / 2) / (1 + 1 / np.log2(3)))
    with pytest.raises(NotEnoughData, match="not met before"):
        split.asked(new=True)


def test_the_configuration_is_chosen_on_the_validation_days(log):
    validation, test = splits_of(log, 30)
    (entry,) = leaderboard(validation, test, {"own": [Popular(0.1), OwnHistory(), Popular(0.2)]})
    assert entry.settings == {"half_life": "none"}
    assert entry.tried == 3
    assert 0 < entry.new.ndcg_low <= entry.new.ndcg <= entry.new.ndcg_high < entry.all.ndcg <= 1
    assert 0 < entry.all.coverage <= 1


@pytest.mark.parametrize("name", ["random", "leave-one-out"])
def test_a_leaky_split_must_be_named_so(log, name):
    with pytest.raises(BadSetting, match=f"'leaky-{name}'"):
        splits_of(log, 30, name)
    validation, test = splits_of(log, 30, f"leaky-{name}", seed=1)
    assert len(validation.known.user) < len(test.known.user) < len(log.user)


def test_a_log_that_is_too_short_is_refused(log):
    with pytest.raises(NotEnoughData, match="a smaller --days"):
        splits_of(log, 80)
    with pytest.raises(BadSetting, match="--days is 0"):
        splits_of(log, 0)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_configurations_with_names_of_their_own(method):
    names = {ranker.name for ranker in configurations(method, 30, 0)}
    assert len(names) == 1


@pytest.fixture(scope="module")
def shop(tmp_path_factory, log):
    """`made_up` as a log on disk."""
    path = tmp_path_factory.mktemp("shop")
    write_shop(path, log)
    return path


def write_shop(path: Path, log: Interactions) -> None:
    """Interactions as a log's tables."""
    ids, items = np.array(log.user_ids), log.items
    tables = {
        "users": pd.DataFrame(
            {
                "user_id": ids,
                "timezone": "UTC",
                "signed_up_at": pd.Timestamp("2024-01-01", tz="UTC"),
            }
        ),
        "items": pd.DataFrame(
            {
                "item_id": items.ids,
                "title": items.titles,
                "category": items.categories,
                "brand": "",
                "price": items.price,
            }
        ),
        "events": pd.DataFrame(
            {
                "user_id": ids[log.user],
                "item_id": np.array(items.ids)[log.item],
                "event": "purchase",
                "at": pd.to_datetime(log.at, unit="us", utc=True),
                "value": 1.0,
            }
        ),
    }
    write_log(path, tables, LogMeta(default_timezone="UTC"))


def test_interactions_of_a_log_are_its_events(shop, log):
    from ingestion.read import read_log

    again = interactions_of(read_log(shop))
    assert again.user_ids == log.user_ids
    order = np.argsort(np.array(again.items.ids)[again.item], kind="stable")
    expected = np.argsort(np.array(log.items.ids)[log.item], kind="stable")
    np.testing.assert_array_equal(np.sort(again.at), log.at)
    np.testing.assert_array_equal(again.user[order], log.user[expected])
    with pytest.raises(NotEnoughData):
        interactions_of(log_of({}))


def test_the_command_prints_json_and_a_table(shop, capsys):
    line = ["candidates", "evaluate", str(shop), "--methods", "popularity", "own-history"]
    assert main([*line, "--days", "20", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {each["method"] for each in printed["methods"]} == {"popularity", "own-history"}
    for each in printed["methods"]:
        for which in ("new", "all"):
            assert {"ndcg@20", "recall@20", "coverage", "users"} <= each[which].keys()
    assert main([*line, "--days", "20"]) == 0
    assert "own-history" in capsys.readouterr().out


def test_the_command_says_what_is_wrong(shop, capsys):
    for options, sentence in (
        (["--methods", "crystal"], "there is no method 'crystal'"),
        (["--split", "random"], "name it 'leaky-random'"),
        (["--days", "80"], "a smaller --days may do"),
    ):
        assert main(["candidates", "evaluate", str(shop), *options]) == 1
        assert sentence in capsys.readouterr().err
