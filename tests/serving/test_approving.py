"""Copy that is put into the store: what is approved, what is a draft, what is refused."""

from typing import Any

import pytest

NEW = {"variant_id": "n", "style": "plain", "title": "Hello", "body": "{item} is here"}


def put(client: Any, **changes: object) -> Any:
    return client.put("/v1/variants", json={"variants": [{**NEW, **changes}]})


def status(client: Any) -> str:
    rows = client.get("/v1/logs/variants").text.splitlines()
    import csv

    table = {row["variant_id"]: row for row in csv.DictReader(rows)}
    return table["n"]["status"]


def test_new_copy_is_approved_and_changed_copy_is_a_draft(always):
    assert put(always).json() == {"written": 1, "drafts": []}
    assert put(always).json()["drafts"] == []
    assert put(always, body="{item} is back").json()["drafts"] == ["n"]
    assert status(always) == "draft"
    assert put(always, body="{item} is back").json()["drafts"] == ["n"]
    assert put(always, body="{item} is back", status="approved").json()["drafts"] == []
    assert status(always) == "approved"


def test_what_is_approved_and_what_no_more_stands_in_the_audit_log(always):
    def audited() -> list[tuple[str, Any]]:
        entries = always.get("/v1/audit").json()["entries"]
        return [(e["action"], e["detail"]) for e in entries if e["who"] == "no key"]

    assert audited() == [("approve copy", {"variants": ["v0", "v1", "v2"]})]
    done = []
    for changes, action in (
        ({}, "approve copy"),
        ({}, None),
        ({"segment": "new"}, None),
        ({"body": "{item} is back"}, "take back copy"),
        ({"body": "{item} is here"}, None),
        ({"status": "rejected"}, None),
        ({"status": "approved"}, "approve copy"),
        ({"body": "Here: {item}", "status": "approved"}, "approve copy"),
        ({"body": "Here: {item}", "status": "rejected"}, "take back copy"),
    ):
        put(always, **changes).raise_for_status()
        done += [(action, {"variants": ["n"]})] if action else []
        assert audited()[:-1] == done[::-1]
    assert put(always, body="Call 138 0013 8000", status="approved").status_code == 422
    assert audited()[:-1] == done[::-1]


def test_a_draft_is_not_sent(always):
    always.put("/v1/users/u", json={"timezone": "UTC", "consent": True}).raise_for_status()
    ask = {"user_id": "u", "candidates": ["i0"], "variants": ["n"], "dry_run": True}
    put(always, status="draft").raise_for_status()
    held = always.post("/v1/decisions", json=ask).json()
    assert held["action"] == "hold"
    put(always, status="approved").raise_for_status()
    sent = always.post("/v1/decisions", json=ask).json()
    assert sent["action"] == "send", sent


@pytest.mark.parametrize("text", ["Call 138 0013 8000", "These s.h.i.t.t.y mugs", "保 本 保 息"])
def test_blocked_copy_is_never_approved(always, text):
    refused = put(always, body=text, approved_because="I like it")
    assert (refused.status_code, refused.json()["field"]) == (422, "variants[0].body")
    assert put(always, body=text, status="draft").json()["drafts"] == ["n"]


def test_a_claim_is_approved_with_a_reason_that_is_kept(always):
    refused = put(always, body="Only 2 left")
    assert refused.status_code == 422
    assert "en.promotion.scarcity" in refused.json()["detail"]
    put(always, body="Only 2 left", approved_by="ann", approved_because="stock is 2")
    assert status(always) == "approved"
    assert "stock is 2" in always.get("/v1/logs/variants").text
    assert put(always, body="Only 2 left").status_code == 200


def test_moderation_can_be_left_to_the_shop(shop):
    with shop.server(shop.policy("p"), moderate_copy=False) as client:
        assert put(client, body="Last chance").json()["drafts"] == []


def test_an_unknown_status_is_refused(always):
    refused = put(always, status="live")
    assert (refused.status_code, refused.json()["field"]) == (422, "variants[0].status")
