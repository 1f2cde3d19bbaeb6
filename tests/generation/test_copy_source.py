"""Sources, and how tokens become a text."""

import numpy as np
import pytest

from generation.copy.conditions import DESCRIPTION, PUSH, values_of
from generation.copy.copywriter import Brief, Reader
from generation.copy.source import FIELDS, Batch, Source, draft_of, placed, skeleton_of
from tests.generation.shelf import BAG, MUG

SLOTS = {"item": "Lunch bag red spotty", "price": "£4.95", "stock": "3", "brand": "Fern & Co"}


@pytest.mark.parametrize(
    "text",
    [
        "Lunch bag red spotty\nNow £4.95. Only 3 left!",
        "“Lunch bag red spotty” (£4.95), by Fern & Co",
        "Don't wait: Lunch bag red spotty's price is £4.95.",
        "£4.95 for Lunch bag red spotty",
    ],
)
def test_a_text_comes_back_from_its_skeleton(text):
    skeleton = skeleton_of(text, SLOTS)
    source = Source.of(SLOTS)
    assert skeleton is not None
    assert "{item}" in skeleton
    draft = draft_of(placed(skeleton, source), source)
    assert draft.text == text
    assert list(draft.skeleton) == skeleton


@pytest.mark.parametrize(
    "text", ["Lunch bag red spotty for 5 days", "Lunch bag red spotty\tfor you"]
)
def test_a_text_with_another_number_or_odd_spaces_has_no_skeleton(text):
    assert skeleton_of(text, SLOTS) is None


def test_conditions_are_never_taken_for_slots():
    skeleton = skeleton_of("plain as it is: £4.95", {**SLOTS, "style": "plain"})
    assert skeleton is not None
    assert "{style}" not in skeleton


def test_a_field_that_is_copied_in_part_or_out_of_order_shows():
    source = Source.of({"item": "Red hot mug", "price": "£2"})
    at = [n for n, field in enumerate(source.field) if FIELDS[field] == "item"]
    price = len(at)
    cut = draft_of([at[0], at[1], ".", price], source)
    assert cut.text == "Red hot. £2"
    assert cut.mentions == ["{item?}", "{price}"]
    mixed = draft_of([at[1], at[0], at[1], at[2]], source)
    assert mixed.mentions == ["{item?}", "{item}"]
    onward = draft_of([*at, price], source)
    assert onward.text == "Red hot mug £2"
    assert onward.mentions == ["{item}", "{price}"]


def test_only_facts_can_be_copied():
    source = Source.of(values_of(BAG, Brief("warm", reader=Reader(("bag",), "cart")), PUSH))
    batch = Batch.of([source, Source.of({"item": "Mug"})])
    copied = {FIELDS[f] for f, may in zip(source.field, batch.copyable[0], strict=False) if may}
    told = {FIELDS[field] for field in source.field}
    assert told - copied == {*("part", "style", "interest", "cart", "liked", "leads", "new")}
    assert not batch.copyable[1, 1:].any()


def test_what_is_not_known_is_not_told():
    values = values_of(MUG, Brief(), DESCRIPTION)
    assert {name for name, value in values.items() if value} == {
        "part", "style", "item", "category", "price"
    }  # fmt: skip


def test_a_description_is_told_all_attributes_and_a_push_one():
    names = [n for n in values_of(BAG, Brief(), DESCRIPTION) if n.startswith("value")]
    assert names == ["value0", "value1", "value2"]
    values = [values_of(BAG, Brief(), PUSH, np.random.default_rng(n))["value0"] for n in range(20)]
    assert set(values) == {"red", "12", "cotton"}
    asked = values_of(BAG, Brief(attributes=("material",)), DESCRIPTION)
    assert (asked["label0"], asked["value0"], "value1" in asked) == ("Material", "cotton", False)
