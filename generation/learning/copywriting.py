"""Trains the network that writes copy: see `generation.copy.seq2seq`, which serves it in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from generation.copy.seq2seq import NEVER, Seq2Seq
from generation.copy.source import BUCKETS, END, FIELDS, PLACES, Batch, Piece, Source

PADDING = -100
"""Target of a place beyond a text's end."""


@dataclass(frozen=True)
class Settings:
    """How a network is built and trained."""

    width: int = 96
    """length of an embedding"""
    states: int = 192
    """length of a state"""
    steps: int = 800
    """batches"""
    batch: int = 48
    """texts of a batch"""
    rate: float = 6e-3
    """the highest learning rate; it rises over the first twentieth and falls to nothing"""
    forget: float = 0.5
    """share of the source's words that are hidden in training, so that none is learned by heart"""
    drop: float = 0.0
    """share of what is read and said that is dropped in training"""
    seed: int = 0
    """of weights, pairs and dropout"""


Pair = tuple[Source, Sequence[Piece]]
"""What is read, and what should be written from it."""


class Writer(nn.Module):
    """Reads a source and writes a text; parameters have the names that `Seq2Seq` knows."""

    def __init__(self, vocabulary: Sequence[str], settings: Settings) -> None:
        """vocabulary: `END` first."""
        super().__init__()
        width, states = settings.width, settings.states
        self.vocabulary = tuple(vocabulary)
        self.field = nn.Embedding(len(FIELDS) + 1, width)
        self.place = nn.Embedding(PLACES, width)
        self.word = nn.Embedding(BUCKETS + 1, width)
        self.token = nn.Embedding(len(self.vocabulary), width)
        self.reader = nn.GRU(width, states // 2, batch_first=True, bidirectional=True)
        self.writer = nn.GRU(width, states, batch_first=True)
        self.first = nn.Linear(states, states)
        self.copied = nn.Linear(states, width)
        self.asks = nn.Linear(states, states)
        self.says = nn.Linear(2 * states, width)
        self.points = nn.Linear(2 * states, states)
        self.known = nn.Linear(width, width)
        self.opens = nn.Embedding(len(FIELDS) + 1, width)
        self.bias = nn.Parameter(torch.zeros(len(self.vocabulary)))
        self.drop = nn.Dropout(settings.drop)
        for table in (self.field, self.place, self.word, self.token, self.opens):
            # The tables also score words; from smaller weights they learn many times more slowly.
            nn.init.normal_(table.weight, std=1.0)

    def read(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """First state (N, H), the source as read (N, S, H), what is known at all (N, E)."""
        field, place, bucket = map(torch.as_tensor, (batch.field, batch.place, batch.bucket))
        x = self.drop(self.field(field) + self.place(place) + self.word(bucket))
        there = field > 0
        packed = pack_padded_sequence(x, there.sum(1), batch_first=True, enforce_sorted=False)
        read = pad_packed_sequence(self.reader(packed)[0], batch_first=True)[0]
        mean = read.sum(1) / there.sum(1)[:, None]
        condition = ~torch.as_tensor(batch.copyable)[..., None]
        told = self.field(field) + self.word(bucket) * condition
        known = self.known((told * (there & (place == 0))[..., None]).sum(1))
        return torch.tanh(self.first(mean)), read, known

    def forward(self, batch: Batch, tokens: Tensor) -> Tensor:
        """Logits (N, T, V + S) of each token after those before it; a mention begins with its
        field's first word and is copied to its last.

        tokens: (N, T) int64, the first of each row `END`: vocabulary, then places + V.
        """
        first, read, known = self.read(batch)
        size = len(self.vocabulary)
        copied, at = tokens >= size, (tokens - size).clamp(min=0)
        taken = read.gather(1, at[..., None].expand(-1, -1, read.shape[2]))
        word = self.token(torch.where(copied, 0, tokens))
        x = torch.where(copied[..., None], self.copied(taken), word)
        states = self.writer(self.drop(x + known[:, None]), first[None])[0]
        there = torch.as_tensor(batch.field > 0)[:, None]
        fit = torch.where(there, self.asks(states) @ read.transpose(1, 2), NEVER)
        both = self.drop(torch.cat([states, fit.softmax(2) @ read], 2))
        says = torch.tanh(self.says(both))
        words = says @ self.token.weight.T + self.bias
        places = self.points(both) @ read.transpose(1, 2) / read.shape[2] ** 0.5
        field, begins = torch.as_tensor(batch.field), torch.as_tensor(batch.place == 0)
        opens = (says @ self.opens.weight.T).gather(
            2, field[:, None].expand(-1, tokens.shape[1], -1)
        )
        places = places + opens * begins[:, None]
        may_open = torch.as_tensor(batch.copyable) & begins
        free = torch.cat([words, torch.where(may_open[:, None], places, NEVER)], 2)
        goes_on = copied & torch.as_tensor(batch.onward).gather(1, at)
        after = nn.functional.one_hot(torch.where(goes_on, tokens + 1, 0), free.shape[2])
        return torch.where(goes_on[..., None], NEVER * (1 - after), free)

    def arrays(self) -> Seq2Seq:
        """The network as it is served."""
        weights = {name: value.detach().numpy().copy() for name, value in self.state_dict().items()}
        return Seq2Seq(self.vocabulary, weights)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(value.numel() for value in self.parameters())


def train(
    vocabulary: Sequence[str],
    draw: Callable[[np.random.Generator, int], Sequence[Pair]],
    settings: Settings | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Writer:
    """A network trained on pairs that `draw(rng, size)` makes.

    progress: called after each batch with the batches done, all of them, and the loss.
    """
    settings = settings or Settings()
    torch.set_num_threads(1)
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    net = Writer(vocabulary, settings)
    optimizer = torch.optim.AdamW(net.parameters(), settings.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: _height(n / settings.steps))
    for step in range(settings.steps):
        loss = loss_of(net, draw(rng, settings.batch), rng, settings.forget)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, settings.steps, loss.item())
    return net.eval()


def _height(done: float) -> float:
    """The learning rate over its highest, when that share of the batches is done."""
    return min((done + 0.002) / 0.05, 0.5 + 0.5 * math.cos(math.pi * min(done, 1.0)))


def loss_of(
    net: Writer, pairs: Sequence[Pair], rng: np.random.Generator, forget: float = 0.0
) -> Tensor:
    """Mean negative log-likelihood of a token."""
    batch = Batch.of([source for source, _ in pairs])
    batch.bucket[(rng.random(batch.bucket.shape) < forget) & batch.copyable] = 0
    tokens = tokens_of(net.vocabulary, [pieces for _, pieces in pairs])
    targets = torch.as_tensor(tokens[:, 1:])
    logits = net(batch, torch.as_tensor(tokens[:, :-1]).clamp(min=0))
    loss: Tensor = nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=PADDING
    )
    return loss


def tokens_of(vocabulary: Sequence[str], texts: Sequence[Sequence[Piece]]) -> np.ndarray:
    """Texts as rows (N, T) int64: `END`, tokens, `END`, then `PADDING`, as for unknown words."""
    number = {word: n for n, word in enumerate(vocabulary)}
    size = len(vocabulary)
    out = np.full((len(texts), max(map(len, texts)) + 2), PADDING)
    for row, pieces in enumerate(texts):
        ids = [
            number.get(piece, PADDING) if isinstance(piece, str) else size + piece
            for piece in pieces
        ]
        out[row, : len(ids) + 2] = [0, *ids, 0]
    return out


def vocabulary_of(texts: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The words of skeletons, `END` first."""
    words = {piece for text in texts for piece in text if not (len(piece) > 2 and piece[0] == "{")}
    return (END, *sorted(words))
