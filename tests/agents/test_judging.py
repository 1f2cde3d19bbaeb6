"""Who judges, and when a training has had enough."""

from dataclasses import replace

import pytest

from agents.budgets import Budget, Prices
from agents.judging import KEPT_MEMBERS, Judge, Judgement, divided
from agents.network import FactorNetwork, fit_scaling
from policies.baselines import Hold


def test_members_that_judge_never_train(shop):
    members = tuple(replace(shop.response, base=shop.response.base + n) for n in range(5))
    learned, judged = divided(replace(shop, members=members))
    assert (len(learned.members), len(judged.members)) == (5 - KEPT_MEMBERS, KEPT_MEMBERS)
    both = [*learned.members, *judged.members]
    assert [id(each) for each in both] == [id(each) for each in members]
    few = replace(shop, members=members[:KEPT_MEMBERS])
    assert all(each is few for each in divided(few))


@pytest.fixture
def judge(shop, quick, make_observation):
    network = FactorNetwork(fit_scaling([make_observation()]), 0.0, hidden=4)
    return Judge(network, shop, 0, 100, "toy", Budget(send=2.0), {})


def test_progress_shows_the_best_value_beside_the_baselines(shop, quick, make_observation):
    network = FactorNetwork(fit_scaling([make_observation()]), 0.0, hidden=4)
    judge = Judge(network, shop, 0, 100, "toy", Budget(), {"hold": Hold()})
    value = judge.judge(0, Prices()).value
    (task,) = judge._progress.tasks
    assert task.description == f"training toy: value {value:.3f}, hold 0.000"


def judged(*values, sends=1.0):
    return [Judgement(n, value, sends, 0.0, Prices()) for n, value in enumerate(values)]


def test_patience_counts_judgements_without_a_better_one(judge):
    judge.judgements = judged(1.0, 3.0, 2.0, 2.5)
    assert judge.chosen == 1
    assert [judge.tired(patience) for patience in (0, 1, 2, 3)] == [False, True, True, False]
    judge.judgements += judged(4.0)
    assert not judge.tired(1)


def test_what_is_beyond_its_budget_is_no_better(judge):
    judge.judgements = judged(1.0) + judged(9.0, sends=3.0)
    assert judge.chosen == 0
