"""The Open Bandit Dataset (ZOZOTOWN, fashion recommendations in 2019) as a log.

Saito, Aihara, Matsutani & Narita (2021), "Open Bandit Dataset and Pipeline". Recommendations are
read as pushes: an item is shown at once, in one variant and at the hour of its row. The data has no
user ids, so each row is a user of its own, with the hashed features as attributes; prices are not
known and read as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ingestion.adapt import numbers_of
from ingestion.imported import Imported, sizes_of
from ingestion.log import LogMeta
from ingestion.schema import SEPARATOR
from mdp.errors import BadInput, NotEnoughData

ZONE = "Asia/Tokyo"
VARIANT = "v1"
CONTEXT = "item_context.csv"
COLUMNS = ("timestamp", "item_id", "position", "click", "propensity_score")
_REASONS = ("time not ISO 8601", "propensity not in (0, 1]", "item unknown", "click not 0 or 1")


def find_open_bandit(directory: Path) -> list[Path]:
    """The directories that hold a campaign (CAMPAIGN.csv and item_context.csv): this one, or those
    up to two levels below.

    Raises `BadInput` where there is none.
    """
    if not directory.is_dir():
        raise BadInput(f"{directory} is not a directory: give one with {CONTEXT} in it")
    found = sorted(
        file.parent for depth in ("", "*/", "*/*/") for file in directory.glob(depth + CONTEXT)
    )
    if not found:
        raise BadInput(
            f"{directory} holds no {CONTEXT}: give a campaign of the Open Bandit Dataset, such as "
            "open_bandit_dataset/random/men"
        )
    return found


def import_open_bandit(directories: Sequence[Path]) -> Imported:
    """Users, items, one variant, decisions and clicks of campaigns, one directory each.

    The behaviour policy is the name of a campaign's parent directory (random, bts). Raises
    `BadInput` for files that are not the data set's, `NotEnoughData` where no row is left.
    """
    parts = [_campaign(directory) for directory in directories]
    rows = pd.concat([part for part, _ in parts], ignore_index=True)
    contexts = pd.concat([context for _, context in parts]).drop_duplicates("item_id")
    reasons = {
        _REASONS[0]: rows["at"].isna(),
        _REASONS[1]: ~((rows["propensity"] > 0) & (rows["propensity"] <= 1)),
        _REASONS[2]: ~rows["item_id"].isin(contexts["item_id"]),
        _REASONS[3]: ~rows["click"].isin([0, 1]),
    }
    dropped, good = {}, pd.Series(True, rows.index)
    for name, wrong in reasons.items():
        dropped[name] = int((good & wrong).sum())
        good &= ~wrong
    kept = rows[good].sort_values(["policy", "at"], kind="stable", ignore_index=True)
    if kept.empty:
        raise NotEnoughData(f"none of {len(rows)} rows can be read as a decision")
    meta = LogMeta(
        default_timezone=ZONE,
        complete_until=kept["at"].max() + pd.Timedelta(days=7),
        source="Open Bandit Dataset, https://research.zozo.com/data.html",
    )
    tables = _tables(kept, contexts)
    return Imported(
        rows=len(rows),
        sizes=sizes_of(tables),
        dropped=dropped,
        repaired={},
        tables=tables,
        meta=meta,
    )


def _campaign(directory: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One campaign's rows and items."""
    campaign, policy = directory.resolve().name, directory.resolve().parent.name
    file = directory / f"{campaign}.csv"
    if not file.is_file():
        raise BadInput(f"{file} is missing: a campaign's directory is named as its file of rows")
    raw, items = _csv(file), _csv(directory / CONTEXT)
    for name, frame, columns in ((file, raw, COLUMNS), (directory / CONTEXT, items, ("item_id",))):
        if missing := [column for column in columns if column not in frame.columns]:
            raise BadInput(f"{name} lacks the column {missing[0]!r} of the Open Bandit Dataset")
    times = raw["timestamp"].astype("str")
    rows = pd.DataFrame(
        {
            "policy": policy,
            "campaign": campaign,
            "at": pd.to_datetime(times, utc=True, format="ISO8601", errors="coerce"),
            "item_id": _item(campaign, raw["item_id"]),
            "position": _whole(raw["position"]),
            "click": numbers_of(raw["click"]),
            "propensity": numbers_of(raw["propensity_score"]),
        }
    )
    features = [name for name in raw.columns if name.startswith("user_feature_")]
    rows[features] = raw[features].astype(str)
    items = items.assign(campaign=campaign, item_id=_item(campaign, items["item_id"]))
    return rows, items


def _whole(values: pd.Series) -> pd.Series:
    """Whole numbers (n,) Int64; others missing."""
    numbers = numbers_of(values)
    return numbers.where((numbers % 1 == 0) & (numbers.abs() < 2**53)).astype("Int64")


def _csv(file: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(file).iloc[:, 1:]
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{file} can't be read as csv: {error}") from error


def _item(campaign: str, ids: pd.Series) -> pd.Series:
    return campaign + "-" + ids.astype(str)


def _tables(kept: pd.DataFrame, contexts: pd.DataFrame) -> dict[str, pd.DataFrame]:
    kept = kept.assign(
        decision_id=[f"d{n}" for n in range(len(kept))],
        user_id=[f"u{n}" for n in range(len(kept))],
        at=kept["at"].astype("datetime64[us, UTC]"),
    )
    features = [name for name in kept.columns if name.startswith("user_feature_")]
    candidates = contexts.groupby("campaign")["item_id"].agg(SEPARATOR.join)
    users = kept[["user_id", "position", *features]].assign(timezone=ZONE, signed_up_at=kept["at"])
    texts = [name for name in contexts.columns if name.startswith("item_feature_")]
    items = contexts[["item_id", *texts]].assign(
        title=contexts["item_id"],
        category=contexts.get("item_feature_1", "unknown"),
        brand=contexts.get("item_feature_2", "unknown"),
        price=0.0,
        kind="content",
    )
    variants = pd.DataFrame(
        {
            "variant_id": [VARIANT],
            "style": ["recommendation"],
            "locale": pd.array([None], dtype="str"),
            "title": ["{item}"],
            "body": ["{item}"],
        }
    )
    decisions = kept[["decision_id", "user_id", "item_id", "propensity", "policy"]].assign(
        decided_at=kept["at"],
        send_at=kept["at"],
        variant_id=VARIANT,
        candidates=kept["campaign"].map(candidates),
        variants=VARIANT,
        hours=kept["at"].dt.tz_convert(ZONE).dt.hour.astype(str),
    )
    clicked = kept[kept["click"] == 1]
    outcomes = pd.concat(
        [
            clicked[["decision_id", "at"]].assign(outcome=outcome, value=float("nan"))
            for outcome in ("opened", "clicked")
        ],
        ignore_index=True,
    )
    events = pd.DataFrame(
        {
            "user_id": pd.array([], dtype="str"),
            "item_id": pd.array([], dtype="str"),
            "event": pd.array([], dtype="str"),
            "at": pd.array([], dtype="datetime64[us, UTC]"),
            "value": pd.array([], dtype="float64"),
        }
    )
    return {
        "users": users,
        "items": items.sort_values("item_id", ignore_index=True),
        "variants": variants,
        "events": events,
        "decisions": decisions,
        "outcomes": outcomes,
    }
