"""The mistakes that people make with logs, each with the answer that it must get."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scripts.cli import main

ACTIONS = 4
LOGGING = np.array([0.4, 0.3, 0.2, 0.1])
TARGET = np.array([0.1, 0.2, 0.3, 0.4])
WORTH = np.array([0.1, 0.2, 0.3, 0.5])


@pytest.fixture(scope="module")
def good() -> pd.DataFrame:
    """6,000 decisions of 1,500 users; the target is better."""
    rng = np.random.default_rng(3)
    action = rng.choice(ACTIONS, 6000, p=LOGGING)
    return pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in np.arange(6000) % 1500],
            "decision_id": [f"d{n}" for n in range(6000)],
            "reward": (rng.random(6000) < WORTH[action]).astype(float),
            "propensity": LOGGING[action],
            "target_propensity": TARGET[action],
            "action": action,
        }
    )


class Asked:
    """`pushwise evaluate --table FILE --json`, and what came of it."""

    def __init__(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._file, self._capsys = tmp_path / "table.csv", capsys

    def found(self, frame: pd.DataFrame, estimators: str = "ips,snips") -> dict:
        frame.to_csv(self._file, index=False)
        command = ["evaluate", "--table", str(self._file), "--estimators", estimators, "--json"]
        assert main(command) == 0
        return json.loads(self._capsys.readouterr().out)

    def refused(self, frame: pd.DataFrame) -> str:
        frame.to_csv(self._file, index=False)
        assert main(["evaluate", "--table", str(self._file), "--json"]) == 1
        out, said = self._capsys.readouterr()
        assert out == ""
        assert said.count("\n") == 1
        return said


@pytest.fixture
def ask(tmp_path, capsys) -> Asked:
    return Asked(tmp_path, capsys)


def test_no_mistake(good, ask):
    found = ask.found(good, "ips,snips,ips:clip=2,ips:clip=slope")
    assert found["verdict"] == "better"
    assert list(found["estimators"]) == ["ips", "snips", "ips:clip=2", "ips:clip=slope"]
    truth = float(TARGET @ WORTH)
    for each in found["estimators"].values():
        assert set(each) == {"value", "low", "high"}
        assert each["low"] < truth < each["high"]


def test_the_propensity_column_has_another_name(good, ask):
    said = ask.refused(good.rename(columns={"propensity": "pscore"}))
    assert "the table lacks the column propensity; it has user_id, decision_id, reward, ps" in said


@pytest.mark.parametrize(
    ("value", "what"),
    [(np.nan, "missing"), (0.0, "0"), (1.2, "1.2"), (-0.1, "-0.1"), (np.inf, "inf")],
)
def test_a_propensity_that_can_not_be(good, ask, value, what):
    wrong = good.copy()
    wrong.loc[[17, 40], "propensity"] = value
    said = ask.refused(wrong)
    assert "propensity must be above 0" in said
    assert f"2 of 6000 rows are not, the first is {what} (rows 17, 40, counted from 0)" in said


def test_propensities_replaced_by_1(good, ask):
    found = ask.found(good.assign(propensity=1.0))
    assert found["verdict"] == "cannot_tell"
    assert any("the propensity is 1 in 100% of the rows" in why for why in found["reasons"])
    assert any("the mean weight is 0.2" in why for why in found["reasons"])


def test_missing_propensities_replaced_by_1(good, ask):
    """A third of them: the mean weight falls to about 0.75."""
    filled = good["propensity"].where(np.arange(6000) % 3 > 0, 1.0)
    found = ask.found(good.assign(propensity=filled))
    assert found["verdict"] == "cannot_tell"
    assert found["diagnostics"]["mean_weight"]["value"] < 0.9
    assert any("were missing ones filled with 1?" in why for why in found["reasons"])


def test_propensities_logged_before_guardrails(good, ask):
    """Guardrails forbid action 0 to every other user; what it would have had goes to the rest."""
    rng = np.random.default_rng(5)
    masked = np.arange(6000) % 2 == 0
    after = np.where(masked[:, None] & (np.arange(ACTIONS) == 0), 0.0, LOGGING)
    after /= after.sum(1, keepdims=True)
    target = np.where(masked[:, None] & (np.arange(ACTIONS) == 0), 0.0, TARGET)
    target /= target.sum(1, keepdims=True)
    action = (after.cumsum(1) > rng.random((6000, 1))).argmax(1)
    rows = np.arange(6000)
    frame = good.assign(
        reward=(rng.random(6000) < WORTH[action]).astype(float),
        target_propensity=target[rows, action],
    )
    right = ask.found(frame.assign(propensity=after[rows, action]))
    assert right["verdict"] == "better"
    found = ask.found(frame.assign(propensity=LOGGING[action]))
    assert found["diagnostics"]["mean_weight"]["value"] == pytest.approx(1.33, abs=0.04)
    assert found["verdict"] == "cannot_tell"
    assert any("Those logged before guardrails are too small" in why for why in found["reasons"])


def test_decisions_without_outcomes_dropped(good, ask):
    """Only clicked decisions are left: every reward is 1, and no estimate means anything."""
    found = ask.found(good[good["reward"] > 0])
    assert found["verdict"] == "cannot_tell"
    assert any("every row has the reward 1: were decisions" in why for why in found["reasons"])


def test_half_of_the_decisions_without_outcomes_dropped(good, ask):
    """Dropping depends on the reward, and so on the action: the mean weight gives it away."""
    kept = (good["reward"] > 0) | (np.arange(6000) % 4 == 0)
    found = ask.found(good[kept])
    assert found["verdict"] == "cannot_tell"
    assert found["diagnostics"]["mean_weight"]["low"] > 1.0
    assert any("propensities are wrong" in why for why in found["reasons"])


def test_duplicated_outcomes(good, ask):
    """A join with several outcomes of a decision makes several rows of it."""
    twice = pd.concat([good, good[good["reward"] > 0]], ignore_index=True)
    said = ask.refused(twice)
    assert "rows repeat a decision_id, the first is 'd" in said
    assert "is one row, with the reward of all of them" in said


def test_identical_rows_without_user_ids_are_no_duplicates(good, ask):
    """Many decisions are alike in all that a table shows."""
    bare = good[["reward", "propensity", "target_propensity"]]
    assert bare.duplicated().sum() > 5900
    found = ask.found(bare)
    assert (found["rows"], found["users"]) == (6000, 6000)
    assert found["verdict"] == "better"
    assert found["estimators"]["ips"]["value"] == pytest.approx(
        (good["reward"] * good["target_propensity"] / good["propensity"]).mean()
    )


def test_an_effective_sample_size_of_a_handful(good, ask):
    """A target that always takes what the log took once in 600 decisions."""
    rng = np.random.default_rng(8)
    rare = rng.random(6000) < 1 / 600
    few = good.assign(
        propensity=np.where(rare, 1 / 600, 599 / 600),
        target_propensity=rare.astype(float),
        reward=np.where(rare, 50.0, good["reward"]),
    )
    found = ask.found(few)
    assert found["estimators"]["snips"]["value"] == pytest.approx(50.0)
    assert found["diagnostics"]["effective_sample_size"] < 20
    assert found["verdict"] == "cannot_tell"
    assert any("the effective sample size is" in why for why in found["reasons"])


def test_one_row_has_a_value_and_no_interval(good, ask):
    found = ask.found(good[good["reward"] > 0].head(1))
    assert found["verdict"] == "cannot_tell"
    assert (found["rows"], found["users"]) == (1, 1)
    for each in found["estimators"].values():
        assert each["value"] is not None
        assert each["low"] is each["high"] is None


def test_one_user_and_a_few_rows_decide_nothing(good, ask):
    found = ask.found(good.assign(user_id="u"))
    assert found["verdict"] == "cannot_tell"
    assert any("the number of users is 1" in why for why in found["reasons"])


@pytest.mark.parametrize("intervals", ["bootstrap", "analytic"])
def test_weights_of_any_size_are_numbers(good, tmp_path, capsys, intervals):
    """Of 1e100 and rewards of 1e100: no overflow, no interval of nonsense, no verdict."""
    wild = good.assign(
        propensity=np.where(np.arange(6000) % 9 == 0, 1e-100, good["propensity"]),
        reward=np.where(np.arange(6000) % 7 == 0, 1e100, good["reward"]),
    )
    wild.to_csv(tmp_path / "wild.csv", index=False)
    command = ["evaluate", "--table", str(tmp_path / "wild.csv"), "--intervals", intervals]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "cannot_tell"
    for each in found["estimators"].values():
        assert each["low"] < each["value"] < each["high"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "e+98" in printed
    assert max(len(word) for word in printed.split()) < 110


def test_rewards_that_no_number_can_hold_are_refused(good, ask):
    said = ask.refused(good.assign(reward=1e300))
    assert "reward must be a finite number, 1e+100 at most either way" in said


def test_every_estimator_goes_by_the_name_it_is_given(good, ask):
    names = (
        "ips,snips,dm,dr,sndr,switch_dr:10,dros:10,dros:100,ips:clip=5,sg_ips:0.1,sg_dr:0.1,mips,"
        "snmips,dros:slope,switch_dr:slope,ips:clip=slope"
    )
    model = good.assign(
        q_logged=WORTH[good["action"]], v_target=float(TARGET @ WORTH), item=good["action"]
    )
    found = ask.found(model, names)
    assert list(found["estimators"]) == names.split(",")
    assert found["verdict"] == "better"
    for each in found["estimators"].values():
        assert each["low"] < float(TARGET @ WORTH) < each["high"]
