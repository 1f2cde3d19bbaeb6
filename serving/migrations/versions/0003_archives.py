"""Archives: logs that old rows leave the store for, and what is kept of them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "archives",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("before", sa.BigInteger(), nullable=False),
        sa.Column("out", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("upto", KEY, nullable=False),
        sa.Column("sizes", sa.Text(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("decisions", sa.BigInteger(), nullable=False),
        sa.Column("outcomes", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
    )
    op.create_table(
        "archived",
        sa.Column("decision_id", KEY, primary_key=True),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("archive", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("archived_user", "archived", ["user_id"])
    op.create_table(
        "starts",
        sa.Column("user_id", KEY, primary_key=True),
        sa.Column("before", sa.BigInteger(), nullable=False),
        sa.Column("history", sa.LargeBinary(), nullable=False),
    )
