"""Operating the server: guardrails, the budget, kill switches, the audit log, the ledger."""

from __future__ import annotations

from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query, Response
from sqlalchemy import select

from mdp.errors import BadSetting
from serving.access import audit
from serving.answers import AuditOut, GuardrailHistory, GuardrailsSet, KillOut, LedgerOut, Tables
from serving.budget import budget_table
from serving.ledger import ledger
from serving.problems import PROBLEMS, Problem
from serving.registry import World
from serving.rows import rows_by_key
from serving.rules import change_rules, history, wrong_key
from serving.schemas import KillIn, iso
from serving.service import Here, Who, reply
from serving.store import put_setting, reading, setting, writing
from serving.strict_json import StrictRoute
from serving.tables import AUDIT, ITEMS, POLICIES, VARIANTS

router = APIRouter(tags=["control"], route_class=StrictRoute, responses=PROBLEMS)
KINDS = {"policies": POLICIES, "items": ITEMS, "variants": VARIANTS}
"""What can be stopped by itself."""


@router.get("/v1/guardrails", response_model=Tables)
def show_guardrails(service: Here) -> Response:
    """The guardrails in force, as the tables of the TOML file."""
    with reading(service.engine) as connection:
        return reply(rules_of(service.registry.world(connection)))


def rules_of(world: World) -> dict[str, Any]:
    """Guardrails and budget as the tables of the TOML file."""
    return {**world.guardrails.to_mapping(), "budget": budget_table(world.values)}


@router.put("/v1/guardrails", response_model=GuardrailsSet)
def put_guardrails(service: Here, who: Who, body: dict[str, Any]) -> Response:
    """Replace guardrails, key by key; says which are looser than the policy was trained under.

    `"none"` lifts a cap, a ceiling or a limit of the budget. `null` gives a key back to the
    policy's own value; of the budget, which no policy has, it is refused.
    """
    with writing(service.engine) as connection:
        before = service.registry.world(connection)
        own = before.bundle.guardrails
        try:
            change_rules(connection, own, body, service.clock(), who)
        except BadSetting as error:
            raise Problem(422, wrong_key(own, body), str(error)) from error
        try:
            world = service.registry.world(connection)
        except BadSetting as error:
            raise Problem(422, "unsubscribe.ceiling", str(error)) from error
        if set(world.left_out) - set(before.left_out):
            raise Problem(422, "unsubscribe.ceiling", "; ".join(world.left_out.values()))
    looser = world.guardrails.looser_than(own)
    if looser:
        structlog.get_logger().warning("guardrails looser than trained", names=looser)
    return reply({**rules_of(world), "looser_than_trained": looser})


@router.get("/v1/guardrails/history", response_model=GuardrailHistory)
def guardrail_history(service: Here) -> Response:
    """Every change of the guardrails and the budget, the newest first: when, by which key, and the
    keys that were in force from then on over the policy's own."""
    with reading(service.engine) as connection:
        return reply({"history": history(connection)})


@router.get("/v1/kill", response_model=KillOut)
def show_kill(service: Here) -> Response:
    """What is stopped."""
    with reading(service.engine) as connection:
        on, kills = setting(connection, "kill", False), setting(connection, "kills", {})
    return reply({"on": on, **{kind: kills.get(kind, []) for kind in KINDS}})


@router.put("/v1/kill", response_model=KillOut)
def kill(service: Here, who: Who, body: KillIn) -> Response:
    """Stop everything, or a policy, an item or a variant; or let it go on.

    In force with the next decision of every worker. What is stopped is not sent either: sends that
    wait in the outbox are cancelled at their hour.
    """
    kind, name = body.what
    with writing(service.engine) as connection:
        if kind is None or name is None:
            put_setting(connection, "kill", body.on)
        else:
            if name not in rows_by_key(connection, KINDS[kind], [name]):
                raise Problem(404, body.field, f"there is no such entry {name!r}")
            kills = setting(connection, "kills", {})
            names = set(kills.get(kind, [])) - {name} | ({name} if body.on else set())
            put_setting(connection, "kills", {**kills, kind: sorted(names)})
        audit(connection, service.clock(), who, "kill", body.model_dump(exclude_none=True))
    structlog.get_logger().warning("kill switch", **body.model_dump(exclude_none=True), who=who)
    return show_kill(service)


@router.get("/v1/audit", response_model=AuditOut)
def show_audit(service: Here, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> Response:
    """What operators did, the newest first."""
    with reading(service.engine) as connection:
        rows = connection.execute(select(AUDIT).order_by(AUDIT.c.number.desc()).limit(limit)).all()
    return reply(
        {
            "entries": [
                {"at": iso(r.at), "who": r.who, "action": r.action, "detail": r.detail}
                for r in rows
            ]
        }
    )


@router.get("/v1/ledger", response_model=LedgerOut)
def show_ledger(service: Here) -> Response:
    """Where every decision and outcome went."""
    with service.exports.one(), reading(service.engine, whole=True) as connection:
        return reply(ledger(connection, service.clock()))
