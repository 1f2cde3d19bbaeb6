"""What limits what is earned in a known-truth world: information, the model or planning.

    python -m benchmarks.limits --out runs/agents
    python -m benchmarks.limits --worlds logit --seed 1

Takes a demo shop of each world and the fit to its log, those of `benchmarks.agents` where they lie
in the same folder, and prints the share of the oracle planner's true value that is left to who
knows less and less: the truth but one step ahead; all that users share, and of users what an ideal
observer infers from the log (`benchmarks.observer`); the same, and of users what the fit believes;
the fit alone. Agents are beside them if `benchmarks.agents` trained them. What lies between two
rows is what the thing that they differ in costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from agents.comparing import NORMAL, Entry, believing
from agents.rollouts import population, rollout
from agents.search import USERS as SEARCHED
from agents.search import best_threshold
from benchmarks.observer import INFERRED, Observer
from benchmarks.proof import pushwise
from benchmarks.seen import log_of
from ingestion.read import load_checked
from mdp.response import Truth
from mdp.state import TASTE
from policies.baselines import Greedy
from policies.planner import planner
from policies.saved import load_policy
from simulator.best_days import with_habits
from simulator.description import Simulator, own_beliefs
from simulator.material import material_of
from simulator.saved import load_simulator
from simulator.worlds import WORLDS

USERS, LOGGED = 3000, 53
"""Of a shop, and days of its log, of which the fit sees the first four fifths: 42."""
LIVING, LIVES, DAYS = 1000, 2, 28
"""Users of a comparison, lives of each, and days of a life: those of `benchmarks.agents`."""
AGENTS = ("dqn", "ppo")
LOGGING, FITTED_GREEDY, FITTED = "logging policy", "fit: greedy + threshold", "fit: planner"
SHARED = "true shared effects, users as fitted: planner"
OBSERVED_GREEDY, OBSERVED = "ideal observer: greedy + threshold", "ideal observer: planner"
TRUE_GREEDY, ORACLE = "truth: greedy + threshold", "truth: planner (oracle)"
LOSSES = {
    "information: oracle − observer": (ORACLE, OBSERVED),
    "the model: observer − planner on the fit": (OBSERVED, FITTED),
    "· of it users' effects": (OBSERVED, SHARED),
    "· of it what users share": (SHARED, FITTED),
    "planning ahead, with the truth": (ORACLE, TRUE_GREEDY),
    "planning ahead, with the fit": (FITTED, FITTED_GREEDY),
    **{f"{agent} − planner on the fit": (agent, FITTED) for agent in AGENTS},
}
"""What is lost or gained, as the difference of two rows."""


@dataclass(frozen=True)
class Args:
    """Of which shops."""

    out: Path = Path("runs/agents")
    """where shops' logs, fits and agents are, or go"""
    worlds: tuple[str, ...] = tuple(WORLDS)
    """names of known-truth worlds"""
    seed: int = 0
    """seed of each world's shop"""


@dataclass(frozen=True)
class Shop:
    """A demo shop whose truth is known, what was fitted to its log, and who lives there."""

    place: Path
    seed: int
    truth: Simulator
    fitted: Simulator
    rows: np.ndarray
    """Users (N,) int64 of a comparison."""
    days: int
    """Days of a life."""

    @staticmethod
    def of(out: Path, world: str, seed: int, living: int = LIVING, days: int = DAYS) -> Shop:
        """The shop in a folder of `benchmarks.agents`, made and fitted there if it is not.

        living: how many of its users live in a comparison, for so many days.
        """
        place = out / f"{world}-{seed}"
        logs, sim = place / "logs", place / "sim"
        size = ("--users", str(USERS), "--days", str(LOGGED), "--seed", str(seed))
        if not (logs / "truth" / "manifest.json").exists():
            pushwise("demo", logs, "--world", world, *size)
        if not (sim / "card" / "card.json").exists():
            pushwise("fit", logs, "--out", sim)
        truth = load_simulator(logs / "truth")
        rows = population(truth, living, 0)
        return Shop(place, seed, truth, load_simulator(sim), rows, days)

    def seen(
        self, model: Truth, traits: np.ndarray, drawn: np.ndarray | None = None
    ) -> tuple[Entry, Entry]:
        """Greedy with the best threshold, and the planner, who see the shop through a model and
        traits (U,) `TRAITS`, and search in what they imagine: users of just these traits, or of
        those `drawn` (U,) from what they hold for possible."""
        imagined = replace(self.truth, traits=traits, response=model, model=model)
        imagined = replace(imagined, beliefs=own_beliefs(imagined))
        if drawn is not None:
            imagined = replace(imagined, traits=drawn)
        return self._searched(imagined)

    def fit(self) -> tuple[Entry, Entry]:
        """The same who see it as the fit does, and search in it."""
        return self._searched(self.fitted)

    def _searched(self, imagined: Simulator) -> tuple[Entry, Entry]:
        threshold = best_threshold(imagined)
        known = self.truth.believing(with_habits(imagined, threshold))
        assert known.model is not None
        return Entry(Greedy(threshold=threshold), known), Entry(
            planner(known.model, known.reward), known
        )

    def worth(self, entry: Entry) -> np.ndarray:
        """True value (N,) to each user of the comparison, the mean of their lives."""
        bare = replace(entry.policy, floor=0.0)
        lives = range(1, LIVES + 1)
        each = [rollout(entry.simulator, bare, self.rows, seed, self.days).value for seed in lives]
        return np.mean(each, axis=0)

    def observed(self) -> tuple[np.ndarray, np.ndarray]:
        """Traits (U,) that an ideal observer infers from the log that the fit is made to, and (U,)
        that it draws from what it holds for possible; of the users that matter, who live or whom a
        threshold is searched for."""
        some = np.union1d(self.rows, population(self.truth, SEARCHED, 0))
        material = material_of(load_checked(self.place / "logs"))
        seen = log_of(material, self.truth).of_users(some)
        found = self.truth.traits.copy(), self.truth.traits.copy()
        rng = np.random.default_rng(self.seed)
        inferred = Observer.of(self.truth, self.seed).inferred(seen, rng)
        for out, own in zip(found, inferred, strict=True):
            out[some] = own
        return found

    def users_as_fitted(self, names: Sequence[str] = INFERRED) -> np.ndarray:
        """True traits (U,), some of them as the fit believes them, in the truth's units."""
        own, out = self.fitted_traits, self.truth.traits.copy()
        for name in names:
            out[name] = in_units_of(out[name], own[name])
        return out

    @property
    def fitted_traits(self) -> np.ndarray:
        """The fit's traits (U,) in the order of the truth's users."""
        row_of = {user: row for row, user in enumerate(self.fitted.users.ids)}
        return self.fitted.traits[[row_of[user] for user in self.truth.users.ids]]


