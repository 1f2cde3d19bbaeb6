"""Fitting: a planted truth comes back, in its units; the same log gives the same simulator."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ingestion.log import NONE, Log, epoch_us
from ingestion.parse import log_of
from ingestion.parted import parted
from ingestion.splits import before, split_time
from ingestion.write import write_log
from mdp.errors import NotEnoughData
from mdp.events import Kind
from scripts.cli import main
from simulator import fit_drift, material
from simulator.demo import demo
from simulator.description import Arrivals, Drift, Simulator
from simulator.fidelity import card_of, changes_of
from simulator.fidelity_page import write_card
from simulator.fit import MEMBERS, Fit, fit
from simulator.fit_logging import logging_policy
from simulator.fit_sends import standard
from simulator.kernel import Kernel
from simulator.launches import with_new_items
from simulator.material import acts_of, material_of, material_of_parts
from simulator.population import blocks, live
from simulator.saved import load_simulator, save_simulator
from simulator.worlds import known_world


@pytest.fixture(scope="module")
def shop() -> tuple[Log, Simulator]:
    made = demo(known_world("logit").simulator(400, 3), 35, 3)
    return log_of(made.tables, made.meta), made.truth


@pytest.fixture(scope="module")
def fitted(shop) -> Fit:
    return fit(shop[0])


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


def test_heads_beat_their_rates_where_there_is_enough_to_learn(fitted):
    figures = fitted.metrics["open"]
    assert figures["log_loss"] < figures["log_loss_of_rate"]


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


def test_heads_that_nothing_was_asked_of_have_no_log_loss(tmp_path):
    made = demo(known_world("logit").simulator(20, 3), 12, 3)
    log = log_of(made.tables, made.meta)
    quiet = fit(log.replace_tables(outcomes=log.tables["outcomes"].iloc[:0]))
    assert quiet.metrics["click"] == {"pushes": 0.0, "log_loss": None, "log_loss_of_rate": None}
    write_card(tmp_path, card_of(log, quiet))
    text = (tmp_path / "card.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["heads"] == quiet.metrics


def test_the_same_log_gives_the_same_simulator(shop, fitted, tmp_path):
    again = fit(shop[0])
    assert again.simulator.response.hash == fitted.simulator.response.hash
    assert again.simulator.traits.tobytes() == fitted.simulator.traits.tobytes()
    save_simulator(tmp_path / "sim", fitted.simulator)
    loaded = load_simulator(tmp_path / "sim")
    assert pairs(loaded).tobytes() == pairs(fitted.simulator).tobytes()


@pytest.mark.slow
def test_nothing_after_the_split_is_looked_at(shop, fitted):
    log, until = shop[0], split_time(shop[0])
    blind = fit(before(log, until), until)
    assert blind.simulator.response.hash == fitted.simulator.response.hash


def test_the_card_says_how_true_it_is(shop, fitted, tmp_path):
    card = card_of(shop[0], fitted)
    assert "changes" not in card
    write_card(tmp_path, card | {"changes": ["Nothing stays."]})
    assert "<p>Nothing stays." in (tmp_path / "card.html").read_text()
    assert json.loads((tmp_path / "card.json").read_text())["heads"] == fitted.metrics
    assert card["covariates"] == {}  # the users of this shop's truth are their own
    assert "Nothing of that tells" in (tmp_path / "card.html").read_text()
    assert (tmp_path / "card.png").read_bytes().startswith(b"\x89PNG")
    assert 0.4 < card["whole"]["auc"] < 0.75
    assert card["whole"]["auc_of_halves"] == pytest.approx(0.5, abs=0.1)
    assert card["whole"]["pauses"]["distance"] < 0.15
    assert card["whole"]["counts"]["view"]["of_resampled"] < 0.1
    assert set(card["whole"]["opened_by"]["weekday"]["logged"]) <= {str(day) for day in range(7)}
    hours = card["whole"]["opened_by"]["hour"]
    assert set(hours["simulated"]) <= {str(hour) for hour in range(24)}


def test_a_simulator_unlike_the_shop_is_told_from_it(shop, fitted):
    organic = fitted.simulator.organic
    lively = replace(organic, sessions=organic.sessions * 4)
    odd = replace(fitted, simulator=replace(fitted.simulator, organic=lively))
    whole = card_of(shop[0], odd)["whole"]
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


def test_one_variant_and_one_category_are_enough(shop):
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
    everybody = card_of(shop[0], fitted)["whole"]["opened_by"]["hour"]["logged"].values()
    monkeypatch.setattr(material, "SAMPLE", 150)
    monkeypatch.setattr(material, "TOGETHER", 40)
    some = fit(shop[0])
    users = len(fitted.simulator.users)
    assert len(some.simulator.users) == users > 150
    assert some.pushes == fitted.pushes
    assert some.known.user.max() < 150
    assert len(some.known.user) < 0.8 * len(fitted.known.user)
    card = card_of(shop[0], some)
    logged = card["whole"]["opened_by"]["hour"]["logged"].values()
    assert 0 < sum(n for _, n in logged) < 0.8 * sum(n for _, n in everybody)
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
    )
    assert changes_of(fitted.simulator) == []
    said = changes_of(changing)
    for part in ("2.5 users sign up a day", "0.5 items are listed a day", "after 20 days or so"):
        assert any(part in sentence for sentence in said)


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
