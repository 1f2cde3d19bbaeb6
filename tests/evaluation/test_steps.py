"""A user's days from a plain table."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.arrays import evaluate
from evaluation.days import evaluated
from evaluation.intervals import Intervals
from evaluation.sequential import Trajectories
from evaluation.specification import SEQUENTIAL, divided, parse
from evaluation.table import read_table
from mdp.errors import BadInput
from scripts.cli import main

USERS, STEPS = 300, 4


@pytest.fixture
def days() -> pd.DataFrame:
    """Four days of 300 users, in no order; a send earns more than a hold and tires."""
    rng = np.random.default_rng(2)
    n = USERS * STEPS
    user, day = np.repeat(np.arange(USERS), STEPS), np.tile(np.arange(STEPS), USERS)
    send, tired = rng.integers(0, 2, n), rng.integers(0, 2, n)
    chance = np.where(tired == 1, 0.2, 0.7)
    frame = pd.DataFrame(
        {
            "user_id": [f"u{each}" for each in user],
            "step": day,
            "reward": (rng.random(n) < 0.1 + 0.4 * send * (1 - tired)).astype(float),
            "propensity": 0.5,
            "target_propensity": np.where(send == 1, chance, 1 - chance),
            "state": np.where(tired == 1, "tired", "fresh"),
            "feature_send": send,
            "feature_both": send * tired,
            "target_feature_send": chance,
            "target_feature_both": chance * tired,
        }
    )
    return frame.sample(frac=1.0, random_state=1, ignore_index=True)


def trajectories(frame: pd.DataFrame, tmp_path) -> Trajectories:
    """What the table says, put together by hand."""
    frame.to_csv(tmp_path / "by_hand.csv", index=False)
    sample = read_table(tmp_path / "by_hand.csv")
    names = ("send", "both")
    return Trajectories(
        replace(sample, features={}, segments={}, measures={}),
        frame["step"].to_numpy(),
        0.9,
        (frame["state"] == "tired").to_numpy(np.int64),
        frame[[f"feature_{name}" for name in names]].to_numpy(float),
        frame[[f"target_feature_{name}" for name in names]].to_numpy(float),
    )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_says_what_its_trajectories_say(days, tmp_path, capsys, ending):
    how = Intervals(replicates=200)
    expected = evaluated(trajectories(days, tmp_path), (), how)
    assert tuple(expected.estimates) == SEQUENTIAL
    found = evaluate(days, days=True, discount=0.9, replicates=200)
    assert found.days == expected
    file = tmp_path / f"days.{ending}"
    days.to_csv(file, index=False) if ending == "csv" else days.to_parquet(file)
    command = ["evaluate", "--table", str(file), "--estimators", "snips,pdis,SDR", "--json"]
    assert main([*command, "--discount", "0.9"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert list(said["estimators"]) == ["snips", "pdis", "sdr"]
    for name in ("pdis", "sdr"):
        assert said["estimators"][name]["value"] == pytest.approx(expected.estimates[name].value)
        assert said["days"]["estimates"][name] == said["estimators"][name]
    assert said["days"]["logged"]["value"] == pytest.approx(expected.logged.value)


def test_the_order_may_be_a_day_or_a_time(days):
    found = evaluate(days, estimators="pdis,sn_pdis", replicates=100).days
    shifted = days.rename(columns={"step": "day"}).assign(day=days["step"] * 3 - 7)
    assert evaluate(shifted, estimators="pdis,sn_pdis", replicates=100).days == found
    at = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(days["step"], unit="D")
    timed = days.drop(columns="step").assign(decided_at=at)
    assert evaluate(timed, estimators="pdis,sn_pdis", replicates=100).days == found


def test_arrays_and_a_q_of_ones_own(days):
    """A Q that knows nothing leaves `sdr` what `pdis` is."""
    bare = days[["user_id", "step", "reward", "propensity", "target_propensity"]]
    arrays = {name: bare[name].to_numpy() for name in bare}
    nothing = np.zeros(len(bare))
    given = evaluate(**arrays, q_to_go=nothing, v_to_go=nothing, estimators="pdis,sdr").days
    assert given is not None
    assert given.estimates["sdr"].value == pytest.approx(given.estimates["pdis"].value)
    there = evaluate(**arrays, days=True, replicates=100).days
    assert there is not None
    assert list(there.estimates) == ["first", "pdis", "sn_pdis"]


def test_names_of_both_kinds():
    chosen, named = divided("snips, fqe,PDIS,dros:2,pdis")
    assert chosen == parse("snips,dros:2")
    assert named == ("fqe", "pdis")
    assert divided("mis") == ((), ("mis",))


@pytest.mark.parametrize(
    ("change", "names", "message"),
    [
        (lambda x: x.drop(columns="user_id"), "pdis", "what days are worth needs a column user_id"),
        (lambda x: x.drop(columns="step"), "pdis", "needs a column step, day or decided_at"),
        (lambda x: x.assign(step=1), "pdis", r"has two decisions with the step '1' \(900 such"),
        (lambda x: x.assign(step=np.nan), "pdis", "step must be a finite number"),
        (lambda x: x.assign(step="soon"), "pdis", "step must be a number, and row 0"),
        (lambda x: x.assign(q_to_go=1.0), "sdr", "has one of q_to_go and v_to_go"),
        (lambda x: x.drop(columns="state"), "mis", "mis needs .*the column state"),
        (lambda x: x.drop(columns="feature_send"), "fqe", "feature 'send' is there once"),
        (lambda x: x.assign(feature_send=np.inf), "fqe", "feature_send must be a finite number"),
        (
            lambda x: x[[name for name in x if "feature" not in name]],
            "sdr",
            "sdr needs .*q_to_go and v_to_go",
        ),
    ],
)
def test_what_is_missing_is_named(days, change, names, message):
    with pytest.raises(BadInput, match=message):
        evaluate(change(days), estimators=names, replicates=100)


def test_users_who_can_not_be_followed(days, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("evaluation.steps._MOST_CELLS", 1000)
    with pytest.raises(BadInput, match="300 users are 1,200 steps, more than 1,000"):
        evaluate(days, estimators="pdis")
    days.to_parquet(tmp_path / "days.parquet")
    monkeypatch.setattr("evaluation.batches.is_large", lambda file: True)
    command = ["evaluate", "--table", str(tmp_path / "days.parquet"), "--estimators", "pdis"]
    assert main(command) == 1
    assert "read in batches, which can't follow users over their days" in capsys.readouterr().err
