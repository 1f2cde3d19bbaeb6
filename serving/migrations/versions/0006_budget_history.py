"""The budget in the history of guardrails."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column."""
    op.add_column("guardrails", sa.Column("budget", sa.Text()))
