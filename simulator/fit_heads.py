"""The five response heads and the users' effects, by maximum a posteriori.

Every head is a logistic regression on the additive terms that `mdp.response.ResponseModel` adds
up, with Gaussian priors. Openness and response to styles come from opening, and the other heads
weigh them as they are: in one joint maximum a weight grows without end while the effects that it
multiplies shrink. Tolerance is integrated out (`simulator.fit_tolerance`).

A user's effect is what covariates say of such users, if they say anything, plus the user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from mdp.hashing import STYLE_BUCKETS
from mdp.response import HEADS
from mdp.wording import WORDING
from simulator.fit_tolerance import TOLD_BY, Told
from simulator.head_terms import (
    USERS_EFFECTS,
    Parameters,
    blocks_of,
    effects_of,
    logits,
    of_heads,
    parts_of,
    tensors,
    tied,
    tired,
    turns,
)
from simulator.heads_prior import EACH, WEIGHTS, moved, penalty
from simulator.sends import OPEN, Sends
from simulator.users_prior import COEFFICIENTS, UsersPrior
from simulator.widths import Widths

ITERATIONS, REFIT_ITERATIONS = 60, 30
COLD, WARM = 150, 40
"""Iterations of a fit that much rests on: from scratch, and from another fit's parameters."""
USUAL = (0.05, 0.2, 0.05, 0.05, 0.005)
"""How likely each head's outcome is before anything is seen; counts as much as one push."""


@dataclass(frozen=True)
class Sizes:
    """How many users, items and variants there are."""

    users: int
    items: int
    variants: int
    specials: int = 0
    """Names of special days."""


def _start(sizes: Sizes) -> Parameters:
    H = len(HEADS)
    shapes = {
        "base": (H,),
        "weekday": (7, H),
        "hour": (24, H),
        "weekday_hour": (7, 24, H),
        "special": (sizes.specials, H),
        "item_weight": (2, H),
        "item_effect": (sizes.items, H),
        "variant_weight": (len(WORDING), H),
        "variant_effect": (sizes.variants, H),
        "style": (STYLE_BUCKETS, H),
        "openness": (sizes.users,),
        "styles": (sizes.users, STYLE_BUCKETS),
        "tolerance": (sizes.users,),
        "price": (sizes.users,),
        **{f"{name}_weight": (H,) for name in WEIGHTS},
    }
    return {name: torch.zeros(shape).requires_grad_() for name, shape in shapes.items()}


def fit_heads(
    sends: Sends,
    sizes: Sizes,
    widths: Widths,
    heads: tuple[int, ...],
    iterations: int = ITERATIONS,
    start: dict[str, np.ndarray] | None = None,
    prior: UsersPrior | None = None,
) -> dict[str, np.ndarray]:
    """Parameters by name, float32; heads left out stay at their priors' means.

    start: parameters of a fit of the same heads to something alike, to begin with. prior: what
    covariates say of users' effects; its coefficients are fitted too.
    """
    parameters = _start(sizes)
    if start is not None:
        parameters = {name: torch.tensor(start[name]).requires_grad_() for name in parameters}
    else:
        for head in heads:
            rate = float(sends.outcome[sends.asked[:, head], head].sum() + USUAL[head])
            count = float(sends.asked[:, head].sum() + 1.0)
            with torch.no_grad():
                parameters["base"][head] = float(np.log(rate / (count - rate)))
    if prior is not None:
        parameters |= prior.begun(parameters, start is not None)
    everyone = torch.ones(sizes.users)
    problem = _Problem(parameters, parts_of(sends), widths, iterations, everyone, prior)
    problem.maximise((OPEN,), tuple(parameters))
    if set(TOLD_BY) <= set(heads):
        shared = _others(parameters, *USERS_EFFECTS)
        problem.maximise_told(shared)
        others = tuple(head for head in heads if head not in TOLD_BY)
        problem.maximise(others, _others(parameters, "openness", "styles", "tolerance"))
    return _fitted(parameters, prior)


def _others(parameters: Parameters, *effects: str) -> tuple[str, ...]:
    """Names of all parameters but some effects of the users and what covariates say of them."""
    return tuple(name for name in parameters if name.removesuffix(COEFFICIENTS) not in effects)


def _whole(parameters: Parameters, prior: UsersPrior | None) -> Parameters:
    """The parameters with whole effects of the users, not only their own parts."""
    return parameters if prior is None else parameters | prior.added(parameters)


def refit_heads(
    fitted: dict[str, np.ndarray],
    sends: Sends,
    sizes: Sizes,
    widths: Widths,
    weight: np.ndarray,
    means: Sequence[torch.Tensor],
    iterations: int = REFIT_ITERATIONS,
) -> dict[str, np.ndarray]:
    """What all users share, fitted again from `fitted` on, under priors of other means; users'
    effects stay as they are.

    weight: how often each user counts (U,) float32. means: as `heads_prior.drawn_means` gives them.
    """
    parameters = {name: torch.tensor(fitted[name]).requires_grad_() for name in _start(sizes)}
    known = _known(fitted, sends, weight)
    for name, far in moved(parameters, widths, means, known).items():
        parameters[name].data += far
    shared = _others(parameters, *USERS_EFFECTS)
    times = torch.from_numpy(weight)
    problem = _Problem(parameters, parts_of(sends), widths, iterations, times, None, means)
    problem.maximise_told(shared)
    # Apart, as users' effects tie them no more, each is there sooner.
    for head in set(range(len(HEADS))) - set(TOLD_BY):
        problem.maximise((head,), shared)
    return _fitted(parameters, None) | {name: fitted[name] for name in USERS_EFFECTS}


