"""Which purchases and outcomes pay which decision."""

import numpy as np
import pytest

from mdp.attribution import Decisions, Outcomes, Purchases, attribute
from mdp.clock import DAY, HOUR, NEVER
from mdp.errors import BadSetting
from mdp.events import Kind
from mdp.reward import Reward

T0 = 20_000 * DAY
LAMP, SOFA = 11, 12


def decisions(*rows: tuple[int, float | None, int]) -> Decisions:
    """Rows of (user, hour of sending or None for a hold, item); decided at T0 + row days."""
    at = T0 + DAY * np.arange(len(rows))
    return Decisions(
        user=np.array([row[0] for row in rows]),
        decided_at=at,
        send_at=np.array(
            [
                NEVER if hour is None else t + hour * HOUR
                for t, (_, hour, _) in zip(at, rows, strict=True)
            ]
        ).astype(np.int64),
        item=np.array([row[2] for row in rows], np.uint64),
        margin=np.full(len(rows), 0.5),
    )


def outcomes(*rows: tuple[int, Kind, float, float]) -> Outcomes:
    """Rows of (decision, kind, hours after T0, value)."""
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return Outcomes(
        np.array(columns[0], np.int64),
        np.array(columns[1], np.int8),
        (T0 + np.array(columns[2], float) * HOUR).astype(np.int64),
        np.array(columns[3], float),
    )


def purchases(*rows: tuple[int, int, float, float]) -> Purchases:
    """Rows of (user, item, hours after T0, value)."""
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return Purchases(
        np.array(columns[0], np.int64),
        np.array(columns[1], np.uint64),
        (T0 + np.array(columns[2], float) * HOUR).astype(np.int64),
        np.array(columns[3], float),
        np.full(len(rows), 0.25),
    )


CLICK = (0, Kind.CLICKED, 10.0, 0.0)


@pytest.mark.parametrize(
    ("bought", "value"),
    [
        ((1, LAMP, 11.0, 20.0), 20.0),
        ((1, LAMP, 58.0, 20.0), 20.0),
        ((1, LAMP, 58.1, 20.0), 0.0),
        ((1, LAMP, 9.0, 20.0), 0.0),
        ((1, SOFA, 11.0, 20.0), 0.0),
        ((2, LAMP, 11.0, 20.0), 0.0),
    ],
)
def test_a_purchase_of_the_item_within_two_days_of_a_click_is_credited(bought, value):
    got = attribute(decisions((1, 9, LAMP)), outcomes(CLICK), purchases(bought), Reward())
    assert got.value[0] == value
    assert got.reward[0] == pytest.approx(0.5 * value + 0.2 - 0.01)


def test_without_a_click_nothing_is_credited():
    opened = outcomes((0, Kind.OPENED, 10.0, 0.0))
    got = attribute(decisions((1, 9, LAMP)), opened, purchases((1, LAMP, 11, 20)), Reward())
    assert (got.opened[0], got.clicked[0], got.value[0]) == (True, False, 0)


def test_the_last_click_takes_the_purchase():
    two = decisions((1, 9, LAMP), (1, 9, LAMP))
    clicks = outcomes(CLICK, (1, Kind.CLICKED, 34.0, 0.0))
    got = attribute(two, clicks, purchases((1, LAMP, 35.0, 20.0)), Reward())
    np.testing.assert_array_equal(got.value, [0, 20])


def test_a_claim_takes_the_place_of_the_join_never_both():
    claim = outcomes(CLICK, (0, Kind.PURCHASED, 12.0, 7.0))
    got = attribute(decisions((1, 9, LAMP)), claim, purchases((1, LAMP, 11, 20)), Reward())
    assert got.value[0] == 7


def test_a_purchase_that_is_claimed_belongs_to_no_other_click():
    two = decisions((1, 9, LAMP), (1, 9, LAMP))
    followed = outcomes(CLICK, (1, Kind.CLICKED, 34.0, 0.0), (0, Kind.PURCHASED, 35.0, 20.0))
    bought = purchases((1, LAMP, 35.0, 20.0), (1, LAMP, 40.0, 30.0))
    got = attribute(two, followed, bought, Reward())
    np.testing.assert_array_equal(got.value, [20, 30])
    everything = attribute(two, followed, bought, Reward(credit="all"))
    assert everything.margin_value.sum() == pytest.approx(0.5 * 20 + 0.25 * 30)


