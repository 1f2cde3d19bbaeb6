"""What moderation refuses, what it lets pass, where it points, and that it fails closed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from generation.copy.moderation import CLAIMS, Moderator
from generation.copy.packs import PACKS, WANTED, read_packs


@pytest.fixture(scope="module")
def moderator() -> Moderator:
    return Moderator.standard()


def rules(moderator: Moderator, text: str) -> set[str]:
    return {finding.rule for finding in moderator.moderate(text).findings}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("全网最低价，今天开抢", "zh.promotion.price"),
        ("全 网·最🔥低，今天开抢", "zh.promotion.price"),
        ("國家級品質", "zh.absolute.grade"),
        ("国家ji品质", "zh.absolute.grade"),
        ("zui好吃的面", "zh.absolute.superlative"),
        ("罪低价来袭", "zh.absolute.superlative"),
        ("第①品牌", "zh.absolute.first"),
        ("行业第*品牌", "zh.absolute.first"),
        ("仅剩三件", "zh.promotion.scarcity"),
        ("最后一天", "zh.promotion.deadline"),
        ("沙比才不买", "zh.profanity.abuse"),
        ("女人就该做饭", "zh.discrimination.slur"),
        ("三天见效的药膏", "zh.promise.medical"),
        ("保 本 保 息", "zh.promise.financial"),
        ("The best kettle in town", "en.absolute.superlative"),
        ("The b.e.s.t kettle", "en.absolute.superlative"),
        ("The beeeest kettle", "en.absolute.superlative"),
        ("Ｎｏ．１ kettle", "en.absolute.first"),
        ("G u a r a n t e e d  l o w e s t  p r i c e", "en.promotion.price"),
        ("0nly 2 l3ft in st0ck", "en.promotion.scarcity"),
        ("O-n-l-y 2 left", "en.promotion.scarcity"),
        ("Last chаnce", "en.promotion.deadline"),  # Cyrillic а
        ("sh*t", "en.profanity.abuse"),
        ("f u c k", "en.profanity.abuse"),
        ("W0men c@n't drive", "en.discrimination.slur"),
        ("Cures ec z ema", "en.promise.medical"),
        ("R1sk fr33 investment", "en.promise.financial"),
        ("ring 138 0013 8000", "personal.phone"),
        ("ring 一三八零零一三八零零零", "personal.phone"),
        ("write to j o h n @ e x a m p l e . c o m", "personal.email"),
        ("write to john [at] example [dot] com", "personal.email"),
        ("card 4111-1111-1111-1111", "personal.bank_card"),
        ("身份证11010519491231002X", "personal.identity"),
        ("寄到朝阳区建国路93号8号楼1203室", "personal.address"),
        ("加微信shop8888", "personal.account"),
    ],
)
def test_what_breaks_a_rule_is_refused(moderator, text, rule):
    assert rule in rules(moderator, text)


@pytest.mark.parametrize(
    "text",
    [
        "第一眼就喜欢",
        "第一时间通知你",
        "最近上新",
        "最佳食用期为七天",
        "顾客第一",
        "他妈妈做的面",
        "姑妈的生日",
        "空中风筝",
        "生日你有一张券",
        "客服热线400-820-8820",
        "Best before date on the lid",
        "First-class postage",
        "The lowest shelf",
        "Free-range eggs from Essex",
        "Scunthorpe and Penistone by train",
        "12 ASS ZINC CHRISTMAS DECORATIONS",
        "Crested tit bird box",
        "Dinner al fresco",
        "Call our helpline on 0800 123 456",
        "Cure your own bacon",
        "Make the most of the sun",
        "售价4.38元一件",
        "带走4个收纳盒",
    ],
)
def test_innocent_texts_pass(moderator, text):
    assert rules(moderator, text) == set()


def test_a_finding_points_at_the_text_as_written(moderator):
    text = "今天 全\u200b网 最 低 价！"
    finding = next(f for f in moderator.moderate(text).findings if f.rule == "zh.promotion.price")
    assert text[finding.start : finding.end] == finding.found == "全\u200b网 最 低 价"
    assert finding.pack.startswith("promotion_zh 20")


def test_a_verdict_as_json(moderator):
    verdict = moderator.moderate("Last chance").to_mapping()
    assert set(verdict) == {"text", "approved", "rules"}
    assert verdict["approved"] is False
    assert verdict["rules"][0]["rule"] == "en.promotion.deadline"
    assert moderator.moderate("Hello").to_mapping() == {
        "text": "Hello",
        "approved": True,
        "rules": [],
    }


def test_evidence_lifts_the_claims_that_it_proves_and_no_others(moderator):
    text = "Only 2 left. Last chance"
    left = {f.rule for f in moderator.moderate(text, ("scarcity",)).findings}
    assert left == {"en.promotion.deadline"}
    assert moderator.moderate(text, CLAIMS).approved
    assert not moderator.moderate("shit, only 2 left", CLAIMS).approved


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"caf\xe9", "text.undecodable"),
        ("\ud800 hello", "text.undecodable"),
        ("  ", "text.empty"),
        ("Лучшая цена, только сегодня", "text.script"),
        ("أفضل سعر", "text.script"),
        ("a" * 6000, "text.long"),
    ],
)
def test_what_can_not_be_judged_is_refused(moderator, text, rule):
    assert rules(moderator, text) == {rule}


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PACKS, tmp_path / "packs"))


HEAD = '[pack]\nversion = "{}"\nlanguage = "zh"'


def changed(old: str, new: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda file: file.unlink(), "pack.missing"),
        (lambda file: file.write_text("not toml ["), "pack.broken"),
        (lambda file: file.write_bytes(b"\xff\xfe"), "pack.broken"),
        (lambda file: file.write_text(HEAD.format("soon")), "pack.broken"),
        (lambda file: file.write_text(HEAD.format("2026-01-01")), "pack.empty"),
        (changed('"block"', '"mild"'), "pack.broken"),
        (changed("patterns = [", 'patterns = ["(",'), "pack.broken"),
    ],
)
def test_without_its_packs_nothing_is_approved(packs, change, rule):
    change(packs / "profanity_zh.toml")
    verdict = Moderator.of(packs).moderate("Hello")
    assert {finding.rule for finding in verdict.findings} == {rule}
    assert verdict.blocked


def test_no_packs_at_all_approve_nothing(tmp_path):
    assert not Moderator.of(tmp_path).moderate("Hello").approved


def test_the_packs_are_whole_and_every_rule_says_why():
    packs = read_packs()
    assert packs.problems == ()
    assert set(packs.versions) == set(WANTED)
    for rule in packs.rules:
        assert rule.says, rule.id
        assert rule.source, rule.id
        assert rule.evidence is None or rule.evidence in CLAIMS, rule.id
        assert rule.language in ("zh", "en", "any"), rule.id


def test_every_term_is_found_where_it_stands_alone(moderator):
    """Exemptions and boundaries must not make a term unreachable by any text."""
    lost = [
        (rule.id, term)
        for rule in read_packs().rules
        for term in rule.terms
        if moderator.moderate(f"{term.strip('*')}").approved
    ]
    assert lost == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("The clock's ticking on these boots", "en.promotion.deadline"),
        ("联系QQ 八八六四二一三五", "personal.account"),
        ("My Insta is @potter_jo_91", "personal.account"),
        ("Ring oh seven nine double one, one two three, four five six", "personal.phone"),
        ("One two three four five six seven eight nine ten, a counting book", None),
        ("Batch 20260114-07, tested in March", None),
        ("Sort by line 12, then sign", None),
    ],
)
def test_what_is_found_by_its_form(text, rule):
    found = {finding.rule for finding in Moderator.standard().moderate(text).findings}
    assert rule in found if rule else not found
