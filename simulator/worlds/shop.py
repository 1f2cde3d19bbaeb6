"""A world over a real shop: its customers, items, times and tastes, read from its log.

There is no public log of pushes with propensities, so pushes and responses are the world's; all
else is the shop's. Tastes are a truncated singular value decomposition of users × items bought.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ingestion.catalog import catalog_of
from ingestion.log import Log, epoch_us
from mdp.catalog import Catalog
from mdp.clock import DAY, HOUR, NEVER
from mdp.errors import NotEnoughData
from mdp.events import ORGANIC, Kind, event_order, events_array
from mdp.hashing import hash_ids
from mdp.local_time import local_day, local_hour, next_local_midnight
from mdp.state import TASTE, apply, new_histories
from simulator.description import Simulator, Users
from simulator.habits import Acts, habits_of
from simulator.worlds.base import World
from simulator.worlds.goods import demo_variants
from simulator.worlds.logit import LIST, best, guessed
from simulator.worlds.population import Goods, Population

SAMPLE = 500
"""Users whose likings are looked at for their scale."""
OFFERED = 0.85
"""Mean liking of what the recommender guesses, about that of the demo shop: with it the rates of
opens and clicks are alike in any shop. The spread of a whole catalogue's likings says little of
them, for most of a large one nobody in a sample has bought."""

PRIOR_DAYS, PRIOR_VISITS, PRIOR_TOUCHES = 30.0, 3.0, 20.0
"""Weight of the average user where one's own past is short."""


