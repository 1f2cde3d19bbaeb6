"""Tables of the store. Times are int64 microseconds UTC; lists and free columns are JSON."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    event,
)

from serving.sealing import SealedJson, SealedText

METADATA = MetaData()
REVISION = "0011"
"""The migration that leads to these tables (`serving/migrations/versions`)."""
Key = String().with_variant(String(collation="C"), "postgresql")
"""Text that sorts by its bytes in every database."""
BY_ID = "RANGE (decision_id)"
"""How PostgreSQL parts what grows with decisions, whose ids begin with their instant
(`serving.partitions`)."""


class Json(TypeDecorator[Any]):
    """JSON in a text column (SQLite would turn a JSON number in a JSON column into a number)."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str:
        """The value as text."""
        return orjson.dumps(value).decode()

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """The text as a value."""
        return None if value is None else orjson.loads(value)


USERS = Table(
    "users",
    METADATA,
    Column("user_id", Key, primary_key=True),
    Column("timezone", String),
    Column("signed_up_at", BigInteger, nullable=False),
    Column("consent", Integer),  # 1, 0, or null where unknown
    Column("first_consent", Integer, nullable=False),  # before any change of it
    Column("locale", String),
    Column("preferences", SealedText),
    Column("attributes", SealedJson, nullable=False),
    Column("history", LargeBinary, nullable=False),  # one HISTORY record
    Column("version", BigInteger, nullable=False),  # rises with every write to the row
    Column("last_decision", String),
    Column("turn", Integer, nullable=False),  # of the last decision
    Column("decisions", BigInteger),  # numbered ones that the store holds
    Column("checksum", BigInteger),  # of history at a version; null: not yet
)
ITEMS = Table(
    "items",
    METADATA,
    Column("item_id", Key, primary_key=True),
    Column("body", Json, nullable=False),  # every other column of the log's table
)
VARIANTS = Table(
    "variants",
    METADATA,
    Column("variant_id", Key, primary_key=True),
    Column("body", Json, nullable=False),
)
EVENTS = Table(
    "events",
    METADATA,
    Column("event_id", Key, primary_key=True),
    Column("user_id", Key, nullable=False),
    Column("item_id", Key),
    Column("event", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("value", Float),
    Index("events_user", "user_id", "at"),
)
DECISIONS = Table(
    "decisions",
    METADATA,
    Column("decision_id", Key, primary_key=True),
    Column("user_id", Key, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("item_id", Key),
    Column("variant_id", Key),
    Column("send_at", BigInteger),
    Column("propensity", Float, nullable=False),
    Column("policy", String, nullable=False),
    Column("candidates", String),
    Column("variants", String),
    Column("hours", String),
    Column("turn", Integer, nullable=False),
    Column("arm", String, nullable=False),
    Column("reason", String),
    Column("why", String),  # JSON; not in the log
    Column("schema", String),
    Column("policy_hash", String),
    Column("rules_hash", String),
    Column("title", String),
    Column("body", String),
    Column("nth", BigInteger),  # of its user; null of those loaded, or of before they were counted
    Index("decisions_user", "user_id", "decided_at"),
    postgresql_partition_by=BY_ID,
)
OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("decision_id", Key, primary_key=True),
    Column("outcome", Key, primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("value", Float),
    Column("joined", Integer, nullable=False),  # 0 where it came after the decision's window
    sqlite_with_rowid=False,
    postgresql_partition_by=BY_ID,
)
CHANGES = Table(
    "changes",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("table", String, nullable=False),
    Column("id", String, nullable=False),
    Column("column", String, nullable=False),
    Column("value", SealedText),
    Column("at", BigInteger, nullable=False),
    Index("changes_of", "table", "id"),
)
POLICIES = Table(
    "policies",
    METADATA,
    Column("name", Key, primary_key=True),
    Column("path", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("added_at", BigInteger, nullable=False),
)
GUARDRAILS = Table(
    "guardrails",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("rules", Json, nullable=False),  # keys put over the policy's own; the last row rules
    Column("who", String),  # the API key's name
    Column("budget", Json),  # in force from then on; null for none
    Column("activated", Json),  # the policy that was made active then, and what it brought
)
IDEMPOTENCY = Table(
    "idempotency_keys",
    METADATA,
    Column("key", Key, primary_key=True),
    Column("request", String, nullable=False),  # hash of the request
    Column("response", Json, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("user_id", Key),  # whom the answer is about
    Index("idempotency_keys_at", "at"),
    Index("idempotency_keys_user", "user_id"),
)
SETTINGS = Table(
    "settings",
    METADATA,
    Column("name", Key, primary_key=True),  # policy, kill, catalog, …
    Column("value", Json),
)
COUNTERS = Table(
    "counters",
    METADATA,
    Column("name", Key, primary_key=True),  # outcomes: received, orphan, duplicate
    Column("count", BigInteger, nullable=False),
)
SNAPSHOTS = Table(
    "snapshots",
    METADATA,
    Column("decision_id", Key, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),  # as `serving.snapshot` packs it
    Index("snapshots_at", "at").ddl_if(dialect="sqlite"),  # partitions go by their ids
    postgresql_partition_by=BY_ID,
)
SHADOWS = Table(  # what another policy would have done
    "shadows",
    METADATA,
    Column("decision_id", Key, primary_key=True),
    Column("policy", String, nullable=False),
    Column("item_id", Key),
    Column("variant_id", Key),
    Column("send_at", BigInteger),
    Column("propensity", Float, nullable=False),
)
BUDGET = Table(  # sends reserved in each hour and each day of UTC
    "budget",
    METADATA,
    Column("period", String, primary_key=True),  # hour or day
    Column("start", BigInteger, primary_key=True),
    Column("taken", BigInteger, nullable=False),
)
OUTBOX = Table(
    "outbox",
    METADATA,
    Column("decision_id", Key, primary_key=True),  # also the key by which a receiver deduplicates
    Column("user_id", Key, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("state", String, nullable=False),  # waiting, sent, dead or cancelled
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),  # of the next attempt; a lease while one runs
    Column("reason", String),  # why it is dead or cancelled, or the last failure
    Index("outbox_next", "state", "next_at"),
    Index("outbox_user", "user_id"),
)
API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("name", Key, primary_key=True),
    Column("hash", String, nullable=False),  # SHA-256 of the key, which is random
    Column("scopes", Json, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)
AUDIT = Table(
    "audit",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("who", String, nullable=False),  # the API key's name
    Column("action", String, nullable=False),
    Column("detail", Json),
    Index("audit_at", "at"),
)
ARCHIVES = Table(  # logs that old rows have left the store for
    "archives",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("before", BigInteger, nullable=False),
    Column("out", String, nullable=False),  # directory of the log
    Column("at", BigInteger, nullable=False),
    Column("upto", Key, nullable=False),  # the last user whose rows have left
    Column("sizes", Json, nullable=False),  # bytes of each file that count
    Column("events", BigInteger, nullable=False),
    Column("decisions", BigInteger, nullable=False),
    Column("outcomes", BigInteger, nullable=False),
    Column("done", Integer, nullable=False),
)
ARCHIVED = Table(  # what is kept of a decision that has left
    "archived",
    METADATA,
    Column("decision_id", Key, primary_key=True),
    Column("user_id", Key, nullable=False),
    Column("archive", Integer, nullable=False),  # its number
    Index("archived_user", "user_id"),
    sqlite_with_rowid=False,
)
STARTS = Table(  # what is kept of users' rows that have left
    "starts",
    METADATA,
    Column("user_id", Key, primary_key=True),
    Column("before", BigInteger, nullable=False),
    Column("history", LargeBinary, nullable=False),  # a HISTORY record of all before that instant
    Column("checksum", BigInteger),  # of history
)
NIGHTS = Table(  # runs of the nightly batch
    "nights",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("out", String, nullable=False),  # path of the file
    Column("policy", String, nullable=False),
    Column("at", BigInteger),  # instant to decide at; null: when each is decided
    Column("began_at", BigInteger, nullable=False),
    Column("whole_at", BigInteger),  # of the file; null until then
)
PARTED = (DECISIONS, OUTCOMES, SNAPSHOTS)
"""Tables that PostgreSQL has in partitions."""
for _table in PARTED:
    _default = DDL("CREATE TABLE %(table)s_default PARTITION OF %(table)s DEFAULT")
    event.listen(_table, "after_create", _default.execute_if(dialect="postgresql"))
