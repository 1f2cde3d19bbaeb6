"""Saved policies on a known-truth shop's log: exact weights, honest rewards, unseen days only."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from evaluation.days import recent_sends, steps_of
from evaluation.estimated import estimated_propensities
from evaluation.logs import assess_policy
from evaluation.page import markdown
from evaluation.replayed import Replayed, replayed
from evaluation.report import show
from ingestion.log import Log, epoch_us
from ingestion.parse import log_of
from ingestion.splits import split_time
from mdp.clock import DAY
from mdp.errors import BadInput, NotEnoughData
from mdp.guardrails import Guardrails
from mdp.prediction import outcomes_of
from mdp.response import ResponseModel
from mdp.state import features
from policies.baselines import Greedy, Hold, Random, Table
from policies.saved import PolicyBundle
from simulator.demo import Demo, demo
from simulator.description import own_beliefs
from simulator.worlds.logit import LogitShop


@pytest.fixture(scope="module")
def made() -> Demo:
    """300 users for 24 days."""
    return demo(LogitShop().simulator(300, 3), 24, 3)


@pytest.fixture(scope="module")
def log(made: Demo) -> Log:
    return log_of(made.tables, made.meta)


@pytest.fixture(scope="module")
def replay(log: Log) -> Replayed:
    return replayed(log)


@pytest.fixture(scope="module")
def bundle(made: Demo) -> PolicyBundle:
    """The logging policy, seen through the truth, as if learned from the first third."""
    truth = made.truth
    assert isinstance(truth.response, ResponseModel)
    return PolicyBundle(
        policy=truth.logging,
        model=truth.response,
        traits=own_beliefs(truth),
        reward=truth.reward,
        guardrails=replace(truth.guardrails, floor=0.0),
        manifest={"trained_until": split_first_third(made)},
    )


def split_first_third(made: Demo) -> int:
    at = epoch_us(made.tables["decisions"]["decided_at"])
    return int(at.min()) + 8 * DAY


def with_tables(replay: Replayed, **tables: pd.DataFrame) -> Replayed:
    return replayed(replay.log.replace_tables(**tables))


def test_the_logging_policy_has_weight_1_everywhere(replay, bundle):
    found = assess_policy(replay, bundle, "logging")
    assert found.weights is not None
    assert found.logged is not None
    np.testing.assert_allclose(found.weights, 1.0, rtol=1e-9)
    for estimate in found.estimates:
        if estimate.estimator in ("ips", "snips"):
            assert estimate.value.value == pytest.approx(found.logged.value)
        if estimate.estimator == "dr":
            assert not estimate.difference.excludes(0.0)
    assert found.verdict.answer in ("no_difference", "cannot_tell")
    assert found.diagnostics is not None
    assert found.diagnostics.coverage is not None
    assert found.diagnostics.coverage.untried == 0.0


def test_mean_weights_of_other_policies_are_near_1(replay, bundle):
    weights = np.array([2.0, 1.0, 1.0, 1.0, 0.5])
    others = (Random(hold=0.6), Hold(), Table(send=0.6, items=weights, hours=np.ones(24)))
    for policy in others:
        found = assess_policy(replay, replace(bundle, policy=policy), policy.name)
        assert found.diagnostics is not None
        assert not found.diagnostics.mean_weight.excludes(1.0), policy.name
        assert found.diagnostics.effective_sample_size > 100


def test_holding_is_worth_nothing_and_sends_what_the_truth_says(replay, bundle, made):
    hold = assess_policy(replay, replace(bundle, policy=Hold()), "hold")
    for estimate in hold.estimates:
        assert abs(estimate.value.value) < 1e-9
    # The model is the truth, so its recalibrated predictions agree with what was earned.
    found = assess_policy(replay, bundle, "logging")
    by_name = {estimate.estimator: estimate for estimate in found.estimates}
    assert found.logged is not None
    assert not found.logged.excludes(by_name["dm"].value.value)
    spread = by_name["dr"].difference.high - by_name["dr"].difference.low
    assert spread < by_name["dm"].difference.high - by_name["dm"].difference.low


def test_logged_outcomes_are_those_that_the_truth_expects(replay, bundle):
    """Replay, lists, slots and attribution together: were one off, counts would be."""
    decisions = replay.decisions
    rows = np.flatnonzero(decisions.sent & (decisions.decided_at + 5 * DAY < replay.complete_until))
    asked, found = replay.requests(rows), replay.attributed(bundle.reward)
    terms = bundle.model.bind(replay.catalog).terms(
        features(asked.histories, asked.decided_at),
        bundle.traits.rows(replay.users.hashes[decisions.owner[rows]])[0],
        asked.items,
        asked.variants,
        asked.decided_at,
        asked.zone,
    )
    heads = outcomes_of(terms, decisions.k[rows], decisions.v[rows], decisions.h[rows])
    expected = {
        "opened": heads[:, 0],
        "clicked": heads[:, 0] * heads[:, 1],
        "dismissed": (1 - heads[:, 0]) * heads[:, 3],
        "unsubscribed": heads[:, 4],
    }
    for name, p in expected.items():
        surplus = getattr(found, name)[rows].sum() - p.sum()
        assert abs(surplus) < 4 * np.sqrt((p * (1 - p)).sum()), name
        assert p.sum() > 10


def test_only_unseen_days_whose_window_is_closed_whatever_was_done(replay, bundle):
    found = assess_policy(replay, bundle, "logging")
    at = replay.decisions.decided_at
    used = (at >= bundle.trained_until) & (at + 5 * DAY <= replay.complete_until)
    assert found.rows == used.sum()
    assert 0 < found.rows < len(at)
    assert any(f"of {len(at)} drawn decisions {found.rows} are used" in n for n in found.notes)
    assert any("later decisions are left out" in note for note in found.notes)
    sent = replay.decisions.sent
    assert sent[used].mean() == pytest.approx(sent.mean(), abs=0.05)


def test_every_part_of_the_log_is_intention_to_treat(replay, bundle):
    """A cancelled send keeps its row and its weight; only the diagnostic changes."""
    decisions = replay.log.tables["decisions"]
    rows = decisions[decisions["send_at"].notna()].iloc[::10]
    cancelled = pd.DataFrame(
        {
            "decision_id": rows["decision_id"],
            "outcome": "cancelled",
            "at": rows["decided_at"],
            "value": np.nan,
        }
    )
    outcomes = pd.concat([replay.log.tables["outcomes"], cancelled], ignore_index=True)
    found = assess_policy(with_tables(replay, outcomes=outcomes), bundle, "logging")
    before = assess_policy(replay, bundle, "logging")
    assert found.rows == before.rows
    assert found.diagnostics is not None
    assert found.diagnostics.coverage is not None
    assert found.diagnostics.coverage.executed == pytest.approx(0.9, abs=0.03)


def test_a_log_whose_outcomes_are_missing_makes_no_policy_better(replay, bundle):
    """Without outcomes a send only costs, and to hold would look better than what ran."""
    holds = replace(bundle, policy=Hold(), model=None, traits=None, manifest={})
    outcomes, events = replay.log.tables["outcomes"], replay.log.tables["events"]
    bought = events["event"] == "purchase"
    middle = events["at"].median()
    for name, shown, kept in (
        ("all", outcomes[:0], events[~bought]),
        ("half", outcomes[outcomes["at"] < middle], events[~bought | (events["at"] < middle)]),
    ):
        found = assess_policy(with_tables(replay, outcomes=shown, events=kept), holds, "hold")
        assert found.verdict.answer == "cannot_tell"
        assert found.diagnostics is not None
        assert found.diagnostics.coverage is not None
        silent = found.diagnostics.coverage.silent
        assert silent == pytest.approx({"all": 1.0, "half": 0.4}[name], abs=0.15)
        assert any("outcomes are missing from the log" in why for why in found.verdict.reasons)
    whole = assess_policy(replay, holds, "hold").diagnostics
    assert whole is not None
    assert whole.coverage is not None
    assert whole.coverage.silent == 0.0


def test_a_target_that_does_what_the_log_never_did(replay, bundle):
    decisions = replay.log.tables["decisions"]
    hours = pd.to_numeric(decisions["send_at"].dt.hour)
    only = decisions[decisions["send_at"].isna() | hours.between(9, 11)]
    few = with_tables(replay, decisions=only.reset_index(drop=True))
    found = assess_policy(few, replace(bundle, policy=Random(hold=0.3)), "random")
    assert found.verdict.answer == "cannot_tell"
    assert any("sends that the log never tried" in reason for reason in found.verdict.reasons)


def test_no_propensities(replay, bundle):
    """They are estimated, and the numbers agree with those by the true ones; no verdict."""
    decisions = replay.log.tables["decisions"].assign(propensity=np.nan)
    meta = replace(replay.log.meta, propensities="none")
    unknown = replayed(replace(replay.log.replace_tables(decisions=decisions), meta=meta))
    chosen = replace(bundle, policy=Random(hold=0.6))
    found = assess_policy(unknown, chosen, "random")
    assert found.verdict.answer == "cannot_tell"
    assert "the log has no propensities" in found.verdict.reasons[0]
    assert found.warning is not None
    assert found.warning.startswith("propensities were not logged and are estimated")
    assert found.diagnostics is not None
    assert found.diagnostics.mean_weight.value == pytest.approx(1.0, abs=0.1)
    known = assess_policy(replay, chosen, "random")
    for guess, true in zip(found.estimates, known.estimates, strict=True):
        spread = true.value.high - true.value.low
        assert abs(guess.value.value - true.value.value) < 0.5 * spread, guess.estimator
    out = io.StringIO()
    show(found, Console(file=out, width=100))
    assert out.getvalue().startswith("warning: propensities were not logged")
    assert "Warning: propensities were not logged" in markdown([found])


def test_estimated_propensities_are_near_the_true_ones(replay):
    rows = np.arange(len(replay.decisions.rows))
    asked = replay.requests(rows)
    state = asked.histories["counts"].reshape(len(rows), -1).astype(float)
    user = np.unique(replay.decisions.owner, return_inverse=True)[1]
    found = estimated_propensities(replay, rows, state, user)
    true = replay.decisions.propensity
    assert np.corrcoef(np.log(found.propensity), np.log(true))[0, 1] > 0.97
    assert np.abs(np.log(found.propensity / true)).mean() < 0.25
    assert found.calibration.largest_gap < 0.08
    assert found.calibration.gain > 0.1


def test_what_the_log_leaves_out_is_said(replay, bundle):
    bare = replay.log.tables["decisions"].assign(
        hours=pd.NA, variants=pd.NA, candidates=pd.NA, rules_hash="another"
    )
    log = replay.log.replace_tables(decisions=bare.astype(replay.log.tables["decisions"].dtypes))
    meta = replace(log.meta, propensities="estimated")
    looser = Guardrails().updated({"caps": {"per_7d": 20}})
    found = assess_policy(replayed(replace(log, meta=meta)), bundle, "logging", looser)
    said = " ".join(found.notes)
    for part in (
        "propensities are estimated",
        "which item to send, and whether, is not evaluated",
        "no lists of variants",
        f"{(n := len(replay.decisions.rows))} of {n} drawn decisions have no list of hours",
        "guardrails are looser than the policy was trained with",
        "the log was made under other guardrails",
        "values are per decision",
    ):
        assert part in said
    unknown = replace(log, meta=replace(log.meta, propensities="none"))
    assert replay.decisions.sent.mean() < 0.9  # it held often, which estimates can't see here
    warned = assess_policy(replayed(unknown), bundle, "logging").warning
    assert warned is not None
    assert warned.endswith("none held, so whether to send is not estimated")


def test_missing_lists_of_hours_are_rebuilt_row_by_row(replay, bundle):
    """The guardrails are those of the log, so rebuilding changes nothing; a forced hold's list is
    empty, and that is not missing."""
    decisions = replay.log.tables["decisions"].copy()
    decisions.loc[decisions.index[::3], "hours"] = pd.NA
    holds = decisions.index[decisions["send_at"].isna()]
    forced = holds[[int(0.5 * len(holds)), int(0.6 * len(holds))]]
    decisions.loc[forced, "hours"], decisions.loc[forced, "propensity"] = pd.NA, 1.0
    some = with_tables(replay, decisions=decisions)
    assert not some.hours[np.isin(some.decisions.rows, forced)].any()
    found = assess_policy(some, bundle, "logging")
    assert found.weights is not None
    np.testing.assert_allclose(found.weights, 1.0, rtol=1e-9)
    missing = len(decisions.index[::3].difference(forced))
    assert any(f"{missing} of {len(decisions)} drawn decisions" in note for note in found.notes)


def test_sends_that_are_not_on_their_own_list_are_counted(replay, bundle):
    decisions = replay.log.tables["decisions"].copy()
    others = decisions["variant_id"].notna() & (decisions["variant_id"] != "copy-1")
    wrong = decisions.index[others][::10]
    decisions.loc[wrong, "variants"] = "copy-1"
    some = with_tables(replay, decisions=decisions)
    assert some.unlisted == pytest.approx(len(wrong) / len(decisions))
    assert replay.unlisted == 0.0
    verdict = assess_policy(some, bundle, "logging").verdict
    assert verdict.answer == "cannot_tell"
    assert any("not on their own list" in reason for reason in verdict.reasons)


def test_the_log_of_another_shop_is_refused(made, replay, bundle):
    days = made.truth.shop.days(bundle.traits.hashes)
    own = replace(bundle, manifest={**bundle.manifest, "signed_up": days})
    assert assess_policy(replay, own, "x").rows > 0
    other = {**bundle.manifest, "signed_up": [day - 3 for day in days]}
    with pytest.raises(BadInput, match="the log is not of the shop that x was trained for"):
        assess_policy(replay, replace(bundle, manifest=other), "x")


def test_nothing_left_to_evaluate_on(replay, bundle, log):
    late = int(epoch_us(log.tables["decisions"]["decided_at"]).max())

    def trained(until: int | None) -> PolicyBundle:
        return replace(bundle, manifest={"trained_until": until})

    with pytest.raises(NotEnoughData, match=r"no drawn decisions after .* give later logs"):
        assess_policy(replay, trained(late + 1), "late")
    with pytest.raises(NotEnoughData, match=r"no decision after .* whole window for outcomes"):
        assess_policy(replay, trained(late), "late")
    with pytest.raises(NotEnoughData, match="does not say until when it was trained"):
        assess_policy(replay, trained(None), "unknown")
    rule = PolicyBundle(Hold(), None, None, guardrails=bundle.guardrails)
    assert assess_policy(replay, rule, "hold").rows > assess_policy(replay, bundle, "x").rows


def test_the_floor_holds_and_a_greedy_policy_cannot_be_told_from_few_rows(replay, bundle):
    greedy = replace(bundle, policy=Greedy())
    rules = replace(bundle.guardrails, floor=0.02)
    found = assess_policy(replay, greedy, "greedy", rules)
    assert found.verdict.answer == "cannot_tell"
    assert found.diagnostics is not None
    assert found.diagnostics.zero_target == 0.0
    steps: list[tuple[int, int]] = []
    again = assess_policy(replay, greedy, "greedy", step=lambda a, b: steps.append((a, b)))
    assert again.diagnostics is not None
    assert again.diagnostics.zero_target > 0.3
    assert steps[-1] == (found.rows, found.rows)


def test_the_split_of_fit_leaves_days_to_evaluate(log):
    assert split_time(log) < int(epoch_us(log.tables["decisions"]["decided_at"]).max())


def test_over_a_users_days(replay, bundle):
    """The logging policy over the days is worth what it earned; holding is worth nothing."""
    found = assess_policy(replay, bundle, "logging", days=()).days
    assert found is not None
    assert found.steps > 3
    assert found.believed == found.steps
    earned = found.logged
    for name in ("pdis", "sn_pdis", "mis"):
        assert found.estimates[name].value == pytest.approx(earned.value)
    for name in ("sdr", "fqe"):
        assert earned.low < found.estimates[name].value < earned.high
    hold = assess_policy(replay, replace(bundle, policy=Hold()), "hold", days=()).days
    assert hold is not None
    for name in ("first", "pdis", "mis"):
        assert abs(hold.estimates[name].value) < 1e-9
    assert hold.believed < hold.steps
    assert hold.effective_users[0] > hold.effective_users[-1]


def test_steps_and_recent_sends(replay):
    rows = np.arange(len(replay.decisions.rows))
    user, at = replay.decisions.owner, replay.decisions.decided_at
    step, sends = steps_of(user, at), recent_sends(replay, rows)
    for row in (0, 101, 2222):
        own = (user == user[row]) & (at < at[row])
        assert step[row] == own.sum()
        week = own & (at >= at[row] - 7 * DAY)
        assert sends[row] == min(replay.decisions.sent[week].sum(), 7)


def test_measures_segments_and_overlap_of_a_log(replay, bundle):
    """Under the logging policy itself both sides are the same, and are what the log says."""
    found = assess_policy(replay, bundle, "logging", segment="timezone")
    sent = found.measures["sends per decision"]
    assert sent.logged.value == pytest.approx(sent.target.value)
    assert 0.2 < sent.logged.value < 0.8
    assert found.measures["CTR (clicks per send)"].logged.value < 0.3
    for pairs in found.segments["timezone"].values():
        assert pairs["reward per decision"].logged.value == pytest.approx(
            pairs["reward per decision"].target.value
        )
    assert found.diagnostics is not None
    for feature in ("item", "variant", "hour"):
        levels = found.diagnostics.overlap[feature]
        assert sum(level.logged for level in levels) == pytest.approx(1.0)
        hold = next(level for level in levels if level.name == "(hold)")
        assert hold.logged == pytest.approx(1 - sent.logged.value)
    with pytest.raises(BadInput, match="the users table has no column 'shoes'"):
        assess_policy(replay, bundle, "logging", segment="shoes")


def test_a_holdout_of_the_wrong_size(replay, bundle):
    decisions = replay.log.tables["decisions"]
    users = decisions["user_id"].drop_duplicates().to_numpy()
    held = decisions["user_id"].isin(users[: len(users) // 10])
    # Of those who are not held out a challenger has some, and before the share was set all were.
    rest = decisions["user_id"].isin(users[-len(users) // 3 :]).map({True: "challenger:c"})
    arm, at = rest.fillna("policy").mask(held, "holdout"), decisions["decided_at"]
    since = at.sort_values().iloc[len(at) // 4]
    tenth = with_tables(replay, decisions=decisions.assign(arm=arm.mask(at < since, "policy")))
    for share, fits in ((0.1, True), (0.3, False)):
        meta = replace(tenth.log.meta, holdout_share=share, holdout_since=since)
        said = replace(tenth, log=replace(tenth.log, meta=meta))
        found = assess_policy(said, bundle, "logging")
        assert found.diagnostics is not None
        assert found.diagnostics.coverage is not None
        ratio = found.diagnostics.coverage.holdout
        assert ratio is not None
        assert ratio.share == pytest.approx(0.1, abs=0.01)
        assert (ratio.p_value > 0.001) == fits
        told = any("the holdout has " in reason for reason in found.verdict.reasons)
        assert told == (not fits)
    # What the policy was trained with says nothing of the store's.
    rules = replace(bundle.guardrails, holdout_share=0.3)
    without = assess_policy(tenth, bundle, "logging", rules).diagnostics
    assert without is not None
    assert without.coverage is not None
    assert without.coverage.holdout is None