def over_shop(
    world: World, log: Log, days: int, seed: int, users: int | None = None
) -> tuple[Simulator, pd.DataFrame]:
    """The world over a shop's log, about to live the last `days` of the log's span.

    users: how many of the shop's customers, drawn at random; None for all. Returns the simulator,
    its users as the log left them, and the log's events before that, with ids.

    Raises `NotEnoughData` for a log without purchases before those days.
    """
    catalog = _catalog(log)
    events = _events(log, catalog)
    # Noon, so that the day's length keeps users in step though daylight saving shifts midnight.
    start = int(events["us"].max() // DAY - days) * DAY + 12 * HOUR
    people = _people(log, events[events["us"] < start], users, seed)
    chosen = Users(
        ids=tuple(people["user_id"]),
        zones=tuple(people["timezone"]),
        signed_up=np.minimum(people["us"].to_numpy(np.int64), start - 1),
    )
    begins = next_local_midnight(np.full(len(chosen), start - 1), chosen.codes)
    owner = pd.Series(np.arange(len(chosen)), index=chosen.ids)
    events = events[events["user_id"].isin(chosen.ids)].reset_index(drop=True)
    events["owner"] = owner[events["user_id"]].to_numpy()
    events = events[events["us"] < begins[events["owner"]]].reset_index(drop=True)
    acts = _acts(events)
    habits = habits_of(chosen, acts, catalog.items.price, start)
    goods, taste = _tastes(catalog, acts, len(chosen), world.recommender_noise, seed)
    weekday, *rates = _rates(chosen, acts, start)
    population = Population(chosen, taste, habits.hours, *rates)
    simulator = world.over(goods, population, seed, start)
    organic = replace(
        simulator.organic,
        weekday=weekday.astype(np.float32),
        spend=habits.spend.astype(np.float32),
        view=habits.view,
        cart=habits.cart,
    )
    histories = _histories(chosen, events, acts)
    return replace(simulator, organic=organic, histories=histories), events


def _catalog(log: Log) -> Catalog:
    found = catalog_of(log)
    return found if len(found.variants) else Catalog(found.items, demo_variants())


def _events(log: Log, catalog: Catalog) -> pd.DataFrame:
    """The log's events on known items, in order, with instants, rows and ids."""
    table = log.tables["events"]
    row = table["item_id"].map(catalog.items.row)
    events = table[row.notna() & table["user_id"].notna() & table["at"].notna()].copy()
    events["row"] = row[events.index].astype(np.int64)
    events["us"] = epoch_us(events["at"])
    events = events.sort_values("us", kind="stable", ignore_index=True)
    missing = events["event_id"].isna()
    names = [f"shop-{number:08d}" for number in range(len(events))]
    events["event_id"] = events["event_id"].astype(object).where(~missing, names)
    if not (events["event"] == "purchase").any():
        raise NotEnoughData("the shop's log has no purchases to learn tastes from")
    return events


def _people(log: Log, before: pd.DataFrame, count: int | None, seed: int) -> pd.DataFrame:
    """Users who bought before the start: id, zone and instant of signing up."""
    buyers = before.loc[before["event"] == "purchase", "user_id"]
    table = log.tables["users"]
    table = table[table["user_id"].isin(set(buyers))]
    if not len(table):
        raise NotEnoughData("nobody bought anything before the days to be simulated: take fewer")
    if count is not None and count < len(table):
        drawn = np.random.default_rng([seed, 19]).choice(len(table), count, replace=False)
        table = table.iloc[np.sort(drawn)]
    zones = table["timezone"].fillna(log.meta.default_timezone or "UTC")
    first = before.groupby("user_id")["us"].min()
    signed = epoch_us(table["signed_up_at"])
    seen = first[table["user_id"]].to_numpy()
    return pd.DataFrame(
        {
            "user_id": table["user_id"].astype(object),
            "timezone": zones.astype(object),
            "us": np.where(signed == NEVER, seen, np.minimum(signed, seen)),
        }
    )


def _acts(events: pd.DataFrame) -> Acts:
    return Acts(
        owner=events["owner"].to_numpy(np.int64),
        item=events["row"].to_numpy(np.int64),
        kind=events["event"].map(ORGANIC).to_numpy(np.int8),
        at=events["us"].to_numpy(np.int64),
        value=events["value"].to_numpy(np.float64),
    )


def _rates(users: Users, acts: Acts, until: int) -> tuple[np.ndarray, ...]:
    """Factor on the visits by weekday (7,); visits a day, items met in a visit and purchases for
    each of them (U,). Nearly what they were, with some of the average user's added where one's past
    is short."""
    size, owner = len(users), acts.owner
    views = acts.kind == Kind.VIEW
    bought = acts.kind == Kind.PURCHASE
    met = views if views.any() else bought
    day = local_day(acts.at, users.codes[owner])
    visits = pd.DataFrame({"owner": owner, "day": day}).drop_duplicates()
    count = np.bincount(visits["owner"], minlength=size)
    first = np.full(size, until)
    np.minimum.at(first, owner, acts.at)
    known = (until - first) / DAY
    rate = count.sum() / max(known.sum(), 1.0)
    touches = np.bincount(owner[met], minlength=size)
    mean = max(touches.sum() / max(count.sum(), 1), 1.0)
    often = bought.sum() / max(touches.sum(), 1)
    own = np.bincount(owner[bought], minlength=size)
    weekday = np.bincount((visits["day"] + 3) % 7, minlength=7) + 3.0
    return (
        weekday / weekday.mean(),
        (count + PRIOR_DAYS * rate) / (known + PRIOR_DAYS),
        np.maximum((touches + PRIOR_VISITS * mean) / (count + PRIOR_VISITS), 1.0),
        ((own + PRIOR_TOUCHES * often) / (touches + PRIOR_TOUCHES)).clip(max=1.0),
    )


def _tastes(
    catalog: Catalog, acts: Acts, users: int, noise: float, seed: int
) -> tuple[Goods, np.ndarray]:
    """Items and user vectors (U, 8), scaled so that what is offered is liked alike in any shop.

    Halko, Martinsson, Tropp (2011). Finding structure with randomness. SIAM Review 53(2).
    """
    rng = np.random.default_rng([seed, 23])
    counts = np.zeros((users, len(catalog.items)), np.float32)
    np.add.at(counts, (acts.owner, acts.item), 1.0)
    popular = counts.sum(0)
    likes = np.log1p(counts)
    likes /= np.sqrt(1.0 + (counts > 0).sum(0))
    likes -= likes.mean(0)
    sketch = rng.normal(size=(likes.shape[1], TASTE + 8)).astype(np.float32)
    for _ in range(3):
        basis, _ = np.linalg.qr(likes @ sketch)
        sketch = likes.T @ basis
    left, scale, right = np.linalg.svd(basis.T @ likes, full_matrices=False)
    rank = min(TASTE, len(scale))
    items, tastes = np.zeros((len(popular), TASTE)), np.zeros((users, TASTE))
    items[:, :rank] = right[:rank].T
    tastes[:, :rank] = (basis @ left[:, :rank]) * scale[:rank]
    length = np.linalg.norm(items, axis=1, keepdims=True)
    items = np.where(length > 1e-9, items / np.maximum(length, 1e-9), 0.0)
    # Heavy buyers like more things, not each of them more.
    tastes /= np.maximum(np.linalg.norm(tastes, axis=1, keepdims=True), 1e-9)
    popularity = np.log(popular + 0.1)
    liking = (tastes @ items.T)[:SAMPLE]
    tastes *= _scale(liking / max(float(liking.std()), 1e-9), popularity, noise, seed)
    return Goods(catalog, items, popularity), tastes / max(float(liking.std()), 1e-9)


def _scale(liking: np.ndarray, popularity: np.ndarray, noise: float, seed: int) -> float:
    """The factor on likings (U, I) with which the recommender's guesses are liked by `OFFERED`."""
    low, high = 0.2, 5.0
    for _ in range(12):
        factor = float(np.sqrt(low * high))
        rng = np.random.default_rng([seed, 29])
        own = best(guessed(factor * liking, popularity, noise, rng), LIST)
        offered = factor * float(np.take_along_axis(liking, own, 1).mean())
        low, high = (factor, high) if offered < OFFERED else (low, factor)
    return factor


def _histories(users: Users, events: pd.DataFrame, acts: Acts) -> np.ndarray:
    """Histories (U,) of users after the log's events."""
    rows = events_array(len(events))
    rows["at"], rows["kind"] = acts.at, acts.kind
    rows["id"] = hash_ids(events["event_id"])
    rows["item"] = hash_ids(events["item_id"])
    rows["value"] = np.nan_to_num(acts.value)
    rows["hour"] = local_hour(acts.at, users.codes[acts.owner])
    order = event_order(acts.owner, rows)
    histories = new_histories(len(users))
    apply(histories, acts.owner[order], rows[order])
    return histories
