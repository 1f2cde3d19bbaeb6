"""What a server process holds: store, policies, the decider and its queue."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import Depends, Request, Response
from sqlalchemy import Connection, Engine, insert, select

from mdp.errors import BadArtifact, BadInput, PushwiseError
from mdp.guardrails import Guardrails
from policies.rules_file import read_guardrails
from serving.batcher import Batcher
from serving.budget import checked
from serving.clocks import Clock, wall_clock
from serving.decide import Decider
from serving.in_flight import InFlight
from serving.metrics import Metrics
from serving.registry import Registry, World, add_policy, make_active
from serving.scoring import Question, draw
from serving.senders import open_sender
from serving.sending import Dispatcher
from serving.settings import Settings
from serving.store import all_settings, open_store, put_setting, reading, setting, writing
from serving.tables import API_KEYS, GUARDRAILS
from serving.tracing import Tracing, open_tracing
from serving.users import new_user

DECIDERS = 2
"""Threads that decide: while one is at a long group, the other goes on with the next."""


@dataclass(frozen=True)
class Service:
    """Everything that the routes use."""

    settings: Settings
    engine: Engine
    registry: Registry
    batcher: Batcher
    metrics: Metrics
    clock: Clock
    in_flight: InFlight
    dispatcher: Dispatcher | None
    tracing: Tracing

    def close(self) -> None:
        """Finish what waits and close the store."""
        self.batcher.close()
        if self.dispatcher is not None:
            self.dispatcher.close()
        self.engine.dispose()
        self.tracing.close()


def open_service(settings: Settings, clock: Clock = wall_clock) -> Service:
    """Open the store and make its policy ready, so that no request waits for that."""
    sender, metrics, tracing = open_sender(settings), Metrics(), open_tracing()
    engine = open_store(settings.store)
    registry = Registry(currency=settings.currency)
    deciders = [
        Decider(engine, registry, settings, None, clock, metrics.watch, tracing)
        for _ in range(DECIDERS)
    ]
    dispatcher = None
    if sender is not None:
        dispatcher = Dispatcher(engine, registry, settings, sender, clock, metrics)
    batcher = Batcher(*(decider.decide for decider in deciders))
    service = Service(
        settings, engine, registry, batcher, metrics, clock, InFlight(), dispatcher, tracing
    )
    try:
        warm_up(service)
    except PushwiseError:
        service.close()
        raise
    return service


def warm_up(service: Service) -> None:
    """Load the active policy, if there is one, and compile by deciding once for nobody."""
    with reading(service.engine) as connection:
        if all_settings(connection).get("policy") is None:
            return
        world = service.registry.world(connection)
    smoke(world, service.clock())


def smoke(world: World, now: int) -> None:
    """Decide once for nobody; raises `BadArtifact` where that gives no probability."""
    nobody = new_user("", now, True, "UTC")
    (drawn,) = draw(world, [Question(nobody, now, None, None)], np.random.default_rng(0))
    if not 0 < drawn.propensity <= 1:
        raise BadArtifact(f"policy {world.name} gives a propensity of {drawn.propensity}")


def prepare(
    settings: Settings, policy: Path | None, guardrails: Path | None, now: int
) -> list[str]:
    """Make a policy active in the store, with guardrails over its own.

    Returns the names of the limits that are now looser than the policy was trained under. Raises
    `BadSetting` for bad guardrails, `BadArtifact` for a policy that can't be loaded, `BadInput`
    where there is none at all.
    """
    engine = open_store(settings.store)
    registry = Registry()
    try:
        with writing(engine) as connection:
            if policy is not None:
                make_active(connection, add_policy(connection, policy, now, "serve"), now, "serve")
            name = all_settings(connection).get("policy")
            if name is None:
                raise BadInput("the store has no active policy: name one to serve")
            bundle = registry.bundle(connection, name)
            if guardrails is not None:
                put_rules(connection, rules_in(guardrails, bundle.guardrails), now)
            world = registry.trial(connection, name)
            return world.guardrails.looser_than(bundle.guardrails)
    finally:
        engine.dispose()


def has_keys(store: str) -> bool:
    """Whether a store holds an API key in force."""
    engine = open_store(store)
    try:
        with reading(engine) as connection:
            in_force = select(API_KEYS.c.name).where(API_KEYS.c.revoked_at.is_(None))
            return connection.execute(in_force).first() is not None
    finally:
        engine.dispose()


def rules_in(path: Path, own: Guardrails) -> dict[str, Any]:
    """The tables of a guardrail file; raises `BadSetting`."""
    read_guardrails(path, own)
    tables = tomllib.loads(path.read_text())
    checked(tables.get("budget", {}))
    return tables


def put_rules(
    connection: Connection, rules: Mapping[str, Any], now: int, who: str = "serve"
) -> None:
    """Put guardrails, the budget among them, key by key over those in force; with history."""
    rules = dict(rules)
    if "budget" in rules:
        before = setting(connection, "budget", {})
        put_setting(connection, "budget", before | checked(rules.pop("budget")))
    merged = {table: dict(keys) for table, keys in all_settings(connection)["guardrails"].items()}
    for table, keys in rules.items():
        merged[table] = {**merged.get(table, {}), **keys}
    connection.execute(insert(GUARDRAILS), [{"at": now, "rules": merged, "who": who}])


async def service_of(request: Request) -> Service:
    """The service of the app that a request came to."""
    service: Service = request.app.state.service
    return service


Here = Annotated[Service, Depends(service_of)]


async def caller_of(request: Request) -> str:
    """The name of the API key that a request came with."""
    return str(request.state.who)


Who = Annotated[str, Depends(caller_of)]


def reply(content: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(content), status, media_type="application/json")
