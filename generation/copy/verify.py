"""Refuses every text that says more of an item than its facts hold, in English and Chinese.

What the facts hold literally (title, brand, category, attributes) is blanked first. In what is
left, every number must be a fact's, every claim must have its evidence (`Facts.evidence`), and no
name, property or quotation may come from elsewhere. What can't be explained is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from generation.copy.amounts import amounts
from generation.copy.aspects import aspects_named
from generation.copy.claims import any_claim, claims, is_claim
from generation.copy.copywriter import Message, Reader
from generation.copy.facts import Facts
from generation.copy.formatting import MONTHS, tidy
from generation.copy.labels import LABELS, labels_of
from generation.copy.reading import GONE, OWNED, Reading, in_digits, normalised
from generation.copy.vocabulary import Vocabulary

EVIDENCED = ("scarcity", "deadline", "social_proof", "discount", "new", "rating")
"""Claims that are held by evidence of the same name."""
_MET = {"viewed": ("view", "cart", "purchase"), "cart": ("cart",), "bought": ("purchase",)}
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'’-]*")
_HAN = re.compile(r"[\u3400-\u9fff]")
_QUOTED = re.compile(r'"([^"]+)"|「([^」]{2,})」|«([^»]{2,})»|《([^》]{2,})》|『([^』]{2,})』')
_SENTENCE_START = re.compile(r"(?:^|[.!?…:;。！？：；\n–—•|·]|\ue000|\ue001)[\s\"'(]*$")
_LINK = re.compile(
    r"https?://|www\.|\b[\w.-]+@[\w.-]+|\b[a-z0-9-]+\.(?:com|net|org|cn|shop|co)\b", re.I
)
_SLOT = re.compile(r"\{[^{}]*\}?|<[A-Za-z_/][^<>]*>|\[[A-Z_]{2,}\]|\bNone\b|\bnan\b")
_FRAMES = (
    *("under ", "by ", "from ", "under the ", "from the ", "like our ", "look at "),
    *("brand: ", "category: ", "department: ", '"', "品牌是", "牌子是", "品牌:", "分类:", "品类:"),
)
"""What tells a brand's or category's name from a claim in the same words."""
_ALWAYS = frozenset({"I", "I'm", "I've", "OK"})


@dataclass(frozen=True)
class Finding:
    """One thing that a text says and the facts do not."""

    rule: str
    """such as `price`, `claim.scarcity`, `name.foreign`"""
    field: str
    """title, body or description; "" where it is the whole message"""
    begin: int
    end: int
    """span of the offending words in the field"""
    words: str
    why: str
    """what the facts say instead, in one line"""


@dataclass(frozen=True)
class Verifier:
    """Compares texts with facts."""

    vocabulary: Vocabulary | None = None
    """the catalogue's words; with it, a word of another item's title is a wrong name"""
    closed: bool = False
    """whether words that are not `vocabulary.plain` and no fact's are refused: for free writers,
    whose claims in new words no pattern knows"""

    def check(
        self, message: Message, facts: Facts, reader: Reader | None = None
    ) -> tuple[Finding, ...]:
        """What is wrong with a message; nothing is where it may leave.

        reader: who it is for; None: anybody, of whom nothing may be said.
        """
        reader = reader or Reader()
        fields = {"title": message.title, "body": message.body, "description": message.description}
        found = [
            finding
            for name, text in fields.items()
            for finding in self.check_text(text, facts, reader, name)
        ]
        name = _folded(facts.title)
        if not name or name not in _folded(f"{message.title}\n{message.body}"):
            why = "neither title nor body names it" if name else "the item has no title"
            found.append(Finding("name.missing", "", 0, 0, facts.title, why))
        return tuple(found)

    def check_text(
        self, text: str, facts: Facts, reader: Reader | None = None, field: str = "body"
    ) -> Iterator[Finding]:
        """What one text says that the facts do not hold."""
        reader = reader or Reader()
        whole = normalised(text)

        def finding(reading: Reading, begin: int, end: int, rule: str, why: str) -> Finding:
            span = reading.span(begin, end)
            return Finding(rule, field, *span, text[span[0] : span[1]], why)

        for match in _SLOT.finditer(whole.text):
            yield finding(whole, *match.span(), "slot", "a slot that nothing has filled")
        for match in _LINK.finditer(whole.text):
            yield finding(whole, *match.span(), "link", "an address, which a text may not hold")
        rest = whole.replaced(_labelled(facts), lambda match: GONE)
        for match in _mislabelled(facts).finditer(rest.text):
            yield finding(rest, *match.span(), "attribute", "the item's attribute is another")
        if reader.similar and reader.similar != facts.title:
            rest = rest.replaced(_any_of((reader.similar,), ""), lambda match: OWNED)
        rest = rest.replaced(_held(facts, reader), lambda match: GONE)
        for match in _QUOTED.finditer(rest.text):
            words = next(group for group in match.groups() if group)
            # The facts' own words in quotation marks are one character by now.
            if len(words) > 1 and not any(words in aspect.quote for aspect in facts.aspects):
                yield finding(rest, *match.span(), "quote", "no review says this")
        for begin, end in self._foreign(rest.text, facts):
            yield finding(rest, begin, end, "name.foreign", "the facts have no such name")
        rest = in_digits(rest)
        for begin, end, rule, why in _unheld(rest.text, facts, reader):
            yield finding(rest, begin, end, rule, why)

    def _foreign(self, text: str, facts: Facts) -> Iterator[tuple[int, int]]:
        """Words that are names, and none of this item's."""
        chinese, known = bool(_HAN.search(text)), facts.words
        for match in _LATIN.finditer(text):
            capital = match[0][0].isupper() and not _SENTENCE_START.search(text[: match.start()])
            name = (capital and match[0] not in _ALWAYS) or chinese
            if name and match[0].lower() not in known and not _of_number(text, match):
                yield match.span()
        if self.vocabulary is not None:
            yield from self.vocabulary.foreign(text, known)
            if self.closed:
                yield from self.vocabulary.unknown(text, known)


