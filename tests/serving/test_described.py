"""The API's description says what is answered, and which calls need a key."""

import schemathesis
from httpx2 import Response

from mdp.clock import DAY, HOUR
from policies.baselines import Random
from serving.access import SCOPES
from serving.middleware import OPEN
from tests.serving.conftest import ITEMS, VARIANTS
from tests.serving.receivers import listening

ASK = {"user_id": "u", "candidates": ["i0", "i1"]}
NO_SCHEMA = {"DELETE /v1/users/{user_id}"}
"""Operations that answer without a body."""


def conversation(client, shop):
    """A good call of every operation: its path as described, and the answer."""

    def call(method, path, body=None, **parts):
        where = path
        for name, value in parts.items():
            where = where.replace(f"{{{name}}}", value)
        answer = client.request(method, where, json=body)
        assert answer.is_success, (method, where, answer.text)
        calls.append((method, path, answer))
        return answer.json() if "json" in answer.headers.get("content-type", "") else None

    calls: list[tuple[str, str, Response]] = []
    call("GET", "/healthz")
    call("GET", "/readyz")
    call("PUT", "/v1/items", {"items": ITEMS})
    call("PUT", "/v1/variants", {"variants": VARIANTS})
    call("PUT", "/v1/users/{user_id}", {"consent": True, "attributes": {"x": 1}}, user_id="u")
    sent = call("POST", "/v1/decisions", ASK)["decision_id"]
    call("POST", "/v1/decisions", {**ASK, "dry_run": True})
    call("POST", "/v1/decisions:batch", {"requests": [{"user_id": "w"}, {"user": 1}]})
    call("GET", "/v1/decisions/{decision_id}", decision_id=sent)
    call("POST", "/v1/decisions/{decision_id}:cancel", decision_id=sent)
    event = {"user_id": "u", "item_id": "i1", "event": "view", "at": "2026-02-16T11:00:00Z"}
    call("POST", "/v1/events", {"events": [event, {}]})
    told = {"decision_id": sent, "outcome": "opened", "at": "2026-02-16T13:00:00Z"}
    call("POST", "/v1/outcomes", {"outcomes": [told, {}]})
    call("GET", "/v1/users/{user_id}", user_id="u")
    call("GET", "/v1/users/{user_id}:export", user_id="u")
    call("GET", "/v1/guardrails")
    call("PUT", "/v1/guardrails", {"caps": {"per_7d": 9}})
    call("GET", "/v1/guardrails/history")
    call("PUT", "/v1/kill", {"on": True, "item_id": "i5"})
    call("GET", "/v1/kill")
    call("POST", "/v1/policies", {"path": str(shop.policy("q"))})
    call("GET", "/v1/policies")
    call("POST", "/v1/policies/{name}:activate", name="q")
    call("POST", "/v1/policies:rollback")
    challenger = {"policy": "q", "share": 0.5, "salt": "s"}
    call("PUT", "/v1/experiment", {"challenger": challenger, "shadow": "q"})
    call("GET", "/v1/experiment")
    critical = {"item_id": "i1", "variant_id": "v0", "reason": "recall"}
    call("POST", "/v1/critical", {"user_id": "u", **critical})
    shop.clock.now += DAY
    client.app.state.service.dispatcher.run()
    shop.clock.jump(HOUR)
    client.app.state.service.dispatcher.run()
    assert call("GET", "/v1/outbox")["paused"]
    assert call("POST", "/v1/outbox:resume")["resumed"]
    (dead, *_) = client.get("/v1/outbox").json()["sends"]
    call("POST", "/v1/outbox/{decision_id}:retry", decision_id=dead["decision_id"])
    call("GET", "/v1/audit")
    call("GET", "/v1/ledger")
    call("GET", "/v1/logs/{table}", table="log.json")
    call("GET", "/v1/logs/{table}", table="decisions")
    call("GET", "/metrics")
    call("DELETE", "/v1/users/{user_id}", user_id="w")
    return calls


def test_every_operation_answers_as_described(shop):
    policy = shop.policy("p", Random(hold=1e-9), floor=0.0)
    with listening(lambda request: (400, {}, {})) as receiver:
        settings = {"sender": "webhook", "webhook_url": receiver.url, "webhook_secret": "s"}
        with shop.server(policy, send_within_hours=48, **settings) as client:
            schema = schemathesis.openapi.from_asgi("/openapi.json", client.app)
            told = client.get("/openapi.json").json()["paths"]
            called = set()
            for method, path, answer in conversation(client, shop):
                name = path if path in told else path.replace("}", ":path}")
                called.add(f"{method} {path}")
                schema[name][method].validate_response(answer)
                if f"{method} {path}" not in NO_SCHEMA:
                    content = told[name][method.lower()]["responses"][str(answer.status_code)]
                    assert all(
                        "csv" in kind or "parquet" in kind or media["schema"]
                        for kind, media in content["content"].items()
                    ), path
    assert called == {f"{m.upper()} {path}" for path, of in told.items() for m in of}


def test_calls_say_which_scope_they_need(always):
    described = always.get("/openapi.json").json()
    ((name, scheme),) = described["components"]["securitySchemes"].items()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for path, operations in described["paths"].items():
        for operation in operations.values():
            if path in OPEN:
                assert "security" not in operation
            else:
                assert operation["security"] == [{name: []}]
                assert any(f"`{scope}`" in operation["description"] for scope in SCOPES)
