"""The verifier: what the facts hold passes, anything else is refused, however it is written."""

import pytest

from generation.copy.claims import promotes
from generation.copy.copywriter import Message, Reader
from generation.copy.verify import Verifier
from generation.copy.vocabulary import Vocabulary
from tests.generation.shelf import BAG, MUG

VERIFIER = Verifier(Vocabulary.of(["Jumbo bag pink polkadot", "Kestrel", "蓝色陶瓷杯"], []))


def rules(text, facts=BAG, reader=None):
    return {finding.rule for finding in VERIFIER.check_text(text, facts, reader)}


@pytest.mark.parametrize(
    "text",
    [
        "Lunch bag red spotty: now £4.95, was £6.50.",
        "Save £1.55 (23% off).",
        "Twenty-three percent off!",
        "４.９５ pounds",
        "Only three left, until 9 December.",
        "Order by 9th December 2026.",
        "37 people bought it in the last 30 days.",
        "Rated 4.6 out of 5.",
        "Most bought in bag.",
        "Reviewers praise its quality.",
        'One of them says: "Very sturdy and well made".',
        "Pieces: 12. Colour: red. In red cotton.",
        "Just in.",
        "原价£6.50，现价£4.95，12月9日截止",
        "7.7折，立减£1.55",
        "仅剩三件",
        "近30天有37人买了它",
        "评分4.6分，质量获得好评",
        "颜色：red。件数：12。",
    ],
)
def test_what_the_facts_hold_passes(text):
    assert rules(text) == set()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Only £4.59", "price"),
        ("Now ￡６.５０", "price"),
        ("four pounds", "price"),
        ("$4.95", "currency"),
        ("495 pence", "currency"),
        ("was £6.95", "list price"),
        ("save £2.55", "saving"),
        ("twenty-five percent off", "discount"),
        ("half price", "discount"),
        ("五折", "discount"),
        ("百分之二十五的优惠", "discount"),
        ("Only 4 left", "stock"),
        ("Ends at midnight.", "claim.moment"),
        ("仅剩五件", "stock"),
        ("僅剩两件", "stock"),
        ("until 10 December", "deadline"),
        ("12月31日截止", "deadline"),
        ("十二月三十一日截止", "deadline"),
        ("rated 4.9", "rating"),
        ("3,000 people bought it in the last 30 days", "buyers"),
        ("37 people bought it today", "buyers"),
        ("37 people are looking at it", "buyers"),
        ("a set of 24", "number"),
        ("Pieces: 13", "attribute"),
        ("Material: polyester", "attribute"),
        ("Only 3 days left", "claim.moment"),
        ("Ends tonight", "claim.moment"),
        ("by sunday", "claim.moment"),
        ("今天最后一天", "claim.moment"),
        ("The best bag ever", "claim.superlative"),
        ("最好的包", "claim.superlative"),
        ("全网第一", "claim.superlative"),
        ("for under £4.95", "claim.never"),
        ("低至£4.95", "claim.never"),
        ("free delivery", "claim.never"),
        ("全场包邮", "claim.never"),
        ("Reviewers praise its size", "claim.review"),
        ("尺寸获得好评", "claim.review"),
        ("in soft velvet", "claim.property"),
        ("a blue one", "claim.property"),
        ("by Kestrel", "name.foreign"),
        ("with pink polkadot", "name.foreign"),
        ("配陶瓷杯", "name.foreign"),
        ("Ask for Penfold", "name.foreign"),
        ('"It changed my life"', "quote"),
        ("you looked at it", "claim.viewed"),
        ("it is in your basket", "claim.cart"),
        ("你买过它", "claim.bought"),
        ("because you like gardens", "claim.likes"),
        ("see www.shop.example", "link"),
        ("now {price}", "slot"),
    ],
)
def test_what_they_do_not_hold_is_refused(text, rule):
    assert rule in rules(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Only a few left", "claim.scarcity"),
        ("数量有限", "claim.scarcity"),
        ("available until then", "claim.deadline"),
        ("限时", "claim.deadline"),
        ("a favourite of many", "claim.social_proof"),
        ("爆款", "claim.social_proof"),
        ("on sale", "claim.discount"),
        ("特价", "claim.discount"),
        ("a new arrival", "claim.new"),
        ("Most bought in mug", "claim.leader"),
        ("highly rated", "claim.rating"),
        ("customers say it is good", "claim.review"),
    ],
)
def test_a_claim_needs_its_evidence(text, rule):
    assert rule in rules(text, MUG)


