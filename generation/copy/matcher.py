"""Finds thousands of terms in a text's normal forms at once (Aho and Corasick, 1975)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import ahocorasick_rs as aho

from generation.copy.healing import AMOUNT, PARTICLES, common
from generation.copy.normalise import Form, collapse, fold, folded, is_hanzi, merge, squeeze
from generation.copy.readings import MASK as _MASK
from generation.copy.sounds import sounds

LONGEST_GAP = 6
"""Characters that may hide inside a Chinese term, and half of it inside a Latin one."""
LONG = 9
"""Letters from which on several words that are written as one are found inside a word."""
_SENTENCE = re.compile(r"[^\W\d]{3,}\.\s|\.\s+[A-Z]")
_STOPS = frozenset("!?;。！？；\n")
_DECIMAL = re.compile(r"\d[.,]\d")
"""Ends with a digit that is no number of its own: 1 折 is not in 7.1 折."""
_MASKED = re.compile(rf"\w[{_MASK}]+\w|[^\W\d_][{_MASK}]{{2,}}")
_COMMON = frozenset(
    re.findall(
        r"\w+",
        """
        a al am an and ant any are as at be big but by can car cat cap con cut den did do end
        fan far fat few fit for fox get go got had has he hen her hi him his hit hot how i if
        ill in ink is it its jar kin king lap let lie lip lit log lot man map mat me men met mid
        mum my net new nor not now nut of off oil old on one or our out own pan par pen per pet
        pin pit pot pro put ran rat red rest rip rise row run sat say see set she sit so son sun
        tan tap tar tea ten the tie tin to ton top try two up us use van war was way we web who
        why win with yes you your
        """,
    )
)
"""Words that stand side by side by chance, and so are no pieces of a longer one."""


@dataclass(frozen=True)
class Term:
    """A term in its squeezed form, n characters."""

    text: str
    """its characters (n,)"""
    gaps: frozenset[int]
    """where its second and later words begin"""
    open_start: bool
    """whether it may begin inside a word"""
    open_end: bool
    """whether it may end inside a word"""
    rule: int
    """whose term it is"""


def term_of(written: str, rule: int) -> Term:
    """A term as a pack writes it; `*` at an end: the word may go on there."""
    form = squeeze(*fold(written.strip("*")))
    gaps = frozenset(k for k, starts in enumerate(form.starts) if starts and k)
    return Term(form.text, gaps, written.startswith("*"), written.endswith("*"), rule)


class _Automaton:
    """Several terms may have the same key."""

    def __init__(self, keyed: Sequence[tuple[str, Term]]) -> None:
        self._terms: dict[str, list[Term]] = {}
        for key, term in keyed:
            self._terms.setdefault(key, []).append(term)
        self._keys = list(self._terms)
        self._search = aho.AhoCorasick(self._keys, implementation=aho.Implementation.DFA)

    def find(self, text: str) -> Iterator[tuple[Term, int, int]]:
        """Terms with begin and end."""
        for key, begin, end in self._search.find_matches_as_indexes(text, overlapping=True):
            for term in self._terms[self._keys[key]]:
                yield term, begin, end


class Matcher:
    """Terms, compiled for every form."""

    def __init__(self, terms: Sequence[Term]) -> None:
        terms = [term for term in terms if term.text]
        self._plain = _Automaton([(term.text, term) for term in terms])
        self._once = _Automaton([("".join(k for k, _ in _runs(t.text)), t) for t in terms])
        self._masked = _Automaton([pair for term in terms for pair in _masked(term)])
        spoken = [t for t in terms if len(t.text) > 1 and all(map(is_hanzi, t.text))]
        self._spoken = _Automaton(
            [(sounds().spoken(squeeze(*fold(term.text))).text, term) for term in spoken]
        )

    def find(self, text: str, form: Form, chinese: bool) -> Iterator[tuple[int, int, int]]:
        """Rule, begin and end in the text as written, of every term that is there."""
        yield from self.find_again(text, form, chinese, read=False)
        yield from self._repeated(text, form)
        if chinese:
            if _MASKED.search(text):
                yield from self._hidden(text, form)
            yield from self._split(text, form)
            yield from self._heard(text, form)

    def find_again(
        self, text: str, form: Form, chinese: bool, read: bool = True
    ) -> Iterator[tuple[int, int, int]]:
        """The same in another reading of the text, where only terms as they are count."""
        for term, begin, end in self._plain.find(form.text):
            if _stands(term, text, form, begin, end, read):
                yield term.rule, *form.span(begin, end)
        if read and chinese:
            yield from self._heard(text, form)

    def _repeated(self, text: str, form: Form) -> Iterator[tuple[int, int, int]]:
        collapsed = collapse(form)
        if collapsed is None:
            return
        once, runs = collapsed
        for term, begin, end in self._once.find(once.text):
            wanted = [count for _, count in _runs(term.text)]
            extra = [has - wants for has, wants in zip(runs[begin:end], wanted, strict=True)]
            longest = max(runs[begin:end])
            if min(extra) < 0 or max(extra) == 0 or (longest < 3 and len(wanted) < 4):
                continue
            if _ends_stand(term, once, begin, end) and _spread_fits(
                text, once, begin, end, _once_gaps(term), read=False
            ):
                yield term.rule, *once.span(begin, end)

    def _hidden(self, text: str, form: Form) -> Iterator[tuple[int, int, int]]:
        for term, begin, end in self._masked.find(form.text):
            missing = len(term.text) - (end - begin)
            first, last = form.at[begin], form.ends[end - 1]
            tail = len(text) - len(text[last:].lstrip(_MASK))
            written = text[first : max(last, tail)]
            bare = [sign for sign in written if sign in _MASK]
            if len(bare) != missing or len(written) != len(term.text):
                continue
            pattern = "".join("." if sign in _MASK else re.escape(folded(sign)) for sign in written)
            if re.fullmatch(pattern, term.text) and (
                is_hanzi(term.text[0]) or _ends_stand(term, form, begin, end)
            ):
                yield term.rule, first, max(last, tail)

    def _split(self, text: str, form: Form) -> Iterator[tuple[int, int, int]]:
        merged = merge(form)
        if merged is None:
            return
        for term, begin, end in self._plain.find(merged.text):
            first, last = merged.span(begin, end)
            whole = any(merged.ends[k] - merged.at[k] > 1 for k in range(begin, end))
            if whole and _stands(term, text, merged, begin, end, read=False):
                yield term.rule, first, last

    def _heard(self, text: str, form: Form) -> Iterator[tuple[int, int, int]]:
        spoken = sounds().spoken(form)
        counted = {place for found in AMOUNT.finditer(text) for place in range(*found.span())}
        for term, begin, end in self._spoken.find(spoken.text):
            if any(text[at].isdigit() and at in counted for at in spoken.at[begin:end]):
                continue
            same = latin = 0
            particle, rare = False, True
            for letter, first, last in zip(
                term.text, spoken.at[begin:end], spoken.ends[begin:end], strict=True
            ):
                written = folded(text[first]) if last - first == 1 else ""
                same += written == letter
                latin += not is_hanzi(written)
                if written != letter:
                    particle |= written in PARTICLES
                    rare &= not common(written)
            size = len(term.text)
            enough = same + latin > 0 if size > 3 else same > 0 or latin == size
            if size == 2:
                enough = same == 1 and (latin == 1 or rare)
            if same < size and enough and not particle and _spread(text, spoken, begin, end):
                yield term.rule, *spoken.span(begin, end)


def _runs(text: str) -> list[tuple[str, int]]:
    """Letters and how often each is repeated; of other characters each by itself."""
    out = []
    for letter, group in groupby(text):
        count = len(list(group))
        out += [(letter, count)] if "a" <= letter <= "z" else [(letter, 1)] * count
    return out


def _once_gaps(term: Term) -> frozenset[int]:
    """The term's gaps once its repeated letters are gone."""
    places, raw = {}, 0
    for place, (_, count) in enumerate(_runs(term.text)):
        places.update(dict.fromkeys(range(raw, raw + count), place))
        raw += count
    return frozenset(places[gap] for gap in term.gaps)


