"""Special days: a planted one comes back and acts under its name again; of others, nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ingestion.log import Log, epoch_us
from ingestion.parse import log_of
from mdp.clock import DAY
from mdp.errors import BadArtifact
from mdp.local_time import local_day
from mdp.observation import observe
from mdp.response import ResponseModel
from policies.baselines import Hold
from policies.saved import PolicyBundle, load_policy, save_policy
from simulator.demo import AHEAD, demo
from simulator.description import Simulator
from simulator.fidelity import changes_of
from simulator.fit import Fit, fit
from simulator.fit_special import set_aside
from simulator.kernel import Kernel
from simulator.saved import load_simulator, save_simulator, simulator_hash
from simulator.sends import CLICK, OPEN
from simulator.special_days import SpecialDays, special_days
from simulator.worlds import known_world
from simulator.worlds.base import START, lived

BEGAN, DAYS, UNTIL = START // DAY, 35, 28
"""Of the log, and how many of its days are learned from."""
SALES, QUIET, LATE = (5, 13, 20, UNTIL + 3), (9, 18, UNTIL + 4), (UNTIL + 1,)
VISITS, BUYING, OPENING = 1.8, 1.5, 0.7


def iso(day: int) -> str:
    return str(np.datetime64(BEGAN + day, "D"))


NAMED = (("sale", SALES), ("quiet", QUIET), ("late", LATE))
CALENDAR = dict(sorted((iso(day), name) for name, days in NAMED for day in days))


def with_sales(shop: Simulator) -> Simulator:
    """The shop with days on which all do more."""
    assert isinstance(shop.response, ResponseModel)
    days = BEGAN + np.array(SALES, np.int32)
    effect = np.zeros((len(days), 5), np.float32)
    effect[:, OPEN] = effect[:, CLICK] = OPENING
    factors = np.tile(np.array([VISITS, BUYING], np.float32), (len(days), 1))
    return replace(
        shop,
        response=replace(shop.response, special_day=days, special_effect=effect),
        organic=replace(shop.organic, special_day=days, special=factors),
        calendar=CALENDAR,
    )


@pytest.fixture(scope="module")
def log() -> Log:
    made = demo(with_sales(known_world("logit").simulator(500, 6)), DAYS, 6)
    return log_of(made.tables, made.meta)


@pytest.fixture(scope="module")
def fitted(log) -> Fit:
    return fit(log)


def of_name(simulator: Simulator, name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """What each of the name's days does to heads, and to visits and buying."""
    model, organic = simulator.response, simulator.organic
    assert isinstance(model, ResponseModel)
    assert organic.special is not None
    np.testing.assert_array_equal(model.special_day, organic.special_day)
    days = [str(np.datetime64(int(day), "D")) for day in model.special_day]
    every = zip(days, model.special_effect, organic.special, strict=True)
    return [(heads, own) for day, heads, own in every if simulator.calendar[day] == name]


def test_a_planted_day_is_found_and_one_to_come_is_like_it(fitted):
    found = of_name(fitted.simulator, "sale")
    assert len(found) == len(SALES)
    for heads, own in found:
        np.testing.assert_array_equal(heads, found[0][0])
        np.testing.assert_array_equal(own, found[0][1])
        assert own[0] == pytest.approx(VISITS, rel=0.12)
        assert own[1] == pytest.approx(BUYING, rel=0.3)
        assert 0.3 < heads[OPEN] < OPENING + 0.15
        assert heads[CLICK] > 0.2


def test_a_day_that_does_nothing_is_found_to_do_little(fitted):
    heads, own = of_name(fitted.simulator, "quiet")[0]
    widths = np.array(fitted.tuned.widths.special)
    assert (np.abs(heads) < 0.75 * widths).all()  # of some 440 pushes
    assert abs(np.log(own[0])) < 0.15  # two days of some 170 visits
    assert abs(np.log(own[1])) < 0.3


def test_the_ensemble_is_unsure_of_it(fitted):
    members = [member.special_effect[:, OPEN] for member in fitted.simulator.members]
    np.testing.assert_allclose(
        np.mean(members, 0), fitted.simulator.response.special_effect[:, OPEN], atol=0.06
    )
    assert (np.std(members, 0) > 0.03).all()


def test_a_name_of_no_day_that_was_learned_from_does_nothing(log, fitted):
    assert of_name(fitted.simulator, "late") == []
    assert fitted.simulator.calendar == CALENDAR
    assert log.tables["calendar"]["name"].tolist() == list(CALENDAR.values())


def test_it_acts_where_the_simulated_future_has_its_name(fitted):
    simulator = fitted.simulator
    _, kernel = lived(simulator, 6, 0, Hold(), record=True)
    events = kernel.tables()["events"]
    zone = pd.Series(simulator.users.codes, index=simulator.users.ids)[events["user_id"]]
    day = local_day(epoch_us(events["at"]), zone.to_numpy())
    visits = [len(events[day == BEGAN + n]) for n in range(UNTIL + 2, UNTIL + 5)]
    assert visits[1] > 1.4 * max(visits[0], visits[2])
    opened = []
    for n in range(UNTIL, UNTIL + 5):
        kernel = Kernel(simulator, np.arange(200), 0, 1)
        kernel.reset(np.ones(200, bool), np.arange(200), 0, n - UNTIL)
        when = local_day(kernel.at, kernel.zone)
        opened.append(kernel.view().observation["pairs"][when == BEGAN + n + 1, ..., 1].mean())
    assert np.argmax(opened) == SALES[-1] - UNTIL - 1
    assert max(opened) > 1.15 * np.median(opened)


