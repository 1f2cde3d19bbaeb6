"""Tastes: a multinomial factorisation of what users meet by themselves and are offered.

log p(item | user) = bias + user · (category + words + residual) - normaliser; Gaussian priors on
all factors, maximum a posteriori. An item's words are those of its text that others have, too
(`mdp.item_words`), summed so that many weigh as much as few. Offers have a bias and a scale of
their own: a list says what the shop's recommender believed, which is news of the user's taste where
it knows more than the log.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import DTypeLike

from mdp.item_words import ItemWords
from mdp.state import TASTE

STEPS, RATE = 250, 0.06
BLOCK = 2_000_000
"""Pairs of user and item that are worked on at a time."""
OFFER_WEIGHT = 0.3
"""A day's list is nearly yesterday's: an offer counts as this share of an independent one."""
CONCENTRATIONS = tuple(float(x) for x in np.geomspace(1.0, 1000.0, 13))
"""How much a taste may weigh: so many acts."""
USER_PRIOR, CATEGORY_PRIOR, RESIDUAL_PRIOR, BIAS_PRIOR = 1.0, 1.0, 0.5, 2.0
WORDS_PRIOR = 0.5
"""Standard deviations of the priors."""
LEAST_SCALE = 0.05
"""Inner products of less, in log-odds, are noise: they are not made larger."""


@dataclass(frozen=True)
class Tastes:
    """Embeddings whose inner products over all users and items have mean square 1, or less where a
    log tells of no tastes; float32."""

    user: np.ndarray
    """(U, 8)"""
    item: np.ndarray
    """(I, 8)"""
    category: np.ndarray
    """(C, 8)"""
    word: np.ndarray
    """Of the words that items share (W, 8)."""
    word_hash: np.ndarray
    """Hashes of these (W,) uint64."""
    bias: np.ndarray
    """Of each item when a user meets one (I,)."""
    scale: float
    """By which inner products count beside it."""
    variance: np.ndarray
    """Of each coordinate of a user's vector, roughly (U,)."""

    def preference(self, rows: slice) -> np.ndarray:
        """Probability of each item when some of the users meet one (N, I) float32."""
        logits = self.bias + self.scale * self.user[rows] @ self.item.T
        return torch.softmax(torch.from_numpy(logits), 1).numpy()