def _masked(term: Term) -> Iterator[tuple[str, Term]]:
    """What is left of a word of which some letters after the first are masked."""
    size = len(term.text)
    if not 3 <= size <= 16 or not is_hanzi(term.text[0]):
        return
    for begin in range(1, size):
        for end in range(begin + 1, size + 1):
            left = term.text[:begin] + term.text[end:]
            if len(left) >= 2:
                yield left, term


def _stands(term: Term, text: str, form: Form, begin: int, end: int, read: bool) -> bool:
    if not _ends_stand(term, form, begin, end):
        return False
    if _DECIMAL.fullmatch(text, max(form.at[begin] - 2, 0), form.at[begin] + 1):
        return False
    if read:
        letters = sum(text[place].isalpha() for place in form.at[begin:end])
        if 3 * letters < end - begin:
            return False
    return _spread_fits(text, form, begin, end, term.gaps, read)


def _ends_stand(term: Term, form: Form, begin: int, end: int) -> bool:
    """Whether it begins and ends with words, where it must; Chinese has no ends of words."""
    if term.gaps and end - begin >= LONG and "a" <= term.text[0] <= "z":
        return True
    begins = term.open_start or form.starts[begin]
    if begins and (term.open_end or form.begins(end)):
        return True
    if begins and form.text[end].isdigit() and len(term.text) > 3:
        return form.text[end - 1].isalpha()
    return False


def _spread_fits(
    text: str, form: Form, begin: int, end: int, gaps: frozenset[int], read: bool
) -> bool:
    """Whether what stands between its characters may be there."""
    pieces, spaced, piece = [], False, begin
    for place in range(begin + 1, end):
        if form.ends[place - 1] >= form.at[place] and not form.starts[place]:
            continue
        between = text[form.ends[place - 1] : form.at[place]]
        if is_hanzi(form.text[place]) or is_hanzi(form.text[place - 1]):
            if len(between) > LONGEST_GAP:
                return False
        elif place - begin in gaps:
            around = text[max(form.at[place] - len(between) - 3, 0) : form.at[place] + 1]
            if len(between) > LONGEST_GAP or _STOPS & {*between} or _SENTENCE.search(around):
                return False
        else:
            if len(between) > LONGEST_GAP // 2 or "\n" in between:
                return False
            if form.starts[place]:
                spaced |= any(sign.isspace() for sign in between)
                pieces.append(form.text[piece:place])
        if form.starts[place]:
            piece = place
    pieces.append(form.text[piece:end])
    if not spaced or all(len(part) == 1 for part in pieces):
        return True
    return not read and end - begin > 3 and not all(part in _COMMON for part in pieces)


def _spread(text: str, form: Form, begin: int, end: int) -> bool:
    return all(
        form.at[place] - form.ends[place - 1] <= LONGEST_GAP for place in range(begin + 1, end)
    )