def _of_number(text: str, match: re.Match[str]) -> bool:
    """Whether a Latin word is a month's name or stands by a number, as a currency's code does."""
    if match[0][:3].title() in {month[:3] for month in MONTHS}:
        return True
    before, after = text[: match.start()].rstrip()[-1:], text[match.end() :].lstrip()[:1]
    return len(match[0]) <= 3 and match[0].isupper() and (before.isdigit() or after.isdigit())


def _unheld(text: str, facts: Facts, reader: Reader) -> Iterator[tuple[int, int, str, str]]:
    """Numbers and claims without a fact: span, rule, why."""
    language = "zh" if _HAN.search(text) else "en"
    for amount in amounts(text, facts):
        if not amount.held:
            yield amount.begin, amount.end, amount.kind, amount.why
    innocent = [
        match.span()
        for pattern in claims()["innocent"][language]
        for match in pattern.finditer(text)
    ]
    for kind, patterns in claims().items():
        if kind == "innocent":
            continue
        if not any_claim(kind, language).search(text):
            continue
        for pattern in patterns[language]:
            for match in pattern.finditer(text):
                begin, end = match.span()
                if any(first <= begin and end <= last for first, last in innocent):
                    continue
                why = _why_not(kind, match, facts, reader)
                if why:
                    yield begin, end, f"claim.{kind}", why


def _why_not(kind: str, match: re.Match[str], facts: Facts, reader: Reader) -> str:
    """Why a claim is not held; "" where it is."""
    if kind in EVIDENCED:
        return "" if kind in facts.evidence else f"the facts hold no evidence of {kind}"
    if kind == "leader":
        return "" if "superlative" in facts.evidence else "the facts do not say that it leads"
    if kind == "superlative" and _overlaps(match, "leader"):
        return ""
    if kind == "property":
        held = match[0].lower() in facts.said
        return "" if held else "no title, description or attribute says so"
    if kind == "review":
        return _why_no_review(match, facts)
    if kind == "bought" and OWNED in match.string[match.end() : match.end() + 2]:
        return ""
    if kind in _MET:
        return "" if reader.met in _MET[kind] else "nothing says that the reader did so"
    if kind == "likes":
        return "" if reader.likes or reader.similar else "nothing is known of the reader's taste"
    return "nothing in a log holds this"


