"""Rows that lead to a user name them, so that erasing finds them: retried sends, old answers."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

ANSWERS = "SELECT key, response FROM idempotency_keys WHERE user_id IS NULL"
RETRIED = "SELECT number, detail FROM audit WHERE action = 'retry send'"
WHOSE = """
SELECT user_id FROM decisions WHERE decision_id = :decision
UNION SELECT user_id FROM archived WHERE decision_id = :decision
"""


def upgrade() -> None:
    """Name the user beside the decision; where they were erased take the decision out. Answers of
    before there was a column for their user get it."""
    store = op.get_bind()
    for key, text in store.execute(sa.text(ANSWERS)).all():
        change = sa.text("UPDATE idempotency_keys SET user_id = :user WHERE key = :key")
        store.execute(change, {"user": json.loads(text)["user_id"], "key": key})
    for number, text in store.execute(sa.text(RETRIED)).all():
        decision = json.loads(text)["decision_id"]
        user = store.scalar(sa.text(WHOSE), {"decision": decision})
        detail = {} if user is None else {"decision_id": decision, "user_id": user}
        change = sa.text("UPDATE audit SET detail = :detail WHERE number = :number")
        # Without spaces and escapes, as the store writes it and looks for it.
        words = json.dumps(detail, separators=(",", ":"), ensure_ascii=False)
        store.execute(change, {"detail": words, "number": number})
