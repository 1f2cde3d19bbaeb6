"""In PostgreSQL decisions, outcomes and snapshots are partitioned by their ids. The rows that are
there stay where they are, in the table that becomes the default partition: nothing is copied, and
all other statements wait for that moment alone."""

from alembic import op

revision = "0011"
down_revision = "0010"

KEYS = {
    "decisions": "decision_id",
    "outcomes": "decision_id, outcome, at",
    "snapshots": "decision_id",
}


def upgrade() -> None:
    """Put a partitioned table above each; SQLite has none."""
    if op.get_context().dialect.name != "postgresql":
        return
    op.execute("SET LOCAL lock_timeout = '10s'")  # an export may read for long; all wait behind us
    for table, key in KEYS.items():
        default = f"{table}_default"
        op.execute(f"ALTER TABLE {table} RENAME TO {default}")
        op.execute(f"ALTER INDEX {table}_pkey RENAME TO {default}_pkey")
        op.execute(f"CREATE TABLE {table} (LIKE {default}) PARTITION BY RANGE (decision_id)")
        op.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({key})")
        if table == "decisions":
            op.execute("ALTER INDEX decisions_user RENAME TO decisions_default_user")
            op.execute("CREATE INDEX decisions_user ON decisions (user_id, decided_at)")
        op.execute(f"ALTER TABLE {table} ATTACH PARTITION {default} DEFAULT")
