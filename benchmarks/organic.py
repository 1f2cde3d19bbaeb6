"""Organic behaviour of real customers: fitted on the earlier months, compared with the later ones.

Takes Online Retail II, fits habits and tastes to all but its last quarter, lets the customers known
by then live that quarter without any push, and measures how far what they buy is from what they
bought. Beside it a simple resampling (each day is one of the customer's own past days at random)
and BG/NBD. Prints a table of distances; docs/results.md holds what it printed. Run with
`make bench-organic SHOP=FILE`.

    python -m benchmarks.organic --shop online_retail_II.xlsx

Fader, Hardie, Lee (2005). "Counting your customers" the easy way: an alternative to the
Pareto/NBD model. Marketing Science 24(2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
from scipy.optimize import minimize
from scipy.special import gammaln

from benchmarks.proof import pushwise
from ingestion.read import load_checked
from mdp.events import Kind
from mdp.item_words import shared_words
from policies.baselines import Hold
from simulator.fit_organic import organic_of
from simulator.fit_tastes import Counts, fit_tastes
from simulator.habits import Acts, habits_of
from simulator.worlds.base import lived
from simulator.worlds.logit import LogitShop
from simulator.worlds.shop import over_shop


@dataclass(frozen=True)
class Args:
    """Of which customers."""

    shop: Path
    """Online Retail II (.xlsx, .parquet or .csv)"""
    days: int = 91
    """days at the end that are compared"""
    seed: int = 0
    """seed of all that is drawn"""
    out: Path = Path("runs/organic")
    """where the imported log goes"""


def main(args: Args) -> None:
    """Fit, live, compare, print."""
    pushwise("import", "online-retail-ii", args.shop, "--out", args.out / "customers")
    log = load_checked(args.out / "customers")
    simulator, before = over_shop(LogitShop(), log, args.days, args.seed)
    users, items, until = simulator.users, simulator.catalog.items, simulator.start
    acts = Acts(
        owner=before["owner"].to_numpy(np.int64),
        item=before["row"].to_numpy(np.int64),
        kind=np.full(len(before), Kind.PURCHASE, np.int8),
        at=before["us"].to_numpy(np.int64),
        value=before["value"].to_numpy(np.float64),
    )
    met, offered = (
        Counts.of(acts.owner, lists, (len(users), len(items)))
        for lists in (acts.item[:, None], np.zeros((len(acts.owner), 0), np.int64))
    )
    names, category = np.unique(items.categories, return_inverse=True)
    words = shared_words(items)
    tastes = fit_tastes(met, offered, category.astype(np.int64), len(names), words, args.seed)
    habits = habits_of(users, acts, items.price, until)
    organic = organic_of(habits, tastes, met)
    _, kernel = lived(
        replace(simulator, organic=organic), args.days, args.seed, Hold(), record=True
    )
    zones = pd.Series(users.zones, index=users.ids)
    known = log.tables["events"][log.tables["events"]["user_id"].isin(users.ids)]
    start = pd.Timestamp(until, unit="us", tz="UTC")
    past, real = (
        purchases(known[(known["at"] >= start) == later], zones) for later in (False, True)
    )
    kinds = pd.Series(items.categories, index=items.ids)
    drawn = purchases(kernel.tables()["events"], zones)
    rng = np.random.default_rng(args.seed)
    others = {
        "pushwise": drawn,
        "own past days, resampled": resampled(past, start, args.days, rng),
        "BG/NBD": bg_nbd(past, start, args.days, rng),
    }
    print(
        f"\n{len(users)} customers known before {start:%Y-%m-%d}, {args.days} days from then on: "
        f"{len(days_of(real))} days with a purchase; distances to them (0: the same)\n"
    )
    print(table({name: distances(real, made, users.ids, kinds) for name, made in others.items()}))


def purchases(events: pd.DataFrame, zones: pd.Series) -> pd.DataFrame:
    """Purchases with user_id, item_id, day (days since 1970) and hour on the customer's clock."""
    bought = events[events["event"] == "purchase"]
    parts = []
    for zone, some in bought.groupby(bought["user_id"].map(zones)):
        local = some["at"].dt.tz_convert(str(zone)).dt.tz_localize(None)
        day = (local - pd.Timestamp("1970-01-01")).dt.days
        parts.append(some[["user_id", "item_id"]].assign(day=day, hour=local.dt.hour))
    return pd.concat(parts, ignore_index=True)


def days_of(made: pd.DataFrame) -> pd.DataFrame:
    """Each customer's days with a purchase, once and in order."""
    return made[["user_id", "day"]].drop_duplicates().sort_values(["user_id", "day"])