@pytest.mark.parametrize(
    ("bought", "value"),
    [((1, LAMP, 11.0, 20.0), 20.0), ((1, SOFA, 11.0, 20.0), 0.0), ((2, LAMP, 11.0, 20.0), 0.0)],
)
def test_a_claim_without_an_amount_is_worth_its_purchase(bought, value):
    claim = outcomes((0, Kind.PURCHASED, 12.0, np.nan))
    got = attribute(decisions((1, 9, LAMP)), claim, purchases(bought), Reward())
    assert got.value[0] == value


def test_each_claim_takes_one_purchase():
    claims = outcomes((0, Kind.PURCHASED, 12.0, np.nan), (0, Kind.PURCHASED, 12.5, np.nan))
    bought = purchases((1, LAMP, 12.4, 30.0), (1, LAMP, 11.9, 20.0))
    got = attribute(decisions((1, 9, LAMP)), claims, bought, Reward())
    assert got.value[0] == 50


@pytest.mark.parametrize(("delay", "value"), [(47.9, 20.0), (48.1, 0.0)])
def test_a_click_that_is_too_late_to_count_brings_no_purchase(delay, value):
    click = outcomes((0, Kind.CLICKED, 9 + delay, 0.0))
    got = attribute(decisions((1, 9, LAMP)), click, purchases((1, LAMP, 60.0, 20.0)), Reward())
    assert got.value[0] == value


@pytest.mark.parametrize(("hours", "value"), [(9 + 96, 7.0), (9 + 96.1, 0.0)])
def test_nothing_is_claimed_after_the_decision_has_closed(hours, value):
    claim = outcomes((0, Kind.PURCHASED, hours, 7.0))
    assert attribute(decisions((1, 9, LAMP)), claim, purchases(), Reward()).value[0] == value


def test_outcomes_after_the_window_do_not_count():
    late = outcomes((0, Kind.CLICKED, 9 + 48.1, 0), (0, Kind.UNSUBSCRIBED, 9 + 47.9, 0))
    got = attribute(decisions((1, 9, LAMP)), late, purchases(), Reward())
    assert (got.clicked[0], got.unsubscribed[0]) == (False, True)
    assert got.reward[0] == pytest.approx(-4.01)


def test_credit_all_pays_every_purchase_of_the_epoch_holds_included():
    rows = decisions((1, 9, LAMP), (1, None, 0))
    bought = purchases(
        (1, SOFA, 2.0, 8.0), (1, LAMP, 11.0, 20.0), (1, SOFA, 30.0, 40.0), (1, SOFA, 49.0, 9.0)
    )
    got = attribute(rows, outcomes(CLICK), bought, Reward(credit="all"))
    np.testing.assert_allclose(got.margin_value, [0.25 * 28, 0.25 * 40])


def test_credit_all_does_not_pay_a_claimed_purchase_twice():
    claim = outcomes(CLICK, (0, Kind.PURCHASED, 12.0, 7.0))
    got = attribute(
        decisions((1, 9, LAMP)), claim, purchases((1, LAMP, 11, 20)), Reward(credit="all")
    )
    assert got.margin_value[0] == pytest.approx(0.5 * 7)


def test_a_decision_closes_when_nothing_can_be_added():
    got = attribute(decisions((1, 9, LAMP), (1, None, 0)), outcomes(), purchases(), Reward())
    np.testing.assert_array_equal(got.closes_at, [T0 + (9 + 96) * HOUR, T0 + 2 * DAY])


def test_reward_weights_are_checked():
    assert Reward.from_mapping(Reward(click=1.0).to_mapping()) == Reward(click=1.0)
    with pytest.raises(BadSetting, match="likes"):
        Reward.from_mapping({"likes": 1})
    with pytest.raises(BadSetting, match="some"):
        Reward.from_mapping({"credit": "some"})
