"""The Open Bandit Dataset's format, made small."""

from pathlib import Path

import pandas as pd
import pytest

from ingestion.check import findings
from ingestion.open_bandit import find_open_bandit, import_open_bandit
from ingestion.parse import log_of
from mdp.errors import BadInput, NotEnoughData
from scripts.cli import main


def campaign(directory: Path, name: str = "men", **columns: list) -> Path:
    """A campaign of three rows; further columns replace its own."""
    directory.mkdir(parents=True)
    rows = {
        "timestamp": [f"2019-11-24 00:0{n}:13.442536+00:00" for n in range(3)],
        "item_id": [0, 1, 1],
        "position": [1, 2, 3],
        "click": [0, 1, 0],
        "propensity_score": [0.5, 0.5, 0.25],
        "user_feature_0": ["a", "b", "a"],
    }
    pd.DataFrame({**rows, **columns}).to_csv(directory / f"{name}.csv")
    items = pd.DataFrame({"item_id": [0, 1], "item_feature_0": [-0.5, 0.5]})
    items.assign(item_feature_1="c", item_feature_2="b").to_csv(directory / "item_context.csv")
    return directory


def test_rows_become_decisions_with_clicks(tmp_path):
    done = import_open_bandit([campaign(tmp_path / "random" / "men")])
    decisions, outcomes = done.tables["decisions"], done.tables["outcomes"]
    assert list(decisions["item_id"]) == ["men-0", "men-1", "men-1"]
    assert list(decisions["propensity"]) == [0.5, 0.5, 0.25]
    assert set(decisions["policy"]) == {"random"}
    assert set(decisions["hours"]) == {"9"}  # midnight UTC in Tokyo
    assert set(decisions["candidates"]) == {"men-0|men-1"}
    assert sorted(outcomes["outcome"]) == ["clicked", "opened"]
    assert set(outcomes["decision_id"]) == {"d1"}
    assert list(done.tables["users"]["user_feature_0"]) == ["a", "b", "a"]
    assert findings(log_of(done.tables, done.meta)) == []


def test_several_campaigns_become_one_log(tmp_path):
    campaign(tmp_path / "random" / "men")
    campaign(tmp_path / "bts" / "men")
    done = import_open_bandit(find_open_bandit(tmp_path))
    assert done.tables["decisions"]["policy"].value_counts().to_dict() == {"bts": 3, "random": 3}
    assert len(done.tables["items"]) == 2
    assert done.tables["decisions"]["decision_id"].is_unique


def test_rows_that_can_not_be_are_counted(tmp_path):
    directory = campaign(
        tmp_path / "bts" / "all", "all", propensity_score=[0.0, 0.5, 0.5], item_id=[0, 7, 1]
    )
    done = import_open_bandit([directory])
    assert len(done.tables["decisions"]) == 1
    assert {name: n for name, n in done.dropped.items() if n} == {
        "propensity not in (0, 1]": 1,
        "item unknown": 1,
    }


def test_numbers_beyond_all_bounds_are_counted(tmp_path):
    huge = 10**400
    directory = campaign(
        tmp_path / "bts" / "men",
        position=[huge, 1, 1],
        propensity_score=[0.5, huge, 0.5],
        click=[0, 0, huge],
    )
    file = directory / "men.csv"
    file.write_text(file.read_text().replace("\n1,", f"\n{huge},"))
    done = import_open_bandit([directory])
    assert len(done.tables["decisions"]) == 1
    assert done.dropped["propensity not in (0, 1]"] == done.dropped["click not 0 or 1"] == 1


def test_what_is_no_campaign_is_refused(tmp_path, capsys):
    with pytest.raises(BadInput, match=r"is not a directory: give one with item_context\.csv"):
        find_open_bandit(tmp_path / "absent")
    with pytest.raises(BadInput, match="holds no item_context"):
        find_open_bandit(tmp_path)
    directory = campaign(tmp_path / "random" / "men", click=[5, 5, 5])
    with pytest.raises(NotEnoughData, match="none of 3 rows can be read"):
        import_open_bandit([directory])
    (directory / "men.csv").unlink()
    with pytest.raises(BadInput, match=r"men\.csv is missing"):
        import_open_bandit([directory])
    (directory / "men.csv").write_text("n,item_id\n0,1\n")
    with pytest.raises(BadInput, match="lacks the column 'timestamp'"):
        import_open_bandit([directory])
    assert main(["import", "open-bandit", "--out", str(tmp_path / "log")]) == 1
    assert "no file is given: give a directory" in capsys.readouterr().err