@pytest.mark.parametrize(
    ("text", "reader"),
    [
        ("You looked at it.", Reader(met="view")),
        ("It is in your basket.", Reader(met="cart")),
        ("You bought it before.", Reader(met="purchase")),
        ("Because you like our bag shelf.", Reader(likes=("bag",))),
        ("You bought Jumbo bag pink polkadot.", Reader(similar="Jumbo bag pink polkadot")),
    ],
)
def test_what_is_said_of_the_reader_must_be_so(text, reader):
    assert rules(text, reader=reader) == set()
    assert rules(text) != set()


def test_an_item_that_another_bought_with_is_not_the_item_itself():
    reader = Reader(similar="Jumbo bag pink polkadot")
    assert "claim.bought" in rules("You bought Lunch bag red spotty.", reader=reader)


def test_the_span_is_that_of_the_text_as_it_was_written():
    text = "Yours: twenty\u200b-five  percent off"
    (finding,) = [f for f in VERIFIER.check_text(text, BAG) if f.rule == "discount"]
    assert text[finding.begin : finding.end] == finding.words
    assert finding.words.startswith("twenty\u200b-five")
    assert finding.why == "the facts have 23"


@pytest.mark.parametrize(
    "text", ["A steal.", "Postage is on us.", "再不买就没了。", "邮费我们出。"]
)
def test_a_claim_in_new_words_is_refused_where_the_vocabulary_is_closed(text):
    from dataclasses import replace

    from generation.copy.gather import verifier_for

    verifier = verifier_for([BAG, MUG])
    assert list(verifier.check_text(text, BAG)) == []
    assert list(replace(verifier, closed=True).check_text(text, BAG)) != []


def test_a_message_must_name_its_item():
    message = Message("Lunch bag red", "Now £4.95.", "", "en", "plain", "20725", "x", "y")
    assert [finding.rule for finding in VERIFIER.check(message, BAG)] == ["name.missing"]


def test_a_title_may_hold_words_that_would_be_claims():
    from dataclasses import replace

    mug = replace(MUG, title="Best mum mug set of 4")
    assert rules("Best mum mug set of 4: £1,204.50", mug) == set()
    assert "claim.superlative" in rules("The best: Best mum mug set of 4", mug)


def test_a_brand_that_is_a_claim_excuses_nothing():
    from dataclasses import replace

    assert "claim.superlative" in rules("Best price", replace(MUG, brand="Best"))


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("Filed under basket.", {"category": "basket"}),
        ("Straight from the basket shelf", {"category": "basket"}),
        ("Lunch bag red spotty by Best.", {"brand": "Best"}),
        ("归在“购物车”。品类：购物车。", {"category": "购物车"}),
        ("唯一lunch bag red spotty，品牌：唯一。", {"brand": "唯一"}),
    ],
)
def test_a_brand_or_category_that_is_a_claim_may_be_named_as_what_it_is(text, facts):
    from dataclasses import replace

    assert rules(text, replace(BAG, **facts)) == set()


@pytest.mark.parametrize(
    ("text", "rule", "facts"),
    [
        ("Still in basket.", "claim.cart", {"category": "basket"}),
        ("Your basket is waiting", "claim.cart", {"category": "basket"}),
        ("Best, by Best.", "claim.superlative", {"brand": "Best"}),
        ("购物车里有它", "claim.cart", {"category": "购物车"}),
    ],
)
def test_and_says_nothing_elsewhere(text, rule, facts):
    from dataclasses import replace

    assert rules(text, replace(BAG, **facts)) == {rule}


@pytest.mark.parametrize(
    ("category", "promotion"),
    [
        *[(name, True) for name in ("Clearance", "New in", "The sale shop", "Top 100", "Under £5")],
        *[(name, True) for name in ("特价专区", "限量款", "热销", "优惠券")],
        *[(name, False) for name in ("basket", "rare books", "free from", "Christmas", "购物车")],
        *[(name, False) for name in ("bag", "进口食品", "手工皂", "杯壶", "", "4")],
    ],
)
def test_copy_does_not_speak_of_a_category_that_is_a_promotion(category, promotion):
    from dataclasses import replace

    assert promotes(category) == promotion
    assert "category" not in replace(BAG, category=category).slots("en") or not promotion
