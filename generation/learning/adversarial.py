"""An adversarial phase on top of a trained copywriter, after SeqGAN (Yu et al., 2017).

A discriminator learns to tell the network's texts from the shop's and the templates'; the network
learns by policy gradient to be taken for them. What a beginning is worth is the discriminator's
mean verdict on completions drawn from it (Monte Carlo rollouts). Texts are judged with their slots
in place of what was copied, so the discriminator can't tell by names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from generation.copy.seq2seq import Seq2Seq
from generation.copy.source import FIELDS, Batch
from generation.learning.copywriting import PADDING, Pair, Writer, tokens_of

LONGEST = 80
"""Tokens after which a drawn text is cut off."""


@dataclass(frozen=True)
class Phase:
    """How the adversarial phase goes."""

    rounds: int = 60
    """rounds of one step of the network and some of the discriminator"""
    warm_up: int = 60
    """steps of the discriminator before the first round"""
    judged: int = 2
    """steps of the discriminator in a round"""
    batch: int = 32
    """texts of a step"""
    cuts: int = 3
    """places in a text from which it is completed anew"""
    rate: float = 3e-4
    """learning rate of the network"""
    judge_rate: float = 2e-3
    """learning rate of the discriminator"""
    seed: int = 0
    """of all that is drawn"""


class Judge(nn.Module):
    """Tells real texts from written ones."""

    def __init__(self, words: int, width: int = 48) -> None:
        """words: size of the vocabulary, without the fields."""
        super().__init__()
        self.words = words
        self.token = nn.Embedding(words + len(FIELDS) + 1, width)
        self.reader = nn.GRU(width, width, batch_first=True)
        self.verdict = nn.Linear(width, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (N,) that the texts (N, T) are real; they end with `END`."""
        states = self.reader(self.token(tokens))[0]
        last = (tokens > 0).sum(1).clamp(max=tokens.shape[1] - 1)
        out: Tensor = self.verdict(states[torch.arange(len(tokens)), last])[:, 0]
        return out


def with_slots(tokens: np.ndarray, words: int, batch: Batch) -> Tensor:
    """Tokens (N, T) with fields in place of the source's places."""
    at = np.maximum(tokens - words, 0)
    field = np.take_along_axis(batch.field, at, 1)
    return torch.as_tensor(np.where(tokens >= words, words + field, np.maximum(tokens, 0)))


def drawn(
    network: Seq2Seq, batch: Batch, rng: np.random.Generator, begun: np.ndarray | None = None
) -> np.ndarray:
    """Texts (N, T) int64 drawn token by token, filled up with `END`.

    begun: tokens (N, B) that they begin with.
    """
    state, read, known = network.read(batch)
    rows = len(read)
    previous, done = np.zeros(rows, np.int64), np.zeros(rows, bool)
    out: list[np.ndarray] = []
    fixed = 0 if begun is None else begun.shape[1]
    for step in range(LONGEST):
        logits, state = network.step(previous, state, read, known, batch)
        if begun is not None and step < fixed:
            token = begun[:, step]
        else:
            token = (logits + rng.gumbel(size=logits.shape)).argmax(1)
        token = np.where(done, 0, token)
        out.append(token)
        done |= token == 0
        previous = token
        if done.all():
            break
    return np.stack(out, 1)


def adversarial(
    writer: Writer,
    draw: Callable[[np.random.Generator, int], Sequence[Pair]],
    phase: Phase | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Writer:
    """A copy of the network after the phase.

    progress: called after each round with the rounds done, all of them, and the mean chance that
    the discriminator gave the network's texts of being real.
    """
    phase = phase or Phase()
    torch.set_num_threads(1)
    torch.manual_seed(phase.seed)
    rng = np.random.default_rng(phase.seed)
    net = deepcopy(writer).eval()  # without dropout: the gradient is of what was drawn
    words = len(net.vocabulary)
    judge = Judge(words)
    optimizer = torch.optim.Adam(net.parameters(), phase.rate)
    judging = torch.optim.Adam(judge.parameters(), phase.judge_rate)
    for _ in range(phase.warm_up):
        _judged(judge, judging, net.arrays(), draw(rng, phase.batch), rng)
    for number in range(phase.rounds):
        pairs = draw(rng, phase.batch)
        batch, network = Batch.of([source for source, _ in pairs]), net.arrays()
        tokens = drawn(network, batch, rng)
        worth = _worth(judge, network, batch, tokens, phase.cuts, rng)
        loss = -(torch.as_tensor(worth - worth.mean()) * _chances(net, batch, tokens)).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        for _ in range(phase.judged):
            _judged(judge, judging, net.arrays(), draw(rng, phase.batch), rng)
        if progress is not None:
            progress(number + 1, phase.rounds, float(worth[:, -1].mean()))
    return net


def _judged(
    judge: Judge,
    optimizer: torch.optim.Optimizer,
    network: Seq2Seq,
    pairs: Sequence[Pair],
    rng: np.random.Generator,
) -> None:
    """One step of the discriminator."""
    batch = Batch.of([source for source, _ in pairs])
    real = tokens_of(network.vocabulary, [pieces for _, pieces in pairs])[:, 1:]
    loss = torch.zeros(())
    for tokens, target in ((real, 1.0), (drawn(network, batch, rng), 0.0)):
        logits = judge(with_slots(np.where(tokens == PADDING, 0, tokens), judge.words, batch))
        loss = loss + nn.functional.binary_cross_entropy_with_logits(
            logits, torch.full_like(logits, target)
        )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _worth(
    judge: Judge,
    network: Seq2Seq,
    batch: Batch,
    tokens: np.ndarray,
    cuts: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """The chance of being real (N, T) float32 that each token led to: of the whole text for the
    last ones, of a completion from the next cut for those before it."""
    worth = np.empty(tokens.shape, np.float32)
    begin = 0
    for n in range(1, cuts + 2):
        stop = tokens.shape[1] * n // (cuts + 1)
        whole = tokens if n > cuts else drawn(network, batch, rng, tokens[:, :stop])
        with torch.no_grad():
            chance = torch.sigmoid(judge(with_slots(whole, judge.words, batch))).numpy()
        worth[:, begin:stop] = chance[:, None]
        begin = stop
    return worth


def _chances(net: Writer, batch: Batch, tokens: np.ndarray) -> Tensor:
    """Log probability of each token (N, T); 0 after a text's end."""
    before = np.concatenate([np.zeros((len(tokens), 1), np.int64), tokens[:, :-1]], 1)
    logits = net(batch, torch.as_tensor(before))
    chances = logits.log_softmax(2).gather(2, torch.as_tensor(tokens)[..., None])[..., 0]
    ended = np.cumsum(tokens == 0, 1) - (tokens == 0) > 0
    return torch.where(torch.as_tensor(ended), 0.0, chances)
