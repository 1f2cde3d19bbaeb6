"""The language of short texts: seldom unknown, hardly ever wrong."""

from collections import Counter

import pytest

from ingestion.language import UNKNOWN_LANGUAGE, language_of

REVIEWS = {
    "en": """
        Great lamp, love it / Does what it says / My daughter adores this mug
        Colour faded after two washes / Arrived broken, refund took weeks / Not worth the money
        Would buy again / Smaller than I expected / Lovely gift for my sister
        Cheap plastic and a bad smell / Fits perfectly / Five stars from me
        The zip came off on day one / Nice and warm in winter / Delivery was quick
        Looks better in the pictures / Too tight around the shoulders / Exactly as described
        The battery lasts a whole weekend / I use it every morning""",
    "de": """
        Die Lampe ist wirklich schön / Leider nach zwei Tagen kaputt
        Sehr gute Qualität, gerne wieder / Passt leider nicht
        Viel zu klein für den Preis / Schnelle Lieferung, alles bestens""",
    "fr": """
        Très belle lampe, je recommande / Livraison rapide et soignée / La taille est trop petite
        Ne vaut pas son prix / Ma fille adore cette tasse""",
    "es": """
        Muy buena calidad, lo recomiendo / Llegó roto y tardaron en contestar
        Es más pequeño de lo que esperaba / No vale lo que cuesta""",
    "zh": """
        很好用 / 质量不错，推荐 / 收到货了，包装很好 / 有点小，退货了 / 颜色和图片不一样
        物流很快，下次还来 / 不值这个价 / 给妈妈买的，她很喜欢 / iPhone 的手机壳，很合适
        做工粗糙，不推荐 / 燈很漂亮，送禮很適合 / 用了两天就坏了 / 尺码偏大，建议买小一号
        客服态度很好👍 / 味道有点大""",
}


def test_short_reviews_are_right_or_unknown():
    found = Counter(
        (code, language_of(text.strip()))
        for code, texts in REVIEWS.items()
        for text in texts.strip().replace("\n", "/").split("/")
    )
    right = sum(count for (code, said), count in found.items() if said == code)
    unknown = sum(count for (_, said), count in found.items() if said == UNKNOWN_LANGUAGE)
    assert (right, unknown, found.total()) == (46, 4, 50)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "und"),
        ("ok 5/5 👍", "und"),
        ("とても良い", "ja"),
        ("아주 좋아요", "ko"),
        ("<b>这个</b> {item} https://shop.example/lamp-for-the-desk", "zh"),
        ("Only today: {item} for {price}, only while it lasts", "en"),
    ],
)
def test_scripts_markup_and_placeholders(text, code):
    assert language_of(text) == code
