"""Fitting: a planted truth comes back, in its units; the same log gives the same simulator."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from ingestion.log import NONE, Log, epoch_us
from ingestion.parse import log_of
from ingestion.parted import parted
from ingestion.splits import before, log_end, split_time
from ingestion.write import write_log
from mdp.catalog import simple_items
from mdp.clock import DAY, HOUR
from mdp.errors import NotEnoughData
from mdp.events import Kind
from mdp.hashing import hash_ids
from scripts.cli import main
from simulator import fidelity, fit_drift, material, threads
from simulator.demo import demo
from simulator.description import Arrivals, Drift, Simulator
from simulator.fidelity import card_of, changes_of
from simulator.fidelity_days import whole_of
from simulator.fidelity_heads import calibration_of
from simulator.fidelity_judged import later_days, unseen_users
from simulator.fidelity_page import said_of, write_card
from simulator.fit import MEMBERS, Fit, fit
from simulator.fit_logging import logging_policy
from simulator.fit_sends import standard
from simulator.heads_prior import REMEMBERED, WORSE
from simulator.kernel import Kernel
from simulator.launches import with_new_items
from simulator.lull import Lull
from simulator.material import acts_of, material_of, material_of_parts
from simulator.population import blocks, live
from simulator.saved import load_simulator, save_simulator
from simulator.untried import untried_of
from simulator.worlds import known_world


@pytest.fixture(scope="module")
def shop() -> tuple[Log, Simulator]:
    made = demo(known_world("logit").simulator(400, 3), 35, 3)
    return log_of(made.tables, made.meta), made.truth


@pytest.fixture(scope="module")
def fitted(shop) -> Fit:
    return fit(shop[0])


@pytest.fixture(scope="module")
def card(shop, fitted) -> dict[str, Any]:
    return card_of(shop[0], fitted)


def pairs(seen: Simulator) -> np.ndarray:
    view = Kernel(seen, np.arange(len(seen.users)), 0, 1).view()
    return view.observation["pairs"]


def test_predictions_go_with_the_truth(shop, fitted):
    truth = shop[1]
    mine, true = pairs(truth.believing(fitted.simulator)), pairs(truth.believing(truth))
    real = true[..., 1] > 0
    opened = np.corrcoef(mine[..., 1][real], true[..., 1][real])[0, 1]
    value = np.corrcoef(mine[..., 0][real], true[..., 0][real])[0, 1]
    assert opened > 0.35
    assert value > 0.4
    np.testing.assert_allclose(mine[..., 1][real].mean(), true[..., 1][real].mean(), rtol=0.35)


def test_effects_have_the_truths_signs(fitted):
    model = fitted.simulator.response
    assert model.fatigue_weight[0] < 0 < model.fatigue_weight[4]
    assert model.taste_weight[0] > 0.05
    assert model.hours_weight[0] > 0.1
    assert model.repetition_weight[0] < 0


def test_models_have_the_threshold_that_they_were_fitted_with(fitted):
    models = fitted.simulator.response, *fitted.simulator.members
    assert {model.knee for model in models} == {float(fitted.tuned.sends.knee)}


def test_a_new_item_is_known_by_words_that_others_have(fitted):
    model, catalog = fitted.simulator.response, fitted.simulator.catalog
    item = simple_items(["new"], np.ones(1), catalog.items.categories[:1])
    plain, branded = (
        model.bind(replace(catalog, items=replace(item, brands=(brand,)))).item_taste[0]
        for brand in ("Nobody's", "Larch")
    )
    place = model.category_hash == hash_ids(catalog.items.categories[:1])
    np.testing.assert_array_equal(plain, model.category_taste[place][0])
    own = model.word_taste[model.word_hash == hash_ids(["larch"])]
    np.testing.assert_allclose(branded, plain + own[0], rtol=1e-6)
    assert np.abs(own).max() > 0.01


def test_a_time_after_the_logs_end_is_its_end(shop, tmp_path):
    """Else users would be taken for ones who stayed away until then."""
    log = shop[0]
    write_log(tmp_path, log.tables, log.meta)
    with parted(tmp_path, 1) as parts:
        late = epoch_us(pd.Series([pd.Timestamp("2100-01-01", tz="UTC")]))[0]
        whole, early = material_of_parts(parts, late), material_of_parts(parts)
    assert whole.until == epoch_us(pd.Series([log.meta.complete_until]))[0]
    assert len(whole.decisions.rows) == len(log.tables["decisions"])
    assert early.until == split_time(log) < whole.until


def test_what_was_known_at_an_instant_is_a_log_that_knew_no_more(shop):
    until = split_time(shop[0])
    early = before(shop[0], until)
    again = before(early, until)
    assert len(early.tables["decisions"]) < len(shop[0].tables["decisions"])
    for name, table in early.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table)


def test_features_are_scaled_by_what_was_offered_before_and_later_items_change_nothing(
    shop, fitted
):
    log, until = shop[0], split_time(shop[0])
    late = log.tables["items"].iloc[[0]].assign(item_id="late", price=1e6)
    table = log.tables["decisions"]
    since = epoch_us(table["decided_at"]) >= until
    lists = table["candidates"].where(~since, table["candidates"] + "|late")
    later = log.replace_tables(
        items=pd.concat([log.tables["items"], late], ignore_index=True),
        decisions=table.assign(candidates=lists),
    )
    assert since.any()
    _, *before = standard(material_of(log, until))
    measured, *after = standard(material_of(later, until))
    np.testing.assert_array_equal(before, after)
    assert measured.max() > 5
    told = fitted.simulator.manifest["scaling"]
    mean, std = before
    assert told["log_price"]["mean"] == pytest.approx(mean[0], rel=1e-6)
    assert told["discount"]["std"] == pytest.approx(std[1], rel=1e-6)


def test_the_logging_policy_comes_back(shop, fitted):
    true, mine = shop[1].logging, fitted.simulator.logging
    assert mine.send == pytest.approx(true.send, abs=0.03)
    expected = true.hours / true.hours.sum()
    allowed = expected > 0.01
    np.testing.assert_allclose(
        (mine.hours / mine.hours.sum())[allowed], expected[allowed], atol=0.02
    )


def test_a_log_of_sends_alone_or_without_lists_gives_the_same_logging_policy(shop, fitted):
    """A day without a row is one without a push, and a hold without a list was a choice."""
    log = shop[0]
    decisions = log.tables["decisions"]
    sends = log.replace_tables(decisions=decisions[decisions["send_at"].notna()])
    bare = decisions.assign(candidates=pd.NA, variants=pd.NA, hours=pd.NA)
    unlisted = Log(log.tables | {"decisions": bare}, replace(log.meta, candidates=NONE))
    expected = fitted.simulator.logging.send
    for other in (sends, unlisted):
        found = logging_policy(material_of(other, split_time(log)))
        assert found.send == pytest.approx(expected, abs=0.03)


def test_purchases_after_a_push_are_not_organic(shop):
    """They are the response model's; in the organic behaviour they would be drawn twice."""
    log, until = shop[0], split_time(shop[0])
    tables = before(log, until).tables
    clicks = tables["outcomes"].query("outcome == 'clicked'").merge(tables["decisions"])
    bought = tables["events"].query("event == 'purchase'")
    joined = bought.merge(clicks, on=["user_id", "item_id"], suffixes=("", "_click"))
    delay = joined["at"] - joined["at_click"]
    pushed = joined[(delay >= pd.Timedelta(0)) & (delay <= pd.Timedelta("48h"))]
    acts = acts_of(material_of(log, until))
    assert pushed["event_id"].nunique() > 20
    assert (acts.kind == Kind.PURCHASE).sum() == len(bought) - pushed["event_id"].nunique()


