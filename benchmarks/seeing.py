"""What it is worth to policies to see means over all that a user may be, and not predictions of the
user as believed, which are lower where outcomes are rare.

    python -m benchmarks.seeing --out runs/agents

Takes shops and fits of `benchmarks.agents`. Prints what is seen either way of pushes on the days
after the fit, and what greedy with its best threshold and the planner earn who see either way, of
the shop's users and of newcomers like them: true values, with the same users and draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from agents.rollouts import Outcome, rollout
from benchmarks.agents import half_width, over_shops
from benchmarks.limits import DAYS, LIVES, LIVING, Shop
from ingestion.read import load_checked
from ingestion.splits import log_end
from mdp.actions import HOURS
from mdp.observation import Observation
from mdp.prediction import PARTS
from mdp.response import HEADS, Truth
from policies.base import Policy
from simulator.description import Simulator, own_beliefs
from simulator.fidelity_heads import calibration_error
from simulator.fidelity_judged import WINDOWS, answered
from simulator.material import material_of
from simulator.newcomers import newcomers
from simulator.payment import Step
from simulator.sends import log_loss
from simulator.worlds import WORLDS

UNSUBSCRIBE = PARTS.index("unsubscribe")
BELIEVED, MEANS = "as believed", "means"
WEIGHTS = {BELIEVED: 0.0, MEANS: 1.0}
POLICIES = ("greedy + threshold", "planner")
KNOWN, STRANGE = "users of the fit", "newcomers"
COLUMNS = {
    "value": "{:.2f}",
    "sends a week": "{:.2f}",
    "unsubscribes per 1,000": "{:.1f}",
    "seen of them": "{:.1f}",
}
"""What is shown of lives beside the gain. Unsubscribes are those to be expected in truth."""
Figures = dict[str, float]


@dataclass(frozen=True)
class Args:
    """Of which shops."""

    out: Path = Path("runs/agents")
    """where shops' logs and fits are, or go"""
    worlds: tuple[str, ...] = tuple(WORLDS)
    """names of known-truth worlds"""
    shops: int = 5
    """shops of each world, each with a seed of its own"""


@dataclass(frozen=True)
class Lived:
    """What users lived under a policy."""

    outcome: Outcome
    risk: float
    """Probabilities of an unsubscribe as the policy saw them, summed over a user's sends."""

    @property
    def figures(self) -> Figures:
        """`COLUMNS`."""
        own = self.outcome
        means = (own.value.mean(), own.sends.mean() / DAYS * 7, 1000 * own.risk.mean())
        return dict(zip(COLUMNS, (*map(float, means), 1000 * self.risk), strict=True))


def main(args: Args) -> None:
    """Every shop, then the tables."""
    later: list[dict[str, Figures]] = []
    worth: dict[str, list[dict[str, Figures]]] = {world: [] for world in args.worlds}
    for seed in range(args.shops):
        for world in args.worlds:
            shop = Shop.of(args.out, world, seed)
            later.append(later_days(shop))
            worth[world].append(worths(shop))
    tables = [seen_table(later), *(worth_table(whom, worth) for whom in (KNOWN, STRANGE))]
    print("\n\n".join(tables))


def seeing(fitted: Simulator, weight: float) -> Simulator:
    """A fit whose policies see means (1), or the prediction of users as believed (0)."""

    def weighed(model: Truth) -> Truth:
        weights = np.full(len(HEADS), weight, np.float32)
        return replace(model, uncertainty_weight=weights)  # type: ignore[type-var]

    response, members = weighed(fitted.response), tuple(map(weighed, fitted.members))
    other = replace(fitted, response=response, model=response, members=members)
    return replace(other, beliefs=own_beliefs(other))


def later_days(shop: Shop) -> dict[str, Figures]:
    """By head, what followed pushes after the fit, and what is seen of them either way."""
    log = load_checked(shop.place / "logs")
    end = log_end(log)
    material = material_of(log, end + 1)
    rows, decisions = material.events.rows_among(shop.fitted.users.ids), material.decisions
    after = decisions.sent & (decisions.decided_at >= shop.fitted.start)
    sent = np.flatnonzero(after & (rows[decisions.owner] >= 0))
    come = decisions.send_at[sent, None] + WINDOWS <= end
    found: dict[str, Figures] = {head: {} for head in HEADS}
    for name, weight in WEIGHTS.items():
        alone = replace(seeing(shop.fitted, weight), members=())
        sends, seen, drawn = answered(material, alone, rows, sent)
        for place, head in enumerate(HEADS):
            asked = sends.asked[:, place] & come[:, place]
            p, outcome = seen[asked, place], sends.outcome[asked, place]
            found[head] |= {"pushes": len(p), "observed": float(outcome.mean())}
            found[head] |= {"over draws": float(drawn[0, asked, place].mean())}
            found[head] |= {f"seen {name}": float(p.mean())}
            found[head] |= {f"calibration error {name}": calibration_error(p, outcome)}
            found[head] |= {f"log-loss {name}": log_loss(p, outcome)}
    return found


