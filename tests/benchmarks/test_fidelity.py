"""What the benchmark of simulated against true values says of values whose answer is known."""

import pytest

from benchmarks.fidelity import judged, of_cards, said_by


def row(name: str, simulated: float, true: float, spread: float, luck: float = 0.0):
    each = {"simulated": simulated, "true": true, "spread": spread, "luck": luck}
    return each | {"policy": name, "margin": 2 * spread}


def test_errors_are_shares_of_the_best_true_value_and_ranks_are_compared():
    rows = [row("a", 1.0, 2.0, 0.1), row("b", 3.0, 4.0, 0.3), row("c", 2.5, 5.0, 0.2)]
    found = judged(rows)
    assert found["error"] == pytest.approx(1.5 / 5)
    assert found["worst"] == pytest.approx(2.5 / 5)
    assert found["rank_correlation"] == pytest.approx(0.5)
    assert found["spread"] == pytest.approx(0.2 / 5)
    assert found["margin"] == pytest.approx(0.4 / 5)
    assert found["within"] == 0
    near = [each | {"margin": 1.2} for each in rows]
    assert judged(near)["within"] == pytest.approx(2 / 3)


def test_the_luck_of_the_users_widens_the_interval():
    hold = row("hold", 0.0, 0.0, 0.0)
    assert judged([hold, row("a", 1.0, 2.0, 0.3, luck=0.4)])["within"] == 0.0
    assert judged([hold, row("a", 1.0, 2.0, 0.3, luck=0.41)])["within"] == 1.0


def test_a_card_is_summed_up_by_its_heads_against_boosting():
    head = {"log_loss": 0.3, "over_boosting": 0.2}
    value = {"mean": 0.1, "standard_error": 0.01}
    card = {
        "heads": {"later_days": {"open": head, "click": {"pushes": 0, "log_loss": None}}},
        "goals": [{"passed": True}, {"passed": False}],
        "whole": {"auc": 0.5, "value_per_user_day": {"logged": value, "expected": 0.11}},
    }
    said = said_by(card)
    assert said["over_boosting"] == {"later_days: open": pytest.approx(0.2)}
    table = of_cards([{"world": "logit", "seed": 0, "card": said}])
    assert (
        "| 1 of 2 | +20.0% | +20.0% (later days: open) | 0.50 | 0.1000 ±0.0200 | 0.1100 |" in table
    )