def test_the_same_log_gives_the_same_simulator_with_propensities_or_without(shop, hasty):
    log = shop[0]
    bare = log.replace_tables(decisions=log.tables["decisions"].assign(propensity=np.nan))
    bare = replace(bare, meta=replace(log.meta, propensities=NONE))
    one, again = (fit(each).simulator for each in (log, bare))
    assert again.response.hash == one.response.hash
    assert again.traits.tobytes() == one.traits.tobytes()


def test_one_core_gives_the_simulator_that_two_give(shop, hasty, monkeypatch):
    both = []
    for number in (1, 2):
        monkeypatch.setattr(threads, "cores", lambda number=number: number)
        both.append(fit(shop[0]).simulator)
    one, two = both
    assert two.response.hash == one.response.hash
    assert [each.hash for each in two.members] == [each.hash for each in one.members]
    assert two.traits.tobytes() == one.traits.tobytes()


def test_a_saved_simulator_sees_what_it_saw_before(fitted, tmp_path):
    save_simulator(tmp_path / "sim", fitted.simulator)
    loaded = load_simulator(tmp_path / "sim")
    assert pairs(loaded).tobytes() == pairs(fitted.simulator).tobytes()


@pytest.mark.slow
def test_nothing_after_the_split_is_looked_at(shop, fitted):
    log, until = shop[0], split_time(shop[0])
    blind = fit(before(log, until), until)
    assert blind.simulator.response.hash == fitted.simulator.response.hash


