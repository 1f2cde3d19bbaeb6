"""The tables before migrations were counted."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "users",
        sa.Column("user_id", KEY, primary_key=True),
        sa.Column("timezone", sa.String()),
        sa.Column("signed_up_at", sa.BigInteger(), nullable=False),
        sa.Column("consent", sa.Integer()),
        sa.Column("first_consent", sa.Integer(), nullable=False),
        sa.Column("locale", sa.String()),
        sa.Column("preferences", sa.String()),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("history", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("last_decision", sa.String()),
        sa.Column("turn", sa.Integer(), nullable=False),
    )
    for table, key in (("items", "item_id"), ("variants", "variant_id")):
        op.create_table(
            table,
            sa.Column(key, KEY, primary_key=True),
            sa.Column("body", sa.Text(), nullable=False),
        )
    op.create_table(
        "events",
        sa.Column("event_id", KEY, primary_key=True),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("item_id", KEY),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Float()),
    )
    op.create_index("events_user", "events", ["user_id", "at"])
    op.create_table(
        "decisions",
        sa.Column("decision_id", KEY, primary_key=True),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("item_id", KEY),
        sa.Column("variant_id", KEY),
        sa.Column("send_at", sa.BigInteger()),
        sa.Column("propensity", sa.Float(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("candidates", sa.String()),
        sa.Column("variants", sa.String()),
        sa.Column("hours", sa.String()),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("arm", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("why", sa.String()),
        sa.Column("schema", sa.String()),
        sa.Column("policy_hash", sa.String()),
        sa.Column("rules_hash", sa.String()),
        sa.Column("title", sa.String()),
        sa.Column("body", sa.String()),
    )
    op.create_index("decisions_user", "decisions", ["user_id", "decided_at"])
    op.create_table(
        "outcomes",
        sa.Column("decision_id", KEY, primary_key=True),
        sa.Column("outcome", KEY, primary_key=True),
        sa.Column("at", sa.BigInteger(), primary_key=True),
        sa.Column("value", sa.Float()),
        sa.Column("joined", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "changes",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("table", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("column", sa.String(), nullable=False),
        sa.Column("value", sa.String()),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_index("changes_of", "changes", ["table", "id"])
    op.create_table(
        "policies",
        sa.Column("name", KEY, primary_key=True),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "guardrails",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "settings", sa.Column("name", KEY, primary_key=True), sa.Column("value", sa.Text())
    )
    op.create_table(
        "counters",
        sa.Column("name", KEY, primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
    )
