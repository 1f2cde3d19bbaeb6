"""What running it needs: snapshots, shadows, budget, outbox, API keys, audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables, and whom an answer and a change of guardrails is of."""
    op.add_column("guardrails", sa.Column("who", sa.String()))
    op.add_column("idempotency_keys", sa.Column("user_id", KEY))
    op.create_index("idempotency_keys_at", "idempotency_keys", ["at"])
    op.create_index("idempotency_keys_user", "idempotency_keys", ["user_id"])
    op.create_table(
        "snapshots",
        sa.Column("decision_id", KEY, primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    op.create_index("snapshots_at", "snapshots", ["at"])
    op.create_table(
        "shadows",
        sa.Column("decision_id", KEY, primary_key=True),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("item_id", KEY),
        sa.Column("variant_id", KEY),
        sa.Column("send_at", sa.BigInteger()),
        sa.Column("propensity", sa.Float(), nullable=False),
    )
    op.create_table(
        "budget",
        sa.Column("period", sa.String(), primary_key=True),
        sa.Column("start", sa.BigInteger(), primary_key=True),
        sa.Column("taken", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("decision_id", KEY, primary_key=True),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String()),
    )
    op.create_index("outbox_next", "outbox", ["state", "next_at"])
    op.create_index("outbox_user", "outbox", ["user_id"])
    op.create_table(
        "api_keys",
        sa.Column("name", KEY, primary_key=True),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("detail", sa.Text()),
    )
    op.create_index("audit_at", "audit", ["at"])
    op.execute(
        "INSERT INTO counters (name, count) SELECT 'received', (SELECT count(*) FROM outcomes) + "
        "(SELECT coalesce(sum(count), 0) FROM counters WHERE name IN ('orphan', 'duplicate'))"
    )
