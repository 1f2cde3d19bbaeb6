"""Whatever bytes a file holds, a reader reads it or refuses it by a documented error."""

import numpy as np
import pytest

from tests.ingestion.fuzzing import READERS, fuzz, mutated


def failures(name: str, count: int, seed: int) -> list[str]:
    return [f"{error!r} of {content[:200]!r}" for content, error in fuzz(name, count, seed)]


@pytest.mark.parametrize("name", READERS)
def test_a_few_mutations_of_every_format(name):
    assert failures(name, 4, 1) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_mutations_of_every_format(name):
    assert failures(name, 60, 2) == []


def test_mutations_change_files_and_come_from_the_seed():
    good = b"a,b\n1,2\n"
    first, again = (
        [mutated(good, np.random.default_rng(seed)) for seed in range(50)] for _ in range(2)
    )
    assert first == again
    assert sum(content != good for content in first) > 40


def test_what_is_not_documented_is_reported(monkeypatch):
    def crashing(directory, content):
        raise KeyError("lost")

    monkeypatch.setitem(READERS, "CSV", (lambda: b"a", crashing))
    assert len(failures("CSV", 5, 0)) == 5
