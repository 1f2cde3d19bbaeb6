"""An item with every fact there is, and one with almost none."""

from datetime import UTC, datetime

from generation.copy.facts import Aspect, Facts

BAG = Facts(
    item_id="20725",
    title="Lunch bag red spotty",
    brand="Ondine",
    category="bag",
    price=4.95,
    list_price=6.5,
    currency="GBP",
    stock=3,
    available_until=datetime(2026, 12, 9, 18, tzinfo=UTC),
    at=datetime(2026, 11, 28, tzinfo=UTC),
    rating=4.6,
    reviews=14,
    buyers=37,
    leads=True,
    new=True,
    attributes={"colour": "red", "pieces": "12", "material": "cotton"},
    aspects=(Aspect("quality", 4, 0, "Very sturdy and well made", 2), Aspect("size", 0, 3)),
)
MUG = Facts(item_id="1", title="Hot water mug", price=1204.5, currency="GBP", category="mug")
