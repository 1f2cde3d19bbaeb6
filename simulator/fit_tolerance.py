"""How well users bear pushes: their tolerance, integrated out of dismissals and unsubscribes.

One user says little of it: few push a button that tells, and who still gets pushes after many has
borne them. So what all users share of these two heads is fitted with tolerance integrated out, a
sum over values of it for each user's pushes together, and a user's tolerance is the mean of what is
then believed of it. Beliefs maximised together with what all share would take rare outcomes for
traits of users, and fatigue for larger than it is.

Bock and Aitkin (1981). Marginal maximum likelihood estimation of item parameters. Psychometrika 46.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import logsigmoid

from simulator.head_terms import (
    USERS_EFFECTS,
    Parameters,
    effects_of,
    logits,
    of_heads,
    parts_of,
    strain,
    turns,
)
from simulator.sends import DISMISS, UNSUBSCRIBE, Sends
from simulator.tolerance_sums import add_tolerance, pull, sum_by_user, times_strain
from simulator.widths import Widths

TOLD_BY = (DISMISS, UNSUBSCRIBE)
"""Heads that tolerance acts on by itself; elsewhere it eases fatigue."""
NODES, FURTHEST = 9, 3.0
"""Values of tolerance, evenly apart up to so many standard deviations. What a user's pushes leave
likely is a narrower bell, for which the trapezoidal rule is better than one of Gauss's of as many
values: means of beliefs are off by .010 in place of .037 where they are unsure by .35."""
PRIOR = 0.5
"""Standard deviation of the width's logarithm around the default's, before anything is seen."""
ITERATIONS = 60
"""Of the width, at most."""


@dataclass(frozen=True)
class Told:
    """What pushes tell of users' tolerance, the effects of the users on all else as they are."""

    parts: list[dict[str, torch.Tensor]]
    """The pushes, in blocks."""
    effects: list[Parameters]
    """Effects of the users there, without tolerance and what it eases."""
    outcomes: list[torch.Tensor]
    """What followed of the heads (S, H) there."""
    turns: list[torch.Tensor]
    """Whether each of the heads had its turn (S, H) there."""
    heads: torch.Tensor
    """Which heads: those of the parameters that are asked about."""
    users: int

    @staticmethod
    def of(parameters: Parameters, parts: list[dict[str, torch.Tensor]]) -> Told:
        """By all `TOLD_BY`. parameters: with whole effects of the users."""
        names = [name for name in USERS_EFFECTS if name != "tolerance"]
        with torch.no_grad():
            effects = [effects_of(parameters, part, names) for part in parts]
        heads = torch.tensor(TOLD_BY)
        outcomes = [part["outcome"][:, heads].contiguous() for part in parts]
        asked = [turns(part, heads).contiguous() for part in parts]
        return Told(parts, effects, outcomes, asked, heads, len(parameters["tolerance"]))

    def likelihoods(self, p: Parameters, values: torch.Tensor) -> torch.Tensor:
        """Log likelihood (U, K) of what followed each user's pushes, if the user's tolerance were
        one of `values` (K,). p: parameters, of the heads alone."""
        total = torch.zeros(self.users, len(values))
        for number, part in enumerate(self.parts):
            total = total.index_add(0, part["user"], self._likelihood(p, number, values))
        return total

    def believed(self, p: Parameters, width: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance (U,) each of what is believed of users' tolerance."""
        values, log_weights = nodes(width)
        belief = torch.softmax(self.likelihoods(p, values) + log_weights, 1)
        mean = belief @ values
        return mean, belief @ values.square() - mean.square()

    def cost(self, p: Parameters, width: float, weight: torch.Tensor) -> float:
        """Minus the log likelihood, tolerance integrated out; adds to the gradients of p.

        width: standard deviation of tolerance. weight: how often each user counts (U,).
        """
        values, log_weights = nodes(width)
        common = [self._common(p, number) for number in range(len(self.parts))]
        with torch.no_grad():
            joint = self._summed(common, p, values) + log_weights
            belief = weight[:, None] * torch.softmax(joint, 1)
        # By what is believed, the mean gradient is that of the integral (Fisher's identity). It is
        # worked out by hand: derived, it takes twice as long, for nodes are many.
        for number, each in enumerate(common):
            pulled, tiring = self._pulled(number, each.detach(), p, values, belief)
            (each * pulled).sum().add((p["fatigue_weight"] * tiring).sum()).backward()
        return -float(weight @ torch.logsumexp(joint, 1))

    def _summed(
        self, common: list[torch.Tensor], p: Parameters, values: torch.Tensor
    ) -> torch.Tensor:
        """`likelihoods` (U, K), which knows no gradients. common: logits (S, H) of each block,
        without tolerance and fatigue."""
        total = torch.zeros(self.users, len(values))
        for number, each in enumerate(common):
            sign = 2.0 * self.outcomes[number] - 1.0
            said = self._logits(number, each.detach(), p, values, sign)
            for one in said:  # each by itself: torch works the last few of an array out differently
                one.copy_(logsigmoid(one))
            user, turn = self.parts[number]["user"].numpy(), self.turns[number].numpy()
            sum_by_user(said.numpy(), turn, user, total.numpy())
        return total

    def _pulled(
        self,
        number: int,
        common: torch.Tensor,
        p: Parameters,
        values: torch.Tensor,
        belief: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of a block's logits (S, H), and of the weights of strain (H,)."""
        user, outcome = self.parts[number]["user"].numpy(), self.outcomes[number]
        each = self._logits(number, common, p, values, torch.ones_like(outcome))
        for one in each:
            one.sigmoid_()
        turn = self.turns[number].numpy()
        pull(each.numpy(), outcome.numpy(), turn, belief.numpy(), user)
        pulled = torch.stack([one.sum(1) for one in each], 1)
        times_strain(each.numpy(), *self._eased(number, values))
        return pulled, torch.stack([one.sum() for one in each])

    def _logits(
        self,
        number: int,
        common: torch.Tensor,
        p: Parameters,
        values: torch.Tensor,
        sign: torch.Tensor,
    ) -> torch.Tensor:
        """(H, S, K) of a block's pushes, times a sign (S, H)."""
        out = torch.empty(len(self.heads), len(common), len(values))
        tiring, own = p["fatigue_weight"].detach(), p["tolerance_weight"][:, None] * values
        eased = self._eased(number, values)
        add_tolerance(
            common.numpy(), *eased, tiring.numpy(), own.numpy(), sign.numpy(), out.numpy()
        )
        return out

    def _eased(
        self, number: int, values: torch.Tensor
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fatigue (S,) of a block's pushes, what tolerance leaves of it (K,), and its knee."""
        part = self.parts[number]
        return part["fatigue"].numpy(), torch.exp(-values).numpy(), part["knee"].numpy()

    def _likelihood(self, p: Parameters, number: int, values: torch.Tensor) -> torch.Tensor:
        """(S, K) of a block's pushes."""
        common, strains, outcome, turn = self._seen(p, number, values)
        return likelihoods(common, strains, values, p, outcome, turn)

    def _seen(
        self, p: Parameters, number: int, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of a block's pushes, what `likelihoods` needs of them."""
        part, common = self.parts[number], self._common(p, number)
        strains = strain(part["fatigue"][:, None], values, part["knee"])
        return common, strains, self.outcomes[number], self.turns[number]

    def _common(self, p: Parameters, number: int) -> torch.Tensor:
        """Logits (S, H) of a block's pushes without tolerance and fatigue."""
        part = self.parts[number]
        nothing = torch.zeros(len(part["user"]))
        return logits(p, part, self.effects[number] | {"tolerance": nothing, "tired": nothing})


def _logits(
    common: torch.Tensor, strains: torch.Tensor, values: torch.Tensor, p: Parameters, head: int
) -> torch.Tensor:
    """(S, K) of one head."""
    own = p["tolerance_weight"][head] * values
    return common[:, head, None] + p["fatigue_weight"][head] * strains + own


def likelihoods(
    common: torch.Tensor,
    strains: torch.Tensor,
    values: torch.Tensor,
    p: Parameters,
    outcome: torch.Tensor,
    turn: torch.Tensor,
) -> torch.Tensor:
    """Log likelihood (S, K) of what followed pushes, if tolerance were one of `values` (K,).

    common: logits (S, H) without tolerance and fatigue. strains: how fatigue would act (S, K).
    p: weights of tolerance and of strain (H,) each. outcome, turn: (S, H).
    """
    total = torch.zeros_like(strains)
    for head in range(common.shape[1]):
        sign = 2.0 * outcome[:, head, None] - 1.0
        logit = _logits(common, strains, values, p, head)
        total = total + turn[:, head, None] * logsigmoid(sign * logit)
    return total


def nodes(width: float | torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Values of tolerance (K,) and their log weights (K,): its prior is normal around 0, with
    standard deviation `width`."""
    values = torch.linspace(-FURTHEST, FURTHEST, NODES)
    return width * values, torch.log_softmax(-values.square() / 2, 0)


def tolerances_of(
    heads: Mapping[str, np.ndarray], sends: Sends, width: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (U,) float32 each of what is believed of users' tolerance, given all else.

    width: its standard deviation before anything is seen.
    """
    own = {name: torch.from_numpy(value) for name, value in heads.items()}
    with torch.no_grad():
        told = Told.of(own, parts_of(sends))
        mean, variance = told.believed(of_heads(own, told.heads), width)
    return mean.numpy(), variance.numpy()


def likeliest_tolerance(heads: Mapping[str, np.ndarray], sends: Sends, widths: Widths) -> Widths:
    """The width of tolerance with the highest posterior, given all else but the heads' levels.

    heads: parameters that are fitted to the pushes with some widths. widths: all others.
    """
    own = {name: torch.from_numpy(value) for name, value in heads.items()}
    told, default = Told.of(own, parts_of(sends)), Widths().tolerance
    shared = of_heads(own, told.heads)
    far = torch.tensor(float(np.log(widths.tolerance / default))).requires_grad_()
    level = torch.zeros(len(told.heads)).requires_grad_()
    optimizer = torch.optim.LBFGS([far, level], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        values, log_weights = nodes(default * far.exp())
        said = told.likelihoods(shared | {"base": shared["base"] + level}, values)
        total = (far / PRIOR).square() / 2 - torch.logsumexp(said + log_weights, 1).sum()
        total.backward()
        return total

    optimizer.step(loss)
    return replace(widths, tolerance=default * float(far.detach().exp()))
