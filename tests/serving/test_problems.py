"""Bad requests get problem details that name the field."""

import pytest
from starlette.testclient import TestClient

from mdp.errors import BadArtifact
from serving.app import create_app
from serving.schemas import iso
from serving.starting import prepare

GOOD = {"user_id": "u", "candidates": ["i0"]}
ITEM = {"item_id": "x", "title": "t", "category": "c", "brand": "b", "price": 1.0}
COPY = {"variant_id": "x", "style": "plain", "title": "t", "body": "b"}
OF_ITEM = "variants[0].item_id"
DECIDE = ("POST", "/v1/decisions")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        (*DECIDE, b"{", 400, "body"),
        (*DECIDE, b"\xff\xfe", 400, "body"),
        (*DECIDE, b'{"user_id": "\\ud800"}', 400, "body"),
        (*DECIDE, b'{"user_id": "a\\u0000"}', 400, "body"),
        ("GET", "/v1/users/a%00", None, 404, "path"),
        ("PUT", "/v1/guardrails", b'{"gaps": {"min_hours": Infinity}}', 400, "body"),
        ("PUT", "/v1/users/u", b'{"attributes": {"n": NaN}}', 400, "body"),
        (*DECIDE, [], 422, "body"),
        (*DECIDE, {}, 422, "user_id"),
        (*DECIDE, {**GOOD, "user_id": 7}, 422, "user_id"),
        (*DECIDE, {**GOOD, "user_id": ""}, 422, "user_id"),
        (*DECIDE, {**GOOD, "user_id": "a|b"}, 422, "user_id"),
        (*DECIDE, {**GOOD, "candidates": "i0"}, 422, "candidates"),
        (*DECIDE, {**GOOD, "candidates": []}, 422, "candidates"),
        (*DECIDE, {**GOOD, "candidates": ["i0", "nope"]}, 422, "candidates[1]"),
        (*DECIDE, {**GOOD, "candidates": ["i0", "i0"]}, 422, "candidates[1]"),
        (*DECIDE, {**GOOD, "variants": ["nope"]}, 422, "variants[0]"),
        (*DECIDE, {**GOOD, "timezone": "Mars/Olympus"}, 422, "timezone"),
        (*DECIDE, {**GOOD, "at": "2026-03-01T10:00:00Z"}, 422, "at"),
        (*DECIDE, {**GOOD, "at": 1771243200}, 422, "at"),
        (*DECIDE, {**GOOD, "dry_run": "yes"}, 422, "dry_run"),
        (*DECIDE, {**GOOD, "colour": "red"}, 422, "colour"),
        ("POST", "/v1/decisions:batch", {"requests": {}}, 422, "requests"),
        ("POST", "/v1/decisions:batch", {"requests": [GOOD] * 11}, 422, "requests"),
        ("POST", "/v1/events", {"events": "x"}, 422, "events"),
        ("POST", "/v1/outcomes", {}, 422, "outcomes"),
        ("PUT", "/v1/items", {"items": [ITEM, {**ITEM, "price": -1}]}, 422, "items[1].price"),
        ("PUT", "/v1/items", {"items": [{**ITEM, "price": "9"}]}, 422, "items[0].price"),
        ("PUT", "/v1/items", {"items": [{**ITEM, "tags": ["a"]}]}, 422, "items[0].tags"),
        ("PUT", "/v1/items", {"items": [{**ITEM, "price": 1e300}]}, 422, "items[0].price"),
        ("PUT", "/v1/variants", {"variants": [{**COPY, "item_id": "no"}]}, 422, OF_ITEM),
        ("PUT", "/v1/users/u", {"attributes": {"user_id": "w"}}, 422, "attributes.user_id"),
        ("PUT", "/v1/variants", {"variants": [{"variant_id": "v"}]}, 422, "variants[0].style"),
        ("PUT", "/v1/users/u", {"timezone": "nowhere"}, 422, "timezone"),
        ("PUT", "/v1/users/u", {"consent": 1}, 422, "consent"),
        ("PUT", "/v1/users/a%7Cb", {}, 422, "user_id"),
        ("PUT", "/v1/kill", {"on": "yes"}, 422, "on"),
        ("PUT", "/v1/guardrails", {"caps": {"per_year": 1}}, 422, "caps.per_year"),
        ("PUT", "/v1/guardrails", {"caps": {"per_7d": 1000}}, 422, "caps.per_7d"),
        ("PUT", "/v1/guardrails", {"quiet_hours": {"start": 9}}, 422, "quiet_hours.start"),
        ("PUT", "/v1/guardrails", {"caps": 3}, 422, "caps"),
        ("GET", "/v1/users/nobody", None, 404, "user_id"),
        ("GET", "/v1/decisions/nope", None, 404, "decision_id"),
        ("GET", "/v1/decisions/no%2Fpe", None, 404, "decision_id"),
        ("POST", "/v1/decisions/no%2Fpe:cancel", None, 404, "decision_id"),
        ("POST", "/v1/policies/nope:activate", None, 404, "name"),
        ("GET", "/v1/logs/secrets", None, 404, "table"),
        ("GET", "/v1/logs/users?format=xml", None, 422, "format"),
        ("GET", "/nowhere", None, 404, "path"),
        ("DELETE", "/v1/kill", None, 405, "method"),
        (*DECIDE, b" " * 10_001, 413, "body"),
    ],
)
def test_a_bad_request_names_its_field(small, method, path, body, status, field):
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    headers = {"Content-Type": "application/json"} if body is not None else {}
    response = small.request(method, path, headers=headers, **(sent if body is not None else {}))
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (response.status_code, problem["status"], problem["field"]) == (status, status, field)
    assert {"type", "title", "detail"} <= set(problem)


