"""Copy that no push was of is judged by its words."""

from dataclasses import fields, replace

import numpy as np
import pytest

from ingestion.parse import log_of
from mdp.actions import decode
from mdp.catalog import Variants, simple_variants
from mdp.hashing import style_bucket
from mdp.response import HEADS, ResponseModel
from mdp.wording import standard_wording, wording
from policies.baselines import Greedy, Table
from simulator.demo import demo
from simulator.fit import fit
from simulator.fit_heads import Sizes, fit_heads
from simulator.fit_priors import likeliest_priors
from simulator.kernel import Kernel
from simulator.sends import OPEN
from simulator.widths import Widths
from simulator.worlds.logit import LogitShop
from tests.simulator.copies import copies
from tests.simulator.planted import pushes

SEEN, S = 36, 10_000


def only(variants: Variants, rows: np.ndarray) -> Variants:
    """Some of the variants."""
    given = {field.name: getattr(variants, field.name) for field in fields(Variants) if field.init}
    return Variants(**{name: tuple(part[row] for row in rows) for name, part in given.items()})


@pytest.fixture(scope="module")
def judged() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What opening truly gains by each of 48 variants, what the fit says by style and words, and
    by style alone; only the first 36 were pushed."""
    rng = np.random.default_rng(4)
    titles, bodies, styles, gain = copies(rng)
    bucket = np.array([style_bucket(style) for style in styles])
    gain = gain + 0.15 * rng.normal(size=len(gain))
    raw = wording(titles, bodies)
    said = standard_wording(raw, raw[:SEEN].mean(0), raw[:SEEN].std(0).clip(1e-3))
    variant = rng.integers(0, SEEN, S)
    sends = pushes(
        -1.5 + gain[variant], rng, variant=variant, bucket=bucket[variant], wording=said[:SEEN]
    )
    widths = Widths()
    for _ in range(2):
        heads = fit_heads(sends, Sizes(1, 1, SEEN), widths, (OPEN,))
        widths = likeliest_priors(heads, sends, widths)
    style = heads["style"][bucket, OPEN]
    return gain, style + said @ heads["variant_weight"][:, OPEN], style


def test_unseen_variants_are_ranked_by_their_words_and_not_by_style(judged):
    gain, mine, style = (part[SEEN:] for part in judged)
    assert np.corrcoef(mine, gain)[0, 1] > 0.7
    assert np.corrcoef(style, gain)[0, 1] < 0.4


def test_the_best_unseen_variant_is_among_the_best(judged):
    gain, mine, _ = (part[SEEN:] for part in judged)
    assert gain[mine.argmax()] > np.quantile(gain, 0.8)


@pytest.mark.slow
def test_greedy_sends_copy_that_it_never_saw_where_its_words_are_good():
    rng = np.random.default_rng(4)
    titles, bodies, styles, gain = copies(rng)
    every = replace(
        simple_variants([f"v{n}" for n in range(len(titles))], styles),
        titles=tuple(titles),
        bodies=tuple(bodies),
    )
    seen = only(every, np.arange(SEEN))
    shop = LogitShop().simulator(400, 3)
    assert isinstance(shop.response, ResponseModel)
    assert isinstance(shop.logging, Table)
    effect = np.zeros((SEEN, len(HEADS)), np.float32)
    effect[:, OPEN] = gain[:SEEN]
    truth = replace(shop.response, variant_hash=seen.hashes, variant_effect=effect)
    made = demo(
        replace(
            shop,
            catalog=replace(shop.catalog, variants=seen),
            response=truth,
            logging=replace(shop.logging, variants=np.ones(1)),
        ),
        35,
        3,
    )
    fitted = fit(log_of(made.tables, made.meta)).simulator
    assert isinstance(fitted.response, ResponseModel)
    new = np.arange(SEEN, len(gain))
    # The shop drops what did well and writes anew.
    offered = np.append(np.flatnonzero(gain[:SEEN] <= 0), new)
    catalog = replace(fitted.catalog, variants=only(every, offered))
    view = Kernel(replace(fitted, catalog=catalog), np.arange(400), 0, 1).view()
    actions, _ = Greedy(floor=0.0).act(view.observation, rng)
    K, V = view.mask.item.shape[1], view.mask.variant.shape[1]
    assert len(offered) == V
    chosen = gain[offered[decode(actions[actions > 0], K, V)[1]]]
    assert chosen.mean() > np.quantile(gain[new], 0.8)
    term = fitted.response.bind(catalog).variant_term[-len(new) :, OPEN]
    assert np.corrcoef(term, gain[new])[0, 1] > 0.6
