"""Beam search over small chains of words, whose likeliest text can be told by trying all."""

from itertools import product

import numpy as np

from generation.copy.beam import likeliest

LENGTH, WORDS = 4, 5


def chain(transitions: np.ndarray):
    """Steps of a Markov chain per source: log-probabilities (N, WORDS, WORDS) of the next word
    after each; the state is how many words were said."""

    def step(tokens, states, rows):
        previous = tokens[:, -1] if tokens.shape[1] else np.zeros(len(tokens), np.int64)
        return transitions[rows, previous], states + 1

    return step


def by_trying_all(transitions: np.ndarray) -> list[int]:
    def worth(text):
        return sum(transitions[a, b] for a, b in zip((0, *text), text, strict=False))

    texts = [(*body, 0) for n in range(LENGTH) for body in product(range(1, WORDS), repeat=n)]
    return list(max(texts, key=worth))


def test_a_word_that_leads_nowhere_is_not_taken():
    """Word 1 is likelier at first, but whatever follows it is not."""
    chances = np.full((1, WORDS, WORDS), 0.01)
    chances[0, 0] = [0.01, 0.55, 0.42, 0.01, 0.01]
    chances[0, 1] = 0.2
    chances[0, 2] = [0.9, 0.02, 0.02, 0.03, 0.03]
    assert likeliest(chain(np.log(chances)), np.zeros((1, 1)), 8) == [[2, 0]]


def test_the_likeliest_of_all_texts_is_found_for_each_source():
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.full(WORDS, 0.4), (30, WORDS)).clip(1e-6)
    chances[:, :, 0] += 0.3  # so that texts end in time
    logs = np.log(chances / chances.sum(2, keepdims=True))
    found = likeliest(chain(logs), np.zeros((30, 1)), 40)
    best = [by_trying_all(one) for one in logs]
    assert np.mean([mine == true for mine, true in zip(found, best, strict=True)]) > 0.9
    assert len({tuple(text) for text in best}) > 3


def test_a_text_that_does_not_end_is_cut_off():
    chances = np.full((1, WORDS, WORDS), 1e-9)
    chances[:, :, 3] = 1.0
    assert likeliest(chain(np.log(chances)), np.zeros((1, 1)), 6) == [[3] * 6]
