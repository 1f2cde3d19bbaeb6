"""Off-policy evaluation from Python."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.arrays import evaluate, of_distributions
from evaluation.assessment import assess
from evaluation.regression import cross_fitted_rewards, logistic, ridge
from evaluation.specification import parse
from mdp.errors import BadInput


def test_arrays_and_a_frame_say_the_same_as_the_sample(frame, sample):
    columns = {name: frame[name].to_numpy() for name in frame}
    by_frame, by_arrays = evaluate(frame), evaluate(**columns)
    expected = assess(sample, "data")
    for found in (by_frame, by_arrays):
        assert found.estimates == expected.estimates
        assert found.verdict == expected.verdict
    quick = evaluate(frame, estimators="snips", method="analytic").estimates[0]
    assert quick.value.value == expected.estimates[1].value.value


def test_segments_measures_and_overlap(frame):
    """What a segment is worth is what its rows alone say."""
    segment = np.where(np.arange(len(frame)) % 400 < 150, "new", "old")
    item = np.where(frame["propensity"] > 0.5, "lamp", "sofa")
    more = frame.assign(
        segment=segment, item=item, hour=9, sent=1.0, clicked=frame["reward"], revenue=2.0
    )
    found = evaluate(more, estimators="snips,mips")
    for name in ("new", "old"):
        alone = evaluate(more[segment == name], estimators="snips")
        pair = found.segments["segment"][name]["reward per decision"]
        assert alone.logged is not None
        assert pair.logged.value == pytest.approx(alone.logged.value)
        assert pair.target.value == pytest.approx(alone.estimates[0].value.value)
        assert pair.target.low < pair.target.value < pair.target.high
        clicks = found.segments["segment"][name]["CTR (clicks per send)"]
        assert clicks.target.value == pytest.approx(pair.target.value)
    assert set(found.measures) == {
        "sends per decision", "clicks per decision", "revenue per decision", "CTR (clicks per send)"
    }  # fmt: skip
    ctr = found.measures["CTR (clicks per send)"]
    assert ctr.target.value == pytest.approx(found.estimates[0].value.value)
    assert found.measures["revenue per decision"].target.value == pytest.approx(2.0)
    assert found.diagnostics is not None
    lamp, sofa = found.diagnostics.overlap["item"]
    assert (lamp.name, sofa.name) == ("lamp", "sofa")
    assert lamp.logged == pytest.approx(0.7, abs=0.03)
    assert lamp.target == pytest.approx(0.4, abs=0.03)
    assert [level.name for level in found.diagnostics.overlap["hour"]] == ["9"]


def test_ids_that_repeat_are_refused_and_rows_that_repeat_are_not(frame):
    assert evaluate(pd.concat([frame, frame])).rows == 2 * len(frame)
    with pytest.raises(BadInput, match="1 of 2000 rows repeat a decision_id, the first is '7'"):
        evaluate(frame.assign(decision_id=np.where(np.arange(2000) == 9, 7, np.arange(2000))))


def test_drift_between_halves_is_noted(frame):
    risen = frame.assign(reward=frame["reward"] + (np.arange(2000) >= 1000))
    assert any("second half is +1" in note for note in evaluate(risen).notes)
    assert not any("second half" in note for note in evaluate(frame).notes)
    backwards = risen.assign(decided_at=pd.Timestamp("2026-03-01", tz="UTC"))
    backwards["decided_at"] -= pd.to_timedelta(np.arange(2000), unit="h")
    assert any("second half is -1" in note for note in evaluate(backwards).notes)


ONES = {name: np.ones(3) for name in ("reward", "propensity", "target_propensity")}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"reward": np.zeros((3, 1))}, r"must have the shape \(n,\)"),
        ({"reward": np.zeros(3), "propensity": np.ones(2)}, r"must have the shape \(n,\)"),
        ({"reward": np.zeros(3), "pscore": np.ones(3)}, "there is no column 'pscore': use reward"),
        ({"reward": np.zeros(3)}, "lacks the columns propensity, target_propensity"),
        ({"data": [1.0, 2.0]}, "data is a list: give a DataFrame, or columns by name"),
        ({"estimators": ["ips"]}, r"estimators is \['ips'\]: give one text, such as 'snips,dr'"),
        ({"method": "jackknife"}, "no intervals 'jackknife': use bootstrap or analytic"),
        ({"seed": -1}, "the seed is -1: use a whole number, not negative"),
        ({"seed": 0.5}, "the seed is 0.5: use a whole number"),
        ({"replicates": 1}, "1 resamples: use 100 at least"),
        ({**ONES, "comparisons": 0}, "0 policies are compared: use 1 at least"),
        ({**ONES, "reward": 1j * np.ones(3)}, "reward must be a number, and its column holds comp"),
        ({**ONES, "reward": np.ma.masked_equal([1, 0, 1], 0)}, "1 of 3 rows are not, the first is"),
    ],
)
def test_arrays_that_do_not_fit(columns, message):
    with pytest.raises(BadInput, match=message):
        evaluate(**columns)


def test_intervals_without_users_are_said_to_be_narrow(frame):
    assert any("no user_id" in note for note in evaluate(frame.drop(columns="user_id")).notes)
    assert not any("no user_id" in note for note in evaluate(frame).notes)


def test_a_column_that_is_there_twice_is_refused(frame):
    for name in ("reward", "user_id"):
        with pytest.raises(BadInput, match=f"more than one column {name}"):
            evaluate(pd.concat([frame, frame[[name]]], axis=1))


def test_a_frame_and_arrays_are_too_much(frame):
    with pytest.raises(BadInput, match="give a DataFrame or arrays, not both: reward"):
        evaluate(frame, reward=frame["reward"])


def test_distributions_must_be_distributions():
    action, target = np.array([0, 1]), np.array([[0.5, 0.5], [0.2, 0.8]])
    found = of_distributions(action, target, np.array([[1.0, 3.0], [2.0, 4.0]]))
    np.testing.assert_allclose(found["target_propensity"], [0.5, 0.8])
    np.testing.assert_allclose(found["q_logged"], [1.0, 4.0])
    np.testing.assert_allclose(found["v_target"], [2.0, 3.6])
    for first, said in (
        ([0.5, 0.2], "0.7"),
        ([1.5, -0.5], "1, the least is -0.5"),
        ([np.nan, 1], "n"),
    ):
        with pytest.raises(BadInput, match=f"not be negative and sum to 1: row 0's sum to {said}"):
            of_distributions(action, np.array([first, [0.2, 0.8]]))
    for wrong in ([0, 2], [-1, 0], [0.0, 1.0], [[0], [1]]):
        with pytest.raises(BadInput, match=r"action must be .* whole numbers from 0 to 1"):
            of_distributions(np.array(wrong), target)
    with pytest.raises(BadInput, match=r"q has shape \(2, 3\) and target \(2, 2\): give one K"):
        of_distributions(action, target, np.zeros((2, 3)))
    with pytest.raises(BadInput, match=r"q has shape \(2,\): give \(n, K\) with n = 2"):
        of_distributions(action, target, np.zeros(2))


def test_regressions_find_what_made_the_rewards():
    rng = np.random.default_rng(0)
    design = np.column_stack([np.ones(20_000), rng.normal(size=(20_000, 2))])
    truth = np.array([-1.0, 0.5, -2.0])
    clicks = rng.random(20_000) < 1 / (1 + np.exp(-design @ truth))
    np.testing.assert_allclose(logistic(design, clicks.astype(float), 100.0), truth, atol=0.1)
    amounts = design @ truth + rng.normal(size=20_000)
    np.testing.assert_allclose(ridge(design, amounts, 100.0), truth, atol=0.05)


def test_cross_fitted_predictions_have_not_seen_their_own_user():
    """A user's own rewards change the predictions of all others' rows only."""
    rng = np.random.default_rng(1)
    n, K = 600, 3
    user = np.arange(n) % 60
    context, action = rng.normal(size=(n, 2)), rng.integers(0, K, n)
    target = np.full((n, K), 1 / K)
    reward = rng.normal(size=n) + action
    q, v = cross_fitted_rewards(context, action, reward, target, user=user)
    changed = np.where(user == 7, reward + 100.0, reward)
    q2, v2 = cross_fitted_rewards(context, action, changed, target, user=user)
    own = user == 7
    np.testing.assert_array_equal(q[own], q2[own])
    np.testing.assert_array_equal(v[own], v2[own])
    assert not np.allclose(q[~own], q2[~own])
    by_action = [q[action == a].mean() for a in range(K)]
    np.testing.assert_allclose(by_action, [0, 1, 2], atol=0.3)
    with pytest.raises(BadInput, match="shapes don't fit: context"):
        cross_fitted_rewards(context[:-1], action, reward, target)


def test_slope_is_resolved_once_and_named(sample):
    found = assess(replace(sample, user=np.arange(2000)), "t", parse("dros:slope,switch_dr:slope"))
    assert [each.estimator for each in found.estimates] == ["dros:slope", "switch_dr:slope"]
    assert sum("chosen by SLOPE" in note for note in found.notes) == 2