def test_the_card_says_how_true_it_is(card, tmp_path):
    assert not {"changes", "untried"} & set(card)
    write_card(tmp_path, card | {"changes": ["Nothing stays."], "untried": ["One hour."]})
    page = (tmp_path / "card.html").read_text()
    assert "<p>Nothing stays.<p>One hour." in page
    assert json.loads((tmp_path / "card.json").read_text())["heads"] == card["heads"]
    assert card["covariates"] == {}  # the users of this shop's truth are their own
    assert "Nothing of that tells" in page
    for name in ("calibration", "rates", "distributions"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f"<img src={name}.png" in page
    whole = card["whole"]
    assert 0.4 < whole["auc"] < 0.6
    assert whole["auc_of_halves"] == pytest.approx(0.5, abs=0.1)
    assert whole["pauses"]["distance"] < 0.15
    assert whole["counts"]["view"]["of_resampled"] < 0.1
    assert set(whole["rates"]["opened"]["weekday"]["logged"]) <= {str(day) for day in range(7)}
    assert set(whole["rates"]["opened"]["hour"]["simulated"]) <= {str(hour) for hour in range(24)}
    shares = np.array(list(whole["rates"]["unsubscribed"]["week"]["simulated"].values()))
    assert 0 <= shares[:, 0].min() < 0.02
    assert "Days on which a user buys something" in page
    logged, simulated = (whole["after_purchases"][name] for name in ("logged", "simulated"))
    assert logged["none before"][0] == pytest.approx(simulated["none before"][0], abs=0.02)
    for curve in whole["distributions"].values():
        assert (np.diff(curve["simulated"]) >= 0).all()
    value = whole["value_per_user_day"]
    members, logged = value["members"], value["logged"]
    assert len(set(members)) == MEMBERS
    off = abs(np.mean(members) - logged["mean"])
    assert whole["value_inside_interval"] == (off <= 1.96 * logged["standard_error"])
    assert "Members" in page
    for line in said_of(card):
        assert not line.startswith("The log ends")
    assert len(card["goals"]) > 8
    assert page.count("passed") == len(card["goals"])
    assert page.count("not passed") == sum(not goal["passed"] for goal in card["goals"])


def test_heads_do_what_is_asked_of_them_where_there_is_enough_to_learn(card):
    passed = {goal["goal"]: goal["passed"] for goal in card["goals"]}
    for goal in ("Later days: open", "Unseen users: open", "Later days: dismiss"):
        assert passed[goal], goal


def test_the_card_is_of_what_is_saved_and_of_later_pushes(shop, fitted):
    simulator, log = fitted.simulator, shop[0]
    plain = later_days(log, fitted, log_end(log))
    assert simulator.start <= plain.sends.decided_at.min()
    assert plain.known.decided_at.max() < simulator.start
    np.testing.assert_array_equal(
        simulator.traits["hours"][fitted.sample[plain.sends.user], plain.sends.hour],
        plain.sends.profile,
    )
    late = plain.sends.decided_at > log_end(log) - 2 * DAY
    assert late.any()
    assert not plain.asked[late].any()
    assert plain.asked[:, 0].sum() > 500
    base = simulator.response.base + np.eye(5, dtype=np.float32)[0]
    believed = replace(simulator.response, uncertainty_weight=np.zeros(5, np.float32))
    seen = [plain.seen]
    for response in (believed, replace(believed, base=base)):
        odd = replace(fitted, simulator=replace(simulator, response=response, model=response))
        seen.append(later_days(log, odd, log_end(log)).seen)
    means, likeliest, bolder = (each[:, 0] for each in seen if each is not None)
    apart = np.log(bolder / (1 - bolder)) - np.log(likeliest / (1 - likeliest))
    np.testing.assert_allclose(apart, 1, 1e-3)
    # Draws of the users spread a logit, whose mean probability is nearer to a half then.
    drawn = plain.probability[:, 0].mean()
    assert drawn == pytest.approx(means.mean(), rel=0.02)
    assert drawn > likeliest.mean() + 3 * abs(drawn - means.mean())
    assert plain.members[:, :, 0].mean(1).std() > 0


def test_nothing_was_learned_from_users_who_are_unseen(fitted, card):
    """Had they answered every push otherwise, the same would be predicted."""
    found = fitted.tuned
    strange = found.unseen[found.sends.user]
    outcome = np.where(strange[:, None], 1 - found.sends.outcome, found.sends.outcome)
    turned = replace(fitted, tuned=replace(found, sends=replace(found.sends, outcome=outcome)))
    judged = unseen_users(turned)
    assert not set(judged.known.user) & set(judged.sends.user)
    (mine, observed, _), (theirs, told, _) = (
        np.transpose(each["open"])
        for each in (calibration_of(judged), card["calibration"]["unseen_users"])
    )
    np.testing.assert_array_equal(mine, theirs)
    assert (observed > told).all()


@pytest.mark.slow
def test_where_no_day_is_left_the_card_is_of_another_fit_and_says_so(tmp_path):
    made = demo(known_world("logit").simulator(60, 3), 25, 3)
    log = log_of(made.tables, made.meta)
    whole, part = fit(log, log_end(log)), fit(log)
    card, expected = card_of(log, whole), card_of(log, part)
    assert card["judged"] == expected["judged"] | {"saved": False}
    assert card["fitted_to"]["pushes"] == whole.pushes > part.pushes
    assert card["heads"] == expected["heads"]
    assert card["whole"] == expected["whole"]
    assert card["notes"][0].startswith("The log ends with the fit")
    write_card(tmp_path, card)
    assert "another fit of the same recipe" in (tmp_path / "card.html").read_text()


def test_a_short_log_has_a_card_without_what_it_cannot_say(tmp_path, hasty):
    made = demo(known_world("logit").simulator(20, 3), 12, 3)
    log = log_of(made.tables, made.meta)
    quiet = fit(log.replace_tables(outcomes=log.tables["outcomes"].iloc[:0]))
    write_card(tmp_path, card_of(log, quiet))
    card = json.loads((tmp_path / "card.json").read_text(), parse_constant=pytest.fail)
    assert card["whole"] is None
    assert card["heads"]["unseen_users"]["click"] == {"pushes": 0, "log_loss": None}
    assert "Too few days" in (tmp_path / "card.html").read_text()


def test_a_simulator_unlike_the_shop_is_told_from_it(shop, fitted):
    organic = fitted.simulator.organic
    lively = replace(organic, sessions=organic.sessions * 4)
    whole = whole_of(shop[0], replace(fitted.simulator, organic=lively), 7, 0)
    assert whole["auc"] > 0.8
    views = whole["counts"]["view"]
    assert views["distance"] > 5 * views["of_resampled"]


def test_too_little_is_said_so(shop, tmp_path, capsys):
    log, until = shop[0], split_time(shop[0])
    holds = log.tables["decisions"]
    holds = holds[holds["send_at"].isna()]
    empty = log.replace_tables(decisions=holds, outcomes=log.tables["outcomes"].iloc[:0])
    with pytest.raises(NotEnoughData, match="0 pushes"):
        material_of(empty, until)
    assert main(["fit", str(tmp_path), "--out", str(tmp_path / "sim")]) == 1
    assert "holds no table" in capsys.readouterr().err


def test_the_caller_s_threads_stay(shop, fitted, monkeypatch):
    during = []

    def stop(*_: Any) -> None:
        during.append(torch.get_num_threads())
        raise KeyboardInterrupt

    monkeypatch.setattr(fidelity, "of_users", stop)
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(shop[0], report=stop)
        assert torch.get_num_threads() == before + 1
        with pytest.raises(KeyboardInterrupt):
            card_of(shop[0], fitted)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert during == [1, 1]


def test_one_variant_and_one_category_are_enough(shop, hasty):
    log = shop[0]
    keep = log.tables["variants"]["variant_id"].iloc[0]
    decisions = log.tables["decisions"]
    decisions = decisions[decisions["variant_id"].isna() | (decisions["variant_id"] == keep)]
    decisions = decisions.assign(variants=keep)
    variants = log.tables["variants"].iloc[:1]
    items = log.tables["items"].assign(category="all")
    kept = log.tables["outcomes"]["decision_id"].isin(decisions["decision_id"])
    small = log.replace_tables(
        decisions=decisions.reset_index(drop=True),
        variants=variants,
        items=items,
        outcomes=log.tables["outcomes"][kept].reset_index(drop=True),
    )
    assert fit(small).simulator.lists[1] == 1


def test_members_are_spread_around_the_mean_and_only_generate(fitted):
    """Their mean is near the fit's prediction, and they differ as refits of other users do."""
    simulator = fitted.simulator
    assert len({member.hash for member in simulator.members}) == MEMBERS
    effects = np.mean([member.item_effect for member in simulator.members], 0)
    np.testing.assert_allclose(effects, simulator.response.item_effect, atol=1e-5)
    for member in simulator.members:
        for name in REMEMBERED:
            assert (getattr(member, f"{name}_weight") * WORSE >= 0.0).all()
    each = np.stack(
        [pairs(replace(simulator, model=one))[..., 1] for one in simulator.members]
    ).astype(np.float64)
    own = pairs(simulator)[..., 1]
    real = own > 0
    np.testing.assert_allclose(each.mean(0)[real].mean(), own[real].mean(), rtol=0.1)
    spread = (each.std(0) / own.clip(1e-6))[real].mean()
    assert 0.02 < spread < 0.5
    alone = replace(simulator, members=())
    np.testing.assert_array_equal(pairs(alone)[..., 1], own)


@pytest.mark.slow
def test_of_many_users_some_are_enough_to_tune_and_judge_by(shop, fitted, monkeypatch):
    """The fit is of all users all the same."""
    monkeypatch.setattr(material, "SAMPLE", 150)
    monkeypatch.setattr(material, "TOGETHER", 40)
    some = fit(shop[0])
    users = len(fitted.simulator.users)
    assert len(some.simulator.users) == users > 150
    assert some.pushes == fitted.pushes
    assert len(some.judged_by) == 150
    assert some.tuned.sends.user.max() < 150
    judged = card_of(shop[0], some)["whole"]["rates"]["opened"]["hour"]["logged"].values()
    start = fitted.simulator.start
    table = before(shop[0], start + 8 * DAY).tables["decisions"]
    later = table["send_at"].notna() & (epoch_us(table["decided_at"]) >= start)
    assert 0 < sum(pushes for _, pushes in judged) < 0.5 * later.sum()
    for name in ("openness", "taste"):
        mine, theirs = some.simulator.traits[name], fitted.simulator.traits[name]
        assert np.corrcoef(mine.ravel(), theirs.ravel())[0, 1] > 0.9


def test_states_come_out_the_same_however_many_users_are_worked_on(shop, fitted, monkeypatch):
    found = material_of(shop[0], split_time(shop[0]))
    which = np.flatnonzero(found.decisions.sent)[::3]
    whole = found.requests(which).histories
    monkeypatch.setattr(material, "TOGETHER", 7)
    parts = found.parts(which)
    assert len(parts) > 10
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(which)))
    for part in parts:
        assert found.requests(which[part]).histories.tobytes() == whole[part].tobytes()