def test_a_saved_policy_sees_what_the_simulator_does(fitted, tmp_path):
    simulator = fitted.simulator
    model, beliefs = simulator.additive_model, simulator.beliefs
    save_policy(tmp_path / "policy", PolicyBundle(Hold(), model, beliefs))
    bundle = load_policy(tmp_path / "policy")
    assert model is not None
    assert bundle.model is not None
    assert bundle.traits is not None
    assert bundle.model.hash == model.hash
    kernel = Kernel(simulator, np.arange(50), 0, 1)
    kernel.reset(np.ones(50, bool), np.arange(50), 0, SALES[-1] - UNTIL - 1)
    traits = bundle.traits.rows(simulator.users.hashes[:50])[0]
    seen = observe(
        kernel.requests(),
        simulator.catalog,
        simulator.guardrails,
        simulator.reward,
        bundle.model.bind(simulator.catalog),
        traits,
    )
    for name, array in kernel.view().observation.items():
        np.testing.assert_array_equal(seen.observation[name], array)


def test_it_is_said_on_the_card(fitted):
    (said,) = [line for line in changes_of(fitted.simulator) if "Special days" in line]
    assert "sale (visits × 1." in said
    assert "quiet (visits × " in said
    assert "late" not in said


def test_a_calendar_of_which_nothing_was_lived_changes_no_bit():
    made = demo(known_world("logit").simulator(120, 2), 16, 2)
    later = pd.DataFrame({"date": [iso(15), iso(40)], "name": ["late", "later"]})
    with_days = fit(log_of(made.tables | {"calendar": later}, made.meta)).simulator
    plain = fit(log_of(made.tables, made.meta)).simulator
    assert with_days.calendar == {iso(15): "late", iso(40): "later"}
    assert simulator_hash(replace(with_days, calendar={})) == simulator_hash(plain)
    assert "special_day" not in plain.response.arrays()


def test_other_days_are_lived_to_the_bit_as_without(tmp_path):
    shop = known_world("logit").simulator(80, 1)
    kernels = [lived(one, SALES[0] - 1, 0, record=True)[1] for one in (shop, with_sales(shop))]
    one, two = (kernel.tables() for kernel in kernels)
    for name, table in one.items():
        pd.testing.assert_frame_equal(two[name], table)
    assert kernels[0].histories.tobytes() == kernels[1].histories.tobytes()
    save_simulator(tmp_path / "plain", shop)
    assert "special" not in (tmp_path / "plain" / "manifest.json").read_text()
    save_simulator(tmp_path / "sales", with_sales(shop))
    loaded = load_simulator(tmp_path / "sales")
    assert simulator_hash(loaded) == simulator_hash(with_sales(shop))
    assert loaded.calendar == CALENDAR


def test_days_out_of_order_and_without_factors_are_refused():
    shop = with_sales(known_world("logit").simulator(5, 1))
    days = BEGAN + np.array(SALES, np.int32)
    with pytest.raises(BadArtifact, match="ascending"):
        replace(shop.response, special_day=days[::-1])  # type: ignore[type-var]
    with pytest.raises(BadArtifact, match="special is"):
        replace(shop.organic, special=np.ones((1, 2)))


def test_names_are_those_of_days_lived_to_their_end():
    noon = BEGAN * DAY + DAY // 2
    found = special_days(CALENDAR, noon, noon + 10 * DAY)
    assert found.names == ("quiet", "sale")
    assert special_days(CALENDAR, noon, noon + 9 * DAY).names == ("sale",)
    days = BEGAN + np.array([4, 5, 9, UNTIL + 1, UNTIL + 4, 999])
    assert found.rows(days).tolist() == [0, 2, 1, 0, 1, 0]
    none = special_days({}, noon, noon + 10 * DAY)
    assert none.rows(days).tolist() == [0] * 6


def test_days_are_set_aside_unless_most_are_special_or_few_ordinary():
    days = SpecialDays(np.arange(0, 40, 2, dtype=np.int32), np.zeros(20, np.int64), ("sale",))
    assert set_aside(days, 0, 40).tolist() == list(range(0, 40, 2))
    assert len(set_aside(days, 0, 20)) == 0
    most = SpecialDays(np.arange(30, dtype=np.int32), np.zeros(30, np.int64), ("sale",))
    assert len(set_aside(most, 0, 40)) == 0


def test_the_seasonal_shops_calendar_reaches_beyond_its_log():
    made = demo(known_world("seasonal").simulator(30, 0), 10, 0)
    dates = made.tables["calendar"]["date"]
    easter = [str(np.datetime64("2025-04-17") + n) for n in range(9)]
    assert dates.tolist() == ["2025-02-17", *easter][: len(dates)]
    assert dates.max() < str(np.datetime64(BEGAN + 12 + AHEAD, "D"))
    assert len(dates) == 10
    assert log_of(made.tables).problems == ()
