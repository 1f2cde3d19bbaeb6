"""Rule packs: dated TOML files of what copy may not say, and by which rule; and classifiers, for
what no rule names."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError

from generation.copy.classes import Classes, checked, named, read_classes
from generation.copy.classifier import Classifier

PACKS = Path(__file__).parent / "packs"
"""Where the packs that come with pushwise are."""
WANTED = (
    "absolute_en",
    "absolute_zh",
    "classifier_en",
    "classifier_zh",
    "discrimination_en",
    "discrimination_zh",
    "personal",
    "profanity_en",
    "profanity_zh",
    "promises_en",
    "promises_zh",
    "promotion_en",
    "promotion_zh",
)
"""Packs without which nothing is approved."""
SEVERITIES = ("block", "review")
_FIELDS = {
    "id",
    "language",
    "severity",
    "says",
    "source",
    "terms",
    "patterns",
    "exempt",
    "evidence",
    "detect",
}
_SPELLED = re.compile(r"(?<=[a-z]) (?:is|has)(?= )")
"""What an English term's "clock is ticking" has and "clock's ticking" has not."""
DETECTORS = ("email", "phone", "identity", "plate", "bank-card", "address", "account")


@dataclass(frozen=True)
class Rule:
    """One rule of a pack."""

    id: str
    """its name, such as zh.absolute.superlative"""
    language: str
    """zh, en or any"""
    severity: str
    """block: never; review: unless a person says why"""
    says: str
    """what is wrong, for whoever wrote the text"""
    source: str
    """the law, guide or custom behind it"""
    pack: str
    """the pack's name and date"""
    terms: tuple[str, ...] = ()
    """words and phrases; `*` at an end: the word may go on"""
    patterns: tuple[str, ...] = ()
    """regular expressions; in English ones a space is whatever stands between words, `{name}` is
    any word of a class, `<3>` up to three words or Chinese characters"""
    exempt: tuple[str, ...] = ()
    """regular expressions of innocent phrases: a find inside one is none"""
    evidence: str | None = None
    """the claim that lifts the rule where an item's facts hold it"""
    detect: str | None = None
    """kind of personal data that is found by its form"""
    classes: Classes = field(default_factory=dict)
    """the word classes of its pack"""

    def words(self) -> Iterator[str]:
        """Its terms, and the words of the classes that its patterns name."""
        yield from self.terms
        for name in {name for pattern in self.patterns for name in named(pattern)}:
            yield from self.classes[name]


@dataclass(frozen=True)
class Packs:
    """The rules, and what is wrong with the packs they come from."""

    rules: tuple[Rule, ...]
    """every rule of every pack that could be read"""
    classifiers: dict[str, Classifier]
    """language → its classifier"""
    versions: dict[str, str]
    """pack → its date"""
    problems: tuple[tuple[str, str], ...]
    """(pack.missing, pack.broken or pack.empty; the sentence that says what is wrong)"""


def read_packs(directory: Path = PACKS, wanted: Sequence[str] = WANTED) -> Packs:
    """All packs of a directory; what can't be read becomes a problem, never an exception."""
    rules: list[Rule] = []
    versions: dict[str, str] = {}
    problems: list[tuple[str, str]] = []
    classifiers: dict[str, Classifier] = {}
    files = (*directory.glob("*.toml"), *directory.glob("*.safetensors"))
    there = {file.stem: file for file in files}
    for name in sorted({*wanted, *there}):
        if name not in there:
            ending = "safetensors" if name.startswith("classifier") else "toml"
            problems.append(("pack.missing", f"{directory / name}.{ending} is not there"))
            continue
        try:
            if there[name].suffix == ".safetensors":
                classifier = Classifier.read(there[name])
                classifiers[classifier.language] = classifier
                versions[name] = classifier.version
                continue
            version, found = _read(there[name])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            problems.append(("pack.broken", f"{there[name]} can't be used: {error}"))
            continue
        if not found:
            problems.append(("pack.empty", f"{there[name]} holds no rule"))
        versions[name] = version
        rules += found
    names = [rule.id for rule in rules]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(("pack.broken", f"the rule {name} is there more than once"))
    return Packs(tuple(rules), classifiers, versions, tuple(problems))


def _read(file: Path) -> tuple[str, list[Rule]]:
    whole = tomllib.loads(file.read_text(encoding="utf-8"))
    head = whole["pack"]
    version, language = str(head["version"]), str(head["language"])
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", version):
        raise ValueError(f"its version is {version!r}, which is no date")
    classes = read_classes(whole.get("class", {}))
    return version, [
        _rule(each, language, f"{file.stem} {version}", classes) for each in whole.get("rule", [])
    ]


def _rule(values: dict[str, object], language: str, pack: str, classes: Classes) -> Rule:
    name = str(values["id"])
    language = str(values.get("language", language))
    if unknown := set(values) - _FIELDS:
        raise ValueError(f"{name} has the unknown field {sorted(unknown)[0]!r}")
    if values["severity"] not in SEVERITIES:
        raise ValueError(f"{name} has the severity {values['severity']!r}: use block or review")
    terms = [part.strip() for part in re.split(r"[\n,]", str(values.get("terms", "")))]
    if language == "en":
        terms += [short for term in terms if (short := _SPELLED.sub("'s", term)) != term]
    rule = Rule(
        id=name,
        language=language,
        severity=str(values["severity"]),
        says=str(values["says"]),
        source=str(values["source"]),
        pack=pack,
        terms=tuple(filter(None, terms)),
        patterns=_texts(values, "patterns"),
        exempt=_texts(values, "exempt"),
        evidence=None if "evidence" not in values else str(values["evidence"]),
        detect=None if "detect" not in values else str(values["detect"]),
        classes=classes,
    )
    if not (rule.terms or rule.patterns or rule.detect):
        raise ValueError(f"{name} has neither terms nor patterns")
    if rule.detect is not None and rule.detect not in DETECTORS:
        raise ValueError(f"{name} detects {rule.detect!r}: use {', '.join(DETECTORS)}")
    for pattern in (*rule.patterns, *rule.exempt):
        try:
            checked(pattern, classes, language)
        except re.error as error:
            raise ValueError(f"{name} has the bad pattern {pattern!r}: {error}") from error
    return rule


def _texts(values: dict[str, object], field: str) -> tuple[str, ...]:
    """Strings of a list, or lines of a text."""
    found = values.get(field, [])
    lines = found.splitlines() if isinstance(found, str) else found
    if not isinstance(lines, list):
        raise TypeError(f"{values['id']}: {field} is no list")
    return tuple(line.strip() for line in map(str, lines) if line.strip())