def test_what_arrives_and_changes_is_said_and_else_nothing(fitted):
    assert fitted.simulator.arrivals is None
    assert fitted.simulator.drift is None
    organic, traits = fitted.simulator.organic, fitted.simulator.traits
    changing = replace(
        fitted.simulator,
        arrivals=Arrivals(2.5, fitted.simulator.start, 0.5),
        drift=Drift.among(20.0, traits, organic),
        organic=replace(organic, lull=Lull(np.log(2), 0.0, 7.0, latest=False)),
    )
    assert changes_of(fitted.simulator) == []
    said = changes_of(changing)
    for part in (
        "2.5 users sign up a day",
        "0.5 items are listed a day",
        "after 20 days or so",
        "buy 50% less",
    ):
        assert any(part in sentence for sentence in said)


def test_what_no_push_has_tried_is_said(shop, fitted):
    meta, sends, simulator = shop[0].meta, fitted.tuned.sends, fitted.simulator
    assert untried_of(meta, sends, simulator) == []
    rule = replace(sends, hour=np.full_like(sends.hour, 19), variant=np.full_like(sends.variant, 2))
    said = untried_of(replace(meta, propensities=NONE), rule, simulator)
    for part in ("no propensities", "100% of the pushes went out at 19:00", "the copy copy-3:"):
        assert any(part in sentence for sentence in said)
    assert untried_of(meta, sends.only(slice(0)), simulator) == []


