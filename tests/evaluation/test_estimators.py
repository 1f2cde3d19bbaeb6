"""Estimators: by hand, against obp, against the truth."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.coverage import NEAR
from evaluation.arrays import of_distributions
from evaluation.assessment import assess
from evaluation.intervals import Intervals
from evaluation.marginal import cell_weights, marginal_weights
from evaluation.sample import Sample
from evaluation.slope import slope
from evaluation.specification import PARAMETRIC, parse
from mdp.errors import BadInput, BadSetting


def value(specification: str, sample: Sample) -> float:
    """The estimate of one estimator."""
    (estimator,) = parse(specification)
    return estimator.terms(sample).value


def test_by_hand():
    by_hand = Sample(
        reward=np.array([1.0, 0.0, 2.0]),
        propensity=np.array([0.5, 0.25, 0.1]),
        target_propensity=np.array([0.25, 0.5, 0.4]),  # weights 0.5, 2, 4
        user=np.arange(3),
        q_logged=np.array([0.5, 0.5, 1.0]),
        v_target=np.array([1.0, 0.0, 1.5]),
        marginal_weight=np.array([1.0, 2.0, 1.0]),
    )
    assert value("ips", by_hand) == pytest.approx((0.5 + 0 + 8) / 3)
    assert value("snips", by_hand) == pytest.approx(8.5 / 6.5)
    assert value("ips:clip=2", by_hand) == pytest.approx((0.5 + 0 + 4) / 3)
    assert value("dm", by_hand) == pytest.approx(2.5 / 3)
    assert value("dr", by_hand) == pytest.approx((2.5 + 0.25 - 1.0 + 4.0) / 3)
    assert value("sndr", by_hand) == pytest.approx(2.5 / 3 + 3.25 / 6.5)
    assert value("switch_dr:2", by_hand) == pytest.approx((2.5 + 0.25 - 1.0) / 3)
    assert value("dros:2", by_hand) == pytest.approx((2.5 + 0.5 / 2.25 - 2 / 6 + 8 / 18) / 3)
    assert value("sg_ips:0.5", by_hand) == pytest.approx((0.5 / 0.75 + 8 / 2.5) / 3)
    assert value("mips", by_hand) == pytest.approx(1.0)
    assert value("snmips", by_hand) == pytest.approx(3 / 4)


ACTIONS = 6


@pytest.fixture(scope="module")
def made() -> dict[str, np.ndarray]:
    """600 rounds of 6 actions, whose estimates by obp 0.5.7 stand below."""
    rng = np.random.default_rng(12)
    n = 600
    logging, target = (
        weights / weights.sum(1, keepdims=True)
        for weights in (rng.random((n, ACTIONS)), rng.random((n, ACTIONS)) ** 4)
    )
    action = (logging.cumsum(1) > rng.random((n, 1))).argmax(1)
    reward = rng.random(n) * 2 - 0.5 + 0.2 * action
    q = rng.random((n, ACTIONS)) + 0.1 * np.arange(ACTIONS)
    given = rng.random((ACTIONS, 4, 2))
    return {
        "logging": logging,
        "target": target,
        "action": action,
        "reward": reward,
        "q": q,
        "given": given / given.sum(1, keepdims=True),
        "features": rng.integers(0, 4, (n, 2)),
    }


@pytest.fixture(scope="module")
def rounds(made) -> Sample:
    rows = np.arange(len(made["reward"]))
    columns: dict[str, Any] = {
        **of_distributions(made["action"], made["target"], made["q"]),
        "reward": made["reward"],
        "propensity": made["logging"][rows, made["action"]],
    }
    return Sample(user=rows, **columns)


@pytest.mark.parametrize(
    ("specification", "obp"),
    {
        "ips": 0.9641616340429501,
        "ips:clip=3": 0.844644954563162,
        "snips": 1.078936883479861,
        "dm": 0.7416686007967717,
        "dr": 1.06763092295674,
        "sndr": 1.1064339675002843,
        "switch_dr:2": 0.8782240803051389,
        "dros:5": 0.8906090032495736,
        "sg_ips:0.2": 0.7658244291826942,
        "sg_dr:0.2": 0.9832683805522738,
        "dr:clip=2": 0.9706306658859044,
        "switch_dr:inf": 1.06763092295674,
        "dros:inf": 1.06763092295674,
    }.items(),
)
def test_numbers_are_those_of_obp(rounds, specification, obp):
    assert value(specification, rounds) == pytest.approx(obp, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "delta", "chosen"),
    [
        ("ips", 0.1, 5.0),
        ("dr", 0.1, 2.0),
        ("switch_dr", 0.1, 5.0),
        ("dros", 0.1, 100.0),
        ("sg_ips", 0.1, 0.1),
        ("sg_dr", 0.1, 0.5),
        ("ips", 0.9999, 0.5),
        ("sg_ips", 0.9999, 1.0),
    ],
)
def test_slope_chooses_as_obp_does(rounds, name, delta, chosen):
    family = PARAMETRIC[name]
    numbers = [np.inf, 100.0, 10.0, 5.0, 2.0, 1.0, 0.5]
    if family.most == 1.0:
        numbers = [1.0, 0.5, 0.1, 0.01, 0.001]

    def rows(number: float) -> np.ndarray:
        return family.base(rounds, family.shrink(rounds.weights, number)).top

    assert slope(rows, numbers, delta) == chosen


@pytest.mark.parametrize("name", PARAMETRIC)
def test_slope_lies_between_what_it_may_choose_from(rounds, name):
    written = f"{name}:{'clip=' if name in ('ips', 'dr') else ''}slope"
    (estimator,) = parse(written)
    found = estimator.resolved(rounds)
    assert found.parameter is not None
    assert found.label == written
    assert found.terms(rounds).value == value(written, rounds)
    assessment = assess(rounds, "t", (estimator,), how=Intervals(replicates=100))
    assert any(f"{written} took {found.parameter:.4g}" in note for note in assessment.notes)


def test_marginal_weights_are_those_of_obp_and_joint_when_normalised_too(made, rounds):
    weights = marginal_weights(made["target"], made["logging"], made["given"], made["features"])
    marginal = replace(rounds, marginal_weight=weights)
    assert value("mips", marginal) == pytest.approx(1.022528907615684, rel=1e-12)
    # obp's self-normalised form multiplies the features' weights, 0.9821575; ours is joint.
    assert value("snmips", marginal) == pytest.approx(
        value("mips", marginal) / weights.mean(), rel=1e-12
    )
    one = marginal_weights(
        made["target"], made["logging"], made["given"][:, :, :1], made["features"][:, :1]
    )
    single = replace(rounds, marginal_weight=one)
    assert value("snmips", single) == pytest.approx(0.9940009636841743, rel=1e-12)


def test_marginal_weights_refuse_what_does_not_fit(made):
    with pytest.raises(BadInput, match=r"give \(n, K\), \(n, K\) and \(n, D\)"):
        marginal_weights(made["target"][:-1], made["logging"], made["given"], made["features"])
    with pytest.raises(BadInput, match=r"given_action has shape"):
        marginal_weights(made["target"], made["logging"], made["given"][1:], made["features"])
    never = made["given"] * (np.arange(4) > 0)[None, :, None]
    with pytest.raises(BadInput, match="never gives the features of row"):
        marginal_weights(made["target"], made["logging"], never, made["features"])


def test_features_that_say_all_of_the_reward_make_mips_steadier():
    """Ten items in two kinds, and only the kind matters."""
    rng, estimates = np.random.default_rng(0), []
    logging = np.array([0.3, 0.2, 0.2, 0.2, 0.1] * 2) / 2
    target = np.array([0.0, 0.0, 0.1, 0.1, 0.6, 0.0, 0.0, 0.0, 0.1, 0.1])
    kind = np.arange(10) // 5
    truth = float(target @ np.array([0.6, 0.2])[kind])
    for _ in range(200):
        item = rng.choice(10, 500, p=logging)
        sample = Sample(
            reward=(rng.random(500) < np.array([0.6, 0.2])[kind[item]]).astype(float),
            propensity=logging[item],
            target_propensity=target[item],
            user=np.arange(500),
            marginal_weight=cell_weights((target / logging)[item], kind[item]),
        )
        estimates.append([value(name, sample) for name in ("mips", "ips", "snmips", "snips")])
    spread = np.std(estimates, axis=0)
    assert (np.abs(np.mean(estimates, axis=0) - truth) < 4 * spread / 200**0.5).all()
    mips, ips, snmips, snips = spread
    assert mips < 0.9 * ips
    assert snmips < 0.6 * snips


@pytest.mark.parametrize("estimator", ["ips", "snips", "ips:clip=1", "sg_ips:1"])
def test_the_logging_policy_itself_is_worth_its_mean_reward(sample, estimator):
    same = replace(sample, target_propensity=sample.propensity)
    found = assess(same, "logging", parse(estimator))
    (estimate,) = found.estimates
    assert estimate.value.value == pytest.approx(sample.reward.mean(), rel=1e-12)
    assert (estimate.difference.low, estimate.difference.high) == (0.0, 0.0)
    assert found.verdict.answer == "no_difference"


def test_snips_moves_with_a_constant_added_to_rewards_and_ips_does_not(sample):
    moved = replace(sample, reward=sample.reward + 3.0)
    assert value("snips", moved) == pytest.approx(value("snips", sample) + 3.0)
    assert value("ips", moved) != pytest.approx(value("ips", sample) + 3.0, abs=1e-3)


def test_no_clipping_is_ips_and_clipping_all_is_too_low(sample):
    assert value("ips:clip=1000", sample) == value("ips", sample)
    assert value("ips:clip=0.5", sample) < value("ips", sample)


def biased(sample: Sample, by: float) -> Sample:
    """The sample with predictions that are all too high."""
    assert sample.q_logged is not None
    assert sample.v_target is not None
    return replace(sample, q_logged=sample.q_logged + by, v_target=sample.v_target + by)


def test_a_model_that_knows_makes_dr_less_variable_and_a_wrong_one_leaves_it_unbiased():
    far = replace(NEAR, shift=0.9)
    truth = far.truth(far.target())
    samples = [far.draw(np.random.default_rng([1, run])) for run in range(150)]
    wrong = [biased(s, 0.2) for s in samples]
    ips, dr = (np.array([value(name, s) for s in samples]) for name in ("ips", "dr"))
    misled = np.array([value("dr", s) for s in wrong])
    assert dr.std() < 0.97 * ips.std()
    for estimates in (ips, dr, misled):
        assert abs(estimates.mean() - truth) < 4 * estimates.std() / np.sqrt(len(estimates))
    assert abs(np.mean([value("dm", s) for s in wrong]) - truth) > 0.15


@pytest.mark.parametrize("name", ["dm", "dr", "sndr", "switch_dr:2", "dros:slope"])
def test_estimators_with_a_model_need_its_columns(sample, name):
    with pytest.raises(BadSetting, match=f"estimator {name} needs a reward model's predictions"):
        assess(replace(sample, v_target=None), "table", parse(name))


def test_mips_needs_features(sample):
    with pytest.raises(BadSetting, match="add columns item, variant or hour"):
        assess(sample, "table", parse("mips"))
