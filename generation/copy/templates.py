"""Copy by slot templates: the bar that other copywriters have to beat, and what replaces them.

A push is put together of phrases: a title, a lead, what its style must say, one more fact, a
close. A phrase is chosen only where the facts fill its slots and what it says of the reader is so.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.resources import files

import numpy as np

from generation.copy.aspects import lexicon
from generation.copy.copywriter import Brief, Message, Reader
from generation.copy.facts import Facts
from generation.copy.labels import label
from generation.copy.repetition import repeats

_SLOT = re.compile(r"\{(\w+)\}")
_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_MEETING = re.compile(r"(?<=[A-Za-z0-9])\0+(?=[A-Za-z0-9])|(?<=[A-Za-z0-9]\0)\0(?=[A-Za-z0-9])")
CLAIM_OF = {
    **dict.fromkeys(("was", "saving", "percent", "tenths"), "discount"),
    "stock": "scarcity",
    "until": "deadline",
    "buyers": "social_proof",
    "rating": "rating",
    "rated": "rating",
    "leads": "superlative",
    "new": "new",
}
"""Slot or tag → the claim that a phrase with it makes."""
_SAME = {"like": "category", "category": "like"}
"""Slots that say the same."""
NEEDS_MUST = ("urgent", "discount", "social proof")
WORTH_SAYING = 4.0
"""The least rating, of five, that a push speaks of."""
SOON = timedelta(days=14)
"""A deadline that is further off is no news for a push; descriptions name it all the same."""
DRAWS = 12
"""Drafts of one text, until one repeats no three words."""


@dataclass(frozen=True)
class Phrase:
    """One line of a data file."""

    id: str
    """style, part and place, such as `urgent.lead.4`"""
    text: str
    slots: frozenset[str]
    tags: frozenset[str]
    """what must be so beside: of the reader (view, cart, purchase, likes) or the item"""

    @property
    def claims(self) -> frozenset[str]:
        """The claims that it makes; a praised aspect's is `review`."""
        found = {CLAIM_OF[name] for name in self.slots | self.tags if name in CLAIM_OF}
        return frozenset(found | ({"review"} if "aspect" in self.slots else set()))


@cache
def phrases(locale: str) -> dict[str, dict[str, tuple[Phrase, ...]]]:
    """Style → part → phrases, from `data/templates.LOCALE.toml`."""
    file = files("generation.copy") / "data" / f"templates.{locale}.toml"
    return {
        style: {
            part: tuple(_phrase(f"{style}.{part}.{n}", line) for n, line in enumerate(lines))
            for part, lines in parts.items()
        }
        for style, parts in tomllib.loads(file.read_text("utf-8")).items()
    }


def _phrase(name: str, line: str) -> Phrase:
    tags = frozenset(re.findall(r"^\[(\w+)\]", line))
    text = re.sub(r"^\[\w+\]\s*", "", line)
    return Phrase(name, text, frozenset(_SLOT.findall(text)), tags)


def plain_words(locale: str) -> list[str]:
    """Every phrase in every choice, without its slots: words that name no item."""
    return [
        _SLOT.sub(" ", re.sub("[你您]", you, text).replace("{aspect}", aspect))
        for parts in phrases(locale).values()
        for lines in parts.values()
        for phrase in lines
        for text in _choices(phrase.text)
        for you in ("你", "您")[: 1 + (locale == "zh")]
        for aspect in (lexicon(locale).labels.values() if "{aspect}" in text else ("",))
    ]


def _choices(text: str) -> list[str]:
    """A phrase in every choice that it has."""
    match = _CHOICE.search(text)
    if match is None:
        return [text]
    options = match[1].split("|")
    return [
        made
        for option in options
        for made in _choices(text[: match.start()] + option + text[match.end() :])
    ]


@dataclass(frozen=True)
class Templates:
    """The copywriter that fills slots."""

    name: str = "templates"
    """kept with each text"""

    def write(self, facts: Facts, brief: Brief, rng: np.random.Generator) -> Message:
        """A text in the style asked for, or in `plain` where the facts do not carry that style."""
        known = slots_for(facts, brief.reader, brief.locale, rng)
        tags = _tags(facts, brief.reader)
        style = _carried(brief, known, tags)
        for _ in range(DRAWS):
            draft = _Draft(known, tags, brief.locale, rng)
            draft.compose(style)
            if not repeats(f"{draft.title}\n{draft.body}"):
                break
        description = _description(facts, brief, facts.slots(brief.locale) | _aspect(known), rng)
        return Message(
            draft.title,
            draft.body,
            description,
            brief.locale,
            style,
            facts.item_id,
            self.name,
            " ".join(draft.used),
            tuple(sorted(draft.claims)),
        )


def slots_for(
    facts: Facts, reader: Reader, locale: str, rng: np.random.Generator
) -> dict[str, str]:
    """What fills slots: the facts, one attribute, one praised aspect, the reader's taste."""
    known = facts.slots(locale)
    if _names_brand(facts):
        known.pop("brand", None)
    liked = [aspect.name for aspect in facts.aspects if aspect.liked]
    if liked:
        known["aspect"] = lexicon(locale).labels[str(rng.choice(liked))]
    attributes = [(name, value) for name, value in facts.attributes.items() if value]
    if attributes:
        name, value = attributes[int(rng.integers(len(attributes)))]
        known["detail"] = f"{label(name, locale)}{'：' if locale == 'zh' else ': '}{value}"
    if known.get("category") in reader.likes:
        known["like"] = facts.category
    if facts.rating is not None and facts.rating < WORTH_SAYING:
        known.pop("rating", None)
    at, until = facts.at, facts.available_until
    if at is not None and until is not None and until - at > SOON:
        known.pop("until", None)
    if reader.similar and reader.similar != facts.title:
        known["similar"] = reader.similar
    return known


