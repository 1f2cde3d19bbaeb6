"""What is known at an instant of a user and an item: the hybrid's candidates and features."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from generation.candidates.collaborative import ease_weights
from generation.candidates.content import features_of
from generation.candidates.interactions import Interactions

RIDGE, HALF_LIFE, BENT = 300.0, 90.0, 0.3
"""EASE's λ; days in which what was met counts half; the power of popularity that it is times."""
FOUND, FRESH = 150, 10
"""Items that the user never met: so many by EASE and popularity, and so many that are new."""
NEVER_MET = 999.0
FEATURES = (
    "alike",  # EASE × popularity
    "ease",
    "ease_recent",
    "content",
    "popular_7",
    "popular_30",
    "popular_90",
    "popular_ever",
    "trend",
    "item_age",
    "met_again",
    "price",
    "price_to_usual",
    "category_share",
    "times",
    "days",
    "days_share",
    "times_decayed",
    "since_last",
    "since_first",
    "gap_share",
    "user_days",
    "user_items",
    "user_since_last",
)
"""Names of the features, in their order."""


class Evidence:
    """Tables by user and by item from which features of pairs are read."""

    def __init__(self, log: Interactions) -> None:
        self.log = log
        users, items = log.shape
        self._ease = ease_weights(log.met, RIDGE)
        self._recent = log.matrix(np.exp2(-log.age / HALF_LIFE))
        self._content = features_of(log)
        self._taste = csr_matrix(self._recent.minimum(1) @ self._content)
        popular = {days: log.popularity(days) for days in (7, 30, 90, np.inf)}
        self._bent = (popular[30] + 1) ** BENT
        self._day = self._different_days()
        day_of_user = np.unique(log.user * 100_000 + (log.age).astype(np.int64)) // 100_000
        self._user_days = np.bincount(day_of_user, minlength=users).astype(np.float64)
        self._user_last = _least(log.user, log.age, users)
        self._user_items = np.diff(log.met.indptr)
        first = np.zeros(items)
        np.maximum.at(first, log.item, log.age)
        again = np.bincount(self._day.indices[self._day.data > 1], minlength=items)
        log_price = np.log(np.maximum(log.items.price, 0.01)).astype(np.float64)
        self._log_price = log_price
        self._usual = (log.met @ log_price) / np.maximum(self._user_items, 1)
        _, category = np.unique(log.items.categories, return_inverse=True)
        member = csr_matrix((np.ones(items, np.float32), (np.arange(items), category)))
        self._category, self._share = category, csr_matrix(log.met @ member)
        self._of_item = {
            **{f"popular_{days}": popular[days] for days in (7, 30, 90)},
            "popular_ever": popular[np.inf],
            "trend": popular[30] / (popular[90] + 1),
            "item_age": first,
            "met_again": again / np.maximum(popular[np.inf], 1),
            "price": log_price,
        }
        unmet = popular[np.inf] == 0
        self._fresh = np.flatnonzero(unmet)

    def _different_days(self) -> csr_matrix:
        """On how many days each user met each item (U, I)."""
        log = self.log
        key = np.stack([log.user, log.item, log.age.astype(np.int64)], 1)
        user, item, _ = np.unique(key, axis=0).T
        return csr_matrix((np.ones(len(user), np.float32), (user, item)), shape=log.shape)

    def alike(self, users: np.ndarray) -> np.ndarray:
        """EASE on what users met lately × popularity (N, I) float32."""
        ease = self._recent[users].minimum(1) @ self._ease
        return (np.maximum(ease, 1e-6) * self._bent).astype(np.float32)

    def reasons(self, user: int, item: int) -> tuple[int, float]:
        """What the user met that speaks most for an item: its row, and EASE's weight of it; -1
        and 0 where nothing does."""
        recent = self._recent[user].minimum(1)
        said = recent.data * self._ease[recent.indices, item]
        if not len(said) or said.max() <= 0:
            return -1, 0.0
        return int(recent.indices[said.argmax()]), float(said.max())

    def pairs(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Candidates of users (N,): places in `users` (M,), items' rows (M,), features (M, F)."""
        met = self.log.met[users]
        alike, content = self.alike(users), (self._taste[users] @ self._content.T).toarray()
        chosen = met.toarray() > 0
        fresh = np.where(chosen, -1.0, alike)
        found = min(FOUND, fresh.shape[1])
        best = np.argpartition(-fresh, found - 1, axis=1)[:, :found]
        np.put_along_axis(chosen, best, True, axis=1)
        if len(self._fresh):
            new = min(FRESH, len(self._fresh))
            order = np.argpartition(-content[:, self._fresh], new - 1, axis=1)[:, :new]
            np.put_along_axis(chosen, self._fresh[order], True, axis=1)
        row, item = np.nonzero(chosen)
        who = users[row]
        columns = {
            "alike": alike[row, item],
            "ease": (met @ self._ease)[row, item],
            "ease_recent": alike[row, item] / self._bent[item],
            "content": content[row, item],
            **{name: values[item] for name, values in self._of_item.items()},
            "price_to_usual": self._log_price[item] - self._usual[who],
            "category_share": self._share[users].toarray()[row, self._category[item]]
            / np.maximum(self._user_items[who], 1),
            **self._own(users, row, item),
            "user_days": self._user_days[who],
            "user_items": self._user_items[who],
            "user_since_last": self._user_last[who],
        }
        return row, item, np.stack([columns[name] for name in FEATURES], 1).astype(np.float32)

    def _own(self, users: np.ndarray, row: np.ndarray, item: np.ndarray) -> dict[str, np.ndarray]:
        """What the users themselves had to do with the items."""
        log = self.log
        place = np.full(log.shape[0], -1)
        place[users] = np.arange(len(users))
        mine = place[log.user] >= 0
        at = place[log.user[mine]], log.item[mine]
        last = np.full((len(users), log.shape[1]), NEVER_MET)
        np.minimum.at(last, at, log.age[mine])
        first = np.zeros_like(last)
        np.maximum.at(first, at, log.age[mine])
        days = self._day[users].toarray()[row, item]
        since, earliest = last[row, item], first[row, item]
        pause = (earliest - since) / np.maximum(days - 1, 1)
        return {
            "times": log.counts[users].toarray()[row, item],
            "days": days,
            "days_share": days / np.maximum(self._user_days[users[row]], 1),
            "times_decayed": self._recent[users].toarray()[row, item],
            "since_last": since,
            "since_first": earliest,
            "gap_share": np.where(days > 1, since / (pause + 1), 0),
        }


def _least(group: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """The least value of each group (size,); `NEVER_MET` where there is none."""
    least = np.full(size, NEVER_MET)
    np.minimum.at(least, group, values)
    return least
