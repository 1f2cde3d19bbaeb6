"""What a card passes follows from its figures, and what neither luck nor the ensemble explains is
said."""

from typing import Any

import numpy as np
import pytest

from simulator.fidelity_goals import disagreeing, goals_of, level_of_values, notes_of
from simulator.fidelity_pictures import wilson

VALUE = {"mean": 0.1, "standard_error": 0.01}


def head(over: float = 0.0, rate: float = 0.1) -> dict[str, Any]:
    return {
        "pushes": 10_000,
        "rate": rate,
        "predicted": 0.1,
        "members": [0.1, 0.1],
        "log_loss": 0.3 * (1 + over),
        "over_boosting": over,
        "standard_error": 0.004,
    }


def card(
    head: dict[str, Any], auc: float = 0.5, inside: bool = True, members: tuple[float, ...] = ()
) -> dict[str, Any]:
    value = {"logged": VALUE, "simulated": VALUE, "expected": 0.12, "members": list(members)}
    return {
        "judged": {"saved": True, "pushes": 9, "until": "then"},
        "heads": {
            "later_days": {"open": head},
            "unseen_users": {"open": head, "click": {"pushes": 0, "log_loss": None}},
        },
        "whole": {"auc": auc, "value_inside_interval": inside, "value_per_user_day": value},
    }


@pytest.mark.parametrize(
    ("made", "passed"),
    [
        (card(head(0.009)), [True, True, True, True]),
        (card(head(0.011)), [False, False, True, True]),
        (card(head(-0.2), auc=0.6), [True, True, False, True]),
        (card(head(), inside=False), [True, True, True, False]),
        (card(head()) | {"whole": None}, [True, True]),
    ],
)
def test_goals_are_passed_as_the_figures_say(made, passed):
    assert [goal["passed"] for goal in goals_of(made)] == passed


def test_a_goal_says_what_was_asked_and_found():
    first, *_, value = goals_of(card(head(-0.025)))
    assert first["found"] == "-2.5% ± 0.8%"
    assert value["asked"] == "in the logged 0.1000 ± 0.0196"
    assert value["found"] == "0.1200"


def test_values_are_doubted_where_the_logging_policys_is_outside_the_logged_interval():
    assert level_of_values(card(head())) is None
    assert level_of_values(card(head()) | {"whole": None}) is None
    before = card(head(), inside=False)
    del before["whole"]["value_per_user_day"]["expected"]
    assert level_of_values(before) is None
    said = level_of_values(card(head(), inside=False))
    assert said is not None
    assert "earned 0.1000 ± 0.0196 per user and day, where the fit expects 0.1200:" in said


def test_members_that_differ_by_more_than_the_interval_are_said():
    close, far = (0.1, 0.1025, 0.105), (0.08, 0.1, 0.12)
    assert notes_of(card(head(), members=close)) == []
    assert disagreeing(card(head(), members=far)["whole"]["value_per_user_day"])
    (said,) = notes_of(card(head(), members=far))
    assert "differ by more than the interval" in said


def test_a_level_that_is_off_is_said_where_neither_luck_nor_the_members_explain_it():
    assert notes_of(card(head(rate=0.105))) == []
    (said,) = notes_of(card(head(rate=0.11)))
    assert said.startswith("Of later pushes 11.00% were opened")
    unsure = head(rate=0.11) | {"members": [0.09, 0.11]}
    assert notes_of(card(unsure)) == []


def test_another_fit_in_place_of_the_saved_one_is_said_first():
    made = card(head())
    made["judged"]["saved"] = False
    assert "another fit of the same recipe" in notes_of(made)[0]


def test_intervals_of_rates_stay_between_none_and_all():
    low, high = wilson(np.array([0.0, 0.5, 1.0]), np.array([10.0, 100.0, 10.0]))
    np.testing.assert_allclose(low, [0.0, 0.404, 0.722], atol=1e-3)
    np.testing.assert_allclose(high, [0.278, 0.596, 1.0], atol=1e-3)
