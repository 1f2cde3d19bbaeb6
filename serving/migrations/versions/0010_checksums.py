"""Checksums of packed histories; those of before have none until they are written next."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns."""
    for table in ("users", "starts"):
        op.add_column(table, sa.Column("checksum", sa.BigInteger()))
