"""What reading reviews adds to recommendations, in made-up shops where it says what is liked.

    python -m benchmarks.review_aspects --seeds 3

Items have sides (comfort, look, taste …) that titles and categories say nothing of; each user cares
for two of them and buys accordingly. Buyers write reviews, in English or in Chinese, each of what
they noticed, one in ten wrongly. A fifth of the items is sold from the test month on only, and
reviewed before it by others. Each method is fitted with the reviews and without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import tyro
from scipy.sparse import csr_matrix

from generation.candidates.collaborative import Ease
from generation.candidates.content import Content
from generation.candidates.hybrid import Hybrid
from generation.candidates.interactions import Interactions, interactions_of
from generation.candidates.leaderboard import judged
from generation.candidates.ranker import Ranker
from generation.candidates.reviewed import Reviewed
from generation.candidates.splits import Split, splits_of
from ingestion.log import Log
from ingestion.parse import log_of

DAYS, BUYS, COLD = 120, 20, 5
"""Days of the log, purchases of a user, and which part of the items is new in the last 30 days."""
ENGLISH = {
    "quality": ("Solid and well made.", "It broke after a week."),
    "look": ("Such a pretty pattern.", "Rather ugly colours."),
    "size": ("The size is just perfect.", "Far too small for me."),
    "comfort": ("So soft and comfortable.", "Scratchy, feels awful."),
    "use": ("Really easy to clean.", "Fiddly and difficult to open."),
    "smell": ("A lovely scent.", "It stinks."),
}
CHINESE = {
    "quality": ("做工很好，很结实。", "用了一周就坏了。"),
    "look": ("颜色很漂亮。", "样子难看。"),
    "size": ("大小很合适。", "尺寸太小了。"),
    "comfort": ("手感柔软，很舒服。", "摸着扎人。"),
    "use": ("操作方便。", "很难用。"),
    "smell": ("气味很好闻。", "有异味。"),
}
NEUTRAL = ("Bought it for my sister.", "上周收到的。")
START = pd.Timestamp("2026-01-01T00:00:00Z")


@dataclass(frozen=True)
class Args:
    """Of which shops."""

    users: int = 1000
    """users of a shop"""
    items: int = 400
    """items of a shop"""
    seeds: int = 3
    """shops"""


def main(args: Args) -> None:
    """Make shops, fit, judge, print."""
    print("| seed | method | reviews | new: NDCG@20 | never bought before: NDCG@20 |")
    print("|---|---|---|---|---|")
    for seed in range(args.seeds):
        known = interactions_of(planted(args.users, args.items, seed))
        unread = replace(known, reviewed=Reviewed.none())
        lines: Sequence[tuple[Ranker, str, Interactions]] = (
            (Ease(250.0), "-", known),
            (Content(), "not read", unread),
            (Content(), "read", known),
            (Hybrid(rounds=100, seed=seed), "not read", unread),
            (Hybrid(rounds=100, seed=seed), "read", known),
        )
        for ranker, reviews, log in lines:
            _, test = splits_of(log)
            ranker.fit(test.known)
            cells = " | ".join(_cell(ranker, split) for split in (test, never_met(test)))
            print(f"| {seed} | {ranker.name} | {reviews} | {cells} |", flush=True)


def _cell(ranker: Ranker, split: Split) -> str:
    score = judged(ranker, split, True)
    return f"{score.ndcg:.4f} ±{(score.ndcg_high - score.ndcg_low) / 2:.4f}"


class NeverMet(Split):
    """Asks for items that nobody met before, and offers only such."""

    def asked(self, new: bool) -> tuple[np.ndarray, csr_matrix, csr_matrix | None]:
        """Users (N,), what they bought of them (N, I), and all other items (N, I)."""
        old = self.known.popularity(np.inf) > 0
        truth = csr_matrix(self.truth[self.users].multiply(~old))
        truth.eliminate_zeros()
        some = np.flatnonzero(np.diff(truth.indptr))
        return self.users[some], truth[some], csr_matrix(np.tile(old, (len(some), 1)))


def never_met(split: Split) -> NeverMet:
    """The part of a split that asks for items which nobody met."""
    return NeverMet(split.known, split.truth, split.users)


def planted(users: int, items: int, seed: int) -> Log:
    """A shop where users buy what has the sides that they care for."""
    rng = np.random.default_rng(seed)
    aspects = list(ENGLISH)
    sides = rng.choice([-1, 0, 1], (items, len(aspects)), p=[0.2, 0.5, 0.3])
    cares = np.zeros((users, len(aspects)))
    for row in cares:
        row[rng.choice(len(aspects), 2, replace=False)] = 1
    cold = np.arange(items) % COLD == 0
    worth = 1.5 * cares @ sides.T + rng.gumbel(size=(users, items)) + 0.5 * rng.normal(size=items)
    day = np.sort(rng.integers(0, DAYS, (users, BUYS)), axis=1)
    bought = []
    for user in range(users):
        later = np.argsort(-worth[user]).tolist()
        for at in day[user]:
            item = next(n for n in later if at >= DAYS - 30 or not cold[n])
            later.remove(item)
            bought.append((user, item, at))
    events = pd.DataFrame(bought, columns=["user", "item", "day"])
    reviewers = events[rng.random(len(events)) < 0.4]
    early = pd.DataFrame({"item": np.repeat(np.flatnonzero(cold), 8), "day": DAYS - 31})
    said = pd.concat([reviewers[["item", "day"]], early], ignore_index=True)
    names = [f"item-{n:04d}" for n in range(items)]
    words = np.array(["amber", "birch", "cedar", "delta", "ember", "fable", "grove", "haven"])
    tables = {
        "users": pd.DataFrame(
            {
                "user_id": [f"user-{n:04d}" for n in range(users)],
                "timezone": "UTC",
                "signed_up_at": START,
            }
        ),
        "items": pd.DataFrame(
            {
                "item_id": names,
                "title": [" ".join(rng.choice(words, 3, replace=False)) for _ in names],
                "category": rng.choice(["home", "garden", "kitchen"], items),
                "brand": "acme",
                "price": 10.0,
            }
        ),
        "events": pd.DataFrame(
            {
                "user_id": [f"user-{n:04d}" for n in events["user"]],
                "item_id": [names[n] for n in events["item"]],
                "event": "purchase",
                "at": START + pd.to_timedelta(events["day"] * 24 + 12, unit="h"),
                "value": 10.0,
            }
        ),
        "reviews": pd.DataFrame(
            {
                "item_id": [names[n] for n in said["item"]],
                "text": [_review(sides[n], aspects, rng) for n in said["item"]],
                "at": START + pd.to_timedelta(said["day"] * 24 + 18, unit="h"),
            }
        ),
    }
    return log_of(tables)


def _review(sides: np.ndarray, aspects: list[str], rng: np.random.Generator) -> str:
    """What a buyer says: of each side half the time, one in ten wrongly."""
    language = int(rng.integers(2))
    words = (ENGLISH, CHINESE)[language]
    said = [NEUTRAL[language]]
    for aspect, side in zip(aspects, sides, strict=True):
        if side and rng.random() < 0.5:
            good = (side > 0) != (rng.random() < 0.1)
            said.append(words[aspect][0 if good else 1])
    return " ".join(said)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
