"""What a variant's words say, as numbers."""

import numpy as np
import pytest

from mdp.response import ResponseModel
from mdp.wording import EMBEDDING, FAR, WORDING, standard_wording, wording


def said(title: str, body: str = "") -> dict[str, float]:
    return dict(zip(WORDING, wording([title], [body])[0].tolist(), strict=True))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("price", "Yours for {price}"),
        ("price", "只要¥29"),
        ("saving", "Save on a new lamp"),
        ("saving", "限量特价"),
        ("scarcity", "Only 3 left"),
        ("scarcity", "库存仅剩3件"),
        ("deadline", "Until Sunday"),
        ("deadline", "今晚截止"),
        ("social_proof", "A favourite of our customers"),
        ("social_proof", "人气好评"),
        ("superlative", "The best of lamps"),
        ("superlative", "最好的灯"),
        ("new", "Just in: {item}"),
        ("new", "新品到店"),
        ("question", "Tired of the dark?"),
        ("question", "想要吗"),
        ("exclamation", "亮了！"),
        ("imperative", "A lamp. Take a look"),
        ("imperative", "快看这盏灯"),
        ("personal", "We picked it for you"),
        ("personal", "为您挑选"),
        ("emoji", "A lamp 🔥"),
    ],
)
def test_claims_and_tone_are_found_where_they_are_and_not_where_they_are_not(name, text):
    assert said("A lamp", text)[name] == 1.0
    assert said("A lamp", "It stands on a desk.")[name] == 0.0


def test_length_counts_a_slot_as_a_word_and_a_chinese_character_as_two_letters():
    assert said("{category}")["title_length"] == said("{item}")["title_length"]
    assert said("灯具", "")["title_length"] == pytest.approx(np.log1p(4))
    assert said("", "A lamp")["body_length"] == pytest.approx(np.log1p(6))


def test_texts_alike_have_embeddings_alike():
    texts = ["A warm lamp for your desk", "A warm lamp for the desk", "Fresh beans, roasted today"]
    texts += ["为书桌挑选的暖灯", "为书桌准备的暖灯", "今天烘焙的咖啡豆"]
    own = wording(texts, [""] * 6)[:, -EMBEDDING:]
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    near = own @ own.T
    assert near[0, 1] > 0.8 > 0.7 > near[0, 2:].max()
    assert near[3, 4] > 0.5 > near[3, [0, 1, 2, 5]].max()


def test_models_saved_without_it_weigh_wording_by_nothing(catalog, model):
    older = {name: a for name, a in model.arrays().items() if name[:8] != "variant_"}
    kept = {name: getattr(model, name) for name in ("variant_hash", "variant_effect")}
    bound = ResponseModel(**older, **kept).bind(catalog)
    plain = model.style[catalog.variants.buckets]
    np.testing.assert_array_equal(bound.variant_term[2], plain[2])
    np.testing.assert_array_equal(bound.variant_term[:2], plain[:2] + model.variant_effect)


def test_a_text_like_no_other_counts_no_more_than_far():
    raw = wording(["A lamp", "x" * 5000], ["", ""])
    scaled = standard_wording(raw, raw[0], np.full(len(WORDING), 0.01, np.float32))
    assert scaled[1, 0] == FAR
    assert (scaled[0] == 0).all()
    assert wording([], []).shape == (0, len(WORDING))
