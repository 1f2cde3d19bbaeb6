"""Makes a stored decision again: choice from its snapshot, scores from its policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from mdp.actions import decode
from mdp.errors import BadArtifact, BadInput
from policies.saved import PolicyBundle
from serving.archived import absent
from serving.registry import Registry
from serving.schemas import iso
from serving.snapshot import Snapshot, unpack
from serving.tables import DECISIONS, SNAPSHOTS

TOLERANCE = 1e-5
"""How far scores of the same policy may differ (another processor, another onnxruntime)."""


def stored(connection: Connection, decision_id: str) -> tuple[Mapping[Any, Any], Snapshot]:
    """A decision's row and its snapshot; raises `BadInput` where there is none."""
    of = select(DECISIONS).where(DECISIONS.c.decision_id == decision_id)
    row = connection.execute(of).mappings().first()
    if row is None:
        raise BadInput(absent(connection, decision_id).detail)
    data = snapshot_data(connection, decision_id)
    if data is None:
        raise BadInput(
            f"decision {decision_id!r} has no snapshot: nothing was drawn ({row['reason']}), or it "
            "is older than PUSHWISE_SNAPSHOT_DAYS"
        )
    return row, unpack(data)


def snapshot_data(connection: Connection, decision_id: str) -> bytes | None:
    """A decision's snapshot as stored."""
    of = select(SNAPSHOTS.c.data).where(SNAPSHOTS.c.decision_id == decision_id)
    return connection.scalar(of)


def replay(
    connection: Connection, decision_id: str, bundle: PolicyBundle | None = None
) -> dict[str, Any]:
    """What was decided, what the snapshot gives again, and how far the policy's scores are off.

    bundle: the policy to score with (default: the one that decided, if the store still knows it).
    Raises `BadInput` for a decision that there is not, or without a snapshot.
    """
    row, snapshot = stored(connection, decision_id)
    action, propensity = snapshot.again()
    k, v, h = (int(part) for part in decode(np.array(action), *snapshot.padded))
    send = k >= 0
    was = {name: row[name] for name in ("item_id", "variant_id", "send_at", "propensity")}
    now = {
        "item_id": row["candidates"].split("|")[k] if send else None,
        "variant_id": row["variants"].split("|")[v] if send else None,
        "send_at": int(snapshot.send_at[h]) if send else None,
        "propensity": propensity,
    }
    return {
        "decision_id": decision_id,
        "decided": _shown(was),
        "replayed": _shown(now),
        "same": was == now,
        "model": _rescored(connection, row, snapshot, bundle),
    }


def _shown(choice: Mapping[str, Any]) -> dict[str, Any]:
    at = choice["send_at"]
    return {
        "action": "hold" if at is None else "send",
        **choice,
        "send_at": None if at is None else iso(at),
    }


def _rescored(
    connection: Connection, row: Mapping[Any, Any], snapshot: Snapshot, given: PolicyBundle | None
) -> dict[str, Any]:
    try:
        bundle = given or Registry().bundle(connection, row["policy"])
    except (BadArtifact, BadInput) as error:
        return {"policy": row["policy"], "unavailable": str(error)}
    if given is None and bundle.hash != row["policy_hash"]:
        return {"policy": row["policy"], "unavailable": "the name means another policy by now"}
    difference = snapshot.rescored(bundle.policy)
    return {
        "policy": row["policy"],
        "largest_difference": difference,
        "same": difference <= TOLERANCE,
    }
