"""What a log that can't tell still allows."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.advice import advice, needed, rounded
from evaluation.arrays import evaluate
from evaluation.assessment import assess
from evaluation.collected import collect
from evaluation.diagnostics import Coverage
from evaluation.mixture import certified_share, same_world, save_certified
from evaluation.outlook import SHARES, largest_certified, mixed, trials
from evaluation.sample import Sample
from evaluation.specification import parse
from mdp.errors import BadInput
from mdp.observation import observe
from mdp.response import ResponseModel
from policies.baselines import Greedy, Hold, Random
from policies.saved import PolicyBundle, load_policy
from serving.schemas import ExperimentIn
from simulator.description import own_beliefs
from simulator.kernel import Kernel
from simulator.worlds.logit import LogitShop

ACTIONS = 200


def drawn(seed: int, users: int = 2000, worth: float = 0.5) -> Sample:
    """A log that takes one of 200 actions by chance; the target always takes the one that is
    worth most."""
    rng = np.random.default_rng(seed)
    action = rng.integers(0, ACTIONS, users * 4)
    return Sample(
        reward=(rng.random(users * 4) < np.where(action == 0, worth, 0.02)).astype(float),
        propensity=np.full(users * 4, 1 / ACTIONS),
        target_propensity=(action == 0).astype(float),
        user=np.repeat(np.arange(users), 4),
    )


def collected(sample: Sample):
    return collect(sample, parse("snips"), sample.user, sample.users)


def mixture(sample: Sample, share: float) -> Sample:
    """The sample with the mixture as its target."""
    own = (1 - share) * sample.propensity + share * sample.target_propensity
    return replace(sample, target_propensity=own, q_logged=None, v_target=None)


def test_a_mixture_follows_from_the_sums_of_the_new_policy(sample):
    for share in (1.0, 0.3):
        derived = mixed(collected(sample), share)
        exact = assess(mixture(sample, share), "mix", parse("snips"))
        snips, _ = derived.sums.ratios(derived.sums.columns.sum(0))[[2, 1]]
        assert snips == pytest.approx(exact.estimates[0].value.value)
        assert exact.tally is not None
        assert derived.tally.effective_size == pytest.approx(exact.tally.effective_size)
        assert derived.tally.max_weight == pytest.approx(exact.tally.max_weight)


def test_a_greedy_policy_far_from_the_log_is_certified_in_part():
    """40 of 8,000 rows are what it would do: too few for a verdict, enough for a mixture."""
    sample = drawn(0)
    found = assess(sample, "greedy", parse("snips"))
    assert found.verdict.answer == "cannot_tell"
    assert found.outlook is not None
    certified = found.outlook.certified
    assert certified is not None
    assert 0.0 < certified.share < 1.0
    assert certified.difference.low > 0
    assert (
        assess(mixture(sample, certified.share), "mix", parse("snips")).verdict.answer == "better"
    )
    assert any(f"Start with a mixture: {certified.share:.0%}" in line for line in advice(found))


def test_nothing_is_certified_of_a_policy_that_is_not_better():
    """Five logs of one: no share of it may be called better."""
    for seed in range(5):
        found = collected(drawn(seed, worth=0.02))
        assert largest_certified(found) is None


def test_what_the_log_never_tried_is_in_a_mixture_by_its_share():
    found = collected(drawn(0))
    shares = tuple(share for share in SHARES if share < 0.5)
    plain = largest_certified(found, shares=shares)
    limited = largest_certified(found, Coverage(untried=0.5, executed=1.0), shares=shares)
    assert plain is not None
    assert limited is not None
    assert limited.share * 0.5 <= 0.05
    assert limited.share < plain.share


def test_a_trial_takes_as_long_as_a_difference_of_two_means():
    """Rewards of 0 and 1 by a coin, rows that are not alike: n = (2.8 / δ)² p (1 - p) (1/s + …)."""
    rng = np.random.default_rng(0)
    n = 40_000
    made = trials(
        replace(
            collected(
                Sample(
                    reward=(rng.random(n) < 0.5).astype(float),
                    propensity=np.full(n, 0.5),
                    target_propensity=np.full(n, 0.5),
                    user=np.arange(n),
                )
            ),
            per_day=1000.0,
        )
    )
    by = {(trial.difference, trial.share): trial for trial in made}
    assert by[0.2, 0.5].decisions == pytest.approx((2.8 / 0.1) ** 2 * 0.25 * 4, rel=0.05)
    assert by[0.2, 0.1].decisions == pytest.approx((2.8 / 0.1) ** 2 * 0.25 / 0.09, rel=0.05)
    assert by[0.2, 0.1].days == pytest.approx(by[0.2, 0.1].decisions / 1000)
    assert trials(collected(replace(drawn(0), reward=np.zeros(8000)))) == ()


def test_advice_on_what_is_weak(frame):
    equal = np.random.default_rng(0).permutation(frame["reward"].to_numpy())
    few = evaluate(frame.assign(reward=equal).head(600), estimators="snips")
    assert few.verdict.answer == "cannot_tell"
    rows = needed(few)
    assert rows is not None
    assert rows > 600
    assert any(f"needs about {rounded(rows)} decisions" in line for line in advice(few))
    seldom = np.where(frame["propensity"] > 0.5, "often", "seldom")
    weights = frame.assign(
        item=np.where(np.arange(2000) % 25 == 0, "rare", seldom),
        target_propensity=np.where(np.arange(2000) % 25 == 0, 0.9, 0.01),
        propensity=np.where(np.arange(2000) % 25 == 0, 0.04, 0.96),
        reward=frame["reward"],
    )
    told = evaluate(weights, estimators="snips")
    assert told.verdict.answer == "cannot_tell"
    assert any("explore more of these: by item" in line for line in advice(told))
    assert any("rare (4.0% →" in line for line in advice(told))
    nothing = evaluate(frame.assign(target_propensity=0.0), estimators="snips")
    assert any("was ever done in this log" in line for line in advice(nothing))
    assert any("None of the 2,000 decisions is" in line for line in advice(nothing))
    assert [rounded(x) for x in (0.4, 7, 1234, 98765)] == ["0", "7", "1,200", "99,000"]


def test_advice_where_the_log_can_tell(frame):
    better = evaluate(frame)
    assert better.outlook is None
    assert advice(better)[0].startswith("Activate it")
    worse = evaluate(frame.assign(reward=1 - frame["reward"]), estimators="snips")
    assert advice(worse) == ["Don't activate it."]
    same = evaluate(frame.assign(target_propensity=frame["propensity"]), estimators="snips")
    assert advice(same)[0].startswith("There is nothing to gain")


def test_what_is_certified_is_saved_as_a_policy_that_can_be_served(tmp_path, sample):
    bundle = PolicyBundle(Hold(), None, None, manifest={"trained_until": 7})
    found = assess(drawn(0), "greedy", parse("snips"))
    share = save_certified(tmp_path / "mix", bundle, found)
    assert share == certified_share(found)
    assert share is not None
    loaded = load_policy(tmp_path / "mix")
    assert loaded.manifest["certified"]["share"] == share
    assert loaded.manifest["certified"]["difference"]["low"] > 0
    assert loaded.trained_until == 7
    body = ExperimentIn.model_validate_json((tmp_path / "mix" / "experiment.json").read_text())
    assert body.challenger is not None
    assert (body.challenger.policy, body.challenger.share) == ("mix", share)
    assert save_certified(tmp_path / "all", bundle, assess(sample, "t")) == 1.0
    equal = assess(drawn(0, worth=0.02), "equal", parse("snips"))
    assert save_certified(tmp_path / "none", bundle, equal) is None
    assert not (tmp_path / "none").exists()


def test_with_the_running_policy_both_are_saved_as_one_that_draws_between_them(tmp_path):
    shop = LogitShop().simulator(20, 0)
    requests = Kernel(shop, np.arange(20)).requests()
    model = shop.response.bind(shop.catalog)
    seen = observe(requests, shop.catalog, shop.guardrails, shop.reward, model, shop.traits)
    assert isinstance(shop.response, ResponseModel)
    new = PolicyBundle(Greedy(), shop.response, own_beliefs(shop), shop.reward)
    running = replace(new, policy=Random(hold=0.4))
    share = save_certified(
        tmp_path / "mix", new, assess(drawn(0), "greedy", parse("snips")), running
    )
    assert share is not None
    assert not (tmp_path / "mix" / "experiment.json").exists()
    loaded = load_policy(tmp_path / "mix")
    assert loaded.manifest["certified"]["share"] == share
    expected = [x.policy.probabilities(seen.observation) for x in (running, new)]
    np.testing.assert_allclose(
        loaded.policy.probabilities(seen.observation),
        (1 - share) * expected[0] + share * expected[1],
        atol=1e-15,
    )


def test_policies_that_can_not_be_one_are_refused():
    shop = LogitShop().simulator(20, 0)
    assert isinstance(shop.response, ResponseModel)
    new = PolicyBundle(Greedy(), shop.response, own_beliefs(shop), manifest={"policy_hash": "n"})
    running = replace(new, policy=Random(), manifest={"policy_hash": "r"})
    same_world(new, running, ["r", "x"])
    same_world(new, running, [])
    with pytest.raises(BadInput, match="no decision of the log does"):
        same_world(new, running, ["x"])
    same_world(new, replace(running, model=None, traits=None), [])
    greedy = replace(running, policy=Greedy(threshold=1.0))
    with pytest.raises(BadInput, match="another response model, traits or reward"):
        same_world(new, replace(greedy, model=None), [])
    for change in ({"traits": None}, {"reward": replace(new.reward, click=0.3)}):
        with pytest.raises(BadInput, match="another response model, traits or reward"):
            same_world(new, replace(running, **change), [])
