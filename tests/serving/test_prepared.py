"""Statements that go to the driver itself."""

import pytest
from sqlalchemy import insert

from serving.commit import new_ids
from serving.prepared import Prepared
from serving.store import open_store, writing
from serving.tables import BUDGET


def test_values_out_of_the_statement_s_order_are_refused(tmp_path):
    engine = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    with writing(engine) as connection:
        Prepared(insert(BUDGET), ["period", "start", "taken"]).run(connection, [("day", 1, 2)])
        swapped = Prepared(insert(BUDGET), ["start", "period", "taken"])
        with pytest.raises(ValueError, match="start"):
            swapped.run(connection, [(1, "day", 2)])
    engine.dispose()


def test_ids_sort_by_their_instant_and_are_each_another():
    early, late = new_ids(1_700_000_000_000_000, 50), new_ids(1_700_000_000_001_000, 50)
    assert max(early) < min(late)
    assert len({*early, *late}) == 100
    assert {len(name) for name in early} == {32}
