"""Saved policies on logs: every logged decision is faced again by the policy under evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluation.assessment import (
    SAYS_ESTIMATED,
    Assessment,
    assess,
    with_estimated,
)
from evaluation.days import over_days
from evaluation.diagnostics import Coverage
from evaluation.estimated import estimated_propensities
from evaluation.intervals import PLAIN, Intervals
from evaluation.logged import (
    days_of,
    features_of,
    holdout_of,
    late_of,
    marginal_of,
    measures_of,
    segments_of,
)
from evaluation.replayed import Replayed, some
from evaluation.reward_model import cross_fitted, send_values
from evaluation.sample import Sample
from evaluation.specification import Estimator
from ingestion.log import ESTIMATED, time_column
from mdp.actions import HOURS, encode
from mdp.attribution import RESPONSE_WINDOW
from mdp.clock import DAY
from mdp.errors import NotEnoughData
from mdp.guardrails import Guardrails
from mdp.observation import Requests, View, observe
from mdp.state import ATTRIBUTION
from policies.composition import split_mask
from policies.saved import PolicyBundle, with_floor

_WINDOW = DAY + RESPONSE_WINDOW + ATTRIBUTION
"""Longest time from a decision until nothing can follow it any more."""
_CHUNK = 1024
"""Decisions faced at a time."""
Step = Callable[[int, int], None]
"""Called with decisions done and to do."""


def assess_policy(
    replay: Replayed,
    bundle: PolicyBundle,
    name: str,
    guardrails: Guardrails | None = None,
    estimators: Sequence[Estimator] = (),
    how: Intervals = PLAIN,
    step: Step | None = None,
    comparisons: int = 1,
    segment: str | None = None,
    days: Sequence[str] | None = None,
    discount: float = 1.0,
) -> Assessment:
    """What a log says of a saved policy, on closed decisions after its training.

    guardrails: those of the policy unless given; their exploration floor is the target's, as it is
    when serving. segment: a column of the users table to report by. days: names of estimators over
    a user's days, none for all; None: nothing of days. discount: of each further day. A log without
    propensities gets them estimated, and no verdict. Raises `NotEnoughData` where no decision is
    left.
    """
    rules = bundle.guardrails if guardrails is None else guardrails
    found = replay.attributed(bundle.reward)
    rows, notes = usable(replay, bundle, name)
    user = np.unique(replay.decisions.owner[rows], return_inverse=True)[1].astype(np.int64)
    reward = found.reward[rows]
    segments = {} if segment is None else segments_of(replay, rows, segment)
    faced = _face(replay, bundle, rules, rows, step)
    q, v = cross_fitted(reward, faced.logged, faced.target, user)
    guess = None
    if replay.has_propensities:
        propensity = replay.decisions.propensity[rows]
    else:
        guess = estimated_propensities(replay, rows, faced.user, user)
        propensity = guess.propensity
    sample = Sample(
        reward=reward,
        propensity=propensity,
        target_propensity=faced.propensity,
        user=user,
        q_logged=q,
        v_target=v,
        marginal_weight=marginal_of(replay, rows, faced.propensity / propensity),
        late=late_of(replay, rows),
        per_day=len(rows) / days_of(replay, rows),
        features=features_of(replay, rows),
        segments=segments,
        measures=measures_of(replay, rows, found),
    )
    coverage = Coverage(
        float(faced.untried.mean()),
        replay.executed(rows),
        replay.unlisted,
        replay.silent(rows),
        holdout_of(replay),
    )
    notes += [*replay.caveats, *_rules_notes(replay, bundle, rules, rows)]
    assessment = assess(sample, name, estimators, coverage, notes, how, comparisons=comparisons)
    if guess is not None:
        assessment = with_estimated(assessment, str(guess.calibration))
    elif replay.log.meta.propensities == ESTIMATED:
        assessment = replace(assessment, warning=SAYS_ESTIMATED)
    whole = None
    if days is not None:
        logged, target = (np.hstack([faced.user, x]) for x in (faced.logged, faced.target))
        whole = over_days(replay, rows, sample, logged, target, days, discount, how)
    return replace(assessment, policy_hash=bundle.hash, days=whole)


def usable(replay: Replayed, bundle: PolicyBundle, name: str) -> tuple[np.ndarray, list[str]]:
    """Indices (n,) of closed decisions after training, and what was left out.

    Closed is a matter of when it was decided only: a hold's own window is shorter than a send's,
    and to count holds of the last days without their sends would favour policies that hold.
    """
    replay.need_shop_of(bundle, name)
    at, until = replay.decisions.decided_at, bundle.trained_until
    if until is None and bundle.model is not None:
        raise NotEnoughData(
            f"{name} does not say until when it was trained (trained_until in manifest.json), so "
            "no day of the log is known to be unseen: train it again"
        )
    after = np.ones(len(at), bool) if until is None else at >= until
    closed = at + _WINDOW <= replay.complete_until
    since = "" if until is None else f" after {_when(until)}, until when {name} was trained"
    if not after.any():
        last = f"; its last decision is of {_when(int(at.max()))}" if len(at) else ""
        raise NotEnoughData(f"the log has no drawn decisions{since}{last}: give later logs")
    if not (after & closed).any():
        raise NotEnoughData(
            f"the log is complete until {_when(replay.complete_until)}, and no decision{since} "
            "has had its whole window for outcomes by then: give later logs"
        )
    notes = [f"of {len(at)} drawn decisions {int((after & closed).sum())} are used{since}"]
    if open_ := int((after & ~closed).sum()):
        notes.append(f"{open_} later decisions are left out: outcomes may still follow them")
    return np.flatnonzero(after & closed), notes


def _when(instant: int) -> str:
    return str(time_column(np.array([instant])).iloc[0].strftime("%Y-%m-%d %H:%M UTC"))


def _rules_notes(
    replay: Replayed, bundle: PolicyBundle, rules: Guardrails, rows: np.ndarray
) -> list[str]:
    """Where guardrails differ between the log, the policy and this evaluation."""
    notes = [f"the policy is evaluated with an exploration floor of {rules.floor:g}, as served"]
    if looser := rules.looser_than(bundle.guardrails):
        notes.append(f"guardrails are looser than the policy was trained with: {', '.join(looser)}")
    logged = replay.log.tables["decisions"]["rules_hash"].iloc[replay.decisions.rows[rows]]
    if (logged.notna() & (logged != rules.hash)).any():
        notes.append("the log was made under other guardrails than the policy is evaluated with")
    return notes


@dataclass(frozen=True, eq=False)
class _Faced:
    """What the policy would have done with n logged decisions."""

    propensity: np.ndarray
    """Of the logged actions (n,)."""
    logged: np.ndarray
    """The reward model's features of the logged action (n, F)."""
    target: np.ndarray
    """Their means under the policy (n, F)."""
    untried: np.ndarray
    """Probability of a send that the log never tried (n,)."""
    user: np.ndarray
    """What the policy sees of the user (n, U)."""


