"""What is known of an item: all that a text about it may say, and the evidence for each claim."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from hashlib import blake2b

from generation.copy.claims import promotes
from generation.copy.formatting import day, exact, money, percent_off, plain, tenths
from generation.copy.reading import normalised
from generation.copy.vocabulary import words_of

NO_BRAND = frozenset({"", "unbranded", "unknown", "none", "n/a", "other", "无品牌", "其他"})
FEW = 10
"""The most pieces in stock that a text may call few."""
MANY_BUYERS = 20
"""The fewest buyers in `WINDOW_DAYS` days that a text may call many."""
WINDOW_DAYS = 30
"""Days over which buyers are counted, and for which an item counts as new."""


@dataclass(frozen=True)
class Aspect:
    """What reviewers say of one side of an item."""

    name: str
    """the aspect's key, such as `quality`"""
    praised: int
    """reviews that praise it"""
    blamed: int
    """reviews that complain of it"""
    quote: str = ""
    """a reviewer's own words"""
    review: int = -1
    """row of the log's `reviews` that the quote is from, 0 first"""

    @property
    def liked(self) -> bool:
        """Whether a text may say that it is praised: by two at least, and by four of five."""
        return self.praised >= 2 and self.praised >= 4 * self.blamed


@dataclass(frozen=True)
class Facts:
    """One item at one instant. What is not known is None or empty, and can't be claimed."""

    item_id: str
    title: str
    brand: str = ""
    category: str = ""
    kind: str = "product"
    price: float | None = None
    """currency units; 0 is no price to speak of"""
    list_price: float | None = None
    """the price before a discount, currency units"""
    currency: str | None = None
    """ISO 4217 code"""
    stock: int | None = None
    """pieces"""
    available_until: datetime | None = None
    """with the shop's time zone"""
    at: datetime | None = None
    """the instant of these facts, with the shop's time zone"""
    rating: float | None = None
    """of five"""
    reviews: int = 0
    """number of reviews"""
    buyers: int | None = None
    """users who bought it in the `WINDOW_DAYS` days before `at`"""
    leads: bool = False
    """whether it has more of these buyers than any other item of its category"""
    new: bool = False
    """whether nobody met it earlier than `WINDOW_DAYS` days before `at`"""
    description: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """name → value, of the log's further columns"""
    aspects: tuple[Aspect, ...] = ()

    @cached_property
    def evidence(self) -> dict[str, str]:
        """Claim → what holds it. A claim that is not here must not be made."""
        found: dict[str, str] = {}
        if self.price is not None and self.listed is not None:
            found["discount"] = f"list_price {self.list_price}, price {self.price}"
        if self.stock is not None and 1 <= self.stock <= FEW:
            found["scarcity"] = f"stock {self.stock}"
        if self.available_until is not None and (
            self.at is None or self.at <= self.available_until
        ):
            found["deadline"] = f"available_until {self.available_until.isoformat()}"
        if self.buyers is not None and self.buyers >= MANY_BUYERS:
            found["social_proof"] = f"{self.buyers} buyers in {WINDOW_DAYS} days"
            if self.leads and self.category:
                found["superlative"] = f"most buyers in {self.category}: {self.buyers}"
        if self.rating is not None:
            found["rating"] = f"rating {self.rating}"
        if self.new:
            found["new"] = f"first met within {WINDOW_DAYS} days"
        for aspect in self.aspects:
            if aspect.liked:
                found[f"review:{aspect.name}"] = (
                    f"praised by {aspect.praised}, blamed by {aspect.blamed}, row {aspect.review}"
                )
        return found

    @property
    def listed(self) -> Decimal | None:
        """The list price, where it is above the price by a percent at least."""
        if not self.price or self.list_price is None:
            return None
        price, listed = (exact(value, self.currency) for value in (self.price, self.list_price))
        return listed if listed > price and percent_off(price, listed) >= 1 else None

    @property
    def named_brand(self) -> str:
        """The brand, "" where there is none worth a word."""
        return "" if self.brand.strip().lower() in NO_BRAND else self.brand.strip()

    def slots(self, locale: str) -> dict[str, str]:
        """What is known, as texts of that language write it, by the name of its slot.

        item, brand, category, price, was, saving, percent, tenths (Chinese), stock, until, rating,
        buyers, reviews, window. A slot that the facts can't fill is not there.
        """
        known = {"item": self.title.strip(), "brand": self.named_brand}
        if self.category.strip().lower() not in NO_BRAND and not promotes(self.category):
            known["category"] = self.category.strip()
        if self.price:
            price = exact(self.price, self.currency)
            known["price"] = money(price, self.currency, locale)
            if self.listed is not None:
                known["was"] = money(self.listed, self.currency, locale)
                known["saving"] = money(self.listed - price, self.currency, locale)
                known["percent"] = f"{percent_off(price, self.listed)}%"
                known["tenths"] = f"{plain(tenths(price, self.listed))}折"
        if "scarcity" in self.evidence:
            known["stock"] = str(self.stock)
        if "deadline" in self.evidence and self.available_until is not None:
            known["until"] = day(self.available_until, locale)
        if self.rating is not None:
            known["rating"] = f"{Decimal(str(self.rating)).quantize(Decimal('0.1'))}"
        if "social_proof" in self.evidence:
            known["buyers"] = str(self.buyers)
            known["window"] = str(WINDOW_DAYS)
        if self.reviews:
            known["reviews"] = str(self.reviews)
        return {name: value for name, value in known.items() if value}

    @cached_property
    def said(self) -> str:
        """All that the facts say in words, in small letters."""
        parts = (self.title, self.brand, self.category, self.description)
        return normalised(" | ".join((*parts, *self.attributes.values()))).text.lower()

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of `said`, and those of the attributes' names."""
        return frozenset(words_of(" | ".join((self.said, *self.attributes))))

    @cached_property
    def hash(self) -> str:
        """16 hexadecimal digits of these facts: kept with each text, changed when they change."""
        text = json.dumps(asdict(self), default=str, sort_keys=True, ensure_ascii=False)
        return blake2b(text.encode(), digest_size=8).hexdigest()
