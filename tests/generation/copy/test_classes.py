"""Word classes are read with all their forms, and patterns are composed of them."""

import re

import pytest

from generation.copy.classes import alternation, checked, expand, read_classes
from generation.copy.factors import factors
from generation.copy.packs import read_packs
from generation.copy.patterns import compiled


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("cure~", {"cure", "cures", "cured", "curing"}),
        ("stop~", {"stop", "stops", "stopped", "stopping"}),
        ("carry~ on", {"carry on", "carries on", "carried on", "carrying on"}),
        ("allergy+, virus+", {"allergy", "allergies", "virus", "viruses"}),
        ("治, 根治,\n治好", {"治", "根治", "治好"}),
        ("{other}, three", {"one", "two", "three"}),
    ],
)
def test_a_class_holds_every_form_of_its_words(written, words):
    assert set(read_classes({"other": "one, two", "this": written})["this"]) == words


@pytest.mark.parametrize("written", ["{this}", "{missing}"])
def test_a_class_that_names_none_or_itself_is_refused(written):
    with pytest.raises(ValueError, match="class"):
        read_classes({"this": written})


def test_a_pattern_with_an_unknown_class_or_a_bad_expression_is_refused():
    with pytest.raises(ValueError, match="illness"):
        checked("{illness} gone", {}, "en")
    with pytest.raises(re.error):
        checked("(", {}, "en")


@pytest.mark.parametrize("words", [["a", "ab", "abc", "b"], ["cures", "cure", "cured"], ["x"]])
def test_a_tree_of_words_matches_each_of_them_and_nothing_else(words):
    tree = re.compile(alternation(words))
    assert all(tree.fullmatch(word) for word in words)
    assert not tree.fullmatch("c")
    assert not tree.fullmatch("abcd")


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("en", "cures cancer", True),
        ("en", "cures, says who, cancer", True),
        ("en", "cures one two three cancer", False),
        ("en", "cures 12", False),
        ("zh", "治好癌", True),
        ("zh", "治好了这癌", True),
        ("zh", "治好了这些怪癌", False),
    ],
)
def test_a_gap_lets_so_many_words_or_characters_stand_between(language, text, found):
    classes = {"cure": ("cures", "治好"), "illness": ("cancer", "癌")}
    pattern = re.compile(expand("{cure}<2>{illness}", classes, language))
    assert bool(pattern.search(text.replace(",", " "))) is found


@pytest.mark.parametrize(
    ("pattern", "needed"),
    [
        ("{cure}<3>{illness}", {frozenset({"heal"}), frozenset({"flu"})}),
        ("{cure}?<3>{illness}", {frozenset({"flu"})}),
        ("last chance", {frozenset({"lastchance"})}),
        ("(?:last|final) (?:day|week)", {frozenset({"last", "final"}), frozenset({"day", "week"})}),
        ("(?:last|\\d) (?:day)?", set()),
        ("only \\d+ left(?! turn)", {frozenset({"only"}), frozenset({"left"})}),
        ("colou?r", {frozenset({"colo"})}),
        ("[ab]c|de", set()),
    ],
)
def test_what_a_text_must_hold_for_a_pattern(pattern, needed):
    assert factors(pattern, {"cure": ("heal",), "illness": ("flu",)}) == needed


def test_every_class_is_named_by_a_pattern():
    """A class that no pattern names finds nothing."""
    packs: dict[str, tuple[set[str], set[str]]] = {}
    for rule in read_packs().rules:
        there, named = packs.setdefault(rule.pack, (set(), set()))
        there |= set(rule.classes)
        named |= {name for pattern in rule.patterns for name in re.findall(r"{([a-z_]+)}", pattern)}
    assert {pack: there - named for pack, (there, named) in packs.items() if there - named} == {}


def test_exemptions_compile():
    for rule in read_packs().rules:
        if rule.exempt:
            compiled(rule.exempt, rule)
