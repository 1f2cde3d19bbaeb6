"""The classifier: what it learns, what it says where no rule does, that it fails closed."""

from dataclasses import replace

import numpy as np
import pytest

from generation.copy.classifier import KINDS, Classifier, features
from generation.copy.moderation import Moderator
from generation.copy.normalise import fold
from generation.copy.packs import PACKS, read_packs
from generation.learning import moderation as learning
from generation.learning.moderation import INNOCENT, Text


@pytest.fixture(scope="module")
def toy() -> Classifier:
    """Trained on a dozen texts."""
    texts = [
        Text("absolute", "the finest of them all"),
        Text("discrimination", "no strangers in here"),
        Text("personal", "ring him on 020"),
        Text("profanity", "you silly goose"),
        *(
            Text("promises", f"these pills {verb} your back pain")
            for verb in ("end", "cure", "stop")
        ),
        *(Text("promotion", f"hurry, the {what} leave tonight") for what in ("pans", "mugs")),
        *(
            Text(INNOCENT, f"the {what} are made of tin")
            for what in ("pans", "mugs", "pills", "pins")
        ),
        Text(INNOCENT, "your order leaves the house"),
    ]
    return learning.trained(texts, "en", "2026-11-29")


def test_probabilities_are_those_of_a_distribution(toy):
    for text in ("these pills cure your back pain", "the mugs are made of tin", "", "unknown"):
        found = toy.probabilities(text)
        assert found.shape == (len(KINDS) + 1,)
        assert found.sum() == pytest.approx(1, abs=1e-5)
    assert toy.probabilities("these pills cure pain")[KINDS.index("promises")] > 0.5
    assert toy.probabilities("the pins are made of tin")[-1] > 0.5


def test_a_suspicion_points_at_what_speaks_for_it(toy):
    text = "at last: these pills heal your back pain"
    found = toy.suspicion(text)
    assert found is not None
    assert found.kind == "promises"
    assert set(text[found.begin : found.end].split()) <= {"these", "pills", "your", "back", "pain"}


def test_evidence_lifts_the_kind_of_its_claim(toy):
    text = "hurry, the plates leave tonight"
    assert toy.suspicion(text).kind == "promotion"
    assert toy.suspicion(text, ["deadline"]) is None
    assert toy.suspicion(text, ["superlative"]).kind == "promotion"


def test_of_numbers_only_the_length_counts():
    assert features("set of 12", "en") == features("set of 96", "en")
    assert features("一套12件", "zh") == features("一套34件", "zh")
    assert features("set of 12", "en") != features("set of 120", "en")


def test_a_slot_is_no_word():
    assert "{price}" in features("now {price}", "en")
    assert "price" not in features("now {price}", "en")


def test_what_is_written_is_read_again(toy, tmp_path):
    toy.saved(tmp_path / "classifier_en.safetensors")
    again = Classifier.read(tmp_path / "classifier_en.safetensors")
    assert (again.language, again.version) == ("en", "2026-11-29")
    assert again.threshold == pytest.approx(toy.threshold)
    text = "these pills cure your back pain"
    np.testing.assert_allclose(again.probabilities(text), toy.probabilities(text), atol=2e-3)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_broken_file_approves_nothing(tmp_path, content):
    (tmp_path / "classifier_en.safetensors").write_bytes(content)
    verdict = Moderator.of(tmp_path, ["classifier_en"]).moderate("Hello")
    assert {finding.rule for finding in verdict.findings} == {"pack.broken"}


@pytest.mark.parametrize(
    ("names", "weights", "threshold"),
    [(["a", "a"], np.zeros((2, 7)), 0.5), (["a"], np.zeros((2, 7)), 0.5),
     (["a"], np.full((1, 7), np.nan), 0.5), (["a"], np.zeros((1, 7)), 1.0)],
)  # fmt: skip
def test_weights_that_are_no_use_are_refused(names, weights, threshold):
    with pytest.raises(ValueError):
        Classifier("en", "", names, weights, np.zeros(7), threshold)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Two weeks of this tea and the bathroom scales will thank you", "promises"),
        ("Grandma would never manage this phone, so get it for yourself", "discrimination"),
        ("戴上它，失眠的夜晚从此跟你无关", "promises"),
        ("工薪阶层就别点进来了", "discrimination"),
    ],
)
def test_what_no_rule_names_is_for_review(text, kind):
    assert Moderator(replace(read_packs(), classifiers={})).moderate(text).approved
    verdict = Moderator.standard().moderate(text)
    assert [finding.rule[3:] for finding in verdict.findings] == [f"classifier.{kind}"]
    assert not verdict.blocked


@pytest.mark.slow
@pytest.mark.parametrize("language", learning.LANGUAGES)
def test_the_texts_make_the_classifier_that_is_shipped(language):
    """But for the last bits, in which one machine's numbers differ from another's."""
    texts = [text for part in learning.read_texts(language).values() for text in part]
    made = learning.trained([*texts, *learning.written_texts(language)], language, "")
    shipped = Classifier.read(PACKS / f"classifier_{language}.safetensors")
    for text in texts[::7]:
        np.testing.assert_allclose(
            made.probabilities(text.plain), shipped.probabilities(text.plain), atol=0.02
        )


@pytest.mark.parametrize("language", learning.LANGUAGES)
def test_the_texts_are_of_known_kinds_and_each_there_once(language):
    texts = [text for part in learning.read_texts(language).values() for text in part]
    assert {text.kind for text in texts} == {*KINDS, INNOCENT}
    plain = [text.plain for text in texts]
    assert len(set(plain)) > 0.99 * len(plain)
    assert fold(plain[0])[0] == plain[0]
