"""Policies: added, tried, made active, rolled back; the challenger, the shadow and their users."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog
from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Connection, case, func, select

from mdp.errors import BadArtifact, BadInput, BadSetting
from serving.access import audit
from serving.activation import loosened, make_active
from serving.answers import (
    ActivatedOut,
    ActiveOut,
    DecisionOut,
    ExperimentOut,
    ExperimentSet,
    PoliciesOut,
)
from serving.arms import sample_ratio
from serving.commit import Replayed
from serving.critical import critical
from serving.known import add_policy, saved_policy
from serving.problems import PROBLEMS, Problem
from serving.registry import World
from serving.routes.decisions import Key, answered
from serving.schemas import CriticalIn, ExperimentIn, PolicyIn, iso
from serving.service import Here, Service, Who, reply, smoke
from serving.store import put_setting, reading, setting, writing
from serving.strict_json import StrictRoute
from serving.tables import DECISIONS, POLICIES, SHADOWS
from serving.whose import need_shop_of

router = APIRouter(tags=["policies"], route_class=StrictRoute, responses=PROBLEMS)


@router.get("/v1/policies", response_model=PoliciesOut)
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


@router.post("/v1/policies", status_code=201, response_model=ActiveOut)
def add(service: Here, who: Who, body: PolicyIn) -> Response:
    """Make a saved policy, a directory on the server's machine, known by its name; it decides for
    nobody yet. Nothing in it is executed. A name means one policy for ever: another one under a
    name in use is refused (409)."""
    try:
        saved = saved_policy(Path(body.path))
    except BadArtifact as error:
        raise Problem(422, "path", str(error)) from error
    with writing(service.engine) as connection:
        try:
            name = add_policy(connection, saved, service.clock(), who)
        except BadInput as error:
            raise Problem(409, "path", str(error)) from error
        active = setting(connection, "policy") == name
    return reply({"name": name, "active": active}, 201)


@router.post("/v1/policies/{name}:activate", response_model=ActivatedOut)
def activate(service: Here, who: Who, name: str) -> Response:
    """Decide by this policy from now on. It is loaded and tried before it takes over; one that is
    corrupt, tampered with, of another schema or of another shop is refused, and the one before goes
    on.

    The answer says what changes with it: which guardrails are `looser` than those in force until
    now, which guardrails and weights of the reward are `changed`, and which guardrails are looser
    than the policy was trained under. The holdout is the store's and stays as it is.
    """
    with reading(service.engine) as connection:
        tried(service, connection, name, "name")
    return _activated(service, who, name)


@router.post("/v1/policies:rollback", response_model=ActivatedOut)
def rollback(service: Here, who: Who) -> Response:
    """Decide by the policy again that was active before the last change; says what changes with
    it, as an activation does."""
    with reading(service.engine) as connection:
        before = setting(connection, "policy_before")
        if before is None:
            raise Problem(409, None, "no other policy was active before")
        tried(service, connection, before, None)
    return _activated(service, who, before)


def _activated(service: Service, who: str, name: str) -> Response:
    with writing(service.engine) as connection:
        try:
            made = make_active(connection, service.registry, name, service.clock(), who)
        except BadSetting as error:  # the guardrails were changed since it was tried
            raise Problem(409, None, str(error)) from error
    if made.looser or made.not_compared:
        log = structlog.get_logger()
        log.warning("activated", policy=name, looser=made.looser, not_compared=made.not_compared)
    return reply({**asdict(made), "active": True})


def tried(service: Service, connection: Connection, name: str, field: str | None) -> World:
    """The world with this policy, of this shop, after a decision for nobody; raises `Problem`."""
    try:
        world = service.registry.trial(connection, name)
        smoke(world, service.clock())
    except (BadArtifact, BadSetting) as error:
        raise Problem(409, field, str(error)) from error
    except BadInput as error:
        raise Problem(404, field, str(error)) from error
    try:
        need_shop_of(connection, world.bundle, name)
    except BadInput as error:
        raise Problem(409, field, str(error)) from error
    return world


@router.put("/v1/experiment", response_model=ExperimentSet)
def put_experiment(service: Here, who: Who, body: ExperimentIn) -> Response:
    """Give a share of the users to a challenger, and let a shadow decide beside; null, or left
    out, for none: `{}` ends the experiment.

    Who gets the challenger depends on the salt and the user's id alone. The answer says which
    guardrails are `looser` for users who come to it, or leave the one of before, as the challenger
    brings its own.
    """
    with reading(service.engine) as connection:  # others write while these are loaded
        if body.challenger is not None:
            tried(service, connection, body.challenger.policy, "challenger.policy")
        if body.shadow is not None:
            tried(service, connection, body.shadow, "shadow")
    told, now = body.model_dump(), service.clock()
    with writing(service.engine) as connection:
        made = loosened(connection, service.registry, told["challenger"])
        put_setting(connection, "experiment", {**told, "since": now})
        looser = {"looser": made.looser} if made.looser else {}
        audit(connection, now, who, "experiment", {**told, **looser})
    if made.looser or made.not_compared:
        log = structlog.get_logger()
        log.warning("experiment", looser=made.looser, not_compared=made.not_compared)
    with reading(service.engine) as connection:
        shown = experiment_of(connection, service.registry.world(connection))
    return reply({**shown, **asdict(made)})


@router.get("/v1/experiment", response_model=ExperimentOut)
def show_experiment(service: Here) -> Response:
    """Challenger and shadow: the users of each arm, with an alarm where they are not the share
    that they should be, and how often the shadow decides as the policy in force does. `left_out`
    says which of them can't be loaded, and why; then the active policy decides for the
    challenger's users, who keep their arm."""
    with reading(service.engine) as connection:
        return reply(experiment_of(connection, service.registry.world(connection)))


