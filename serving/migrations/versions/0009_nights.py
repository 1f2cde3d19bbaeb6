"""Runs of the nightly batch."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "nights",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("out", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger()),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("whole_at", sa.BigInteger()),
    )
