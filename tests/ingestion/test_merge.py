"""Two logs of one shop as one."""

import pandas as pd

from ingestion.merge import merged
from ingestion.parse import log_of


def test_a_date_of_both_calendars_has_the_first_ones_name(tables):
    first, second = (
        tables | {"calendar": pd.DataFrame({"date": dates, "name": names})}
        for dates, names in (
            (["2026-11-27", "2026-12-24"], ["sale", "Christmas"]),
            (["2026-11-27", "2026-12-24", "2026-12-25"], ["Black Friday", *["Christmas"] * 2]),
        )
    )
    found, _, counts = merged(log_of(first), log_of(second))
    assert found["calendar"]["date"].tolist() == ["2026-11-27", "2026-12-24", "2026-12-25"]
    assert found["calendar"]["name"].tolist() == ["sale", "Christmas", "Christmas"]
    assert counts["calendar: another name of the same date, left out"] == 1
