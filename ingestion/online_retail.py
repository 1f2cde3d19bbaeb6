"""UCI's Online Retail II (a UK gift shop's invoices, 2009 to 2011) as a log.

Chen, D. (2012), Online Retail II, UCI Machine Learning Repository, doi:10.24432/C5CG6D. It has
purchases only: no views, no pushes, no variants. A purchase's value is what was paid and not paid
back: cancellations (invoices that begin with C) are taken off the purchases that they undo.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from python_calamine import CalamineError

from ingestion.adapt import NAIVE, numbers_of
from ingestion.imported import Imported, sizes_of
from ingestion.log import LogMeta
from ingestion.returns import pair_returns
from mdp.errors import BadInput, NotEnoughData

SHOP_ZONE = "Europe/London"
COLUMNS = (
    "Invoice",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "Price",
    "Customer ID",
    "Country",
)
ZONES = {
    "United Kingdom": "Europe/London",
    "EIRE": "Europe/Dublin",
    "Germany": "Europe/Berlin",
    "France": "Europe/Paris",
    "Netherlands": "Europe/Amsterdam",
    "Spain": "Europe/Madrid",
    "Switzerland": "Europe/Zurich",
    "Portugal": "Europe/Lisbon",
    "Belgium": "Europe/Brussels",
    "Channel Islands": "Europe/Jersey",
    "Sweden": "Europe/Stockholm",
    "Italy": "Europe/Rome",
    "Australia": "Australia/Sydney",
    "Cyprus": "Asia/Nicosia",
    "Austria": "Europe/Vienna",
    "Greece": "Europe/Athens",
    "United Arab Emirates": "Asia/Dubai",
    "Denmark": "Europe/Copenhagen",
    "Norway": "Europe/Oslo",
    "Finland": "Europe/Helsinki",
    "USA": "America/New_York",
    "Japan": "Asia/Tokyo",
    "Poland": "Europe/Warsaw",
    "Malta": "Europe/Malta",
    "Lithuania": "Europe/Vilnius",
    "Singapore": "Asia/Singapore",
    "RSA": "Africa/Johannesburg",
    "Bahrain": "Asia/Bahrain",
    "Canada": "America/Toronto",
    "Hong Kong": "Asia/Hong_Kong",
    "Thailand": "Asia/Bangkok",
    "Israel": "Asia/Jerusalem",
    "Iceland": "Atlantic/Reykjavik",
    "Korea": "Asia/Seoul",
    "Brazil": "America/Sao_Paulo",
    "West Indies": "America/Port_of_Spain",
    "Bermuda": "Atlantic/Bermuda",
    "Nigeria": "Africa/Lagos",
    "Lebanon": "Asia/Beirut",
    "Saudi Arabia": "Asia/Riyadh",
    "Czech Republic": "Europe/Prague",
}
"""Time zone of each country, its most populous one; any other country reads as the shop's."""
NO_COUNTRY = "Unspecified"
"""What the file itself calls a country that is not known."""
CATEGORIES, CATEGORY_SIZE = 59, 12
"""Most categories beside "other", and the fewest items that make one."""
RETURNED = "cancelled in full later"
SAYS_LITTLE = frozenset(
    re.findall(
        "[a-z]+",
        "set pack piece assorted asst asstd design style colour size small large medium mini "
        "big red blue pink white black green ivory cream silver gold purple yellow orange brown "
        "grey turquoise turq amber copper lilac amethyst crystal natural clear spot spotty "
        "retrospot polkadot paisley flock stripe striped check gingham vintage retro girl boy "
        "children childrens french english hanging wooden metal ceramic glass enamel acrylic "
        "zinc paper",
    )
)
"""Words that say how a thing is or how many there are, and not what it is."""
ASIDE = re.compile(r"\b(?:in|with|w|for|on|from|and)\b|\bw/|[.,(&]")
"""What ends the part of a title that names the thing."""


def read_online_retail(file: Path) -> pd.DataFrame:
    """All rows, from UCI's .xlsx (every sheet) or from a .parquet or .csv of the same columns."""
    if file.suffix not in (".xlsx", ".parquet", ".csv"):
        raise BadInput(f"{file} is not .xlsx, .parquet or .csv: give UCI's online_retail_II.xlsx")
    try:
        if file.suffix == ".xlsx":
            sheets = pd.read_excel(file, sheet_name=None, engine="calamine")
            table = pd.concat(sheets.values(), ignore_index=True)
        elif file.suffix == ".parquet":
            table = pd.read_parquet(file)
        else:
            table = pd.read_csv(file, dtype={"Invoice": str, "StockCode": str})
    except (ValueError, CalamineError) as error:
        raise BadInput(f"{file} can't be read: {error}") from error
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise BadInput(f"{file} lacks the column {missing[0]!r} of Online Retail II")
    return table[list(COLUMNS)]