def main(args: Args) -> None:
    """Live in every shop, then the tables."""
    found = {}
    for world in args.worlds:
        found[world] = decomposed(Shop.of(args.out, world, args.seed))
        print(sentence(world, found[world]), flush=True)
    print("\n" + "\n\n".join([shares(found), losses(found)]))


def decomposed(shop: Shop) -> dict[str, np.ndarray]:
    """True value (N,) to each user, by who decides."""
    truth = shop.truth
    greedy, plan = shop.fit()
    who = {LOGGING: Entry(truth.logging, truth), FITTED_GREEDY: greedy, FITTED: plan}
    for agent in AGENTS:
        place = shop.place / f"{agent}-0"
        if (place / "finished").exists():
            bundle = load_policy(place)
            who[agent] = Entry(bundle.policy, believing(truth, bundle))
    who[SHARED] = shop.seen(truth.response, shop.users_as_fitted())[1]
    who[OBSERVED_GREEDY], who[OBSERVED] = shop.seen(truth.response, *shop.observed())
    who[TRUE_GREEDY], who[ORACLE] = shop.seen(truth.response, truth.traits)
    return {name: shop.worth(entry) for name, entry in who.items()}


def difference(worth: Mapping[str, np.ndarray], more: str, less: str) -> tuple[float, float]:
    """Of two rows, in points of the oracle's value, and the half-width of its 95 % interval over
    users."""
    gap = 100 * (worth[more] - worth[less]) / worth[ORACLE].mean()
    return float(gap.mean()), float(NORMAL * gap.std(ddof=1) / len(gap) ** 0.5)


def shares(found: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """Of the oracle's value: a row for each who decides, a column a world."""
    names = dict.fromkeys(name for worth in found.values() for name in worth)
    return _table(
        "who decides",
        found,
        {
            name: [
                f"{worth[name].mean() / worth[ORACLE].mean():.1%}" if name in worth else "–"
                for worth in found.values()
            ]
            for name in names
        },
    )


def losses(found: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    """What lies between: a row a loss, in points of the oracle's value, a column a world."""
    return _table(
        "points between",
        found,
        {
            name: [
                "{:.1f} ±{:.1f}".format(*difference(worth, *pair)) if pair[0] in worth else "–"
                for worth in found.values()
            ]
            for name, pair in LOSSES.items()
        },
    )


def sentence(world: str, worth: Mapping[str, np.ndarray]) -> str:
    """A world's losses in words."""
    information, model = (difference(worth, *pair)[0] for pair in list(LOSSES.values())[:2])
    reached = {name: difference(worth, name, FITTED)[0] for name in AGENTS if name in worth}
    best = max(reached, key=lambda name: reached[name], default=FITTED)
    planned = f", the agents' best ({best}) {reached[best]:+.1f} on that" if reached else ""
    return (
        f"{world}: of the oracle's 100 points {information:.1f} are lost to information and "
        f"{model:.1f} to the model; the planner on the fit has {100 - information - model:.1f}"
        f"{planned}."
    )


def _table(corner: str, columns: Mapping[str, object], rows: Mapping[str, Sequence[str]]) -> str:
    lines = [f"| {corner} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join(lines)


def in_units_of(true: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """A trait as fitted, on the scale on which it comes nearest to the true one; tastes, whose axes
    are nobody's, turned too."""
    apart, around = fitted - fitted.mean(0), true - true.mean(0)
    if true.ndim > 1 and true.shape[1] == TASTE:
        return true.mean(0) + apart @ np.linalg.lstsq(apart, around)[0]
    slope = (apart * around).sum() / max(float((apart**2).sum()), 1e-9)
    return true.mean(0) + slope * apart


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
