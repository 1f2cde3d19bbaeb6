"""A sequence-to-sequence network with attention and copying, in NumPy.

A bidirectional GRU reads the source, a GRU writes, attending to what was read (Luong et al., 2015);
each token is drawn from one softmax over the vocabulary and the source's fields, as in CopyNet (Gu
et al., 2016); a field is copied whole or not at all, and once in a text where anything else fits.
`generation.learning.copywriting` trains the same network in torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generation.copy.beam import Step, likeliest
from generation.copy.source import Batch, Draft, Source, draft_of

LONGEST = 160
"""Tokens at which a text that does not end is cut off."""
TOGETHER = 256
"""Texts that are written side by side."""
TEMPERATURE = 0.8
"""At which texts are drawn: as varied as the templates', and slots as right as at lower ones."""
UNLIKELY = 0.01
"""Share of the likeliest token's chance below which a token is not drawn: its words seldom fit."""
AGAIN = 0.05
"""Share of the likeliest token's chance that remains to a field that was copied before."""
NEVER = -1e9
"""Logit of what can't be."""


@dataclass(frozen=True, eq=False)
class Seq2Seq:
    """Weights, and the vocabulary that they write with."""

    vocabulary: tuple[str, ...]
    """`END` first"""
    weights: Mapping[str, np.ndarray]
    """float32, by the names that torch gives them"""

    def write(
        self, sources: Sequence[Source], draws: np.ndarray, temperature: float = TEMPERATURE
    ) -> list[Draft]:
        """A text for each source.

        draws: (N, LONGEST) float64 in [0, 1), which decide what is drawn. temperature: 0 takes
        the likeliest text (`beam`).
        """
        order = np.argsort([len(source.words) for source in sources], kind="stable")
        texts: list[Draft | None] = [None] * len(sources)
        for part in (order[n : n + TOGETHER] for n in range(0, len(order), TOGETHER)):
            some = [sources[n] for n in part]
            for row, text in zip(part, self._write(some, draws[part], temperature), strict=True):
                texts[row] = text
        return [text for text in texts if text is not None]

    def _write(
        self, sources: list[Source], draws: np.ndarray, temperature: float
    ) -> Iterator[Draft]:
        batch = Batch.of(sources)
        state, read, known = self.read(batch)
        step = _Steps(self, batch, read, known)
        if temperature <= 0:
            texts = likeliest(step, state, LONGEST)
        else:
            texts = _drawn_texts(step, state, draws, temperature)
        size = len(self.vocabulary)
        for source, own in zip(sources, texts, strict=True):
            pieces = [self.vocabulary[t] if t < size else t - size for t in own if t]
            yield draft_of(pieces, source, own[-1] == 0)

    def read(self, batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First state of the writer (N, H), the source as it was read (N, S, H), and what is known
        at all, which the writer sees at each step (N, E); float32."""
        w = self.weights
        x = w["field.weight"][batch.field] + w["place.weight"][batch.place]
        x = x + w["word.weight"][batch.bucket]
        there = (batch.field > 0).astype(np.float32)
        ways = []
        for suffix, steps in (("", range(x.shape[1])), ("_reverse", range(x.shape[1])[::-1])):
            gates = [w[f"reader.{name}_l0{suffix}"] for name in _GATES]
            h = np.zeros((len(x), gates[1].shape[1]), np.float32)
            out = np.empty((*x.shape[:2], h.shape[1]), np.float32)
            for s in steps:
                h = _gru(x[:, s], h, gates) * there[:, s, None]
                out[:, s] = h
            ways.append(out)
        read = np.concatenate(ways, 2)
        mean = read.sum(1) / there.sum(1)[:, None]
        told = w["field.weight"][batch.field]
        told = told + w["word.weight"][batch.bucket] * ~batch.copyable[..., None]
        told = (told * ((batch.field > 0) & (batch.place == 0))[..., None]).sum(1)
        known = told @ w["known.weight"].T + w["known.bias"]
        return np.tanh(mean @ w["first.weight"].T + w["first.bias"]), read, known

    def step(
        self,
        previous: np.ndarray,
        state: np.ndarray,
        read: np.ndarray,
        known: np.ndarray,
        batch: Batch,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logits of the next token (N, V + S) and the next state (N, H), after tokens (N,)."""
        w, size, rows = self.weights, len(self.vocabulary), np.arange(len(previous))
        copied = previous >= size
        at = np.where(copied, previous - size, 0)
        x = np.where(
            copied[:, None],
            read[rows, at] @ w["copied.weight"].T + w["copied.bias"],
            w["token.weight"][np.where(copied, 0, previous)],
        )
        state = _gru(x + known, state, [w[f"writer.{name}_l0"] for name in _GATES])
        asks = state @ w["asks.weight"].T + w["asks.bias"]
        fit = np.einsum("nsh,nh->ns", read, asks)
        attention = _softmax(np.where(batch.field > 0, fit, np.float32(NEVER)))
        both = np.concatenate([state, np.einsum("ns,nsh->nh", attention, read)], 1)
        says = np.tanh(both @ w["says.weight"].T + w["says.bias"])
        words = says @ w["token.weight"].T + w["bias"]
        points = both @ w["points.weight"].T + w["points.bias"]
        places = np.einsum("nsh,nh->ns", read, points) / np.float32(np.sqrt(read.shape[2]))
        # A field's first place is chosen like a word of the vocabulary.
        opens = np.take_along_axis(says @ w["opens.weight"].T, batch.field, 1)
        begins = batch.place == 0
        places += opens * begins
        places[~(batch.copyable & begins)] = NEVER
        logits = np.concatenate([words, places], 1)
        # What has begun is copied to its field's last word.
        goes_on = copied & batch.onward[rows, at]
        logits[goes_on] = NEVER
        logits[rows[goes_on], previous[goes_on] + 1] = 0.0
        return logits, state


class _Steps:
    """`Seq2Seq.step` for some of the sources; what is theirs is taken once for as long as they stay
    the same."""

    def __init__(self, network: Seq2Seq, batch: Batch, read: np.ndarray, known: np.ndarray) -> None:
        self._network, self._all = network, (read, known, batch)
        self._rows = np.zeros(0, np.int64)

    def __call__(
        self, tokens: np.ndarray, states: np.ndarray, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        if not np.array_equal(rows, self._rows):
            read, known, batch = self._all
            self._rows, self._some = rows, (read[rows], known[rows], _rows(batch, rows))
        previous = tokens[:, -1] if tokens.shape[1] else np.zeros(len(tokens), np.int64)
        logits, states = self._network.step(previous, states, *self._some)
        log = _log_softmax(logits.astype(np.float64))
        return _once(log, tokens, len(self._network.vocabulary)), states


def _once(log: np.ndarray, tokens: np.ndarray, size: int) -> np.ndarray:
    """Log-probabilities (n, M) without what was copied in the tokens so far (n, t).

    Where nothing else fits, it may come again, and the whole text is less likely for it.
    """
    row, at = np.nonzero(tokens >= size)
    fresh = log.copy()
    fresh[row, tokens[row, at]] = NEVER
    stuck = fresh.max(1) < log.max(1) + np.log(AGAIN)
    fresh[stuck] = log[stuck] + np.log(AGAIN)
    return fresh


_GATES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _gru(x: np.ndarray, h: np.ndarray, gates: Sequence[np.ndarray]) -> np.ndarray:
    inputs, states = x @ gates[0].T + gates[2], h @ gates[1].T + gates[3]
    (ir, iz, i_new), (hr, hz, h_new) = np.split(inputs, 3, 1), np.split(states, 3, 1)
    reset, keep = _sigmoid(ir + hr), _sigmoid(iz + hz)
    new: np.ndarray = (1 - keep) * np.tanh(i_new + reset * h_new) + keep * h
    return new


def _sigmoid(x: np.ndarray) -> np.ndarray:
    out: np.ndarray = 0.5 * np.tanh(0.5 * x) + 0.5
    return out


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(1, keepdims=True))
    out: np.ndarray = e / e.sum(1, keepdims=True)
    return out


def _drawn_texts(
    step: Step, states: np.ndarray, draws: np.ndarray, temperature: float
) -> list[list[int]]:
    """Tokens of a text for each first state (N, H), drawn one after the other."""
    live, tokens = np.arange(len(states)), np.zeros((len(states), LONGEST), np.int64)
    length = np.full(len(states), LONGEST)
    for at in range(LONGEST):
        log, states = step(tokens[live, :at], states, live)
        tokens[live, at] = _drawn(log, draws[live, at], temperature)
        ended = tokens[live, at] == 0
        length[live[ended]] = at + 1
        live, states = live[~ended], states[~ended]
        if not len(live):
            break
    return [own[:n].tolist() for own, n in zip(tokens, length, strict=True)]


def _log_softmax(x: np.ndarray) -> np.ndarray:
    out: np.ndarray = x - x.max(1, keepdims=True)
    return out - np.log(np.exp(out).sum(1, keepdims=True))


def _drawn(log: np.ndarray, draws: np.ndarray, temperature: float) -> np.ndarray:
    """Tokens (N,) int64 by inverting the distribution at the draws (N,), `UNLIKELY` ones apart."""
    chance = _softmax(log / temperature)
    chance[log < log.max(1, keepdims=True) + np.log(UNLIKELY)] = 0
    summed = np.cumsum(chance, 1) / chance.sum(1, keepdims=True)
    return np.minimum((summed < draws[:, None]).sum(1), log.shape[1] - 1)


def _rows(batch: Batch, which: np.ndarray) -> Batch:
    return Batch(
        batch.field[which],
        batch.place[which],
        batch.bucket[which],
        batch.copyable[which],
        batch.onward[which],
    )
