"""May this copy be sent? Rule packs against the text as written and against evasions.

    moderator = Moderator.standard()
    verdict = moderator.moderate("全 网 最 低 价")
    verdict.approved, [finding.rule for finding in verdict.findings]

Fails closed: without its packs, or where it can't read the text, nothing is approved, and a rule
(`pack.missing`, `pack.broken`, `pack.empty`, `text.undecodable`, `text.script`, `text.empty`) says
so.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from generation.copy.healing import Homophones, Misspellings
from generation.copy.matcher import Matcher, term_of
from generation.copy.normalise import HANZI, Form, fold, merge, squeeze
from generation.copy.packs import PACKS, WANTED, Packs, Rule, read_packs
from generation.copy.patterns import Patterns, compiled
from generation.copy.personal import DETECT
from generation.copy.readings import Reading, Vocabulary

BLOCK, REVIEW = "block", "review"
CLAIMS = ("scarcity", "deadline", "discount", "superlative")
"""Claims whose rules are lifted where an item's facts hold them (`Facts.evidence`)."""
SAYS = {
    "absolute": "an absolute claim",
    "discrimination": "discrimination",
    "personal": "what is known of a person",
    "profanity": "an insult",
    "promises": "a promise that can't be kept",
    "promotion": "an unproven offer",
}
"""What a classifier's kinds are in words."""
LONGEST = 5_000
"""Characters of the longest text that is read."""
_HAS_HANZI = re.compile(f"[{HANZI}]")
_LATIN = re.compile("[a-z]{2}")
_LETTER = re.compile(r"[^\W\d_]")
_FOREIGN = re.compile("[\u0370-\u1cff\u3040-\u30ff\ua4d0-\uabff\uac00-\ud7af]")
_UNREAD = re.compile("[\ufffd\ud800-\udfff\ue000-\uf8ff]")
_TITLE = re.compile("《[^》]{1,30}》")
_STRANGE = 0.3
"""Share of letters that are neither Latin nor Chinese from which on a text can't be judged."""


@dataclass(frozen=True)
class Finding:
    """One rule that a text breaks."""

    rule: str
    """the rule's id"""
    severity: str
    """block, or review: a person may approve it nevertheless and says why"""
    start: int
    """place of the first character in the text"""
    end: int
    """place behind the last one"""
    found: str
    """what stands there"""
    says: str
    """what is wrong"""
    source: str
    """the law, guide or custom behind the rule"""
    pack: str
    """the rule's pack and its date"""

    def to_mapping(self) -> dict[str, object]:
        """As JSON holds it."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "start": self.start,
            "end": self.end,
            "found": self.found,
            "says": self.says,
            "pack": self.pack,
        }


@dataclass(frozen=True)
class Verdict:
    """Whether a text may be sent, and why not."""

    text: str
    """the text as written"""
    findings: tuple[Finding, ...]
    """what it breaks, by place; the first place of each rule"""

    @property
    def approved(self) -> bool:
        """Nothing found."""
        return not self.findings

    @property
    def blocked(self) -> bool:
        """Whether no person may approve it as it is."""
        return any(finding.severity == BLOCK for finding in self.findings)

    def to_mapping(self) -> dict[str, object]:
        """As JSON holds it."""
        rules = [finding.to_mapping() for finding in self.findings]
        return {"text": self.text, "approved": self.approved, "rules": rules}


class _Compiled:
    """Rules as they are sought."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.matcher = Matcher([term_of(term, n) for n, r in enumerate(rules) for term in r.terms])
        numbered = list(enumerate(rules))
        self.chinese = Patterns([each for each in numbered if each[1].language == "zh"])
        self.other = Patterns([each for each in numbered if each[1].language != "zh"])
        self.detectors = [(n, rule.detect) for n, rule in numbered if rule.detect is not None]
        self.vocabulary = Vocabulary(
            text for rule in rules for text in (*rule.words(), *rule.patterns)
        )
        self.misspellings = Misspellings(self.vocabulary.words())
        self.homophones = Homophones(
            word for rule in rules if rule.language == "zh" for word in rule.words()
        )
        self.exempt = {n: compiled(rule.exempt, rule) for n, rule in numbered if rule.exempt}