def _names_brand(facts: Facts) -> bool:
    """Whether the title says the brand itself: nobody says it twice."""
    return facts.named_brand.lower() in facts.title.lower()


def carried_style(facts: Facts, brief: Brief) -> str:
    """The style that a text has: the one asked for where the facts carry it, else `plain`."""
    known = slots_for(facts, brief.reader, brief.locale, np.random.default_rng(0))
    return _carried(brief, known, _tags(facts, brief.reader))


def _aspect(known: Mapping[str, str]) -> dict[str, str]:
    return {"aspect": known["aspect"]} if "aspect" in known else {}


def _tags(facts: Facts, reader: Reader) -> frozenset[str]:
    return frozenset(
        name
        for name, holds in (
            (reader.met, bool(reader.met)),
            ("likes", facts.slots("en").get("category") in reader.likes),
            ("similar", bool(reader.similar)),
            ("leads", "superlative" in facts.evidence),
            ("new", "new" in facts.evidence),
            ("several", facts.stock != 1),
            ("buyers", "social_proof" in facts.evidence),
            ("rated", (facts.rating or 0) >= WORTH_SAYING),
        )
        if holds
    )


def _fits(phrase: Phrase, known: Mapping[str, str], tags: frozenset[str]) -> bool:
    return phrase.slots <= known.keys() and phrase.tags <= tags


def _carried(brief: Brief, known: Mapping[str, str], tags: frozenset[str]) -> str:
    """The style asked for, where a phrase that it needs can be said; else `plain`."""
    parts = phrases(brief.locale)[brief.style]
    needed = "must" if brief.style in NEEDS_MUST else "lead"
    return brief.style if any(_fits(p, known, tags) for p in parts[needed]) else "plain"


class _Draft:
    """One text while it is put together."""

    def __init__(
        self,
        known: Mapping[str, str],
        tags: frozenset[str],
        locale: str,
        rng: np.random.Generator,
    ) -> None:
        self._known, self._tags, self._rng = known, tags, rng
        self._space = "" if locale == "zh" else " "
        self._of = phrases(locale)
        self._said: set[str] = set()
        self._you = str(rng.choice(["你", "您"]))
        self.used: list[str] = []
        self.claims: set[str] = set()
        self.title = self.body = ""

    def compose(self, style: str) -> None:
        parts, shared = self._of[style], self._of["any"]
        in_title = self._rng.random() < 0.6
        self.title = self._say(parts["title"], named=in_title)
        sentences = [self._say(parts["lead"], named="item" not in self._said)]
        must = style in NEEDS_MUST
        if must:
            sentences.append(self._say(parts["must"]))
        if self._rng.random() < (0.35 if must else 0.85):
            facts = shared["fact"]
            if style in ("plain", "warm"):
                facts = tuple(p for p in facts if p.claims <= {"new"})
            sentences.append(self._say(facts))
        if self._rng.random() < 0.85:
            pool = parts.get("close", shared["close"])
            sentences.append(self._say(pool))
        self.body = self._space.join(text for text in sentences if text)

    def _say(self, pool: Sequence[Phrase], named: bool | None = None) -> str:
        """One phrase of the pool that says nothing twice; "" where there is none.

        named: whether it must name the item (True) or must not (False).
        """
        fit = [
            phrase
            for phrase in pool
            if _fits(phrase, self._known, self._tags)
            and not phrase.slots & self._said
            and (named is None or ("item" in phrase.slots) == named)
        ]
        if not fit:
            return ""
        phrase = fit[int(self._rng.integers(len(fit)))]
        self._said |= phrase.slots | {_SAME[slot] for slot in phrase.slots if slot in _SAME}
        self.used.append(phrase.id)
        self.claims |= phrase.claims
        # One text says 你 or 您, not both.
        text = re.sub("[你您]", self._you, phrase.text)
        return fill(text, self._known, self._rng)


def fill(text: str, known: Mapping[str, str], rng: np.random.Generator) -> str:
    """A phrase with its choices made and its slots filled; begins with a capital."""

    def chosen(match: re.Match[str]) -> str:
        options = match[1].split("|")
        return options[int(rng.integers(len(options)))]

    while _CHOICE.search(text):
        text = _CHOICE.sub(chosen, text)
    # A brand and a title, a title and a number may meet without a space in Chinese.
    filled = _MEETING.sub(" ", _SLOT.sub(lambda match: f"\0{known[match[1]]}\0", text))
    filled = filled.replace("\0", "")
    return filled[:1].upper() + filled[1:]


def _description(
    facts: Facts, brief: Brief, known: dict[str, str], rng: np.random.Generator
) -> str:
    """Every fact in a sentence: all attributes that were asked for, in the order asked."""
    of = phrases(brief.locale)["description"]
    said: set[str] = set()
    sentences: list[str] = []

    def say(part: str, values: Mapping[str, str]) -> None:
        fit = [phrase for phrase in of[part] if phrase.slots <= values.keys()]
        if fit:
            phrase = fit[int(rng.integers(len(fit)))]
            said.update(phrase.slots)
            sentences.append(fill(phrase.text, values, rng))

    shown = {name: text for name, text in known.items() if name != "brand"}
    say("open", shown if _names_brand(facts) else known)
    for part in ("brand", "category"):
        if part not in said:
            say(part, known)
    for name in brief.attributes if brief.attributes is not None else tuple(facts.attributes):
        if facts.attributes.get(name):
            say(
                "attribute",
                {"label": label(name, brief.locale), "value": facts.attributes[name]},
            )
    for part in ("price", "discount", "rating", "review", "until"):
        say(part, known)
    return ("" if brief.locale == "zh" else " ").join(sentences)
