from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

from npu_tune.targets.measured import memory


def _in_a_child(work):
    """What a function returns in a process of its own, whose peak nothing else has raised."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(work()))
    child.start()
    sender.close()
    answer = receiver.recv()
    child.join()
    return answer


def _grow() -> tuple[int, int, int]:
    peak = memory.PeakMemory()
    held = np.ones(30_000_000, np.uint8)
    more = np.ones(20_000_000, np.uint8)
    first = peak.read()
    del more
    memory.give_back()
    peak.restart()
    second = peak.read()
    return first, second, int(held[0])


def test_a_peak_counts_what_was_held_at_once():
    first, second, _ = _in_a_child(_grow)
    assert first == pytest.approx(50_000_000, rel=0.1)
    assert second == pytest.approx(30_000_000, rel=0.1)


def test_where_the_peak_may_not_be_reset_it_is_that_of_the_whole_life(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "no" / "such file")
    first, second, _ = _in_a_child(_grow)
    assert second == pytest.approx(first, rel=0.01)
    assert first >= 45_000_000


def test_nothing_more_is_nothing():
    assert _in_a_child(lambda: memory.PeakMemory().read()) < 1_000_000
