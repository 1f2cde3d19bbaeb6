"""API keys: who may call what. Keys are random and stored hashed; each has scopes.

decide   ask for decisions, cancel them
ingest   events, outcomes, users, items, variants
read     everything that is only looked at, users and logs among it
metrics  /metrics alone, for Prometheus; `read` may that too
operate  guardrails, budget, kill switches, policies, critical messages, erasing, the audit log
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from mdp.errors import BadSetting
from serving.problems import Problem
from serving.store import reading
from serving.tables import API_KEYS, AUDIT

SCOPES = ("decide", "ingest", "read", "metrics", "operate")
KNOWN_FOR = 1.0
"""Seconds after which keys are read again: how long one that was revoked may still be used."""
INGESTED = ("/v1/events", "/v1/outcomes", "/v1/items", "/v1/variants", "/v1/users")


@dataclass(frozen=True)
class Caller:
    """Whom a key belongs to."""

    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether the key is good for what needs a scope."""
        return scope in self.scopes or (scope == "metrics" and "read" in self.scopes)


NOBODY = Caller("no key", frozenset(SCOPES))
"""Who calls where no keys are configured."""


def scope_of(method: str, path: str) -> str:
    """The scope that a request needs; whatever is not named here needs `operate`."""
    if path.startswith("/v1/audit"):
        return "operate"
    if method in ("GET", "HEAD"):
        return "metrics" if path == "/metrics" else "read"
    if path.startswith("/v1/decisions"):
        return "decide"
    return "ingest" if path.startswith(INGESTED) and method != "DELETE" else "operate"


def digest(key: str) -> str:
    """A key as it is stored. It is random, so that a plain hash can't be guessed backwards."""
    return sha256(key.encode()).hexdigest()


def create_key(connection: Connection, name: str, scopes: Sequence[str], now: int) -> str:
    """Make a key, which is shown this once. Raises `BadSetting` for a bad scope or a taken name."""
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise BadSetting(f"scopes are {', '.join(SCOPES)}, not {', '.join(unknown) or 'none'}")
    if connection.scalar(select(API_KEYS.c.name).where(API_KEYS.c.name == name)) is not None:
        raise BadSetting(f"there is a key {name!r} already: take another name")
    key = "pw_" + secrets.token_urlsafe(32)
    row = {"name": name, "hash": digest(key), "scopes": sorted(set(scopes)), "created_at": now}
    connection.execute(insert(API_KEYS), [row])
    return key


def revoke_key(connection: Connection, name: str, now: int) -> None:
    """Refuse a key from now on; raises `BadSetting` where there is none."""
    mine = (API_KEYS.c.name == name) & API_KEYS.c.revoked_at.is_(None)
    if not connection.execute(update(API_KEYS).where(mine).values(revoked_at=now)).rowcount:
        raise BadSetting(f"there is no key {name!r} in force")


def audit(connection: Connection, at: int, who: str, action: str, detail: Any = None) -> None:
    """Note what an operator does, in the transaction that does it."""
    row = {"at": at, "who": who, "action": action, "detail": detail}
    connection.execute(insert(AUDIT), [row])


class Access:
    """The keys of the environment and of the store, and how fast each may call."""

    def __init__(self, engine: Engine, keys: Iterable[str], rate: float) -> None:
        """keys: the environment's, with every scope. rate: requests a second of a key; 0: any."""
        everything = frozenset(SCOPES)
        self._own = {
            digest(key): Caller(f"PUSHWISE_API_KEYS[{n}]", everything)
            for n, key in enumerate(sorted(keys))
        }
        self._engine, self._rate = engine, rate
        self._known: dict[str, Caller] = {}
        self._closed = False
        self._read_at = -KNOWN_FOR
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock, self._reading = threading.Lock(), threading.Lock()

    @property
    def is_old(self) -> bool:
        """Whether keys must be read again before the next check."""
        return time.monotonic() - self._read_at >= KNOWN_FOR

    @property
    def are_known(self) -> bool:
        """Whether keys were read at all."""
        return self._read_at >= 0

    def read(self) -> None:
        """Read the keys, unless that was done a moment ago. It waits for the store, and raises
        what that does."""
        with self._reading:
            if not self.is_old:
                return
            at = time.monotonic()
            with reading(self._engine) as connection:
                rows = connection.execute(select(API_KEYS)).all()
            self._known = self._own | {
                row.hash: Caller(row.name, frozenset(row.scopes))
                for row in rows
                if row.revoked_at is None
            }
            self._closed = bool(rows)  # revoking the last key opens nothing
            self._read_at = at

    def check(self, method: str, path: str, authorization: str) -> Caller:
        """Who calls, by the keys that were read last; raises `Problem` (401, 403, 429) for one who
        may not."""
        known = self._known
        if not known and not self._closed:
            return NOBODY
        scheme, _, key = authorization.partition(" ")
        given = digest(key.strip())
        found = [caller for own, caller in known.items() if compare_digest(own, given)]
        if scheme.lower() != "bearer" or not found:
            raise Problem(401, "Authorization", "send Authorization: Bearer with an API key")
        scope = scope_of(method, path)
        if not found[0].may(scope):
            raise Problem(403, "Authorization", f"this key lacks the scope {scope!r}")
        self._take(found[0].name)
        return found[0]

    def _take(self, name: str) -> None:
        """A token of the key's bucket, which holds those of one second."""
        if not self._rate:
            return
        now, most = time.monotonic(), max(self._rate, 1.0)
        with self._lock:
            tokens, at = self._buckets.get(name, (most, now))
            tokens = min(most, tokens + (now - at) * self._rate)
            if tokens < 1:
                raise Problem(429, None, f"this key may send {self._rate:g} requests a second")
            self._buckets[name] = tokens - 1, now
