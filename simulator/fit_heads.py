"""The five response heads and the users' effects, by maximum a posteriori.

Every head is a logistic regression on the additive terms that `mdp.response.ResponseModel` adds
up, with Gaussian priors. Openness and response to styles come from opening, and the other heads
weigh them as they are: in one joint maximum a weight grows without end while the effects that it
multiplies shrink. Tolerance is integrated out (`simulator.fit_tolerance`).

A user's effect is what covariates say of such users, if they say anything, plus the user's own.
"""

from __future__ import annotations

from collections.abc import Callable
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
)
from simulator.sends import OPEN, Sends, asked
from simulator.users_prior import COEFFICIENTS, UsersPrior
from simulator.widths import Widths

ITERATIONS, REFIT_ITERATIONS = 60, 30
COLD, WARM = 150, 40
"""Iterations of a fit that much rests on: from scratch, and from another fit's parameters."""
FAR = 2.0
"""How far an hour's effect may be from 0, as a standard deviation."""
REMEMBERED = ("fatigue", "wear", "repetition")
"""Decayed counts of earlier pushes, which grow far beyond the log's under who pushes more."""
WORSE = np.array([-1.0, -1.0, -1.0, 1.0, 1.0], np.float32)
"""What earlier pushes do to the heads (5,): fewer open, click and buy, more dismiss and leave."""
AGAINST = 0.01
"""How far a weight of what is remembered may be on the other side, as a standard deviation."""


@dataclass(frozen=True)
class Sizes:
    """How many users, items and variants there are."""

    users: int
    items: int
    variants: int


_WEIGHTS = ("taste", "hours", "fatigue", "repetition", "wear", "bought", "views")


def _start(sizes: Sizes) -> Parameters:
    H = len(HEADS)
    shapes = {
        "base": (H,),
        "weekday": (7, H),
        "hour": (24, H),
        "weekday_hour": (7, 24, H),
        "item_weight": (2, H),
        "item_effect": (sizes.items, H),
        "variant_weight": (len(WORDING), H),
        "variant_effect": (sizes.variants, H),
        "style": (STYLE_BUCKETS, H),
        "openness": (sizes.users,),
        "styles": (sizes.users, STYLE_BUCKETS),
        "tolerance": (sizes.users,),
        "price": (sizes.users,),
        **{f"{name}_weight": (H,) for name in (*_WEIGHTS, "openness", "styles")},
    }
    return {name: torch.zeros(shape).requires_grad_() for name, shape in shapes.items()}


def _penalty(p: Parameters, widths: Widths) -> torch.Tensor:
    """Minus the log prior, up to a constant."""
    names = ("weight", "item_effect", "variant_effect", "wording", "style", "weekday", "hour")
    by_head = {name: torch.tensor(getattr(widths, name)) for name in names}
    weights = [f"{name}_weight" for name in (*_WEIGHTS, "openness", "styles", "item")]
    total = sum((p[name] / by_head["weight"]).square().sum() for name in weights)
    for name in ("item_effect", "variant_effect", "style", "weekday"):
        total = total + (p[name] / by_head[name]).square().sum()
    total = total + (p["variant_weight"] / by_head["wording"]).square().sum()
    # Neighbouring hours are alike: a random walk round the clock, and a weak pull to 0.
    step = p["hour"] - p["hour"].roll(1, 0)
    total = total + (step / by_head["hour"]).square().sum() + (p["hour"] / FAR).square().sum()
    # So are those of neighbouring working days, and of the days of a weekend.
    own = p["weekday_hour"]
    steps = torch.cat([own - own.roll(1, 1), own[1:5] - own[:4], own[6:] - own[5:6]])
    total = total + (steps / torch.tensor(widths.weekday_hour)).square().sum()
    total = total + (own / FAR).square().sum()
    for name in REMEMBERED:
        total = total + against(p[f"{name}_weight"], torch.from_numpy(WORSE))
    for name in USERS_EFFECTS:
        total = total + (p[name] / getattr(widths, name)).square().sum()
    for name in p:
        if name.endswith(COEFFICIENTS):
            total = total + p[name].square().sum()
    return total / 2


def against(weights: torch.Tensor, worse: torch.Tensor) -> torch.Tensor:
    """What weights (…, H) of `REMEMBERED` are charged, twice minus a log prior, where they say that
    earlier pushes help. worse: `WORSE` of the heads (H,).

    By luck some do, in a log that pushes at random, and a policy that pushes what it likes best
    every few days would be promised ever more for it.
    """
    return ((weights * worse).clamp(max=0.0) / AGAINST).square().sum()


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
            rate = float(sends.outcome[sends.asked[:, head], head].sum() + 0.5)
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
    iterations: int = REFIT_ITERATIONS,
) -> dict[str, np.ndarray]:
    """What all users share, fitted again from `fitted` on; users' effects stay as they are.

    weight: how often each user counts (U,) float32.
    """
    parameters = {name: torch.tensor(fitted[name]).requires_grad_() for name in _start(sizes)}
    shared = _others(parameters, *USERS_EFFECTS)
    times = torch.from_numpy(weight)
    problem = _Problem(parameters, parts_of(sends), widths, iterations, times, None)
    problem.maximise_told(shared)
    problem.maximise(tuple(head for head in range(len(HEADS)) if head not in TOLD_BY), shared)
    return _fitted(parameters, None)


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
            penalty = _penalty(begun, self.widths)
            pulled = [
                (every[name] * value.grad).sum()
                for name, value in shared.items()
                if value.grad is not None
            ]
            torch.stack([penalty, *pulled]).sum().backward()
            for name in of_all:
                gradient = p[name].grad
                assert gradient is not None  # the penalty is of all parameters
                gradient[..., others] = 0.0
            return total + penalty.item()

        optimizer.step(loss)


def _counted(
    part: dict[str, torch.Tensor], columns: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """How often each push counts for each head (S, H) float32: not where it had no turn."""
    turn = torch.from_numpy(asked(part["outcome"].numpy()))[:, columns].float()
    return turn * weight[part["user"], None]


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
