"""The proof for generated copy, in small, and that planted errors are errors."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.copy import _brief
from benchmarks.copy_facts import drawn_facts, mutations, strings_hold, titles
from generation.copy.copywriter import Brief
from generation.copy.gather import verifier_for
from generation.copy.quality import phrasing, repeated_share, unique_share
from generation.copy.templates import Templates
from generation.copy.writing import Checked

DATA = Path(os.environ.get("PUSHWISE_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILE = DATA / "online_retail_ii_2009_2010.parquet"
NAMES = ["Red woolly hottie", "Jumbo bag owls", "Blue glass jar", "Set of 4 tins", "Ivory candle"]


def write(facts, style, locale, seed):
    return Templates().write(facts, Brief(style, locale), np.random.default_rng(seed))


def test_every_planted_error_is_wrong_and_found():
    rng = np.random.default_rng(0)
    every = drawn_facts(NAMES * 20, 0)
    verifier = verifier_for(every)
    planted = dict.fromkeys(mutations(NAMES), 0)
    for n, facts in enumerate(every):
        for style in ("urgent", "discount", "social proof"):
            message = write(facts, style, ("en", "zh")[n % 2], n)
            for kind, mutate in mutations(NAMES).items():
                wrong = mutate(message, facts, rng)
                if wrong is not None and not kind.startswith("claim"):
                    planted[kind] += 1
                    assert wrong != message
                    assert verifier.check(wrong, facts), (kind, wrong)
    assert min(count for kind, count in planted.items() if not kind.startswith("claim")) > 0


def test_comparing_strings_finds_a_wrong_number_without_the_verifier():
    facts = drawn_facts(NAMES, 1)[0]
    message = write(facts, "plain", "en", 0)
    assert strings_hold(message, facts)
    assert not strings_hold(replace(message, body=message.body + " Only 77."), facts)
    assert not strings_hold(replace(message, title="x", body="y"), facts)


@pytest.mark.slow
@pytest.mark.skipif(not FILE.exists(), reason=f"{FILE} is not there: set PUSHWISE_DATA")
def test_no_text_about_unseen_titles_is_wrong():
    facts = drawn_facts(titles(FILE), 3)
    writer, rng = Checked(Templates(), verifier_for(facts)), np.random.default_rng(3)
    texts: dict[str, list[str]] = {"en": [], "zh": []}
    phrasings: dict[str, list[str]] = {"en": [], "zh": []}
    for number in range(2400):
        one = facts[int(rng.integers(len(facts)))]
        brief = _brief(one, number, rng)
        message = writer.write(one, brief, rng).message
        if message is not None:
            assert strings_hold(message, one), message
            texts[brief.locale].append(f"{message.title}\n{message.body}")
            phrasings[brief.locale].append(phrasing(message, one))
    for locale in ("en", "zh"):
        assert len(texts[locale]) > 1190
        assert unique_share(phrasings[locale]) >= 0.95
        assert repeated_share(texts[locale]) <= 0.005
