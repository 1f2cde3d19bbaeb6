"""The masked distribution over hold and sends, factorised: nothing has K·V·24 columns.

With scores hold, pair (N, K·V) and hour (N, 24), a softmax over all actions is: send or hold by
log-odds lse(pair) + lse(hour) - hold, then a pair and an hour independently.
`policies.composition` is the same in NumPy, for deciding; this is for gradients.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from stable_baselines3.common.distributions import Distribution
from torch import Tensor, nn

from mdp.actions import HOURS


class FactorisedDistribution(Distribution):
    """A batch of N masked softmax distributions over flat actions."""

    def __init__(self) -> None:
        super().__init__()
        self.send_odds: Tensor
        self.pair: Tensor
        self.hour: Tensor
        self.sendable: Tensor
        self.variants = 0

    def proba_distribution_net(self, *args: object, **kwargs: object) -> nn.Module:
        """The scores come from the network as they are: there is no further layer."""
        return nn.Identity()

    def proba_distribution(
        self, hold: Tensor, pair: Tensor, hour: Tensor, action_mask: Tensor
    ) -> FactorisedDistribution:
        """Set scores hold (N,), pair (N, K, V), hour (N, 24) and the mask (N, K + V + 24)."""
        N, K, V = pair.shape
        allowed = action_mask > 0
        pairs = (allowed[:, :K, None] & allowed[:, None, K:-HOURS]).reshape(N, K * V)
        hours = allowed[:, -HOURS:]
        lowest = torch.finfo(pair.dtype).min / 4
        flat = torch.where(pairs, pair.reshape(N, K * V), lowest)
        when = torch.where(hours, hour, lowest)
        self.sendable = pairs.any(1) & hours.any(1)
        odds = flat.logsumexp(1) + when.logsumexp(1) - hold
        self.send_odds = torch.where(self.sendable, odds, 0.0)
        self.pair, self.hour = F.log_softmax(flat, 1), F.log_softmax(when, 1)
        self.variants = V
        return self

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-probabilities (N,) of flat actions (N,); very low for masked ones."""
        actions = actions.long().reshape(-1)
        sent = actions > 0
        place = (actions - 1).clamp(min=0)
        pair = self.pair.gather(1, (place // HOURS)[:, None])[:, 0]
        hour = self.hour.gather(1, (place % HOURS)[:, None])[:, 0]
        send = F.logsigmoid(self.send_odds) + pair + hour
        hold = torch.where(self.sendable, F.logsigmoid(-self.send_odds), 0.0)
        never = torch.finfo(send.dtype).min / 4
        return torch.where(sent, torch.where(self.sendable, send, never), hold)

    def entropy(self) -> Tensor:
        """Entropy (N,) in nats."""
        p = torch.sigmoid(self.send_odds)
        choice = -F.logsigmoid(self.send_odds) * p - F.logsigmoid(-self.send_odds) * (1 - p)
        given = -(self.pair.exp() * self.pair).sum(1) - (self.hour.exp() * self.hour).sum(1)
        return torch.where(self.sendable, choice + p * given, 0.0)

    def sample(self) -> Tensor:
        """Flat actions (N,) int64, drawn."""
        N = len(self.send_odds)
        sends = torch.rand(N, device=self.send_odds.device) < torch.sigmoid(self.send_odds)
        return self._flat(sends, _draw(self.pair), _draw(self.hour))

    def mode(self) -> Tensor:
        """Flat actions (N,) int64: hold where it is likelier than sending, else the best send."""
        return self._flat(self.send_odds > 0, self.pair.argmax(1), self.hour.argmax(1))

    def _flat(self, sends: Tensor, pair: Tensor, hour: Tensor) -> Tensor:
        return torch.where(sends & self.sendable, 1 + pair * HOURS + hour, 0)

    def actions_from_params(
        self, hold: Tensor, pair: Tensor, hour: Tensor, action_mask: Tensor
    ) -> Tensor:
        """Actions drawn from scores."""
        return self.proba_distribution(hold, pair, hour, action_mask).sample()

    def log_prob_from_params(
        self, hold: Tensor, pair: Tensor, hour: Tensor, action_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Drawn actions and their log-probabilities."""
        actions = self.actions_from_params(hold, pair, hour, action_mask)
        return actions, self.log_prob(actions)


def _draw(log_probabilities: Tensor) -> Tensor:
    """Columns (N,) drawn by the Gumbel trick."""
    noise = torch.empty_like(log_probabilities).exponential_()
    return (log_probabilities - noise.log()).argmax(1)
