"""A certified mixture as a policy that can be served.

With the running policy at hand both become one policy, which draws between them at every decision
and knows the exact propensity of what it draws. Without it the new policy is saved with its share,
for the server to give it as a challenger: users are then split by a salted hash of their id, and
each decision's propensity is that of the policy that made it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from evaluation.assessment import Assessment
from mdp.errors import BadInput
from policies.mixture import Mixture
from policies.saved import PolicyBundle, save_policy

SALT = "certified"


def certified_share(found: Assessment) -> float | None:
    """The largest share that a log certifies: all, where the policy itself is better."""
    if found.verdict.answer == "better":
        return 1.0
    if found.outlook is None or found.outlook.certified is None:
        return None
    return found.outlook.certified.share


def save_certified(
    directory: Path | str,
    bundle: PolicyBundle,
    found: Assessment,
    running: PolicyBundle | None = None,
) -> float | None:
    """Save what is certified, with its certificate in the manifest; returns the share, or None
    where nothing is certified or written.

    running: what decides now, as `same_world` checks; both become a `Mixture`. Without it, beside
    the policy goes experiment.json, the body of `PUT /v1/experiment`. Raises `BadInput` for a
    directory that holds anything but a saved policy.
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
    saved = replace(bundle, manifest={**bundle.manifest, "certified": certificate})
    if running is not None:
        policy = Mixture(running=running.policy, new=bundle.policy, share=share)
        sees = saved if bundle.model is not None else running
        mixed = replace(saved, policy=policy, model=sees.model, traits=sees.traits)
        save_policy(directory, mixed)
        return share
    save_policy(directory, saved)
    body = {"challenger": {"policy": directory.name, "share": share, "salt": SALT}}
    (directory / "experiment.json").write_text(json.dumps(body, indent=1) + "\n")
    return share


def same_world(bundle: PolicyBundle, running: PolicyBundle, made_by: Collection[str]) -> None:
    """Raises `BadInput` where two policies can't be one, or the running one did not make the log.

    made_by: hashes of the policies that the log's decisions name, if they do.
    """
    if made_by and running.hash not in made_by:
        raise BadInput(
            f"--running has the policy_hash {running.hash}, and no decision of the log does: give "
            "the policy that made the log"
        )
    if not _sees_the_same(bundle, running):
        raise BadInput(
            "--running goes with another response model, traits or reward, and both must see the "
            "same: leave it out, and give the new policy its share of the users as a challenger"
        )


def _sees_the_same(bundle: PolicyBundle, running: PolicyBundle) -> bool:
    if bundle.model is None or running.model is None:
        # Rules and tables look at no prediction.
        blind = [each for each in (bundle, running) if each.model is None]
        return all(each.policy.kind in ("rule", "table") for each in blind)
    one, two = bundle.traits, running.traits
    if one is not None and two is not None:
        same = all(np.array_equal(getattr(one, x), getattr(two, x)) for x in ("hashes", "traits"))
    else:
        same = one is two
    return same and bundle.model.hash == running.model.hash and bundle.reward == running.reward