def test_several_decisions_a_day_are_said_not_to_be_simulated(shop, fitted):
    sends = fitted.tuned.sends
    twice = sends.only(np.repeat(np.arange(len(sends.user)), 2))
    twice = replace(
        twice, decided_at=twice.decided_at + 8 * HOUR * (np.arange(len(twice.user)) % 2)
    )
    (said,) = untried_of(shop[0].meta, twice, fitted.simulator)
    assert "50% of the pushes were decided less than 12 hours after" in said


def test_what_pushes_are_worth_by_amounts_that_can_hardly_be_meant_is_said(shop, fitted):
    meta, sends, simulator = shop[0].meta, fitted.tuned.sends, fitted.simulator
    items = simulator.catalog.items
    for price, part in ((0.0 * items.price, "a price of 0"), (1e4 * items.price, "--reward FILE")):
        priced = replace(simulator.catalog, items=replace(items, price=price))
        (said,) = untried_of(meta, sends, replace(simulator, catalog=priced))
        assert part in said


@pytest.mark.slow
def test_what_arrives_and_changes_is_read_from_the_log(monkeypatch):
    monkeypatch.setattr(fit_drift, "CLEARLY", -np.inf)
    world = with_new_items(known_world("logit").simulator(60, 3), 0.8, 30, 3)
    parts = [live(world, world.logging, 3, 30, who, True) for who in blocks(60, 99, [2] * 30)]
    tables = {
        name: pd.concat([(part.tables or {})[name] for part in parts], ignore_index=True)
        for name in ("users", "events", "decisions", "outcomes")
    }
    once = {name: (parts[0].tables or {})[name] for name in ("items", "variants")}
    log = log_of(tables | once)
    simulator = fit(log, int(parts[0].until)).simulator
    assert simulator.arrivals is not None
    assert simulator.arrivals.rate == pytest.approx(2.0, rel=0.1)
    assert simulator.arrivals.since is not None
    assert simulator.arrivals.items == pytest.approx(0.8, abs=0.5)
    assert simulator.drift is not None
    assert simulator.drift.half_life in fit_drift.HALF_LIVES


@pytest.mark.slow
def test_a_log_without_lists_gets_ranked_ones():
    made = demo(known_world("logit").simulator(30, 3), 12, 3)
    log = log_of(made.tables, replace(made.meta, candidates=NONE))
    simulator = fit(log).simulator
    assert simulator.recommender.kind == "ranked"
    at = np.full(30, simulator.start)
    lists = simulator.recommender.candidates(simulator.users.hashes, simulator.histories, at)
    assert all(len(set(row)) == 10 for row in lists.tolist())
