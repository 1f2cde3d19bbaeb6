"""Decisions are numbered, and counted with their users too."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("users", sa.Column("decisions", sa.BigInteger()))
    op.add_column("decisions", sa.Column("nth", sa.BigInteger()))
