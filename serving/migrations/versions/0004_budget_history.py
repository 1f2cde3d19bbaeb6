"""The budget in the history of guardrails."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column."""
    op.add_column("guardrails", sa.Column("budget", sa.Text()))
