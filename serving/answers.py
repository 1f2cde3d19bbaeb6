"""Bodies of answers, as the API's description has them.

The routes write their answers themselves, so that no request pays for a model; a test holds every
one to these. Fields may be added to an answer: a client should pass over what it does not know.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

Counts = dict[str, int]
Tables = dict[str, dict[str, Any]]
"""Tables of the guardrail file by name, and their keys."""


class DecisionOut(BaseModel):
    """A decision."""

    decision_id: str | None
    """None for a dry run."""
    user_id: str
    action: Literal["send", "hold"]
    item_id: str | None
    variant_id: str | None
    title: str | None
    body: str | None
    decided_at: str
    send_at: str | None
    propensity: float
    """Probability of this very action, after guardrails."""
    policy: str
    arm: str
    reason: str | None
    """None of decisions from a log without reasons."""
    cold_start: bool
    """The user was not known before."""
    repeated: bool
    """An earlier hold of the same local date; nothing was written."""


class ProblemOut(BaseModel):
    """A refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None


class ErrorOut(BaseModel):
    """What stands in the place of a decision that was refused."""

    error: ProblemOut


class DecisionsOut(BaseModel):
    """Decisions in the order of the requests."""

    decisions: list[DecisionOut | ErrorOut]


class OutcomeOut(BaseModel):
    """What became of a decision."""

    outcome: str
    at: str
    value: float | None


class DecisionShown(DecisionOut):
    """A decision with its lists, its outcomes, its snapshot and why it came out so."""

    candidates: list[str]
    variants: list[str]
    hours: list[int]
    turn: int
    schema_: str | None = Field(alias="schema")
    policy_hash: str | None
    rules_hash: str | None
    why: dict[str, Any] | None
    snapshot: dict[str, Any] | None
    outcomes: list[OutcomeOut]


class RejectedOut(BaseModel):
    """An entry that was refused, by its place in the request."""

    index: int
    error: ProblemOut


class ReceiptOut(BaseModel):
    """What became of each entry of a request."""

    accepted: int
    duplicates: int
    rejected: list[RejectedOut]


class UserOut(BaseModel):
    """A user."""

    user_id: str
    timezone: str | None
    consent: bool | None
    locale: str | None
    preferences: str | None
    signed_up_at: str
    attributes: dict[str, Any]
    unsubscribed: bool
    last_event_at: str | None
    version: int


class ArchiveOut(BaseModel):
    """A log that rows of a user may have left for."""

    number: int
    out: str
    decisions: int


class UserExported(UserOut):
    """A user with their state, by the fields of `mdp.state.HISTORY`."""

    state: dict[str, Any]


Rows = list[dict[str, Any]]


class UserExport(BaseModel):
    """A user with every row about them, by table."""

    user: UserExported
    events: Rows
    decisions: Rows
    outcomes: Rows
    outbox: Rows
    changes: Rows
    snapshots: Rows
    shadows: Rows
    idempotency_keys: Rows
    archived: Rows
    starts: Rows
    audit: Rows
    archives: list[ArchiveOut]


class WrittenOut(BaseModel):
    """How many rows were written."""

    written: int


class VariantsWritten(WrittenOut):
    """How many variants were written, and which of them are drafts."""

    drafts: list[str]


class GuardrailsSet(BaseModel):
    """The guardrails in force from now on, each table by its name, and which are looser."""

    looser_than_trained: list[str]


class GuardrailChange(BaseModel):
    """A change of the guardrails."""

    at: str
    who: str | None
    rules: Tables
    activated: dict[str, Any] | None
    """The policy that was made active, and what it brought; null for a change by hand."""


class GuardrailHistory(BaseModel):
    """Every change of the guardrails, the newest first."""

    history: list[GuardrailChange]


class KillOut(BaseModel):
    """What is stopped."""

    on: bool
    policies: list[str]
    items: list[str]
    variants: list[str]


class AuditEntry(BaseModel):
    """What an operator did."""

    at: str
    who: str
    action: str
    detail: Any


class AuditOut(BaseModel):
    """What operators did, the newest first."""

    entries: list[AuditEntry]


class LedgerOut(BaseModel):
    """Where every decision and outcome went."""

    decisions: Counts
    outcomes: Counts
    moved: int
    last_day: Counts
    numbered: Counts
    unbalanced: int


class PolicyOut(BaseModel):
    """A policy that the store knows."""

    name: str
    path: str
    hash: str
    active: bool


class PoliciesOut(BaseModel):
    """The policies that the store knows."""

    policies: list[PolicyOut]


class ActiveOut(BaseModel):
    """Whether a policy decides."""

    name: str
    active: bool


class ChangedOut(BaseModel):
    """A guardrail or a weight of the reward that is another now."""

    before: Any
    after: Any


class ActivatedOut(ActiveOut):
    """The policy that decides from now on, and what changes with it."""

    before: str | None
    """The policy that decided until now."""
    looser: list[str]
    """Guardrails that allow now what was forbidden until now."""
    changed: dict[str, ChangedOut]
    """By keys such as `caps.per_7d` and `reward.click`."""
    not_compared: str | None
    """Why nothing is known of the policy of before."""
    looser_than_trained: list[str]


class SampleRatio(BaseModel):
    """The users of each arm, the chance of a split as far off, and whether that is an alarm."""

    users: Counts
    p: float
    alarm: bool


class ChallengerOut(BaseModel):
    """A policy that decides for a share of the users."""

    policy: str
    share: float
    salt: str


class ExperimentOut(BaseModel):
    """Challenger and shadow with what came of them."""

    challenger: ChallengerOut | None
    shadow: str | None
    since: str | None
    sample_ratio: SampleRatio | None
    shadow_decisions: Counts | None
    left_out: dict[str, str]
    """Why a challenger or shadow does not take part."""


class ExperimentSet(ExperimentOut):
    """An experiment, and what it loosens."""

    looser: list[str]
    """Guardrails that allow now what was forbidden until now, for users who come to the challenger
    or leave the one of before."""
    looser_than_trained: list[str]
    not_compared: str | None
    """Why nothing is known of the active policy."""


class SendOut(BaseModel):
    """A row of the outbox."""

    decision_id: str
    user_id: str
    due_at: str
    attempts: int
    reason: str | None


class PausedOut(BaseModel):
    """A machine that sends nothing, as its clock jumped: when, and by how much."""

    host: str
    at: str
    seconds: float


class OutboxOut(BaseModel):
    """How many sends are in each state, those of one state, and machines that send nothing."""

    totals: Counts
    paused: list[PausedOut]
    sends: list[SendOut]


class ResumeOut(BaseModel):
    """Machines that send again."""

    resumed: list[PausedOut]


class RetryOut(BaseModel):
    """A send that is tried again."""

    decision_id: str
    state: str


class LogMetaOut(BaseModel):
    """`log.json`."""

    format_version: int
    currency: str | None
    default_timezone: str | None
    complete_until: str
    propensities: str
    candidates: str
    source: str
    holdout_share: float | None
    holdout_since: str | None
    """Since when share and salt have not been changed."""


class HealthOut(BaseModel):
    """That the process answers."""

    status: Literal["ok"]


class ReadyOut(BaseModel):
    """That decisions can be made."""

    status: Literal["ready"]
    policy: str
    items: int
    killed: bool
    left_out: dict[str, str]
    damaged: str | None
