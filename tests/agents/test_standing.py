"""How a policy stands beside simple ones, and what is said where it is not above hold."""

from dataclasses import replace

import numpy as np
import pytest

from agents import judging
from agents.greedy import greedy_bundle
from agents.rollouts import population, rollout
from agents.search import best_threshold
from agents.standing import FRESH, standing
from mdp.reward import Reward
from policies.baselines import Greedy
from policies.standing import doubt, standing_said


def opening(shop, *shifts):
    """The shop with a member for each shift of the logit of an open."""
    members = []
    for shift in shifts:
        base = shop.response.base.copy()
        base[0] += shift
        members.append(replace(shop.response, base=base))
    return replace(shop, members=tuple(members))


def stood(*given, **more):
    """What `standing` finds, where it finds anything."""
    found = standing(*given, **more)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def bundle(shop, quick):
    return greedy_bundle(shop, 3)


def test_what_the_log_leaves_open_decides_whether_a_gain_is_sure(shop, quick, bundle):
    sure = stood(opening(shop, 0.0, 0.1, -0.1, 0.05, -0.05), bundle, 3)
    open_ = stood(opening(shop, 0.0, 2.0, -2.0, 1.0, -1.0), bundle, 3)
    assert sure["minus"]["hold"]["low"] > 0 > open_["minus"]["hold"]["low"]
    assert sure["minus"]["hold"] == sure["value"]  # who sends nothing earns nothing
    assert set(sure["minus"]) == {"hold", "logging"}  # greedy is not set beside itself
    assert "pushes a week: more than hold, +" in standing_said(sure)
    assert "pushes a week: not surely more or less than hold, +" in standing_said(open_)
    assert doubt({"standing": sure}) is None
    assert doubt({}) is None
    assert "than sending nothing" in (doubt({"standing": open_}) or "")


def test_the_mean_is_under_members_that_did_not_train_on_lives_of_their_own(shop, quick, bundle):
    place = opening(shop, -1.0, -1.0, -1.0, 0.0, 0.5)
    judged = replace(bundle, manifest={**bundle.manifest, "metrics": {}})
    found = stood(place, judged, 3)
    rows = population(shop, judging.USERS, 3 + FRESH)
    policy = replace(bundle.policy, floor=0.0)
    seen = replace(place, model=bundle.model, beliefs=bundle.traits)
    lives = [
        rollout(replace(seen, members=(each,)), policy, rows, 3 + FRESH, judging.DAYS).value.mean()
        for each in place.members
    ]
    assert found["value"]["mean"] == pytest.approx(np.mean(lives[-judging.KEPT_MEMBERS :]))
    assert found["members"] == judging.KEPT_MEMBERS
    every = stood(place, bundle, 3)
    assert every["value"]["mean"] == pytest.approx(np.mean(lives))


def test_a_learned_policy_stands_beside_greedy_with_its_threshold(shop, trained, quick):
    found = stood(shop, trained["ppo"], 3)
    assert set(found["minus"]) == {"hold", "logging", "greedy + threshold"}
    assert found["members"] == 1  # a truth is its only member


def test_nothing_is_said_of_a_reward_that_pays_all_purchases(shop, bundle):
    assert standing(replace(shop, reward=Reward(credit="all")), bundle) is None


def test_a_threshold_that_loses_to_hold_is_raised_until_it_does_not(shop, quick):
    tired = opening(shop, -6.0).members[0]  # nobody opens, whatever the model that greedy sees says
    place = replace(shop.believing(shop), response=tired)
    threshold = best_threshold(place)
    rows = population(place, 20, 0)
    assert rollout(place, Greedy(), rows, 0, 5).value.mean() < 0
    assert rollout(place, Greedy(threshold=threshold), rows, 0, 5).value.mean() == 0
