"""Made-up shops in which it is known who responds to which style of copy.

A user's interest is a category, and a user belongs to a group that buys other things within each
category. How likely a click is depends on the style of the text, by the interest, by the group, by
both or not at all. Half of the pushes, of random variants, come before the network learns, and show
what similar users responded to; from the other half's clicks it learns to write without being told
a style. Then it writes once for each of other items, knowing all of the reader or less.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from generation.copy.conditions import ANY, PUSH, values_of
from generation.copy.copywriter import STYLES, Brief, Reader
from generation.copy.facts import Facts
from generation.copy.repetition import tokens
from generation.copy.seq2seq import LONGEST, Seq2Seq
from generation.copy.similar import likenesses
from generation.copy.source import Source
from generation.learning.copy_pairs import Example, Pairs, example_of
from generation.learning.copywriting import Settings, train

CATEGORIES = ("garden", "kitchen", "stationery", "toys", "candles", "bags")
GROUPS, PUSHES, VISITS, BASE = 4, 10, 20, -2.2
KINDS = {"interest and group": (1.0, 1.0), "group": (0.0, 1.4), "interest": (1.4, 0.0),
         "nothing": (0.0, 0.0)}  # fmt: skip
"""What the response to styles depends on: deviations of the logit by interest and by group."""
VARIANTS = {
    "plain": ("{item}|Now in the shop at {price}.", "Shop notes: {item}|It is on our shelves."),
    "urgent": ("Time to decide: {item}|Better now than later.", "Going once: {item}|Your move."),
    "warm": ("A quiet joy: {item}|For slow mornings.", "{item} says hello|Be good to yourself."),
    "discount": ("{item}, {price}|Easy on your purse.", "Pay {price}: {item}|Do the sums."),
    "social proof": ("In good company: {item}|Judge for yourself.", "Meet {item}|Ask around."),
    "personal": ("A thought for you: {item}|Did we guess well?", "Maybe {item}?|Right guess?"),
}


@dataclass(frozen=True)
class Shop:
    """Users, what they did, and the truth."""

    profiles: np.ndarray
    """visits by item (U, I) float32"""
    likes: np.ndarray
    """category met most (U,)"""
    truth: np.ndarray
    """chance of a click by style (U, S)"""
    sent: np.ndarray
    """earlier pushes by style (U, S)"""
    clicked: np.ndarray
    """earlier clicks by style (U, S)"""
    later: np.ndarray
    """user and style of the later clicks (C, 2)"""


def shop_of(kind: str, users: int, seed: int) -> Shop:
    """Users and two halves of pushes."""
    rng = np.random.default_rng([seed, 7])
    by_interest, by_group = KINDS[kind]
    size, styles = len(CATEGORIES), len(STYLES)
    interest, group = rng.integers(size, size=users), rng.integers(GROUPS, size=users)
    # An interest is most of a user's visits; within a category, groups meet other items.
    category = np.where(
        rng.random((users, VISITS)) < 0.6,
        interest[:, None],
        rng.integers(size, size=(users, VISITS)),
    )
    shelf = np.where(
        rng.random((users, VISITS)) < 0.7, group[:, None], rng.integers(GROUPS, size=category.shape)
    )
    item = (category * GROUPS + shelf) * 5 + rng.integers(5, size=category.shape)
    profiles = np.zeros((users, size * GROUPS * 5), np.float32)
    np.add.at(profiles, (np.arange(users)[:, None], item), 1)
    likes = np.array([np.bincount(row, minlength=size).argmax() for row in category])
    logit = (
        BASE
        + by_interest * rng.normal(size=(size, styles))[interest]
        + by_group * rng.normal(size=(GROUPS, styles))[group]
    )
    truth = 1 / (1 + np.exp(-logit))
    style = rng.integers(styles, size=(2, users, PUSHES))
    click = rng.random(style.shape) < np.take_along_axis(truth[None], style, 2)
    sent, clicked = (np.zeros((users, styles)) for _ in range(2))
    rows = np.arange(users)[:, None]
    np.add.at(sent, (rows, style[0]), 1)
    np.add.at(clicked, (rows, style[0]), click[0])
    who, which = np.nonzero(click[1])
    return Shop(profiles, likes, truth, sent, clicked, np.stack([who, style[1][who, which]], 1))


def readers_of(shop: Shop) -> list[Reader]:
    """What is known of each user after the first half."""
    found = likenesses(np.log1p(shop.profiles), shop.sent, shop.clicked)
    return [
        Reader((CATEGORIES[like],), responds=(STYLES[int(row.argmax())],))
        for like, row in zip(shop.likes, found, strict=True)
    ]


def learned(shop: Shop, readers: list[Reader], seed: int, steps: int = 300) -> Seq2Seq:
    """A small network that saw the clicks of the second half."""
    variants = {
        style: [_example(line, style) for line in lines] for style, lines in VARIANTS.items()
    }
    rng = np.random.default_rng([seed, 8])
    own = []
    for user, style in shop.later:
        example = variants[STYLES[style]][int(rng.integers(2))]
        own.append(Example(example.skeleton, ANY, readers[user]))
    pairs = Pairs(_items(rng), own, share=1.0)
    vocabulary = pairs.vocabulary(rng, 0)
    settings = Settings(width=48, states=96, steps=steps, batch=32, rate=8e-3, seed=seed)
    return train(vocabulary, pairs.draw, settings).arrays()


def _example(line: str, style: str = ANY) -> Example:
    title, body = line.split("|")
    example = example_of(title, body, style)
    if example is None:
        raise ValueError(f"{line!r} can't be learned")
    return example


def _items(rng: np.random.Generator) -> list[Facts]:
    words = ("oak", "linen", "tin", "moss", "amber", "slate", "willow", "pebble")
    return [
        Facts(
            f"i{n}", f"{rng.choice(words).title()} {rng.choice(words)} {c}", category=c, price=3.5
        )
        for n, c in enumerate(CATEGORIES * 10)
    ]


def values(
    shop: Shop, network: Seq2Seq, readers: list[Reader], users: np.ndarray, seed: int
) -> np.ndarray:
    """True chance of a click of a text for each user (M,), by the style that it is most like."""
    rng = np.random.default_rng([seed, 9])
    items = _items(rng)
    sources = []
    for user in users:
        facts = items[int(rng.integers(len(items)))]
        sources.append(Source.of(values_of(facts, Brief(ANY, reader=readers[user]), PUSH)))
    texts = network.write(sources, rng.random((len(users), LONGEST)))
    known = [
        set(_grams(" ".join(piece.strip() for piece in example.skeleton)))
        for lines in VARIANTS.values()
        for line in lines
        for example in [_example(line)]
    ]
    per = len(known) // len(STYLES)
    style = [
        int(np.argmax([len(grams & said) / len(grams) for grams in known])) // per
        for said in (set(_grams(" ".join(p.strip() for p in text.skeleton))) for text in texts)
    ]
    return shop.truth[users, style]


def _grams(text: str) -> list[tuple[str, ...]]:
    words = tokens(text)
    return list(pairwise(words))


def world(seed: int, seeds: int, users: int) -> None:
    """Prints the ablation for each kind of shop."""
    print(
        "| responses depend on | what chooses the words | clicks | minus best single style |\n"
        + "|---" * 4
        + "|"
    )
    for kind in KINDS:
        found: dict[str, list[np.ndarray]] = {}
        for number in range(seed, seed + seeds):
            for name, chances in _shop(kind, users, number).items():
                found.setdefault(name, []).append(chances)
        base = np.concatenate(found[SINGLE])
        for name, parts in found.items():
            chances = np.concatenate(parts)
            gain = chances - base
            half = 1.96 * gain.std() / np.sqrt(len(gain))
            says = (
                "no winner"
                if abs(gain.mean()) <= half
                else ("better" if gain.mean() > 0 else "worse")
            )
            if name in (SINGLE, ORACLE):
                says = ""
            minus = f"{gain.mean():+.2%} ±{half:.2%} {says}"
            print(f"| {kind} | {name} | {chances.mean():.2%} | {minus} |", flush=True)


SINGLE, ORACLE = "slot templates, best single style", "oracle: each user's best style"


def _shop(kind: str, users: int, seed: int) -> dict[str, np.ndarray]:
    shop = shop_of(kind, users, seed)
    readers, rows = readers_of(shop), np.arange(users)
    network = learned(shop, readers, seed)
    single = int((shop.clicked.sum(0) / shop.sent.sum(0)).argmax())
    alike = np.array([STYLES.index(reader.responds[0]) for reader in readers])
    own = (shop.clicked + 2) / (shop.sent + 20)
    by_interest = np.array([
        (shop.clicked[shop.likes == c].sum(0) / shop.sent[shop.likes == c].sum(0)).argmax()
        for c in range(len(CATEGORIES))
    ])[shop.likes]  # fmt: skip
    asked = {
        "network, nothing known of the reader": [Reader()] * users,
        "network, interest": [Reader(reader.likes) for reader in readers],
        "network, similar users": [Reader(responds=reader.responds) for reader in readers],
        "network, interest and similar users": readers,
    }
    return {
        SINGLE: shop.truth[:, single],
        "slot templates, best style of the interest": shop.truth[rows, by_interest],
        "slot templates, style of similar users": shop.truth[rows, alike],
        "slot templates, own best style": shop.truth[rows, own.argmax(1)],
        **{name: values(shop, network, told, rows, seed) for name, told in asked.items()},
        ORACLE: shop.truth.max(1),
    }