def resampled(
    past: pd.DataFrame, start: pd.Timestamp, days: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Each coming day of a customer is a day of their own past, drawn from their first on."""
    first = past.groupby("user_id")["day"].min()
    today = (start.tz_localize(None) - pd.Timestamp("1970-01-01")).days
    drawn = pd.DataFrame(
        {
            "user_id": np.repeat(first.index.to_numpy(), days),
            "day": (rng.random((len(first), days)) * (today - first.to_numpy())[:, None])
            .astype(np.int64)
            .ravel()
            + np.repeat(first.to_numpy(), days),
            "on": np.tile(today + np.arange(days), len(first)),
        }
    )
    joined = drawn.merge(past, on=["user_id", "day"])
    return joined.drop(columns="day").rename(columns={"on": "day"})


def bg_nbd(
    past: pd.DataFrame, start: pd.Timestamp, days: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Days with a purchase that BG/NBD draws, given each customer's past; it knows no items."""
    today = (start.tz_localize(None) - pd.Timestamp("1970-01-01")).days
    seen = days_of(past).groupby("user_id")["day"].agg(["min", "max", "size"])
    x = seen["size"].to_numpy() - 1.0
    last, age = (seen["max"] - seen["min"]).to_numpy(float), (today - seen["min"]).to_numpy(float)

    def loss(logs: np.ndarray) -> float:
        r, alpha, a, b = np.exp(logs)
        head = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        head += gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
        alive = -(r + x) * np.log(alpha + age)
        with np.errstate(divide="ignore"):
            gone = np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + last)
        return -float((head + np.where(x > 0, np.logaddexp(alive, gone), alive)).sum())

    r, alpha, a, b = np.exp(minimize(loss, np.array([0.0, 3.0, 0.0, 1.0]), method="L-BFGS-B").x)
    ratio = (r + x) * np.log((alpha + age) / (alpha + last))
    odds = np.where(x > 0, a / (b + np.maximum(x, 1) - 1) * np.exp(ratio), 0.0)
    alive = rng.random(len(x)) < 1 / (1 + odds)
    rate, leaving = rng.gamma(r + x, 1 / (alpha + age)), rng.beta(a, b + x)
    rows, names = [], seen.index.to_numpy()
    for user in np.flatnonzero(alive):
        at = rng.exponential(1 / rate[user])
        while at < days:
            rows.append((names[user], today + int(at)))
            if rng.random() < leaving[user]:
                break
            at += rng.exponential(1 / rate[user])
    return pd.DataFrame(rows, columns=["user_id", "day"])


def distances(
    real: pd.DataFrame, made: pd.DataFrame, users: tuple[str, ...], kinds: pd.Series
) -> dict[str, float]:
    """Kolmogorov–Smirnov and total-variation distances; NaN for what is not modelled."""
    counts = [
        days_of(one).groupby("user_id").size().reindex(list(users), fill_value=0).to_numpy()
        for one in (real, made)
    ]
    gaps = [days_of(one).groupby("user_id")["day"].diff().dropna() for one in (real, made)]
    weekday = [shares((days_of(one)["day"] + 3) % 7) for one in (real, made)]
    out = {
        "days with a purchase, total": float(counts[1].sum() / counts[0].sum() - 1),
        "days with a purchase per customer (KS)": kolmogorov(*counts),
        "the same, mean absolute error": float(np.abs(counts[0] - counts[1]).mean()),
        "days between two of them (KS)": kolmogorov(*gaps),
        "weekdays (TV)": total_variation(*weekday),
        "hours (TV)": np.nan,
        "categories (TV)": np.nan,
    }
    if "item_id" in made:
        out["hours (TV)"] = total_variation(*(shares(one["hour"]) for one in (real, made)))
        out["categories (TV)"] = total_variation(
            *(shares(one["item_id"].map(kinds)) for one in (real, made))
        )
    return out


def shares(values: pd.Series) -> pd.Series:
    """Share of each value."""
    return values.value_counts(normalize=True)


def total_variation(a: pd.Series, b: pd.Series) -> float:
    """Half the sum of absolute differences of two distributions."""
    return float(a.sub(b, fill_value=0.0).abs().sum() / 2)


def kolmogorov(a: np.ndarray | pd.Series, b: np.ndarray | pd.Series) -> float:
    """Largest difference of two empirical distribution functions."""
    grid = np.union1d(a, b)
    places = [np.searchsorted(np.sort(one), grid, side="right") / len(one) for one in (a, b)]
    return float(np.abs(places[0] - places[1]).max())


def table(found: dict[str, dict[str, float]]) -> str:
    """A column a model."""
    lines = [f"| | {' | '.join(found)} |", "|---" * (len(found) + 1) + "|"]
    for name in next(iter(found.values())):
        cells = ["–" if np.isnan(one[name]) else f"{one[name]:.3f}" for one in found.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
