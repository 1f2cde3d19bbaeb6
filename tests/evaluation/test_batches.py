"""Tables read in batches say what they say in memory."""

import pickle
from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest

from evaluation.assessment import assess
from evaluation.batches import assess_large, is_large
from evaluation.intervals import Intervals
from evaluation.report import dumps, to_json
from evaluation.specification import parse
from evaluation.table import read_table
from mdp.errors import BadInput, BadSetting, NotEnoughData
from scripts.cli import main

EVERYTHING = parse("ips,snips,ips:clip=1.5,dm,dr,sndr,switch_dr:1.5,dros:2,sg_dr:0.1")


@pytest.mark.parametrize("users", [True, False])
def test_batches_and_memory_agree(frame, tmp_path, users):
    frame.drop(columns=[] if users else ["user_id"]).to_parquet(tmp_path / "t.parquet")
    whole = assess(read_table(tmp_path / "t.parquet"), "t", EVERYTHING, how=Intervals("analytic"))
    parts = assess_large(
        tmp_path / "t.parquet", "t", EVERYTHING, how=Intervals("analytic"), batch=300
    )
    assert (parts.rows, parts.users) == (whole.rows, whole.users)
    assert parts.verdict.answer == whole.verdict.answer
    for one, two in zip(whole.estimates, parts.estimates, strict=True):
        assert two.value.value == pytest.approx(one.value.value, rel=1e-12)
        assert two.difference.low == pytest.approx(one.difference.low, rel=0.1, abs=0.003)
    assert whole.diagnostics is not None
    assert parts.diagnostics is not None
    for name in ("max_weight", "zero_target", "effective_sample_size", "certain"):
        assert getattr(parts.diagnostics, name) == pytest.approx(getattr(whole.diagnostics, name))
    assert parts.diagnostics.propensities == whole.diagnostics.propensities
    assert parts.diagnostics.reward_drift is not None
    assert whole.diagnostics.reward_drift is not None
    assert parts.diagnostics.reward_drift.value == pytest.approx(
        whole.diagnostics.reward_drift.value
    )


