"""A tiny log whose every row is right, to be spoilt one way at a time."""

import pandas as pd
import pytest


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    """Two users, two items, two variants, a send with outcomes and a hold; texts as in a CSV."""
    return {
        "users": pd.DataFrame(
            {
                "user_id": ["ann", "bob"],
                "timezone": ["Europe/Berlin", "America/New_York"],
                "signed_up_at": ["2026-01-01T00:00:00Z"] * 2,
            }
        ),
        "items": pd.DataFrame(
            {
                "item_id": ["lamp", "sofa"],
                "title": ["Lamp", "Sofa"],
                "category": ["light", "seat"],
                "brand": ["acme", "acme"],
                "price": ["20", "400"],
            }
        ),
        "variants": pd.DataFrame(
            {
                "variant_id": ["v1", "v2"],
                "style": ["plain", "warm"],
                "locale": ["", ""],
                "title": ["{item}", "For you: {item}"],
                "body": ["{price}", "{price}"],
            }
        ),
        "events": pd.DataFrame(
            {
                "user_id": ["ann", "bob", "ann"],
                "item_id": ["lamp", "sofa", "lamp"],
                "event": ["view", "view", "purchase"],
                "at": [f"2026-03-0{day}T10:00:00+01:00" for day in (1, 2, 3)],
                "value": ["", "", "20"],
                "event_id": ["e1", "e2", "e3"],
            }
        ),
        "decisions": pd.DataFrame(
            {
                "decision_id": ["d1", "d2"],
                "user_id": ["ann", "bob"],
                "decided_at": ["2026-03-02T00:00:00+01:00"] * 2,
                "item_id": ["lamp", ""],
                "variant_id": ["v1", ""],
                "send_at": ["2026-03-02T18:00:00+01:00", ""],
                "propensity": ["0.25", "0.5"],
                "policy": ["rules", "rules"],
                "candidates": ["lamp|sofa", "sofa"],
            }
        ),
        "outcomes": pd.DataFrame(
            {
                "decision_id": ["d1", "d1"],
                "outcome": ["opened", "clicked"],
                "at": ["2026-03-02T19:00:00+01:00", "2026-03-02T19:01:00+01:00"],
                "value": ["", ""],
            }
        ),
    }
