"""Tables of variants against a log's facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from generation.copy.copywriter import Message, Reader
from generation.copy.facts import Facts
from generation.copy.filling import SLOT, filled
from generation.copy.gather import verifier_for
from generation.copy.samples import message_of
from generation.copy.verify import Finding, Verifier
from mdp.errors import BadInput, NotEnoughData


def read_variants(file: Path) -> pd.DataFrame:
    """A table of variants from .csv or .parquet; raises `BadInput` where it is none."""
    if not file.exists():
        raise BadInput(f"there is no file {file}: give a table of variants")
    try:
        if file.suffix == ".parquet":
            table = pd.read_parquet(file)
        elif file.suffix == ".csv":
            table = pd.read_csv(file, dtype=str, keep_default_na=False)
        else:
            raise BadInput(f"{file} is not .csv or .parquet: give a table of variants")
    except (ValueError, OSError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{file} can't be read: {error}") from error
    for name in ("title", "body"):
        if name not in table.columns:
            raise BadInput(f"{file} has no column {name!r}: a table of variants needs one")
    return table


def checked(variants: pd.DataFrame, facts: Mapping[str, Facts]) -> list[dict[str, Any]]:
    """For each variant: variant_id, item_id, held and findings (rule, field, begin, end, words,
    why).

    A variant of no item is held where it is so of every item; its findings are those of the first
    item that it is not so of, and `items` says of how many. Raises `NotEnoughData` without items.
    """
    if not facts:
        raise NotEnoughData("the log has no items: there is nothing to check texts against")
    verifier = verifier_for(facts.values())
    results = []
    for row in variants.to_dict("records"):
        message = message_of({str(name): value for name, value in row.items()})
        reader = _reader(row.get("segment"), facts.get(message.item_id))
        name = str(row.get("variant_id", ""))
        result: dict[str, Any] = {"variant_id": name, "item_id": message.item_id}
        if message.item_id and message.item_id not in facts:
            unknown = Finding("item", "", 0, 0, message.item_id, "the log has no such item")
            findings: tuple[Finding, ...] = (unknown,)
        elif message.item_id:
            findings = _findings(message, facts[message.item_id], verifier, reader)
        else:
            every = [_findings(message, one, verifier, reader) for one in facts.values()]
            wrong = [found for found in every if found]
            findings = wrong[0] if wrong else ()
            result["items"] = len(wrong)
        result["held"] = not findings
        result["findings"] = [asdict(finding) for finding in findings]
        results.append(result)
    return results


def _findings(
    message: Message, facts: Facts, verifier: Verifier, reader: Reader
) -> tuple[Finding, ...]:
    """As the server would send it: a text with slots in it need not name the item."""
    slots = SLOT.search(message.title + message.body) is not None

    def sent(text: str) -> str:
        title, locale = facts.title or facts.item_id, message.locale
        about = (facts.brand, facts.category, facts.currency)
        return filled(text, title, facts.price, *about, locale)

    as_sent = replace(
        message,
        title=sent(message.title),
        body=sent(message.body),
        description=sent(message.description),
    )
    return tuple(
        finding
        for finding in verifier.check(as_sent, facts, reader)
        if not (finding.rule == "name.missing" and (slots or not message.item_id))
    )


def _reader(segment: object, facts: Facts | None) -> Reader:
    """What the segment of a generated variant says of its readers."""
    if segment == "likes" and facts is not None:
        return Reader(likes=(facts.category,))
    return Reader(met=str(segment)) if segment in ("view", "cart", "purchase") else Reader()
