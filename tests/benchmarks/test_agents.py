"""The tables of the agents' benchmark."""

import json
from dataclasses import replace

import pytest

from benchmarks.agents import (
    Args,
    by_world,
    cell,
    in_detail,
    main,
    merged,
    over_shops,
    promises,
)


def _policy(share, gain=0.0, **more):
    values = {
        "value": 10 * share,
        "share": share,
        "share_half_width": 0.03,
        "gain": gain,
        "gain_half_width": 0.01,
        "simulated": 11 * share,
        "sends_per_week": 2.0,
        "unsubscribes": 40.0,
        "cpu_seconds": None,
        "user_days": None,
    }
    return values | more


@pytest.fixture
def found():
    """One shop in each of two worlds, two training seeds of PPO."""
    trained = {"cpu_seconds": 50.0, "user_days": 1000}
    policies = {
        "fitted planner": _policy(0.6),
        "ppo-0": _policy(0.62, 0.02, **trained),
        "ppo-1": _policy(0.64, 0.04, **trained),
        "oracle planner": _policy(1.0, simulated=None),
    }
    return [{"world": world, "seed": 0, "policies": policies} for world in ("logit", "hazard")]


def test_training_seeds_are_one_policy(found):
    policies = merged(found[0]["policies"])
    assert list(policies) == ["fitted planner", "ppo", "oracle planner"]
    assert policies["ppo"]["share"] == pytest.approx(0.63)
    assert policies["ppo"]["spread"] == pytest.approx(0.02)


def test_a_row_a_policy_and_a_column_a_world(found):
    rows = by_world(found).splitlines()
    assert rows[0].startswith("| policy | logit | hazard | mean |")
    assert rows[3] == "| ppo | 63.0% ±3.0% | 63.0% ±3.0% | 63.0% | +3.0 ±1.0, +3.0 ±1.0 |"


def test_details_leave_out_what_is_not_known(found):
    rows = in_detail(found).splitlines()
    assert rows[3] == "| ppo | 6.93 / 6.30 | 2.00 | 40 | 50 | 1,000 | 2.0% |"
    assert rows[4] == "| oracle planner | – / 10.00 | 2.00 | 40 |  |  |  |"


def test_promises_are_held_to_the_best_true_value(found):
    rows = promises(found).splitlines()
    # 11 for 10 of shares .6 and .63: off by .6 and .63, of 6.3.
    assert rows[2] == "| logit | 1 | 9.8% | 9.8% | 0 | 1.00 |"
    found[0]["policies"]["fitted planner"]["simulated"] = 9.0
    assert promises(found).splitlines()[2] == "| logit | 1 | 28.8% | 28.8% | 1 | -1.00 |"


def test_intervals_are_over_shops_from_three_on():
    assert over_shops([0.5, 0.7], [0.03, 0.04]) == (pytest.approx(0.6), pytest.approx(0.025))
    mean, half = over_shops([0.5, 0.6, 0.7], [0.0, 0.0, 0.0])
    assert mean == pytest.approx(0.6)
    assert half == pytest.approx(4.30 * 0.1 / 3**0.5)


def test_a_finished_shop_is_not_run_again(found, tmp_path):
    (tmp_path / "logit-0").mkdir()
    (tmp_path / "logit-0" / "result.json").write_text(json.dumps(found[0]))
    args = replace(Args(), out=tmp_path, algos=("ppo",), training_seeds=2)
    assert cell(args, "logit", 0, ()) == found[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"worlds": ("nope",)}, "there is no world 'nope'"),
        ({"algos": ("best",)}, "there is no agent 'best'; choose among ppo, dqn, greedy"),
        ({"shops": 11}, "--shops is 11; it can be 1 to 10"),
        ({"sample": 1}, "--sample is 1; it must be 2 or more"),
    ],
)
def test_arguments_are_checked_before_anything_runs(tmp_path, wrong, message):
    with pytest.raises(SystemExit, match=message):
        main(replace(Args(), out=tmp_path / "out", **wrong))
    assert not (tmp_path / "out").exists()


def test_results_of_other_arguments_are_not_shown(found, tmp_path, capsys):
    (tmp_path / "logit-0").mkdir()
    (tmp_path / "logit-0" / "result.json").write_text(json.dumps(found[0]))
    same = Args(out=tmp_path, worlds=("logit",), shops=1, algos=("ppo",), training_seeds=2)
    with pytest.raises(SystemExit, match="results of --users 3000, and now it is 10"):
        main(replace(same, users=10))
    main(same)
    assert "| ppo | 63.0%" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="results of --live 28, and now it is 2"):
        main(replace(same, live=2))
