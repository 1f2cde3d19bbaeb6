"""Work done side by side says the same as one piece after the other."""

import os
import threading
import time

import pytest
import torch

from simulator import threads
from simulator.threads import cores, side_by_side


@pytest.mark.parametrize("number", [1, 2, 8])
def test_results_are_in_the_order_of_the_pieces(monkeypatch, number):
    monkeypatch.setattr(threads, "cores", lambda: number)

    def late(piece: int) -> int:
        time.sleep(0.01 * (4 - piece))
        return piece

    assert side_by_side(late, range(4)) == [0, 1, 2, 3]


@pytest.mark.parametrize(("number", "at_once"), [(1, 1), (2, 2), (8, threads.MOST)])
def test_so_many_pieces_are_at_work_at_a_time_with_one_thread_of_torch_each(
    monkeypatch, number, at_once
):
    monkeypatch.setattr(threads, "cores", lambda: number)
    begun, most, during, lock = [0], [0], [], threading.Lock()

    def work(_: int) -> None:
        with lock:
            begun[0] += 1
            most[0] = max(most[0], begun[0])
            during.append(torch.get_num_threads())
        time.sleep(0.05)
        with lock:
            begun[0] -= 1

    with threads.one_thread():
        side_by_side(work, range(6))
    assert most == [at_once]
    assert during == [1] * 6


def test_a_piece_that_fails_fails_the_whole(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda piece: 1 // piece, range(2))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores can't be taken away")
def test_only_cores_that_the_process_may_use_count():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert cores() == len(before)
