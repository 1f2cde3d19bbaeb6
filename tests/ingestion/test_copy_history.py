"""The copy review's history goes with a log that is cleaned or pseudonymised."""

import pandas as pd
import pytest

from generation.copy.review import Review, review_of
from ingestion.copy_history import HISTORY
from ingestion.log import LogMeta
from ingestion.parse import log_of
from ingestion.privacy import pseudonym
from ingestion.write import write_log
from scripts.cli import main

KEY = b"sixteen bytes or more"
NOW = pd.Timestamp("2026-03-05T10:41:12Z")


@pytest.fixture
def shop(tables, tmp_path):
    """A log whose copy was judged: v1, copy of the lamp, was approved, v2 rejected."""
    tables["variants"]["item_id"] = ["lamp", ""]
    tables["variants"]["status"] = ["draft", "draft"]
    meta = LogMeta(default_timezone="Europe/Berlin", complete_until=NOW)
    write_log(tmp_path / "shop", log_of(tables, meta).tables, meta)
    with review_of(tmp_path / "shop") as review:
        review.approve(["v1"], "Ann Lee", "ask ann@shop.example", False, NOW)
        review.reject(["v2"], "Ann Lee", "too plain", NOW)
    return tmp_path / "shop"


def reviewed(path, now=NOW) -> tuple[Review, list[str]]:
    with review_of(path) as review:
        return review, review.void(now)


def test_a_clean_log_keeps_who_approved_what(shop, tmp_path):
    out = tmp_path / "clean"
    assert main(["clean", str(shop), str(out)]) == 0
    review, void = reviewed(out)
    assert void == []
    assert review.history == reviewed(shop)[0].history
    assert [(step.variant_id, step.status) for step in review.history] == [
        ("v1", "approved"),
        ("v2", "rejected"),
    ]
    with review_of(out) as there:
        there.approve(["v2"], "Bo", "on a second look", False, NOW + pd.Timedelta("1h"))
    assert main(["clean", str(shop), str(out)]) == 0
    assert [step.who for step in reviewed(out)[0].history] == ["Ann Lee", "Ann Lee", "Bo"]


def test_copy_that_cleaning_changes_goes_back_to_draft(shop, tmp_path):
    variants = pd.read_parquet(shop / "variants.parquet")
    variants.loc[0, "body"] = "now  {price}"
    variants.to_parquet(shop / "variants.parquet")
    with review_of(shop) as review:
        review.approve(["v1"], "Ann Lee", "", False, NOW + pd.Timedelta("1h"))
    assert main(["clean", str(shop), str(tmp_path / "clean")]) == 0
    assert reviewed(tmp_path / "clean")[1] == ["v1"]


def test_a_pseudonymised_log_keeps_it_without_its_people(shop, tmp_path):
    (tmp_path / "key").write_bytes(KEY)
    words = [str(shop), str(tmp_path / "shared"), "--key-file", str(tmp_path / "key")]
    assert main(["pseudonymise", *words, "--coarsen", "hour"]) == 0
    steps = pd.read_parquet(tmp_path / "shared" / HISTORY)
    said = steps.to_csv()
    assert "Ann" not in said
    assert "ann@" not in said
    assert "lamp" not in said
    assert steps["variant_id"].tolist() == [pseudonym(KEY, "variant", v) for v in ("v1", "v2")]
    assert steps["who"].tolist() == [pseudonym(KEY, "reviewer", "Ann Lee")] * 2
    assert steps["at"].tolist() == [NOW.floor("h")] * 2
    before = pd.read_parquet(shop / HISTORY)
    assert not set(before["digest"]) & set(steps["digest"][:1])
    review, void = reviewed(tmp_path / "shared")
    assert void == []
    assert [step.status for step in review.history] == ["approved", "rejected"]
