"""What policies that were made active brought, in the history of guardrails."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column."""
    op.add_column("guardrails", sa.Column("activated", sa.Text()))
