"""What an item's words tell of who will meet it: real items that a fit never met.

Takes Online Retail II, whose titles are real and whose brands say nothing. In each of several
splits, a fifth of the items is left out of the catalogue and of what customers bought, and a tenth
of the acts on the others; tastes are fitted to the rest, with items' words and without. Then each
item left out is its category's vector, and its words', as a response model has it of an item never
fitted. Prints, for customers' acts on the items left out, the mean log-likelihood of which of them
it was, and the AUC: how often it comes before one of them that the customer never bought. No item
is more popular than another there. And, for the acts left out of the items in the fit, the mean
log-likelihood of which of these it was. docs/researcher.md holds what it printed.

    python -m benchmarks.item_text --shop online_retail_II.xlsx
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks.proof import STUDENT, pushwise
from ingestion.catalog import catalog_of
from ingestion.read import load_checked
from mdp.catalog import Items
from mdp.item_words import ItemWords, known_words, shared_words
from simulator.fit_tastes import Counts, Tastes, fit_tastes

ITEMS, ACTS = 0.2, 0.1
"""Shares of the items, and of the acts on the others, that are left out."""
NOTHING, CATEGORY, WORDS = "nothing", "category", "category and words"


@dataclass(frozen=True)
class Args:
    """Of which customers."""

    shop: Path
    """Online Retail II (.xlsx, .parquet or .csv)"""
    splits: int = 5
    """splits into items of the fit and others (2 to 10)"""
    seed: int = 0
    """seed of the splits"""
    out: Path = Path("runs/item-text")
    """where the imported log goes"""


@dataclass(frozen=True)
class Split:
    """Purchases of U customers, and which of them a fit may know."""

    items: Items
    """In the fit."""
    others: Items
    """Left out."""
    met: Counts
    """What the fit knows."""
    later: Counts
    """Acts left out, on items in the fit."""
    new: Counts
    """Acts on the items left out."""


def main(args: Args) -> None:
    """Split, fit with words and without, print."""
    pushwise("import", "online-retail-ii", args.shop, "--out", args.out)
    log = load_checked(args.out)
    bought = log.tables["events"].query("event == 'purchase'")
    items = catalog_of(log).items
    owner = np.unique(bought["user_id"].astype(str), return_inverse=True)[1]
    item = bought["item_id"].map(items.row).to_numpy(np.int64)
    found = []
    for number in range(args.splits):
        split = split_of(items, owner, item, np.random.default_rng([args.seed, number]))
        found.append(measured(split, number))
        print(found[-1], flush=True)
    print(f"\n{table(found)}")


def split_of(items: Items, owner: np.ndarray, item: np.ndarray, rng: np.random.Generator) -> Split:
    """Of acts by users (n,) on items (n,)."""
    users, out = int(owner.max()) + 1, rng.random(len(items)) < ITEMS
    place = np.where(out, np.cumsum(out), np.cumsum(~out)) - 1
    strange, late = out[item], rng.random(len(item)) < ACTS

    def counted(some: np.ndarray, size: int) -> Counts:
        return Counts.of(owner[some], place[item[some]][:, None], (users, size))

    size, others = int((~out).sum()), int(out.sum())
    return Split(
        items=_only(items, ~out),
        others=_only(items, out),
        met=counted(~strange & ~late, size),
        later=counted(~strange & late, size),
        new=counted(strange, others),
    )


def _only(items: Items, which: np.ndarray) -> Items:
    rows = np.flatnonzero(which)
    own: dict[str, Any] = {f.name: getattr(items, f.name) for f in fields(items) if f.init}
    for name, value in own.items():
        some = isinstance(value, np.ndarray)
        own[name] = value[rows] if some else tuple(value[row] for row in rows)
    return Items(**own)


def measured(split: Split, seed: int) -> dict[str, tuple[float, float, float]]:
    """By what items are known by: log-likelihood and AUC of acts on items left out, and
    log-likelihood of acts left out."""
    words = shared_words(split.items)
    none = ItemWords(*(array[:0] for array in (words.hashes, words.item, words.word)))
    found = {NOTHING: (-float(np.log(len(split.others))), 0.5, np.nan)}
    for name, some in ((CATEGORY, none), (WORDS, words)):
        names, category = np.unique(split.items.categories, return_inverse=True)
        no_lists = Counts.of(split.met.user[:0], split.met.item[:0, None], split.met.shape)
        tastes = fit_tastes(split.met, no_lists, category.astype(np.int64), len(names), some, seed)
        found[name] = (
            *of_new(tastes, embeddings(tastes, names.tolist(), split.others), split.new),
            of_later(tastes, split.later),
        )
    return found


def embeddings(tastes: Tastes, categories: list[str], items: Items) -> np.ndarray:
    """Of items that the fit never met (I, 8), as `ResponseModel.bind` has them."""
    row = {name: number for number, name in enumerate(categories)}
    nothing = np.zeros_like(tastes.category[0])
    own = [tastes.category[row[name]] if name in row else nothing for name in items.categories]
    words = known_words(items, np.arange(len(items)), tastes.word_hash)
    return np.stack(own) + words.summed(tastes.word, len(items))


def of_new(tastes: Tastes, embedding: np.ndarray, new: Counts) -> tuple[float, float]:
    """Log-likelihood and AUC of an act on one of the items with embeddings (I, 8)."""
    likelihood = area = 0.0
    for rows in new.blocks():
        score = (tastes.scale * tastes.user[rows] @ embedding.T).astype(np.float64)
        counts = new.dense(rows)
        likelihood += float((counts * _log_shares(score)).sum())
        for own, count in zip(score, counts, strict=True):
            met = count > 0
            below = np.sort(own[~met])
            ranks = sum(np.searchsorted(below, own[met], side) for side in ("left", "right"))
            area += float((ranks * count[met]).sum()) / (2 * len(below))
    return likelihood / float(new.count.sum()), area / float(new.count.sum())


def of_later(tastes: Tastes, later: Counts) -> float:
    """Log-likelihood of an act on one of the fit's items."""
    total = sum(
        float((later.dense(rows) * np.log(tastes.preference(rows))).sum())
        for rows in later.blocks()
    )
    return total / float(later.count.sum())


def _log_shares(score: np.ndarray) -> np.ndarray:
    """Logarithm of the softmax of scores (N, I)."""
    score = score - score.max(1, keepdims=True)
    return score - np.log(np.exp(score).sum(1, keepdims=True))


def table(found: list[dict[str, tuple[float, float, float]]]) -> str:
    """A row by what items are known by, and one of what words add; means and half-widths over
    splits (Student)."""
    values = {name: np.array([one[name] for one in found]) for name in found[0]}
    values["words add"] = values[WORDS] - values[CATEGORY]
    lines = [
        "| items known by | new items: log-likelihood | AUC | items of the fit: log-likelihood |",
        "|---|---|---|---|",
    ]
    for name, each in values.items():
        half = STUDENT[len(each)] * each.std(0, ddof=1) / np.sqrt(len(each))
        cells = [
            "–" if np.isnan(mean) else f"{mean:.3f} ±{wide:.3f}"
            for mean, wide in zip(each.mean(0), half, strict=True)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
