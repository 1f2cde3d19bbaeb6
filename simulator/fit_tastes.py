"""Tastes: a multinomial factorisation of what users meet by themselves and are offered.

log p(item | user) = bias + user · (category + residual) - normaliser; Gaussian priors on all
factors, maximum a posteriori. Offers have a bias and a scale of their own: a list says what the
shop's recommender believed, which is news of the user's taste where it knows more than the log.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mdp.state import TASTE

STEPS, RATE = 250, 0.06
BLOCK = 2_000_000
"""Pairs of user and item that are worked on at a time."""
OFFER_WEIGHT = 0.3
"""A day's list is nearly yesterday's: an offer counts as this share of an independent one."""
CONCENTRATIONS = tuple(float(x) for x in np.geomspace(1.0, 1000.0, 13))
"""How much a taste may weigh: so many acts."""
USER_PRIOR, CATEGORY_PRIOR, RESIDUAL_PRIOR, BIAS_PRIOR = 1.0, 1.0, 0.5, 2.0
"""Standard deviations of the priors."""


@dataclass(frozen=True)
class Tastes:
    """Embeddings whose inner products over all users and items have mean square 1; float32."""

    user: np.ndarray
    """(U, 8)"""
    item: np.ndarray
    """(I, 8)"""
    category: np.ndarray
    """(C, 8)"""
    preference: np.ndarray
    """Probability of each item when the user meets one (U, I)."""
    variance: np.ndarray
    """Of each coordinate of a user's vector, roughly (U,)."""


def fit_tastes(
    met: np.ndarray, offered: np.ndarray, category: np.ndarray, categories: int, seed: int
) -> Tastes:
    """Fit to counts (U, I) float of items met and of items offered; category: (I,) rows."""
    generator = torch.Generator().manual_seed(seed)
    users, items = met.shape
    kind = torch.from_numpy(category)

    def start(*shape: int) -> torch.Tensor:
        return (0.3 * torch.randn(*shape, generator=generator)).requires_grad_()

    user, of_category, residual = start(users, TASTE), start(categories, TASTE), start(items, TASTE)
    popular = torch.tensor(met.sum(0) + 1.0)
    bias = (popular / popular.mean()).log().float().requires_grad_()
    offer_bias = bias.detach().clone().requires_grad_()
    log_scale = torch.zeros(1, requires_grad=True)
    seen = torch.from_numpy(met.astype(np.float32))
    listed = torch.from_numpy((OFFER_WEIGHT * offered).astype(np.float32))
    height = max(BLOCK // max(items, 1), 1)
    blocks = [slice(begin, begin + height) for begin in range(0, users, height)]
    optimizer = torch.optim.Adam(
        [user, of_category, residual, bias, offer_bias, log_scale], lr=RATE
    )
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        optimizer.zero_grad()
        embedding = of_category[kind] + RESIDUAL_PRIOR * residual
        shared = embedding.detach().requires_grad_()
        # Some users at a time: all at once is gigabytes of memory traffic in a large shop.
        for rows in blocks:
            inner = user[rows] @ shared.T
            loss = -(seen[rows] * torch.log_softmax(bias + inner, 1)).sum()
            offers = torch.log_softmax(offer_bias + log_scale.exp() * inner, 1)
            (loss - (listed[rows] * offers).sum()).backward()
        assert shared.grad is not None
        loss = (embedding * shared.grad).sum()
        for factor, prior in ((user, USER_PRIOR), (of_category, CATEGORY_PRIOR), (residual, 1.0)):
            loss = loss + (factor**2).sum() / (2 * prior**2)
        loss = loss + ((bias - bias.mean()) ** 2).sum() / (2 * BIAS_PRIOR**2)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        embedding = of_category[kind] + RESIDUAL_PRIOR * residual
        inner = user @ embedding.T
        size = inner.square().mean().sqrt().clamp_min(1e-6)
        preference = torch.softmax(bias + inner, 1)
        spread = embedding.square().mean()
        information = seen.sum(1) + listed.sum(1) * log_scale.exp().square()
        variance = 1.0 / (1.0 / USER_PRIOR**2 + information * spread)
        # Users and items share the scale, so that both stay of the size of their priors.
        root = size.sqrt()
        return Tastes(
            user=(user / root).numpy(),
            item=(embedding / root).numpy(),
            category=(of_category / root).numpy(),
            preference=preference.numpy(),
            variance=(variance / size).numpy(),
        )


def fit_concentration(met: np.ndarray, preference: np.ndarray) -> float:
    """The concentration, of a few that are tried, of Dirichlet distributions about `preference`
    (U, I) under which the counts `met` (U, I) are likeliest: how much a taste weighs beside what
    its user met."""
    user, item = np.nonzero(met)
    count = torch.from_numpy(met[user, item])
    base = torch.from_numpy(np.maximum(preference[user, item].astype(np.float64), 1e-12))
    total = torch.from_numpy(met.sum(1))

    def likelihood(size: float) -> float:
        own = torch.lgamma(size * base + count) - torch.lgamma(size * base)
        one = torch.tensor(size, dtype=torch.float64)
        return float(own.sum() + (torch.lgamma(one) - torch.lgamma(size + total)).sum())

    return max(CONCENTRATIONS, key=likelihood)
