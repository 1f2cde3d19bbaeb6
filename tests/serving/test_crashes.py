"""kill -9 under load; `benchmarks/crashes.py` does it 50 times."""

import pytest

from benchmarks.crashes import crashed


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shop", "postgresql_shop"])
def test_nothing_acknowledged_is_lost_by_kill_9(kind, request, tmp_path):
    found = crashed(tmp_path, request.getfixturevalue(kind).store, rounds=2, seed=1)
    assert (found.kills, found.decisions > 0) == (2, True)
    wrong = (found.lost, found.doubled, found.over_cap, found.unbalanced, found.wrong_states)
    assert wrong == (0, 0, 0, 0, 0)