@pytest.fixture
def small(shop):
    with shop.server(shop.policy("p"), max_batch=10, max_body_bytes=10_000) as client:
        yield client


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/events", "/v1/decisions:batch"])
def test_a_form_is_told_to_be_json(small, path):
    """What `curl -d` says by itself."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = small.post(path, content=b"{}", headers=headers)
    assert (response.status_code, response.json()["field"]) == (422, "body")
    assert "content-type: application/json" in response.json()["detail"]


def test_a_body_that_does_not_tell_its_length_is_cut_off_too(small):
    def parts():
        for _ in range(20):
            yield b" " * 1000

    response = small.post(
        "/v1/decisions", content=parts(), headers={"Content-Type": "application/json"}
    )
    assert (response.status_code, response.json()["field"]) == (413, "body")


def test_a_body_nested_too_deep_is_a_bad_request(shop):
    with shop.server(shop.policy("p")) as client:
        response = client.post(
            "/v1/decisions",
            content=b"[" * 100_000,
            headers={"Content-Type": "application/json"},
        )
    assert (response.status_code, response.json()["field"]) == (400, "body")


def test_a_number_too_large_for_the_store_is_kept_as_a_float(small):
    small.put("/v1/users/u", json={"attributes": {"n": 10**30}}).raise_for_status()
    assert small.get("/v1/users/u").json()["attributes"] == {"n": 1e30}


def test_a_variant_keeps_its_style(small):
    changed = {"variant_id": "v0", "style": "loud", "title": "t", "body": "b"}
    response = small.put("/v1/variants", json={"variants": [changed]})
    assert (response.status_code, response.json()["field"]) == (409, "variants[0].style")


def test_with_keys_a_request_needs_one(shop):
    policy = shop.policy("p")
    with pytest.raises(Exception, match="401"):
        shop.server(policy, api_keys="secret, other")
    settings = shop.settings(api_keys="secret, other")
    with TestClient(create_app(settings, shop.clock)) as client:
        assert client.get("/healthz").status_code == 200
        refused = client.get("/v1/ledger")
        assert (refused.status_code, refused.json()["field"]) == (401, "Authorization")
        for key, status in (("other", 200), ("wrong", 401), ("secret, other", 401)):
            given = client.get("/v1/ledger", headers={"Authorization": f"Bearer {key}"})
            assert given.status_code == status


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/decisions", GOOD), ("/v1/decisions:batch", {"requests": [GOOD]}), ("/readyz", None)],
)
def test_an_error_that_nobody_thought_of_is_a_problem_too(shop, monkeypatch, path, body):
    with shop.server(shop.policy("p")) as client:
        monkeypatch.delattr(client.app.state.service.registry, "_lock")
        response = client.request("GET" if body is None else "POST", path, json=body)
    assert (response.status_code, response.json()["status"]) == (500, 500)
    assert "server's log" in response.json()["detail"]
    assert response.headers["x-request-id"]


def test_a_policy_that_was_changed_is_refused(shop):
    """Not ready, not to be activated, while the policy in force goes on."""
    good, bad = shop.policy("good"), shop.policy("bad", floor=0.5)
    with shop.server(good) as client:
        prepare(shop.settings(), bad, None, shop.clock())
        arrays = bad / "arrays.safetensors"
        arrays.write_bytes(arrays.read_bytes() + b" ")
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, 503)
        assert "arrays.safetensors is not the file" in ready.json()["detail"]
        client.post("/v1/policies/good:activate").raise_for_status()
        refused = client.post("/v1/policies/bad:activate")
        assert (refused.status_code, refused.json()["field"]) == (409, "name")
        assert client.post("/v1/decisions", json=GOOD).json()["policy"] == "good"


def test_policies_that_differ_in_guardrails_alone_are_two(shop):
    """And one whose guardrails were changed on disk is not the one that was added."""
    strict, lax = shop.policy("strict", per_7d=2), shop.policy("lax", per_7d=5)
    with shop.server(strict) as client:
        prepare(shop.settings(), lax, None, shop.clock())
        assert client.get("/v1/guardrails").json()["caps"]["per_7d"] == 5
        client.post("/v1/policies/strict:activate").raise_for_status()
        assert client.get("/v1/guardrails").json()["caps"]["per_7d"] == 2
    manifest = strict / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"per_7d": 2', '"per_7d": 9'))
    with pytest.raises(BadArtifact):
        create_app(shop.settings(), shop.clock)


def test_every_answer_of_a_good_request_is_json_and_health_is_told(small):
    assert small.get("/healthz").json() == {"status": "ok"}
    ready = small.get("/readyz").json()
    assert (ready["status"], ready["policy"], ready["items"]) == ("ready", "p", 6)
    small.post("/v1/decisions", json=GOOD)
    text = small.get("/metrics").text
    assert 'pushwise_decisions_total{action="' in text
    assert 'route="/v1/decisions"' in text
    assert "/v1/decisions:batch" in small.get("/openapi.json").json()["paths"]
    assert iso(0) == "1970-01-01T00:00:00Z"


def test_unknown_zones_are_counted_by_themselves(small):
    ask = {"user_id": "u", "timezone": "Factory"}
    assert small.put("/v1/users/u", json={"timezone": "localtime"}).status_code == 422
    assert small.post("/v1/decisions", json=ask).status_code == 422
    small.post("/v1/decisions:batch", json={"requests": [ask, {**ask, "timezone": "UTC"}]})
    assert 'pushwise_refused_total{cause="unknown_zone"} 3.0' in small.get("/metrics").text