def experiment_of(connection: Connection, world: World) -> dict[str, Any]:
    """Challenger and shadow with what came of them."""
    given = world.values.get("experiment") or {}
    ratio = None
    if world.challenger is not None:
        ratio = sample_ratio(connection, world.challenger, given["since"])
    return {
        "challenger": given.get("challenger"),
        "shadow": given.get("shadow"),
        "since": iso(given["since"]) if given else None,
        "sample_ratio": ratio,
        "shadow_decisions": None
        if world.shadow is None
        else agreement(connection, world.shadow.name),
        "left_out": dict(world.left_out),
    }


def agreement(connection: Connection, policy: str) -> dict[str, int]:
    """What a shadow would have done, against what was done."""
    same = (
        SHADOWS.c.item_id.is_not_distinct_from(DECISIONS.c.item_id)
        & SHADOWS.c.variant_id.is_not_distinct_from(DECISIONS.c.variant_id)
        & SHADOWS.c.send_at.is_not_distinct_from(DECISIONS.c.send_at)
    )
    query = (
        select(
            func.count(),
            func.count(SHADOWS.c.item_id),
            func.count(DECISIONS.c.item_id),
            func.coalesce(func.sum(case((same, 1), else_=0)), 0),
        )
        .join(DECISIONS, DECISIONS.c.decision_id == SHADOWS.c.decision_id)
        .where(SHADOWS.c.policy == policy)
    )
    total, sends, sent, alike = connection.execute(query).one()
    return {"total": total, "shadow_sends": sends, "sends": sent, "the_same": int(alike)}


@router.post("/v1/critical", response_model=DecisionOut)
async def send_critical(
    service: Here, who: Who, body: CriticalIn, idempotency_key: Key = None
) -> Response:
    """Send one message now that no cap, gap, quiet hour, budget or holdout may stop, and note who
    asked for it and why. Consent, the kill switches for everything, the item and the copy, stock
    and approval stop it still (409)."""
    with service.in_flight.only(idempotency_key):
        answer = await run_in_threadpool(critical, service, who, body, idempotency_key)
    return answered(answer, isinstance(answer, Replayed))
