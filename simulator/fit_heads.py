"""The five response heads and the users' effects, by maximum a posteriori.

Every head is a logistic regression on the additive terms that `mdp.response.ResponseModel` adds
up, with Gaussian priors. Users' effects come from outcomes that there are many of: openness and
response to styles from opening, tolerance from dismissing. The other heads then weigh these
effects as they are: in one joint maximum a weight grows without end while the effects that it
multiplies shrink, and an outcome as rare as unsubscribing would be explained user by user.

A user's effect is what covariates say of such users, if they say anything, plus the user's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from mdp.hashing import STYLE_BUCKETS
from mdp.response import HEADS
from mdp.wording import WORDING
from simulator.users_prior import COEFFICIENTS, UsersPrior

OPEN, CLICK, PURCHASE, DISMISS, UNSUBSCRIBE = range(len(HEADS))
ITERATIONS, REFIT_ITERATIONS = 60, 30
FAR = 2.0
"""How far an hour's effect may be from 0, as a standard deviation."""
USERS_EFFECTS = ("openness", "styles", "tolerance", "price")


@dataclass(frozen=True)
class Widths:
    """Standard deviations of effects before anything is seen of them; five are by head."""

    openness: float = 0.6
    """Effect of the user on opening."""
    styles: float = 0.3
    """Effect of the user's response to a style."""
    tolerance: float = 0.25
    """Log of how well the user bears pushes."""
    price: float = 0.3
    """Effect of the price on the user's clicks."""
    weight: tuple[float, ...] = (1.0, 1.0, 0.3, 0.7, 0.3)
    """Weights of what is measured of a push and its item."""
    item_effect: tuple[float, ...] = (0.3, 0.3, 0.1, 0.15, 0.15)
    """What an item does beside its features."""
    variant_effect: tuple[float, ...] = (0.3, 0.3, 0.1, 0.15, 0.15)
    """What a variant does beside its style and its wording."""
    wording: tuple[float, ...] = (0.1, 0.1, 0.03, 0.05, 0.05)
    """Weights of what a variant's words say."""
    style: tuple[float, ...] = (0.7, 0.7, 0.2, 0.5, 0.2)
    """What a style does for all users."""
    weekday: tuple[float, ...] = (0.15, 0.15, 0.05, 0.08, 0.08)
    """What a weekday does."""
    hour: tuple[float, ...] = (0.4, 0.4, 0.12, 0.28, 0.12)
    """By how much neighbouring hours differ."""


@dataclass(frozen=True)
class Sends:
    """S pushes as the heads see them, float32 unless said otherwise."""

    user: np.ndarray
    """Rows of users (S,) int64."""
    item: np.ndarray
    """Catalogue rows (S,) int64."""
    variant: np.ndarray
    """Catalogue rows (S,) int64."""
    bucket: np.ndarray
    """Style buckets (S,) int64."""
    hour: np.ndarray
    """Local hours (S,) int64."""
    weekday: np.ndarray
    """Local weekdays of the decision (S,) int64."""
    item_features: np.ndarray
    """Standardised `ITEM_FEATURES` (S, 2)."""
    wording: np.ndarray
    """Standardised `WORDING` of the variant (S, F)."""
    liking: np.ndarray
    """Inner product of tastes (S,)."""
    profile: np.ndarray
    """The user's hour profile at that hour (S,)."""
    fatigue: np.ndarray
    repetition: np.ndarray
    wear: np.ndarray
    bought: np.ndarray
    views: np.ndarray
    """`Recency` of what was sent (S,) each."""
    outcome: np.ndarray
    """Opened, clicked, bought, dismissed, unsubscribed (S, 5)."""
    decided_at: np.ndarray
    """(S,) int64"""

    def only(self, which: np.ndarray) -> Sends:
        """Some of the pushes."""
        return Sends(*(getattr(self, name)[which] for name in Sends.__dataclass_fields__))

    @property
    def asked(self) -> np.ndarray:
        """Whether each head had its turn (S, 5): a click needs an open, and so on."""
        opened, clicked = self.outcome[:, OPEN] > 0, self.outcome[:, CLICK] > 0
        every = np.ones(len(opened), bool)
        return np.stack([every, opened, clicked, ~opened, every], 1)


