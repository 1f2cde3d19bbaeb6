"""Running the server: policies, guardrails, the kill switch, the ledger, health and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from mdp.errors import BadArtifact, BadInput, BadSetting, PushwiseError
from mdp.guardrails import Guardrails
from serving.ledger import ledger
from serving.problems import Problem
from serving.schemas import KillIn
from serving.service import Here, put_rules, reply
from serving.store import put_setting, reading, setting, writing
from serving.strict_json import StrictRoute
from serving.tables import POLICIES

router = APIRouter(tags=["control"], route_class=StrictRoute)


@router.get("/v1/policies")
def policies(service: Here) -> Response:
    """The policies that the store knows."""
    with reading(service.engine) as connection:
        active = setting(connection, "policy")
        rows = connection.execute(select(POLICIES).order_by(POLICIES.c.name)).all()
    return reply(
        {
            "policies": [
                {"name": r.name, "path": r.path, "hash": r.hash, "active": r.name == active}
                for r in rows
            ]
        }
    )


@router.post("/v1/policies/{name}:activate")
def activate(service: Here, name: str) -> Response:
    """Decide by this policy from now on; it is loaded before it takes over."""
    try:
        with reading(service.engine) as connection:
            service.registry.bundle(connection, name)
    except BadArtifact as error:
        raise Problem(409, "name", str(error)) from error
    except BadInput as error:
        raise Problem(404, "name", str(error)) from error
    with writing(service.engine) as connection:
        put_setting(connection, "policy", name)
    return reply({"name": name, "active": True})


@router.get("/v1/guardrails")
def show_guardrails(service: Here) -> Response:
    """The guardrails in force, as the tables of the TOML file."""
    with reading(service.engine) as connection:
        world = service.registry.world(connection)
    return reply(world.guardrails.to_mapping())


@router.put("/v1/guardrails")
def put_guardrails(service: Here, body: dict[str, Any]) -> Response:
    """Replace guardrails, key by key; says which are looser than the policy was trained under."""
    with writing(service.engine) as connection:
        world = service.registry.world(connection)
        try:
            rules = world.guardrails.updated(body)
        except BadSetting as error:
            raise Problem(422, wrong_key(world.guardrails, body), str(error)) from error
        put_rules(connection, body, service.clock())
    looser = rules.looser_than(world.bundle.guardrails)
    if looser:
        structlog.get_logger().warning("guardrails looser than trained", names=looser)
    return reply({**rules.to_mapping(), "looser_than_trained": looser})


def wrong_key(rules: Guardrails, body: Mapping[str, Any]) -> str:
    """The key of a change, such as `caps.per_7d`, that these guardrails refuse."""
    for table, keys in body.items():
        for key, value in keys.items() if isinstance(keys, Mapping) else ():
            try:
                rules.updated({table: {key: value}})
            except BadSetting:
                return f"{table}.{key}"
        if not isinstance(keys, Mapping):
            return table
    return "body"


@router.put("/v1/kill")
def kill(service: Here, body: KillIn) -> Response:
    """Hold every decision, or stop holding."""
    with writing(service.engine) as connection:
        put_setting(connection, "kill", body.on)
    structlog.get_logger().warning("kill switch", on=body.on)
    return reply({"on": body.on})


@router.get("/v1/ledger")
def show_ledger(service: Here) -> Response:
    """Where every decision and outcome went."""
    with reading(service.engine) as connection:
        return reply(ledger(connection, service.clock()))


@router.get("/healthz")
async def healthz() -> Response:
    """The process answers."""
    return reply({"status": "ok"})


@router.get("/readyz")
def readyz(service: Here) -> Response:
    """The store answers and its policy is loaded; 503 where it can't be."""
    try:
        with reading(service.engine) as connection:
            world = service.registry.world(connection)
    except PushwiseError as error:
        raise Problem(503, None, str(error)) from error
    except DBAPIError as error:
        raise Problem(503, None, "the store does not answer") from error
    return reply(
        {
            "status": "ready",
            "policy": world.name,
            "items": len(world.catalog.items),
            "killed": world.killed,
        }
    )


@router.get("/metrics")
def metrics(service: Here) -> Response:
    """Prometheus metrics of this process."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")
