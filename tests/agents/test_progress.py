"""Where standard error is a file, progress is plain lines, and not many."""

import pytest

from agents import progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_plain_line_now_and_then(capsys, clock):
    with progress.Shown() as shown:
        task = shown.add_task("training ppo", total=50_000)
        for second in range(70):
            clock[0] = float(second)
            shown.update(task, completed=500 * second)
    assert capsys.readouterr().err.splitlines() == [
        "training ppo, 15,000 of 50,000, about 0:01:10 left",
        "training ppo, 30,000 of 50,000, about 0:00:40 left",
    ]


def test_a_short_work_says_nothing_but_what_it_is(capsys, clock):
    with progress.doing("searching"), progress.Shown() as shown:
        shown.update(shown.add_task("training", total=None), completed=1)
    assert capsys.readouterr().err == "searching\n"