def import_online_retail(raw: pd.DataFrame) -> Imported:
    """Users, items and purchases of the rows (n, 8) that `read_online_retail` gives.

    Raises `NotEnoughData` where no row is a purchase of a product by a known customer.
    """
    code = raw["StockCode"].astype(str).str.strip()
    customer, quantity, price = (
        numbers_of(raw[name]) for name in ("Customer ID", "Quantity", "Price")
    )
    customer = customer.where(customer % 1 == 0)
    times = raw["InvoiceDate"].astype("str")
    times = times.where(times.str.fullmatch(NAIVE).fillna(False))
    local = pd.to_datetime(times, format="ISO8601", errors="coerce")
    cancelled = raw["Invoice"].astype(str).str.startswith("C")
    reasons = {
        "no customer": customer.isna(),
        "exact duplicate": raw.duplicated(),
        "cancellation": cancelled,
        "quantity not positive": ~((quantity > 0) & (quantity < np.inf)),
        "price not positive": ~((price > 0) & (price < np.inf)),
        "time not ISO 8601, or with a zone": local.isna(),
        "not a product": ~code.str.match(r"\d{5}"),
    }
    found = {name: int(mask.sum()) for name, mask in reasons.items()}
    found["no description"] = int(raw["Description"].isna().sum())
    reason = np.select([mask.to_numpy(bool) for mask in reasons.values()], list(reasons), "")
    reason = reason.astype(object)
    lines = pd.DataFrame(
        {
            "user_id": customer.astype("Int64").astype("str"),
            "item_id": code.str.upper(),
            "at": _utc(local),
            "units": quantity.abs(),
            "Price": price,
            "Description": raw["Description"],
            "Country": raw["Country"].astype("str").fillna(NO_COUNTRY),
        }
    )
    undone = (reason == "cancellation") & ((quantity < 0) & local.notna()).to_numpy(bool)
    bought = np.flatnonzero(reason == "")
    pairing = pair_returns(lines.iloc[bought], lines[undone & ~reasons["not a product"]])
    reason[bought[pairing.left == 0]] = RETURNED
    dropped = {name: int((reason == name).sum()) for name in (*reasons, RETURNED)}
    good = reason == ""
    if not good.any():
        most = max(dropped, key=lambda name: dropped[name])
        raise NotEnoughData(
            f"no line is a purchase by a known customer; {dropped[most]} of {len(raw)}: {most}"
        )
    kept = lines[good].assign(units=pairing.left[pairing.left > 0])
    less = (kept["units"] < lines["units"][good]).sum()
    items, without_title = _items(kept)
    repaired = {
        "title missing, code used": without_title,
        "country unknown, shop's zone used": int((~kept["Country"].isin(list(ZONES))).sum()),
        "stock code in small letters": int((code[good] != kept["item_id"]).sum()),
        "cancelled in part, value lowered": int(less),
    }
    found["cancellation with its purchase"] = int(pairing.paired.sum())
    found["cancellation with part of its purchase"] = int(pairing.partly.sum())
    meta = LogMeta(
        currency="GBP",
        default_timezone=SHOP_ZONE,
        propensities="none",
        candidates="none",
        source="UCI Online Retail II, doi:10.24432/C5CG6D",
    )
    tables = {"users": _users(kept), "items": items, "events": _purchases(kept)}
    return Imported(
        rows=len(raw),
        sizes=sizes_of(tables),
        dropped=dropped,
        repaired=repaired,
        found=found,
        tables=tables,
        meta=meta,
    )


def _utc(local: pd.Series) -> pd.Series:
    """Instants (n,) of times on the shop's clock; of a repeated hour, the second."""
    zoned = local.dt.tz_localize(
        SHOP_ZONE, ambiguous=np.zeros(len(local), bool), nonexistent="shift_forward"
    )
    return zoned.dt.tz_convert("UTC").astype("datetime64[us, UTC]")


def _users(kept: pd.DataFrame) -> pd.DataFrame:
    users = kept.groupby("user_id").agg(country=("Country", _most), signed_up_at=("at", "min"))
    users["timezone"] = users["country"].map(ZONES).fillna(SHOP_ZONE)
    return users.reset_index()[["user_id", "timezone", "signed_up_at", "country"]]


def _purchases(kept: pd.DataFrame) -> pd.DataFrame:
    events = kept[["user_id", "item_id", "at"]].assign(
        event="purchase", value=(kept["units"] * kept["Price"]).round(2)
    )
    events = events.sort_values(["at", "user_id", "item_id", "value"], ignore_index=True)
    events["event_id"] = [f"p{n}" for n in range(len(events))]
    return events[["user_id", "item_id", "event", "at", "value", "event_id"]]


def _items(kept: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The items, and how many have no title."""
    text = kept["Description"].astype("str").str.strip().str.replace(r"\s+", " ", regex=True)
    titles = text[kept["Description"].notna() & (text != "")].groupby(kept["item_id"]).agg(_most)
    items = kept.groupby("item_id").agg(price=("Price", "median")).round(2).reset_index()
    title = items["item_id"].map(titles)
    items["title"] = title.str.capitalize().fillna(items["item_id"])
    items["category"] = categories(items["title"])
    items["brand"] = "unbranded"
    return items[["item_id", "title", "category", "brand", "price"]], int(title.isna().sum())


def categories(titles: pd.Series) -> list[str]:
    """A category (n,) for each title: the last of the catalogue's frequent nouns that it names.

    A noun is frequent where it ends many titles ("Lunch box with cutlery" ends where "with"
    begins); a title without one is "other".
    """
    named = [_words(title) for title in titles]
    heads = pd.Series([words[-1] for words in named if words], dtype=object).value_counts()
    heads = heads.sort_index().sort_values(ascending=False, kind="stable")
    frequent = set(heads[heads >= CATEGORY_SIZE].index[:CATEGORIES])
    return [next((word for word in words[::-1] if word in frequent), "other") for words in named]


def _words(title: str) -> list[str]:
    """A title's words, in the singular, that can say what the thing is."""
    for text in (ASIDE.split(title.lower())[0], title.lower()):
        words = [_singular(word) for word in re.findall("[a-z]{3,}", text)]
        named = [word for word in words if word not in SAYS_LITTLE]
        if named:
            return named
    return []


def _singular(word: str) -> str:
    if re.search("(x|ch|sh|ss)es$", word):
        return word[:-2]
    return re.sub("(?<!s)(?<!christma)s$", "", word)


def _most(values: pd.Series) -> str:
    """The most frequent value, of equals the first by name."""
    counts = values.value_counts()
    return str(min(counts[counts == counts.iloc[0]].index))
