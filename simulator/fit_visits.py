"""Rates of users by maximum likelihood over all of them: how much a user's own past counts is
fitted, not set.

Visits are Pareto/NBD: while a user is a customer, days with a visit come at a rate that is Gamma
distributed over users, and each leaves for good at a rate that is Gamma distributed too. Where the
log does not show that anybody leaves, nobody does (NBD).

Schmittlein, Morrison, Colombo (1987). Counting your customers: who are they and what will they do
next? Management Science 33(1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

MOST_FITTED = 20_000
"""Users, evenly spaced, that the common parameters are fitted to; and worked on at a time."""
NODES = 48
"""Points of the Gauss-Legendre rule over the time of leaving."""
VAGUE = 3.0
"""Standard deviation of the logarithms of parameters about a guess: matters with hardly any data
only."""


@dataclass(frozen=True)
class Visits:
    """What is known of U users' visits; float64."""

    sessions: np.ndarray
    """Mean visits a day of who still comes (U,)."""
    shape: np.ndarray
    """Shape of the Gamma distribution about that mean (U,)."""
    alive: np.ndarray
    """Probability of still coming (U,)."""
    staying: np.ndarray
    """With `leaving`: who comes still does after t days with probability
    (staying / (staying + t)) ^ leaving (U,)."""
    leaving: float
    """0: nobody leaves."""


def fit_visits(count: np.ndarray, last: np.ndarray, known: np.ndarray) -> Visits:
    """count: days with a visit (U,) after the day on which users came to be known; last: of the
    latest (U,), known: until now (U,), both days since then."""
    # P(a visit on a day) = 1 - exp(-rate) ≈ rate · exp(-rate / 2): half a day of each counts.
    x = torch.from_numpy(count.astype(np.float64))
    age = torch.from_numpy(np.maximum(known - count / 2, 0.0))
    seen = torch.from_numpy(np.clip(last - count / 2, 0.0, np.maximum(known - count / 2, 0.0)))
    some = evenly(len(x))
    guess = torch.log((x[some].sum() + 0.5) / (age[some].sum() + 1.0))
    start = torch.stack([torch.zeros_like(guess), -guess])
    plain, loss = maximised(lambda p: _rates(p, x[some], age[some]).sum(), start)
    start = torch.cat([plain, torch.tensor([-0.7, 5.0], dtype=torch.float64)])
    left, loss_with = maximised(
        lambda p: torch.logaddexp(*_lives(p, x[some], seen[some], age[some])).sum(), start
    )
    leave = loss_with < loss - _worth(len(some))
    shape, rate = (left if leave else plain)[:2].exp()
    alive, staying, leaving = torch.ones_like(x), torch.ones_like(x), 0.0
    if leave:
        parts = zip(*(each.split(MOST_FITTED) for each in (x, seen, age)), strict=True)
        odds = [here - gone for here, gone in (_lives(left, *part) for part in parts)]
        alive, leaving = torch.sigmoid(torch.cat(odds)), float(left[2].exp())
        staying = left[3].exp() + age
    own = shape + x
    return Visits(
        (own / (rate + age)).numpy(), own.numpy(), alive.numpy(), staying.numpy(), leaving
    )


def fit_beta(yes: np.ndarray, no: np.ndarray) -> np.ndarray:
    """Parameters (2,) of the Beta distribution of a probability over users, of whose trials (U,)
    `yes` and (U,) `no` are known."""
    some = evenly(len(yes))
    a, b = torch.from_numpy(yes[some].astype(float)), torch.from_numpy(no[some].astype(float))
    mean = (a.sum() + 0.5) / (a.sum() + b.sum() + 1.0)

    def gain(logs: torch.Tensor) -> torch.Tensor:
        p, q = logs.exp()
        return (_log_beta(p + a, q + b) - _log_beta(p, q)).sum()

    found, _ = maximised(gain, torch.log(10 * torch.stack([mean, 1 - mean])))
    return found.exp().numpy()


def maximised(
    gain: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """Parameters near `start` with the most gain, and its negative."""
    at = start.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([at], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = ((at - start) ** 2).sum() / (2 * VAGUE**2) - gain(at)
        total.backward()
        return total

    optimizer.step(loss)
    found = at.detach()
    return found, -float(gain(found))


def _worth(users: int) -> float:
    """Nats by which leaving must better the likelihood for its two parameters (Akaike's criterion,
    corrected for few users)."""
    return 2.0 + 20.0 / (users - 5) - 6.0 / (users - 3) if users > 5 else np.inf


def evenly(size: int) -> np.ndarray:
    """Rows (n,) int64 of the users, of so many, that common parameters are fitted to."""
    return np.linspace(0, size - 1, min(size, MOST_FITTED)).astype(np.int64)


def _log_beta(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)


def _rates(logs: torch.Tensor, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """Log-likelihood of x visits, the last of them at a given place, in `time` days as a
    customer."""
    shape, rate = logs[:2].exp()
    head = torch.lgamma(shape + x) - torch.lgamma(shape) + shape * logs[1]
    return head - (shape + x) * torch.log(rate + time)


def _lives(
    logs: torch.Tensor, x: torch.Tensor, seen: torch.Tensor, age: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-likelihoods (U,) of having come and still being there, and of having left since."""
    leaving, stay = logs[2:].exp()
    alive = _rates(logs, x, age) - leaving * torch.log1p(age / stay)
    place, weight = np.polynomial.legendre.leggauss(NODES)
    # Squared, for most of what matters lies soon after the last visit.
    node = torch.from_numpy((place + 1) / 2)
    rest = (age - seen)[:, None]
    left_at = seen[:, None] + rest * node**2
    width = torch.log(rest.clamp_min(1e-9) * node * torch.from_numpy(weight))
    density = logs[2] - logs[3] - (leaving + 1) * torch.log1p(left_at / stay)
    gone = torch.logsumexp(_rates(logs, x[:, None], left_at) + density + width, 1)
    return alive, gone
