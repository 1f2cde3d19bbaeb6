"""A certified mixture as a policy that can be served: the new policy, and its share of the users.

The server gives a challenger that share, drawn by a salted hash of the user's id, and the running
policy the rest; each decision's propensity is that of the policy that made it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from evaluation.assessment import Assessment
from policies.saved import PolicyBundle, save_policy

SALT = "certified"


def certified_share(found: Assessment) -> float | None:
    """The largest share that a log certifies: all, where the policy itself is better."""
    if found.verdict.answer == "better":
        return 1.0
    if found.outlook is None or found.outlook.certified is None:
        return None
    return found.outlook.certified.share


def save_certified(directory: Path | str, bundle: PolicyBundle, found: Assessment) -> float | None:
    """Save the policy with its certificate in the manifest, and experiment.json, the body of
    `PUT /v1/experiment`; returns the share, or None where nothing is certified or written.

    Raises `BadInput` for a directory that holds anything but a saved policy.
    """
    directory = Path(directory)
    share = certified_share(found)
    if share is None:
        return None
    lead = None if found.outlook is None else found.outlook.certified
    certificate = {
        "share": share,
        "difference": None if lead is None else asdict(lead.difference),
        "rows": found.rows,
        "users": found.users,
        "verdict": found.verdict.answer,
    }
    save_policy(directory, replace(bundle, manifest={**bundle.manifest, "certified": certificate}))
    body = {"challenger": {"policy": directory.name, "share": share, "salt": SALT}}
    (directory / "experiment.json").write_text(json.dumps(body, indent=1) + "\n")
    return share