def _known(fitted: dict[str, np.ndarray], sends: Sends, weight: np.ndarray) -> Parameters:
    """What the pushes tell of each of `EACH`, by name, as if it was alone: its information."""
    p = predicted(fitted, sends)
    told = p * (1 - p) * sends.asked * weight[sends.user, None]
    time = 24 * sends.weekday + sends.hour
    rows = (sends.item, sends.variant, sends.bucket, sends.weekday, sends.hour, time)
    out = {}
    for name, row in zip(EACH, (*rows, sends.special), strict=True):
        none = int(name == "special")  # row 0 is of ordinary days
        size = fitted[name][..., 0].size + none
        sums = [np.bincount(row, told[:, head], size)[none:] for head in range(len(HEADS))]
        found = np.stack(sums, 1).reshape(fitted[name].shape)
        out[name] = torch.from_numpy(found.astype(np.float32))
    return out


def _fitted(parameters: Parameters, prior: UsersPrior | None) -> dict[str, np.ndarray]:
    with torch.no_grad():
        whole = _whole(parameters, prior)
        arrays = {name: value.detach().numpy() for name, value in whole.items()}
        units = {name: value.numpy() for name, value in tied(parameters).items()}
        return arrays | units | ({} if prior is None else prior.fitted(parameters))


@dataclass(frozen=True)
class _Problem:
    """Parameters to bring to the posterior's maximum, some heads and parameters at a time."""

    parameters: Parameters
    parts: list[dict[str, torch.Tensor]]
    widths: Widths
    iterations: int
    weight: torch.Tensor
    """How often each user's pushes count (U,)."""
    prior: UsersPrior | None
    means: Sequence[torch.Tensor] | None = None
    """Of the prior, as `heads_prior.deviations` has them; None: 0."""

    def maximise(self, heads: tuple[int, ...], free: tuple[str, ...]) -> None:
        """The free parameters of some heads, given the others; tolerance is one of these."""
        # Of the heads in question alone: five columns cost five times what one does.
        columns = torch.tensor(heads)
        counted = [_counted(part, columns, self.weight) for part in self.parts]
        fixed = [name for name in USERS_EFFECTS if name not in free]
        fitted = [name for name in USERS_EFFECTS if name in free]
        with torch.no_grad():
            whole = _whole(self.parameters, self.prior)
            known = [
                tired(part, whole["tolerance"]) | effects_of(whole, part, fixed)
                for part in self.parts
            ]

        def cost(shared: Parameters) -> float:
            total = 0.0
            for part, times, effects in zip(self.parts, counted, known, strict=True):
                own = cross_entropy(
                    logits(shared, part, effects | effects_of(shared, part, fitted)),
                    part["outcome"][:, columns],
                    weight=times,
                    reduction="sum",
                )
                own.backward()
                total += own.item()
            return total

        self._descend(heads, free, cost)

    def maximise_told(self, free: tuple[str, ...]) -> None:
        """The free parameters of the heads that tell of tolerance, this integrated out; then it is
        what is believed of it."""
        with torch.no_grad():
            told = Told.of(_whole(self.parameters, self.prior), self.parts)
        width = self.widths.tolerance
        self._descend(TOLD_BY, free, lambda shared: told.cost(shared, width, self.weight))
        with torch.no_grad():
            shared = of_heads(self.parameters | tied(self.parameters), told.heads)
            self.parameters["tolerance"].copy_(told.believed(shared, width)[0])

    def _descend(
        self, heads: tuple[int, ...], free: tuple[str, ...], cost: Callable[[Parameters], float]
    ) -> None:
        """cost: minus the log likelihood, given what users share of the heads alone and whole
        effects of the users; adds to their gradients."""
        columns = torch.tensor(heads)
        others = [head for head in range(len(HEADS)) if head not in heads]
        p = self.parameters
        of_all = [name for name in free if name in of_heads(p, columns).keys() - set(USERS_EFFECTS)]
        optimizer = torch.optim.LBFGS(
            [p[name] for name in free], max_iter=self.iterations, line_search_fn="strong_wolfe"
        )
        begun = {name: own if name in free else own.detach() for name, own in p.items()}

        def loss() -> float:
            optimizer.zero_grad()
            every = of_heads(_whole(begun, self.prior) | tied(begun), columns)
            # Each part adds to the gradient here, and all go on to the parameters together.
            shared = {
                name: value.detach().requires_grad_(value.requires_grad)
                for name, value in every.items()
            }
            total = cost(shared)
            charged = penalty(begun, self.widths, self.means)
            pulled = [
                (every[name] * value.grad).sum()
                for name, value in shared.items()
                if value.grad is not None
            ]
            torch.stack([charged, *pulled]).sum().backward()
            for name in of_all:
                gradient = p[name].grad
                assert gradient is not None  # the penalty is of all parameters
                gradient[..., others] = 0.0
            return total + charged.item()

        optimizer.step(loss)


def _counted(
    part: dict[str, torch.Tensor], columns: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """How often each push counts for each head (S, H) float32: not where it is not asked."""
    return turns(part, columns).float() * weight[part["user"], None]


def predicted(parameters: dict[str, np.ndarray], sends: Sends) -> np.ndarray:
    """Conditional probabilities (S, 5) of the heads."""
    own = {name: torch.from_numpy(value) for name, value in parameters.items()}
    out = np.empty((len(sends.user), len(HEADS)), np.float32)
    with torch.no_grad():
        for rows in blocks_of(len(sends.user)):
            part = tensors(sends.only(rows))
            effects = tired(part, own["tolerance"]) | effects_of(own, part, USERS_EFFECTS)
            out[rows] = torch.sigmoid(logits(own, part, effects)).numpy()
    return out
