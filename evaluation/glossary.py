"""What the words of a report mean, for readers who have never heard of off-policy evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.assessment import Assessment
from evaluation.specification import TUNED

_WORDS = (
    ("reward", "what a decision earned; on a shop's log by the policy's own weights of purchases, "
     "clicks, dismissals, unsubscribes and sends"),
    ("weight", "how much a logged decision counts: its probability under the policy, divided by "
     "the probability that the log drew it with; 0 for what the policy would never do"),
    ("95 % interval", "of 100 logs drawn alike, about 95 would give an interval that holds the "
     "true value; the wider, the less the log knows"),
    ("less logged", "the difference to what the log earned: the verdict looks at this"),
    ("logged", "the mean reward in the log, which is what its own policy is worth"),
    ("effective sample size", "the weighted log says as much as this many rows of equal weight; "
     "small where the policy does what the log seldom did"),
    ("mixture", "a policy that takes the new one's decision some of the time, by chance, and the "
     "running one's otherwise"),
)  # fmt: skip
_ESTIMATORS = {
    "ips": "the mean of all rewards, each times its weight",
    "snips": "the mean of all rewards, each times its weight, divided by the mean weight: steadier "
    "than ips",
    "ips:clip=N": "as ips, with no weight above N: steadier, but off to one side",
    "sg_ips:N": "as ips, with weights that are bent down smoothly; N from 0 (not at all) to 1",
    "mips": "as ips, with weights of what kind of action it was (item, variant, hour)",
    "snmips": "as mips, divided by the mean weight",
    "dm": "what a model of the rewards expects of the policy, checked by its interval only",
    "dr": "dm corrected by the weighted rewards where the model was wrong",
    "sndr": "as dr, with the correction divided by the mean weight: steadier",
    "switch_dr:N": "as dr, but without the correction where the weight is above N",
    "dros:N": "as dr, with weights that are bent down, the more the smaller N",
    "sg_dr:N": "as dr, with weights that are bent down; N from 0 (not at all) to 1",
    "dr:clip=N": "as dr, with no weight above N",
    "first": "per user: what the first decision earns, before the policy's own sends change "
    "anything",
    "pdis": "per user over the days: each day's reward times the product of all weights so far",
    "sn_pdis": "as pdis, divided by that product's mean",
    "sdr": "per user over the days: dr step by step",
    "fqe": "per user over the days: a model of all rewards to come",
    "mis": "per user over the days: how often each state (sends of the last week) would be met",
}
_SLOPE = ("…:slope", "N is chosen from the log: as much bending as its intervals allow")


def glossary(assessments: Sequence[Assessment]) -> list[tuple[str, str]]:
    """What the words of the report mean; of the estimators only those that are in it."""
    labels = [each.estimator.lower() for found in assessments for each in found.estimates]
    labels += [name for found in assessments if found.days for name in found.days.estimates]
    kinds = {_kind(label) for label in labels}
    said = [*_WORDS, *((kind, text) for kind, text in _ESTIMATORS.items() if kind in kinds)]
    return [*said, _SLOPE] if any(label.endswith(TUNED) for label in labels) else said


def _kind(label: str) -> str:
    """An estimator as `_ESTIMATORS` names it: `switch_dr:N` of `switch_dr:10`."""
    name, colon, number = label.partition(":")
    if not colon:
        return name
    key = number.rpartition("=")[0]
    return f"{name}:{key}=N" if key else f"{name}:N"