@dataclass(frozen=True)
class Sizes:
    """How many users, items and variants there are."""

    users: int
    items: int
    variants: int


Parameters = dict[str, torch.Tensor]

_WEIGHTS = ("taste", "hours", "fatigue", "repetition", "wear", "bought", "views")


def _start(sizes: Sizes) -> Parameters:
    H = len(HEADS)
    shapes = {
        "base": (H,),
        "weekday": (7, H),
        "hour": (24, H),
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


def _tied(p: Parameters) -> dict[str, torch.Tensor]:
    """Weights of the users' effects, by name, with those fixed that set an effect's unit: openness
    and styles act on opening by 1, tolerance on dismissing and unsubscribing by -1, price
    sensitivity on clicking by 1."""
    opening = torch.nn.functional.one_hot(torch.tensor(OPEN), len(HEADS)).float()
    learned = {name: p[f"{name}_weight"] * (1 - opening) for name in ("openness", "styles")}
    return {
        "openness_weight": learned["openness"] + opening,
        "styles_weight": learned["styles"] + opening,
        "tolerance_weight": torch.tensor([0.0, 0.0, 0.0, -1.0, -1.0]),
        "price_weight": torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0]),
    }


def _logits(p: Parameters, s: dict[str, torch.Tensor], tolerance: torch.Tensor) -> torch.Tensor:
    """(S, 5); tolerance: (U,) that eases fatigue."""
    user = s["user"]
    tired = s["fatigue"] * torch.exp(-tolerance[user])
    return (
        p["base"]
        + p["weekday"][s["weekday"]]
        + p["hour"][s["hour"]]
        + s["item_features"] @ p["item_weight"]
        + p["item_effect"][s["item"]]
        + s["wording"] @ p["variant_weight"]
        + p["variant_effect"][s["variant"]]
        + p["style"][s["bucket"]]
        + p["openness"][user][:, None] * p["openness_weight"]
        + p["tolerance"][user][:, None] * p["tolerance_weight"]
        + p["styles"][user, s["bucket"]][:, None] * p["styles_weight"]
        + (p["price"][user] * s["item_features"][:, 0])[:, None] * p["price_weight"]
        + s["liking"][:, None] * p["taste_weight"]
        + s["profile"][:, None] * p["hours_weight"]
        + tired[:, None] * p["fatigue_weight"]
        + s["repetition"][:, None] * p["repetition_weight"]
        + s["wear"][:, None] * p["wear_weight"]
        + s["bought"][:, None] * p["bought_weight"]
        + s["views"][:, None] * p["views_weight"]
    )


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
    for name in USERS_EFFECTS:
        total = total + (p[name] / getattr(widths, name)).square().sum()
    for name in p:
        if name.endswith(COEFFICIENTS):
            total = total + p[name].square().sum()
    return total / 2


def _tensors(sends: Sends) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(getattr(sends, name)) for name in Sends.__dataclass_fields__}


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
    parameters, data = _start(sizes), _tensors(sends)
    asked = torch.from_numpy(sends.asked)
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
    nobody = torch.zeros(sizes.users)
    problem = (parameters, data, asked, widths)
    _maximise(*problem, nobody, (OPEN,), tuple(parameters), iterations, prior=prior)
    if len(heads) > 1:
        common = tuple(head for head in heads if head != UNSUBSCRIBE)
        free = _others(parameters, "openness", "styles")
        _maximise(*problem, nobody, common, free, iterations, prior=prior)
        shared = _others(parameters, *USERS_EFFECTS)
        eased = _whole(parameters, prior)["tolerance"].detach()
        _maximise(*problem, eased, heads, shared, iterations, prior=prior)
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
    free = tuple(name for name in parameters if name not in USERS_EFFECTS)
    data, asked = _tensors(sends), torch.from_numpy(sends.asked)
    eased = parameters["tolerance"].detach()
    counted = torch.from_numpy(weight)[data["user"]]
    heads = tuple(range(len(HEADS)))
    _maximise(parameters, data, asked, widths, eased, heads, free, iterations, counted)
    return _fitted(parameters, None)


