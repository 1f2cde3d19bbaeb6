"""The review queue: who approved what and why, what voids it, and that nothing gets lost."""

from pathlib import Path

import pandas as pd
import pytest

from generation.copy.review import HISTORY, review_of
from ingestion.log import LogMeta
from ingestion.read import read_log
from ingestion.write import write_log
from mdp.errors import BadInput, BadLog

NOW = pd.Timestamp("2026-03-01T12:00:00Z").as_unit("us")
LATER = NOW + pd.Timedelta(days=1)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    users = pd.DataFrame(
        {"user_id": ["u"], "timezone": ["UTC"], "signed_up_at": [NOW - pd.Timedelta(days=9)]}
    )
    items = pd.DataFrame(
        {"item_id": ["i"], "title": ["Mug"], "category": ["a"], "brand": ["b"], "price": [3.0]}
    )
    variants = pd.DataFrame(
        {
            "variant_id": ["plain", "claim", "rude"],
            "style": ["plain", "urgent", "warm"],
            "locale": ["en", "en", "en"],
            "title": ["{item}", "Last chance", "Hello"],
            "body": ["Now {price}", "Only 2 left", "You bastard, buy it"],
            "status": ["draft", "draft", "draft"],
            "model": ["slots", "slots", "seq2seq"],
        }
    )
    events = pd.DataFrame(
        {"user_id": ["u"], "item_id": ["i"], "event": ["view"], "at": [NOW], "value": [None]}
    )
    tables = {"users": users, "items": items, "variants": variants, "events": events}
    write_log(tmp_path / "shop", tables, LogMeta())
    return tmp_path / "shop"


def statuses(log: Path) -> dict[str, str]:
    variants = read_log(log).tables["variants"]
    return dict(zip(variants["variant_id"], variants["status"], strict=True))


def test_the_queue_shows_what_waits_with_its_findings_and_where_it_came_from(log):
    with review_of(log) as review:
        waiting = {each.variant_id: each for each in review.waiting()}
    assert {each.status for each in waiting.values()} == {"draft"}
    assert waiting["plain"].verdict.approved
    assert waiting["rude"].verdict.blocked
    assert waiting["rude"].provenance == {"model": "seq2seq"}


def test_an_approval_is_in_the_log_its_changes_and_its_history(log):
    with review_of(log) as review:
        review.approve(["plain"], "ann", "fine", False, NOW)
    assert statuses(log) == {"plain": "approved", "claim": "draft", "rude": "draft"}
    change = read_log(log).tables["changes"].iloc[-1]
    assert (change["table"], change["id"], change["column"], change["value"]) == (
        "variants",
        "plain",
        "status",
        "approved",
    )
    assert change["at"] == NOW
    with review_of(log) as review:
        (step,) = review.history
    assert (step.who, step.why, step.at, step.title) == ("ann", "fine", NOW, "{item}")
    assert "profanity_en" in step.packs


def test_a_claim_needs_an_override_and_a_reason(log):
    with review_of(log) as review:
        with pytest.raises(BadInput, match=r"en\.promotion\.scarcity.*--override and --why"):
            review.approve(["plain", "claim"], "ann", "true", False, NOW)
        with pytest.raises(BadInput, match="--why"):
            review.approve(["claim"], "ann", " ", True, NOW)
    assert set(statuses(log).values()) == {"draft"}
    with review_of(log) as review:
        review.approve(["claim"], "ann", "stock is 2", True, NOW)
    with review_of(log) as review:
        assert review.history[-1].override
        assert "en.promotion.scarcity" in review.history[-1].findings
    assert statuses(log)["claim"] == "approved"


def test_nobody_approves_what_is_blocked(log):
    with review_of(log) as review, pytest.raises(BadInput, match="change the text"):
        review.approve(["rude"], "ann", "I like it", True, NOW)
    assert statuses(log)["rude"] == "draft"


def test_a_changed_text_goes_back_to_draft_and_the_history_stays(log):
    with review_of(log) as review:
        review.approve(["plain"], "ann", "", False, NOW)
        review.reject(["rude"], "bob", "rude", NOW)
    variants = pd.read_parquet(log / "variants.parquet")
    variants.loc[variants["variant_id"] == "plain", "body"] = "Now only {price}"
    variants.to_parquet(log / "variants.parquet", index=False)
    with review_of(log) as review:
        assert review.void(LATER) == ["plain"]
    assert statuses(log) == {"plain": "draft", "claim": "draft", "rude": "rejected"}
    with review_of(log) as review:
        assert review.void(LATER) == []
        told = [(step.variant_id, step.action, step.who) for step in review.history]
    assert told == [
        ("plain", "approve", "ann"),
        ("rude", "reject", "bob"),
        ("plain", "changed", "pushwise"),
    ]


def test_other_tables_and_columns_stay_as_they_are(log):
    before = (log / "events.parquet").read_bytes()
    with review_of(log) as review:
        review.reject(["rude"], "bob", "rude", NOW)
    assert (log / "events.parquet").read_bytes() == before
    assert list(read_log(log).tables["variants"]["model"]) == ["slots", "slots", "seq2seq"]


def test_a_log_of_csv_is_reviewed_too(log):
    variants = pd.read_parquet(log / "variants.parquet")
    (log / "variants.parquet").unlink()
    variants.to_csv(log / "variants.csv", index=False)
    with review_of(log) as review:
        review.approve(["plain"], "ann", "", False, NOW)
    assert statuses(log)["plain"] == "approved"
    assert not (log / "variants.csv").exists()


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda review: review.approve(["nope"], "ann", "", False, NOW), "no variant 'nope'"),
        (lambda review: review.approve([], "ann", "", False, NOW), "no variant is named"),
        (lambda review: review.reject(["plain"], "ann", "", NOW), "wants a reason"),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(log, act, message):
    with review_of(log) as review, pytest.raises(BadInput, match=message):
        act(review)


def test_an_unknown_status_and_a_broken_history_are_refused(log):
    variants = pd.read_parquet(log / "variants.parquet")
    variants.loc[0, "status"] = "aproved"
    variants.to_parquet(log / "variants.parquet", index=False)
    with pytest.raises(BadLog), review_of(log):
        pass
    variants.loc[0, "status"] = "draft"
    variants.to_parquet(log / "variants.parquet", index=False)
    (log / HISTORY).write_text("not parquet")
    with pytest.raises(BadLog, match="restore it"), review_of(log):
        pass


def test_a_failed_write_keeps_the_old_history(log, monkeypatch):
    with review_of(log) as review:
        review.approve(["plain"], "ann", "", False, NOW)
    before = (log / HISTORY).read_bytes()

    def broken(*args: object, **kwargs: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", broken)
    with pytest.raises(OSError, match="disk full"), review_of(log) as review:
        review.reject(["plain"], "bob", "no", NOW)
    assert (log / HISTORY).read_bytes() == before
    assert statuses(log)["plain"] == "approved"
