"""Lists of hours become flags."""

import pandas as pd

from ingestion.hours import hour_flags


def test_lists_of_hours_become_flags():
    flags = hour_flags(pd.Series(["8|09|23", None, "0", "8|09|23"], dtype="str"))
    assert [row.nonzero()[0].tolist() for row in flags] == [[8, 9, 23], [], [0], [8, 9, 23]]
    assert hour_flags(pd.Series([None, None], dtype="str")).sum() == 0
    assert hour_flags(pd.Series([], dtype="str")).shape == (0, 24)
