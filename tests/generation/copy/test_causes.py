"""Each cause of a violation is found in words that no list holds as they stand, and honest copy
that comes close to it passes; every disguise of a term is seen through."""

import numpy as np
import pytest

from benchmarks.evasions import BOTH
from generation.copy.moderation import Moderator
from generation.copy.packs import read_packs


@pytest.mark.parametrize(
    ("rule", "violation", "innocent"),
    [
        ("en.absolute", "No scone in Leeds is fluffier than ours", "No scone left behind: a jar"),
        ("en.absolute", "Outshines all other trowels", "Shines when polished"),
        ("zh.absolute", "水壶界的爱马仕", "水壶界面贴纸"),
        ("en.promotion", "48 bakers have this whisk in their basket", "A basket for 48 eggs"),
        ("en.promotion", "RRP £65, ours £20", "£20 a pair"),
        ("en.promotion", "Your voucher window closes tonight", "The shop window is lit tonight"),
        ("zh.promotion", "吊牌价498，到手59", "吊牌样式的书签"),
        ("zh.promotion", "九千位车主正在抢", "车主手册收纳袋"),
        ("zh.promotion", "戳这里领30元现金", "这里可以领取快递"),
        ("en.promise", "This balm banishes rosacea", "A balm with beeswax"),
        ("en.promise", "Surgeons swear by these clogs", "Clogs with a cork sole"),
        ("en.promise", "A pendant that attracts wealth", "A pendant in the shape of a coin"),
        ("zh.promise", "国务院专家研发的枕头", "荞麦枕头，可拆洗"),
        ("zh.promise", "摆上它，桃花自己找上门", "桃花图案的门帘"),
        ("en.profanity", "You gormless toad, order now", "A toad for the garden, in stone"),
        ("zh.profanity", "你这个蠢货还不下单", "你这个周末去哪"),
        ("en.discrimination", "Pensioners should keep out", "A stool for pensioners' bad knees"),
        ("en.discrimination", "So easy even your granny can do it", "Granny squares in wool"),
        ("zh.discrimination", "连保洁阿姨都看得懂", "保洁用长柄刷"),
        ("zh.discrimination", "月薪不过万的请绕道", "绕道施工的提示牌"),
        ("personal", "Rita Lowe still owes us for the lamp", "Rita is a rose with red blooms"),
        ("personal", "京A·8K2P9的车主请来取货", "车牌框，铝合金"),
        ("personal", "罗先生有糖尿病，爱喝这茶", "罗先生的茶杯"),
        ("personal", "sort code 20-11-33, account 40912873", "Sort the codes by colour"),
    ],
)
def test_a_cause_is_found_and_what_comes_close_passes(rule, violation, innocent):
    moderator = Moderator.standard()
    found = {finding.rule for finding in moderator.moderate(violation).findings}
    assert any(name.startswith(rule) for name in found), found
    passed = {finding.rule for finding in moderator.moderate(innocent).findings}
    assert not {name for name in passed if name.startswith(rule)}


def test_a_title_of_a_book_may_say_what_a_claim_may_not():
    moderator = Moderator.standard()
    assert moderator.moderate("《唯一》乐谱").approved
    assert not moderator.moderate("《乐谱》全国唯一").approved


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("Kures kanser", "en.promise.medical"),
        ("Haff prise todai", "en.promotion.price"),
        ("Ｏｕｔｓｈｉｎｅｓ ａｌｌ ｏｔｈｅｒ ｔｒｏｗｅｌｓ", "en.absolute.boundless"),
        ("B-a-n-i-s-h-e-s r-o-s-a-c-e-a", "en.promise.medical"),
        ("根质失棉", "zh.promise.medical"),
        ("全网最d价", "zh.promotion.price"),
    ],
)
def test_composed_rules_hold_in_disguise(written, rule):
    assert rule in {finding.rule for finding in Moderator.standard().moderate(written).findings}


def test_every_disguise_of_a_term_is_seen_through():
    """Of terms drawn with a seed, in each disguise of both languages; single words too short to
    tell from chance may pass where signs split them."""
    rng = np.random.default_rng(0)
    moderator = Moderator.standard()
    terms = [term for rule in read_packs().rules for term in rule.terms]
    long = [term for term in terms if len(term) > (3 if term.isascii() else 1) and "*" not in term]
    drawn = [long[k] for k in rng.choice(len(long), 60, replace=False)]
    lost = [
        (name, hidden)
        for term in drawn
        for name, evade in BOTH.items()
        if moderator.moderate(hidden := evade(term, rng)).approved
    ]
    assert lost == []