def _face(
    replay: Replayed, bundle: PolicyBundle, rules: Guardrails, rows: np.ndarray, step: Step | None
) -> _Faced:
    requests = replay.requests(rows)
    traits = None
    if bundle.traits is not None:
        traits = bundle.traits.rows(replay.users.hashes[replay.decisions.owner[rows]])[0]
    parts = []
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, min(start + _CHUNK, len(rows)))
        own = None if traits is None else traits[part]
        parts.append(_face_some(replay, bundle, rules, rows[part], some(requests, part), own))
        if step is not None:
            step(part.stop, len(rows))
    return _Faced(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in _Faced.__dataclass_fields__
        )
    )


def _face_some(
    replay: Replayed,
    bundle: PolicyBundle,
    rules: Guardrails,
    rows: np.ndarray,
    requests: Requests,
    traits: np.ndarray | None,
) -> _Faced:
    catalog, decisions = replay.catalog, replay.decisions.only(rows)
    model = None if bundle.model is None else bundle.model.bind(catalog)
    view = observe(requests, catalog, rules, bundle.reward, model, traits)
    view.observation["action_mask"][:, -HOURS:] &= replay.hours[rows]
    K, V = requests.items.shape[1], requests.variants.shape[1]
    actions = encode(decisions.k, decisions.v, decisions.h, V)
    chosen = with_floor(bundle, rules.floor).distribution(view.observation)
    sends = 1.0 - chosen.probability(np.zeros(len(rows), np.int64))
    logged, target = [decisions.sent.astype(np.float64)], [sends]
    if view.terms is not None:
        values = _values(replay, bundle, view, requests)
        taken = np.arange(len(rows)), decisions.k, decisions.v, decisions.h
        logged.append(np.where(decisions.sent, values[taken] if K and V else 0.0, 0.0))
        target.append(chosen.expectation(values))
    return _Faced(
        chosen.probability(actions),
        np.column_stack(logged),
        np.column_stack(target),
        chosen.expectation(_untried(replay, requests)),
        view.observation["user"].astype(np.float64),
    )


def _values(replay: Replayed, bundle: PolicyBundle, view: View, requests: Requests) -> np.ndarray:
    """The response model's expected reward of every send (N, K, V, 24)."""
    assert view.terms is not None
    table, rows = replay.catalog.items, requests.items
    worth = table.margin * table.price if len(table) else np.zeros(1)
    allowed = split_mask(view.observation["action_mask"], rows.shape[1])
    return send_values(view.terms, allowed, np.where(rows >= 0, worth[rows], 0.0), bundle.reward)


def _untried(replay: Replayed, requests: Requests) -> np.ndarray:
    """1 for sends (N, K, V, 24) at an hour, with a variant or from a place in the list of
    candidates that no send of the whole log has, else 0."""
    decisions = replay.decisions
    sent = decisions.only(decisions.sent)
    slots = np.isin(np.arange(requests.items.shape[1]), sent.k)
    variants = np.take_along_axis(sent.variants, sent.v[:, None], 1)
    tried = (
        slots[None, :, None, None]
        & np.isin(requests.variants, variants)[:, None, :, None]
        & np.isin(np.arange(HOURS), sent.h)
    )
    return (~tried).astype(np.float64)