def test_what_is_wrong_is_said_with_its_place(frame, tmp_path):
    file = tmp_path / "t.parquet"
    frame.assign(propensity=np.where(np.arange(2000) == 1203, 0.0, 0.5)).to_parquet(file)
    with pytest.raises(BadInput, match=r"t\.parquet, rows from 1,200 on: propensity must be above"):
        assess_large(file, "t", batch=300)
    frame.assign(user_id=[None, *frame["user_id"][1:]]).to_parquet(file)
    with pytest.raises(BadInput, match="user_id is missing in 1 of 2000 rows"):
        assess_large(file, "t")
    frame.assign(user_id=["", *frame["user_id"][1:]]).to_parquet(file)
    with pytest.raises(BadInput, match="user_id is missing in 1 of 2000 rows"):
        assess_large(file, "t")
    frame.assign(user_id=[[1]] * 2000).to_parquet(file)
    with pytest.raises(BadInput, match="user_id must be a text or a number"):
        assess_large(file, "t")
    frame.assign(decision_id=np.arange(2000) // 2 * 2).to_parquet(file)
    with pytest.raises(BadInput, match="150 of 300 rows repeat a decision_id, the first is '0'"):
        assess_large(file, "t", batch=300)
    frame.drop(columns="q_logged").to_parquet(file)
    with pytest.raises(BadSetting, match="estimator dr needs a reward model's predictions"):
        assess_large(file, "t", parse("dr"))
    with pytest.raises(BadSetting, match="estimator mips needs features of the actions"):
        assess_large(file, "t", parse("mips"))
    frame[:0].to_parquet(file)
    with pytest.raises(NotEnoughData, match="the table has no rows"):
        assess_large(file, "t")


def test_only_large_parquet_files_are_read_in_batches(frame, tmp_path, monkeypatch, capsys):
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv")
    assert is_large(tmp_path / "t.parquet", rows=2000)
    assert not is_large(tmp_path / "t.parquet", rows=2001)
    assert not is_large(tmp_path / "t.csv", rows=1)
    assert not is_large(tmp_path / "absent.parquet", rows=1)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    assert not is_large(tmp_path / "broken.parquet", rows=1)
    monkeypatch.setattr("evaluation.batches.is_large", lambda file: True)
    assert main(["evaluate", "--table", str(tmp_path / "t.parquet")]) == 0
    assert "the table was read in batches" in capsys.readouterr().out


def test_overlap_segments_and_measures_add_up_over_batches(frame, tmp_path):
    """A segment that the first batch does not have is under `all others`."""
    file, n = tmp_path / "t.parquet", np.arange(2000)
    more = frame.assign(
        item=np.where(n % 7 < 3, "lamp", [f"i{k % 50}" for k in n]),
        hour=n % 3 + 8,
        segment=np.where(n % 2 == 0, "new", np.where(n < 300, "old", "later")),
        sent=1.0,
        clicked=frame["reward"],
    )
    more.to_parquet(file)
    whole, parts = assess(read_table(file), "t"), assess_large(file, "t", batch=300)
    assert whole.diagnostics is not None
    assert parts.diagnostics is not None
    for name, levels in whole.diagnostics.overlap.items():
        for one, two in zip(levels, parts.diagnostics.overlap[name], strict=True):
            assert two.name == one.name
            assert astuple(two)[1:] == pytest.approx(astuple(one)[1:], rel=1e-9)
    assert list(whole.diagnostics.overlap) == ["item", "hour"]
    assert set(parts.measures) == set(whole.measures)
    for name, pair in parts.measures.items():
        assert pair.target.value == pytest.approx(whole.measures[name].target.value, rel=1e-12)
    found, expected = parts.segments["segment"], whole.segments["segment"]
    assert list(found) == ["new", "old", "all others"]
    reward = "reward per decision"
    assert list(found["new"]) == [reward]
    for own, same in (("new", "new"), ("old", "old"), ("all others", "later")):
        for policy in ("logged", "target"):
            one, two = (getattr(x[reward], policy) for x in (found[own], expected[same]))
            assert one.value == pytest.approx(two.value, rel=1e-12)


def test_row_groups_are_parts_that_may_be_summed_up_anywhere(frame, tmp_path):
    """In another order, and in copies as other processes would have them: the same report."""
    file = tmp_path / "t.parquet"
    frame.to_parquet(file, row_group_size=150)

    def elsewhere(work, shared, parts):
        again = {
            n: work(*pickle.loads(pickle.dumps((shared, parts[n]))))
            for n in range(len(parts))[::-1]
        }
        return iter([again[n] for n in range(len(parts))])

    here = assess_large(file, "t", EVERYTHING, batch=300)
    there = assess_large(file, "t", EVERYTHING, Intervals(spread=elsewhere), batch=300)
    assert dumps(to_json(there)) == dumps(to_json(here))


def test_slope_chooses_on_the_first_batch(frame, tmp_path):
    frame.to_parquet(tmp_path / "t.parquet")
    first = read_table(tmp_path / "t.parquet")
    chosen = parse("dros:slope")[0].resolved(first).parameter
    found = assess_large(tmp_path / "t.parquet", "t", parse("dros:slope"), batch=2000)
    assert any(f"dros:slope took {chosen:.4g}" in note for note in found.notes)


def test_users_are_counted_whatever_their_type(tmp_path, frame):
    for ids in (np.arange(2000) % 321, pd.Series([f"x{n % 321}" for n in range(2000)])):
        frame.assign(user_id=ids).to_parquet(tmp_path / "t.parquet")
        assert assess_large(tmp_path / "t.parquet", "t", parse("ips")).users == 321


def test_weights_of_features_are_means_over_all_batches(frame, tmp_path):
    """Of names that each batch meets in another order, and that some meet seldom."""
    file, n = tmp_path / "t.parquet", np.random.default_rng(0).permutation(2000)
    frame.assign(
        item=[f"i{k % 7}" for k in n], variant=n % 3, hour=np.arange(2000) // 500
    ).to_parquet(file, row_group_size=400)
    both = parse("mips,snmips")
    whole = assess(read_table(file), "t", both)
    parts = assess_large(file, "t", both, batch=300)
    for one, two in zip(whole.estimates, parts.estimates, strict=True):
        assert two.value.value == pytest.approx(one.value.value, rel=1e-12)
    given = frame.assign(marginal_weight=1.0)
    given.to_parquet(file)
    assert assess_large(file, "t", both, batch=300).estimates[0].value.value == pytest.approx(
        frame["reward"].mean()
    )


def test_what_is_not_read_is_said(frame, tmp_path):
    file = tmp_path / "t.parquet"
    frame.assign(decided_at="2026-03-01T09:00:00Z").drop(columns="user_id").to_parquet(file)
    notes = assess_large(file, "t").notes
    assert any("decided_at was not read" in note for note in notes)
    assert any("the table has no user_id" in note for note in notes)