class Moderator:
    """Rule packs, compiled at the first text; several threads may use one."""

    def __init__(self, packs: Packs) -> None:
        self.versions = dict(packs.versions)
        """pack → its date"""
        self._rules, self._classifiers = packs.rules, packs.classifiers
        self._problems = packs.problems

    @functools.cached_property
    def _compiled(self) -> _Compiled:
        return _Compiled(self._rules)

    @classmethod
    def standard(cls) -> Moderator:
        """With the packs that come with pushwise; read once."""
        return _standard()

    @classmethod
    def of(cls, directory: Path, wanted: Sequence[str] = WANTED) -> Moderator:
        """With the packs of a directory."""
        return cls(read_packs(directory, wanted))

    def moderate(self, text: str | bytes, evidence: Collection[str] = ()) -> Verdict:
        """Judge a text; `evidence` names claims that the item's facts hold (such as scarcity)."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", errors="replace")
        findings = [_system(name, text, says) for name, says in self._problems]
        findings += _unreadable(text)
        if not findings:
            findings += self._broken(text, evidence)
        return Verdict(text, tuple(findings))

    def _broken(self, text: str, evidence: Collection[str]) -> list[Finding]:
        plain, at = fold(text)
        form = squeeze(plain, at)
        chinese = _HAS_HANZI.search(form.text) is not None
        readings = self._compiled.vocabulary.readings(plain, at)
        if _LATIN.search(plain):
            readings += [
                healed
                for each in readings
                if (healed := self._compiled.misspellings.healed(each)) is not None
            ]
        first: dict[int, tuple[int, int]] = {}
        spans: list[tuple[int, int, int]] = list(self._compiled.matcher.find(text, form, chinese))
        for reading in readings[1:]:
            again = squeeze(reading.text, reading.at, reading.ends)
            spans += self._compiled.matcher.find_again(text, again, chinese)
        spans += self._matches(text, readings, form, chinese)
        for number, begin, end in spans:
            rule = self._rules[number]
            if rule.evidence is not None and rule.evidence in evidence:
                continue
            known = first.get(number, (len(text) + 1, 0))
            if (begin, -end) < (known[0], -known[1]) and not self._innocent(
                number, begin, end, plain, at, form
            ):
                first[number] = begin, end
        if not first:
            return self._suspected(text, readings[0], "zh" if chinese else "en", evidence)
        return sorted(
            (_finding(self._rules[number], text, *span) for number, span in first.items()),
            key=lambda finding: (finding.start, finding.rule),
        )

    def _suspected(
        self, text: str, reading: Reading, language: str, evidence: Collection[str]
    ) -> list[Finding]:
        """What the language's classifier takes a text for that breaks no rule."""
        classifier = self._classifiers.get(language)
        if classifier is None:
            return []
        found = classifier.suspicion(reading.text, evidence)
        if found is None:
            return []
        begin, end = reading.span(found.begin, found.end)
        return [
            Finding(
                f"{language}.classifier.{found.kind}",
                REVIEW,
                begin,
                end,
                text[begin:end],
                f"it reads like {SAYS[found.kind]}, at {found.probability:.0%}",
                "texts that were refused",
                f"classifier_{language} {classifier.version}",
            )
        ]

    def _matches(
        self, text: str, readings: Sequence[Reading], form: Form, chinese: bool
    ) -> Iterator[tuple[int, int, int]]:
        """Rule, begin and end of patterns and of personal data."""
        squeezed = [form, *(squeeze(each.text, each.at, each.ends) for each in readings[1:])]
        if chinese:
            merged = merge(form)
            forms = [*squeezed, *(() if merged is None else (merged,))]
            for other in forms:
                for number, begin, end in self._compiled.chinese.find(other.text, other.text):
                    yield number, *other.span(begin, end)
            base = form if merged is None else merged
            for other, sure in self._compiled.homophones.healed(text, base):
                least = 0 if sure else 2
                for number, begin, end in self._compiled.chinese.find(
                    other.text, other.text, least
                ):
                    yield number, *other.span(begin, end)
        for reading, letters in zip(readings, squeezed, strict=True):
            if _LATIN.search(reading.text):
                for number, begin, end in self._compiled.other.find(reading.text, letters.text):
                    yield number, *reading.span(begin, end)
            for number, kind in self._compiled.detectors:
                for begin, end in DETECT[kind](reading.text):
                    yield number, *reading.span(begin, end)

    def _innocent(
        self, number: int, begin: int, end: int, plain: str, at: Sequence[int], form: Form
    ) -> bool:
        """Whether the find belongs to a phrase that the rule exempts."""
        if self._rules[number].severity == REVIEW and _within_title(plain, begin, end, at):
            return True
        pattern = self._compiled.exempt.get(number)
        if pattern is None:
            return False
        if self._rules[number].language == "zh":
            spans = (form.span(*found.span()) for found in pattern.finditer(form.text))
        else:
            spans = ((at[m.start()], at[m.end() - 1] + 1) for m in pattern.finditer(plain))
        return any(begin < last and first < end for first, last in spans)


@functools.cache
def _standard() -> Moderator:
    return Moderator(read_packs(PACKS))


def _within_title(plain: str, begin: int, end: int, at: Sequence[int]) -> bool:
    """Whether a find is part of the title of a book, a song or a film."""
    return any(
        at[title.start()] < begin and end <= at[title.end() - 1] for title in _TITLE.finditer(plain)
    )


def _finding(rule: Rule, text: str, begin: int, end: int) -> Finding:
    return Finding(
        rule.id, rule.severity, begin, end, text[begin:end], rule.says, rule.source, rule.pack
    )


def _system(name: str, text: str, says: str) -> Finding:
    return Finding(name, BLOCK, 0, len(text), text, says, "fails closed", "none")


def _unreadable(text: str) -> list[Finding]:
    """What keeps a text from being judged at all."""
    if not text.strip():
        return [_system("text.empty", text, "there is no text")]
    if len(text) > LONGEST:
        return [_system("text.long", text[:80], f"it is longer than {LONGEST} characters")]
    if (found := _UNREAD.search(text)) is not None:
        return [
            Finding("text.undecodable", BLOCK, found.start(), found.end(), found[0],
                    "it is not UTF-8, or holds characters without meaning", "fails closed", "none")
        ]  # fmt: skip
    if not text.isascii() and len(_FOREIGN.findall(text)) > _STRANGE * len(_LETTER.findall(text)):
        return [_system("text.script", text, "its script is none that the rules are written in")]
    return []
