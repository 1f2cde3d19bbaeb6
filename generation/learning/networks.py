"""Rankers that read a user's interactions in order: a recurrent and a convolutional network.

An interaction is an item with its attributes (category, price) and the time since the visit
before. From the latest ones the network scores the whole catalogue: an inner product with the
items' embeddings and, each times a learned weight, the logarithms of how many users met the item
in the 30 days before and on how many days the user did. Trained to name, at the end of each visit,
what the user meets in the days that follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from generation.candidates.ranker import Ranker
from generation.learning.sequences import GAPS, Seen, Visits, log_popularity

PRICES = 8
"""Classes of price, by quantile."""
TOGETHER = 256
"""Questions of a training step."""


class Reader(nn.Module):
    """Embeds interactions, reads them in order, and scores items."""

    def __init__(self, category: np.ndarray, price: np.ndarray, width: int, body: nn.Module):
        """category, price: classes of the items (I,) int64 from 0."""
        super().__init__()
        self.classes = torch.as_tensor(np.stack([category, price]) + 1)
        self.item = nn.Embedding(len(category), width)
        self.category = nn.Embedding(int(category.max()) + 2, width)
        self.price = nn.Embedding(PRICES + 1, width)
        self.gap = nn.Embedding(GAPS, width)
        self.prior = nn.Parameter(torch.ones(2))
        self.body, self.drop = body, nn.Dropout(0.3)
        for table in (self.item, self.category, self.price, self.gap):
            nn.init.normal_(table.weight, std=0.05)

    def table(self) -> Tensor:
        """Embeddings of all items with their attributes (I, width)."""
        category, price = self.classes
        return self.item.weight + self.category(category) + self.price(price)

    def forward(self, item: Tensor, gap: Tensor) -> Tensor:
        """States (N, width) after items + 1 and gaps (N, L)."""
        table = nn.functional.pad(self.table(), (0, 0, 1, 0))
        read = table[item] + self.gap(gap) * (item > 0)[..., None]
        out: Tensor = self.drop(self.body(self.drop(read))[:, -1])
        return out

    def scores(self, states: Tensor, popularity: Tensor, own: Tensor) -> Tensor:
        """Logits (N, I) of states (N, width), log popularities and own log counts (N, I)."""
        return states @ self.table().T + self.prior[0] * popularity + self.prior[1] * own


class Recurrent(nn.Module):
    """A gated recurrent unit, as in GRU4Rec (Hidasi et al., 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.unit = nn.GRU(width, width, batch_first=True)

    def forward(self, read: Tensor) -> Tensor:
        """(N, L, width) to (N, L, width)."""
        out: Tensor = self.unit(read)[0]
        return out


class Convolutional(nn.Module):
    """Causal convolutions of width 3 with residuals, dilated by 1, 2, 4 and 8, as in NextItNet
    (Yuan et al., 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 3, dilation=2**n) for n in range(4))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))

    def forward(self, read: Tensor) -> Tensor:
        """(N, L, width) to (N, L, width)."""
        out = read
        for n, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            padded = nn.functional.pad(norm(out).transpose(1, 2), (2 * 2**n, 0))
            out = out + torch.relu(layer(padded).transpose(1, 2))
        return out


@dataclass
class SequenceModel(Ranker):
    """What both share: training, and the users' states as arrays."""

    width: int = 64
    """length of an embedding"""
    epochs: int = 10
    """passes over all questions"""
    length: int = 64
    """latest interactions that are read"""
    days: float = 30
    """what a user meets in so many days is what a state should name"""
    seed: int = 0
    """of weights, dropout and order"""
    body: ClassVar[type[nn.Module]]
    """what reads the sequence"""

    def _fit(self) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(self.seed)
        items = self.log.items
        _, category = np.unique(items.categories, return_inverse=True)
        cuts = np.quantile(items.price, np.arange(1, PRICES) / PRICES)
        price = np.searchsorted(cuts, items.price)
        net = Reader(category, price, self.width, type(self).body(self.width))
        visits = Visits.of(self.log)
        self._train(net, visits)
        net.eval()
        users = self.log.shape[0]
        self._user = np.zeros((users, self.width), np.float32)
        self._own = csr_matrix((users, self.log.shape[1]), dtype=np.float32)
        last = np.searchsorted(visits.user, np.unique(visits.user), "right") - 1
        seen = visits.seen(last, self.length)
        with torch.no_grad():
            for part in np.array_split(np.arange(len(last)), len(last) // 500 + 1):
                self._user[visits.user[last[part]]] = _states(net, seen, part).numpy()
            self._item = net.table().numpy()
        weight = net.prior.detach().numpy()
        self._bias = weight[0] * log_popularity(self.log)
        place = csr_matrix(
            (np.ones(len(last), np.float32), (visits.user[last], np.arange(len(last)))),
            shape=(users, len(last)),
        )
        self._own = csr_matrix(place @ seen.own) * float(weight[1])

    def _train(self, net: Reader, visits: Visits) -> None:
        last, met = visits.followed(self.days)
        seen, (week, popularity) = visits.seen(last, self.length), visits.popularity()
        optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-2)
        for which in self._batches(len(last)):
            known = torch.as_tensor(popularity[week[last[which]]])
            own = torch.as_tensor(seen.own[which].toarray())
            chance = torch.log_softmax(net.scores(_states(net, seen, which), known, own), 1)
            loss = -(chance * torch.as_tensor(met[which].toarray())).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()

    def _batches(self, questions: int) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(self.seed)
        for _ in range(self.epochs):
            order = rng.permutation(questions)
            yield from (order[n : n + TOGETHER] for n in range(0, questions, TOGETHER))

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Inner products of users' states and items, plus what popularity and having met the item
        say (N, I)."""
        return self._user[users] @ self._item.T + self._bias + self._own[users].toarray()


def _states(net: Reader, seen: Seen, which: np.ndarray) -> Tensor:
    states: Tensor = net(torch.as_tensor(seen.item[which]), torch.as_tensor(seen.gap[which]))
    return states


@dataclass
class GRU(SequenceModel):
    """A recurrent network over a user's interactions."""

    name: ClassVar[str] = "GRU"
    body = Recurrent


@dataclass
class CNN(SequenceModel):
    """A dilated convolutional network over a user's interactions."""

    name: ClassVar[str] = "CNN"
    body = Convolutional