def _overlaps(match: re.Match[str], kind: str) -> bool:
    """Whether a claim of that kind is made in the same words."""
    return any(
        other.start() < match.end() and match.start() < other.end()
        for patterns in claims()[kind].values()
        for pattern in patterns
        for other in pattern.finditer(match.string)
    )


def _why_no_review(match: re.Match[str], facts: Facts) -> str:
    """Why a sentence about reviews is not held: it must name praised aspects, and no other."""
    begin = max(match.string.rfind(mark, 0, match.start()) for mark in ".!?。！？\n") + 1
    ends = [place for mark in ".!?。！？\n" if (place := match.string.find(mark, match.end())) >= 0]
    sentence = match.string[begin : min(ends, default=len(match.string))].lower()
    named = aspects_named(sentence)
    praised = {aspect.name for aspect in facts.aspects if aspect.liked}
    if not praised:
        return "the facts hold no praise"
    if not named:
        return "it does not say what reviewers praise"
    return (
        "" if named <= praised else f"reviewers do not praise {', '.join(sorted(named - praised))}"
    )


def _held(facts: Facts, reader: Reader) -> re.Pattern[str]:
    """What stands in a text because a fact says so: names and attributes, longest first."""
    return _any_of(
        tuple(
            name
            for name in (
                facts.title,
                facts.named_brand,
                facts.category,
                *facts.attributes.values(),
                *reader.likes,
            )
            if name
        ),
        facts.title,
    )


@lru_cache(4096)
def _any_of(names: tuple[str, ...], title: str) -> re.Pattern[str]:
    kept = set()
    for name in names:
        read = normalised(name.strip()).text
        # Digits alone name nothing.
        if name == title and (len(read) > 3 or _LETTER.search(read)):
            kept.add(_bounded(read))
        elif _LETTER.search(read):
            # A brand called "Best" must not make every "best" innocent.
            kept.add(_named(read, title) if is_claim(read) else _bounded(read))
    return re.compile("|".join(sorted(kept, key=len, reverse=True)) or "(?!)", re.IGNORECASE)


def _named(name: str, title: str) -> str:
    """A brand or category whose name is a claim, where the words around it say what it names."""
    word, whole = _bounded(name), re.escape(normalised(title).text)
    before = "|".join(rf"(?<={re.escape(frame)})" for frame in _FRAMES)
    return rf"(?:{before}){word}|{word}(?= (?:shelf|name)\b|出品|\s*{whole})"


def _bounded(name: str) -> str:
    """A name as a pattern: where it ends in a Latin letter or a digit, a word ends there too."""
    before = "(?<![A-Za-z0-9])" if name[0].isascii() and name[0].isalnum() else ""
    after = "(?![A-Za-z0-9])" if name[-1].isascii() and name[-1].isalnum() else ""
    return f"{before}{re.escape(name)}{after}"


def _labelled(facts: Facts) -> re.Pattern[str]:
    """Attributes with their label, whose values may be bare numbers: `pieces: 12`, 件数：12."""
    return _labels_with(tuple(facts.attributes.items()))


@lru_cache(4096)
def _labels_with(attributes: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    pairs = [
        rf"{re.escape(normalised(label).text)}\s*:\s*{re.escape(normalised(value).text)}(?![\d.,]*\d)"
        for name, value in attributes
        for label in labels_of(name)
    ]
    return re.compile("|".join(pairs) or "(?!)", re.IGNORECASE)


def _mislabelled(facts: Facts) -> re.Pattern[str]:
    """Any attribute's label with a value after it: those that the facts hold are blank by now."""
    return _labels(tuple(facts.attributes))


@lru_cache(4096)
def _labels(names: tuple[str, ...]) -> re.Pattern[str]:
    labels = {text for name in (*names, *LABELS) for text in labels_of(name)} - {"For", "for"}
    any_label = "|".join(re.escape(text) for text in sorted(labels, key=len, reverse=True))
    return re.compile(
        rf"(?<![A-Za-z])(?:{any_label})\s*:\s*(?![\s{GONE}])[^.,;。，；]+", re.IGNORECASE
    )


def _folded(text: str) -> str:
    return tidy(normalised(text).text.lower())