def worths(shop: Shop) -> dict[str, Figures]:
    """By policy and whom it meets, its lives either way beside each other."""
    strangers = newcomers(shop.truth, 0, 0, LIVING, 0)
    lived: dict[str, list[Lived]] = {}
    for weight in WEIGHTS.values():
        entries = replace(shop, fitted=seeing(shop.fitted, weight)).fit()
        for policy, entry in zip(POLICIES, entries, strict=True):
            known = entry.simulator
            strange = replace(strangers, model=known.model, beliefs=known.beliefs)
            for whom, place, rows in (
                (KNOWN, known, shop.rows),
                (STRANGE, strange, np.arange(LIVING)),
            ):
                lived.setdefault(f"{policy}, {whom}", []).append(lives(place, entry.policy, rows))
    return {who: compared(*pair) for who, pair in lived.items()}


def lives(place: Simulator, policy: Policy, rows: np.ndarray) -> Lived:
    """Of users `rows` (N,), all their lives one after the other."""
    bare, draws, risk = replace(policy, floor=0.0), np.random.default_rng(0), [0.0]

    def watch(observation: Observation, step: Step) -> None:
        actions = bare.act(observation, draws)[0]  # the same once more: without a floor none drawn
        pairs = observation["pairs"].reshape(len(actions), -1, len(PARTS))
        seen = pairs[np.arange(len(actions)), (actions - 1) // HOURS, UNSUBSCRIBE]
        risk[0] += float(seen[step.sent > 0].sum())

    each = [rollout(place, bare, rows, seed, DAYS, watch) for seed in range(1, LIVES + 1)]
    return Lived(Outcome.joined(each), risk[0] / len(rows) / LIVES)


def compared(before: Lived, after: Lived) -> Figures:
    """What is gained, in per cent of the value before, and both lives' figures."""
    change = after.outcome.value - before.outcome.value
    gain = change.reshape(LIVES, -1).mean(0) / before.outcome.value.mean()
    out = {"gain": 100 * float(gain.mean()), "half": 100 * half_width(gain)}
    for name, one in zip(WEIGHTS, (before, after), strict=True):
        out |= {f"{column} {name}": value for column, value in one.figures.items()}
    return out


def seen_table(found: Sequence[Mapping[str, Figures]]) -> str:
    """A row a head, means over all shops' pushes."""
    forms = dict.fromkeys(("observed", "over draws"), "{:.2%}")
    forms |= {f"seen {name}": "{:.2%}" for name in WEIGHTS}
    forms |= {f"calibration error {name}": "{:.2%}" for name in WEIGHTS}
    forms |= {f"log-loss {name}": "{:.4f}" for name in WEIGHTS}
    rows = {}
    for head in HEADS:
        each = [shop[head] for shop in found]
        pushes = [one["pushes"] for one in each]
        rows[head] = [
            form.format(np.average([one[name] for one in each], weights=pushes))
            for name, form in forms.items()
        ]
    return table(["head", *forms], rows)


def worth_table(whom: str, found: Mapping[str, Sequence[Mapping[str, Figures]]]) -> str:
    """A row a world and policy, means over its shops, and a row a policy, means over the worlds."""
    rows = {}
    for policy in POLICIES:
        each = {world: [shop[f"{policy}, {whom}"] for shop in found[world]] for world in found}
        gains = [
            over_shops([one["gain"] for one in shops], [one["half"] for one in shops])
            for shops in each.values()
        ]
        for (world, shops), (gain, half) in zip(each.items(), gains, strict=True):
            rows[f"{world}, {policy}"] = cells(gain, half, shops)
        mean, squares = np.mean([gain for gain, _ in gains]), [half**2 for _, half in gains]
        every = [one for shops in each.values() for one in shops]
        rows[f"mean, {policy}"] = cells(float(mean), sum(squares) ** 0.5 / len(gains), every)
    return table([whom, "gain", *COLUMNS], rows)


def cells(gain: float, half: float, shops: Sequence[Figures]) -> list[str]:
    """A row's: what is gained, and means of `COLUMNS` either way."""
    out = [f"{gain:+.1f}% ±{half:.1f}%"]
    for column, form in COLUMNS.items():
        both = [np.mean([one[f"{column} {name}"] for one in shops]) for name in WEIGHTS]
        out.append(" → ".join(map(form.format, both)))
    return out


def table(head: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """Markdown."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join(lines + [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()])


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