@dataclass(frozen=True)
class Counts:
    """How often each of U users met, or was offered, each of I items, without the zeros."""

    shape: tuple[int, int]
    """U and I."""
    user: np.ndarray
    """Rows (n,) int64, ascending."""
    item: np.ndarray
    """Catalogue rows (n,) int64."""
    count: np.ndarray
    """(n,) float64"""

    @classmethod
    def of(cls, owner: np.ndarray, items: np.ndarray, shape: tuple[int, int]) -> Counts:
        """From users (M,) and catalogue rows (M, K) of what they met, -1 for padding."""
        order = np.argsort(owner, kind="stable")
        found = []
        for rows in _blocks(shape):
            first, last = np.searchsorted(owner, [rows.start, rows.stop], sorter=order)
            mine = order[first:last]
            listed = items[mine] >= 0
            place = np.repeat(owner[mine], listed.sum(1)) * shape[1] + items[mine][listed]
            number = np.bincount(place - rows.start * shape[1])
            some = np.flatnonzero(number)
            found.append((some + rows.start * shape[1], number[some]))
        place, number = (np.concatenate([part[n] for part in found]) for n in (0, 1))
        return cls(shape, place // shape[1], place % shape[1], number.astype(np.float64))

    def of_pairs(self, rows: slice) -> slice:
        """Which of the pairs are those of some users."""
        first, last = np.searchsorted(self.user, [rows.start, rows.stop])
        return slice(int(first), int(last))

    def dense(self, rows: slice, dtype: DTypeLike = np.float64) -> np.ndarray:
        """Counts (N, I) of some users."""
        pairs = self.of_pairs(rows)
        out = np.zeros((rows.stop - rows.start) * self.shape[1], dtype)
        place = (self.user[pairs] - rows.start) * self.shape[1]
        place += self.item[pairs]
        out[place] = self.count[pairs]
        return out.reshape(-1, self.shape[1])

    def blocks(self) -> list[slice]:
        """The users, as many at a time as may be worked on."""
        return _blocks(self.shape)


def _blocks(shape: tuple[int, int]) -> list[slice]:
    users, items = shape
    height = max(BLOCK // max(items, 1), 1)
    return [slice(begin, min(begin + height, users)) for begin in range(0, users, height)]


def fit_tastes(
    met: Counts,
    offered: Counts,
    category: np.ndarray,
    categories: int,
    words: ItemWords,
    seed: int,
) -> Tastes:
    """Fit to counts of items met and of items offered; category: (I,) rows."""
    generator = torch.Generator().manual_seed(seed)
    users, items = met.shape
    kind = torch.from_numpy(category)

    def start(*shape: int) -> torch.Tensor:
        return (0.3 * torch.randn(*shape, generator=generator)).requires_grad_()

    user, of_category, residual = start(users, TASTE), start(categories, TASTE), start(items, TASTE)
    word = start(len(words.hashes), TASTE)
    has = torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([words.item, words.word])),
        torch.from_numpy(words.weight),
        (items, len(word)),
        check_invariants=True,
    ).coalesce()

    def embeddings() -> torch.Tensor:
        return of_category[kind] + RESIDUAL_PRIOR * residual + WORDS_PRIOR * (has @ word)

    popular = torch.tensor(np.bincount(met.item, met.count, items) + 1.0)
    bias = (popular / popular.mean()).log().float().requires_grad_()
    offer_bias = bias.detach().clone().requires_grad_()
    log_scale = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam(
        [user, of_category, residual, word, bias, offer_bias, log_scale], lr=RATE
    )
    weighed = replace(offered, count=OFFER_WEIGHT * offered.count)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        optimizer.zero_grad()
        embedding = embeddings()
        shared = embedding.detach().requires_grad_()
        # Some users at a time: all at once is gigabytes of memory traffic in a large shop.
        for rows in met.blocks():
            seen = torch.from_numpy(met.dense(rows, np.float32))
            listed = torch.from_numpy(weighed.dense(rows, np.float32))
            inner = user[rows] @ shared.T
            loss = -(seen * torch.log_softmax(bias + inner, 1)).sum()
            offers = torch.log_softmax(offer_bias + log_scale.exp() * inner, 1)
            (loss - (listed * offers).sum()).backward()
        assert shared.grad is not None
        loss = (embedding * shared.grad).sum()
        for factor, prior in (
            (user, USER_PRIOR),
            (of_category, CATEGORY_PRIOR),
            (residual, 1.0),
            (word, 1.0),
        ):
            loss = loss + (factor**2).sum() / (2 * prior**2)
        loss = loss + ((bias - bias.mean()) ** 2).sum() / (2 * BIAS_PRIOR**2)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        embedding = embeddings()
        # The mean square of all inner products, without the products.
        square = ((user.T @ user) * (embedding.T @ embedding)).sum() / (users * items)
        size = square.sqrt().clamp_min(LEAST_SCALE)
        spread = embedding.square().mean()
        own, lists = (
            torch.from_numpy(np.bincount(each.user, each.count, users).astype(np.float32))
            for each in (met, offered)
        )
        information = own + OFFER_WEIGHT * lists * log_scale.exp().square()
        variance = 1.0 / (1.0 / USER_PRIOR**2 + information * spread)
        # Users and items share the scale, so that both stay of the size of their priors.
        root = size.sqrt()
        return Tastes(
            user=(user / root).numpy(),
            item=(embedding / root).numpy(),
            category=(of_category / root).numpy(),
            word=(WORDS_PRIOR * word / root).numpy(),
            word_hash=words.hashes,
            bias=bias.numpy(),
            scale=float(size),
            variance=(variance / size).numpy(),
        )


def fit_concentration(met: Counts, preference: np.ndarray) -> float:
    """The concentration, of a few that are tried, of Dirichlet distributions about the users'
    preferences under which the counts are likeliest: how much a taste weighs beside what its user
    met. preference: (n,) of the pairs of user and item in `met`."""
    count = torch.from_numpy(met.count)
    base = torch.from_numpy(np.maximum(preference.astype(np.float64), 1e-12))
    total = torch.from_numpy(np.bincount(met.user, met.count, met.shape[0]))

    def likelihood(size: float) -> float:
        own = torch.lgamma(size * base + count) - torch.lgamma(size * base)
        one = torch.tensor(size, dtype=torch.float64)
        return float(own.sum() + (torch.lgamma(one) - torch.lgamma(size + total)).sum())

    return max(CONCENTRATIONS, key=likelihood)