def _fitted(parameters: Parameters, prior: UsersPrior | None) -> dict[str, np.ndarray]:
    with torch.no_grad():
        whole = _whole(parameters, prior)
        arrays = {name: value.detach().numpy() for name, value in whole.items()}
        tied = {name: value.numpy() for name, value in _tied(parameters).items()}
        return arrays | tied | ({} if prior is None else prior.fitted(parameters))


def _maximise(
    parameters: Parameters,
    data: dict[str, torch.Tensor],
    asked: torch.Tensor,
    widths: Widths,
    tolerance: torch.Tensor,
    heads: tuple[int, ...],
    free: tuple[str, ...],
    iterations: int,
    counted: torch.Tensor | None = None,
    prior: UsersPrior | None = None,
) -> None:
    """Bring the free parameters to the posterior's maximum, given the others.

    counted: how often each push counts (S,); once without it.
    """
    optimizer = torch.optim.LBFGS(
        [parameters[name] for name in free], max_iter=iterations, line_search_fn="strong_wolfe"
    )

    # Of the heads in question alone: five columns cost five times what one does.
    columns = torch.tensor(heads)
    pushes = [asked[:, head].nonzero()[:, 0] for head in heads]
    outcomes = [data["outcome"][mine, head] for mine, head in zip(pushes, heads, strict=True)]
    weights = [None if counted is None else counted[mine] for mine in pushes]

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        all_heads = _whole(parameters, prior) | _tied(parameters)
        some = {
            name: value if name in USERS_EFFECTS else value[..., columns]
            for name, value in all_heads.items()
            if not name.endswith(COEFFICIENTS)
        }
        logits = _logits(some, data, tolerance)
        total = _penalty(parameters, widths)
        for n, (mine, outcome, weight) in enumerate(zip(pushes, outcomes, weights, strict=True)):
            total = total + cross_entropy(logits[mine, n], outcome, weight=weight, reduction="sum")
        total.backward()
        return total

    optimizer.step(loss)


def predicted(parameters: dict[str, np.ndarray], sends: Sends) -> np.ndarray:
    """Conditional probabilities (S, 5) of the heads."""
    tensors = {name: torch.from_numpy(value) for name, value in parameters.items()}
    with torch.no_grad():
        return torch.sigmoid(_logits(tensors, _tensors(sends), tensors["tolerance"])).numpy()


def cost(
    fitted: dict[str, np.ndarray], sends: Sends, widths: Widths, heads: tuple[int, ...]
) -> float:
    """Minus the log posterior, up to a constant, of fitted parameters: what `fit_heads` lessens."""
    probability, asked = predicted(fitted, sends), sends.asked
    total = float(_penalty({name: torch.tensor(fitted[name]) for name in fitted}, widths))
    for head in heads:
        mine = asked[:, head]
        if mine.any():
            total += mine.sum() * log_loss(probability[mine, head], sends.outcome[mine, head])
    return total


def log_loss(probability: np.ndarray, outcome: np.ndarray) -> float:
    """Mean log-loss of probabilities (n,), nats; NaN for none."""
    if not len(outcome):
        return float("nan")
    p = np.clip(probability.astype(np.float64), 1e-9, 1 - 1e-9)
    return float(-np.mean(np.where(outcome > 0, np.log(p), np.log1p(-p))))
