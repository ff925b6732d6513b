from __future__ import annotations

import pytest

from npu_tune.targets import MemoryBuffer, MemoryTimeline

TIMELINE = MemoryTimeline(
    steps=("conv1", "conv2", "logits"),
    buffers=(
        MemoryBuffer("image", "", "SRAM", 0, 100, 0, 0),
        MemoryBuffer("map1", "conv1", "SRAM", 128, 200, 0, 1),
        MemoryBuffer("map2", "conv2", "SRAM", 0, 120, 1, 2),
        MemoryBuffer("weights", "", "flash", 16, 4, 0, 2),
    ),
    capacities={"SRAM": 1024},
)


def test_a_pool_is_used_up_to_its_highest_address():
    assert TIMELINE.pools == ("SRAM", "flash")
    assert TIMELINE.used_bytes("SRAM") == 328
    assert TIMELINE.used_bytes("flash") == 20
    assert TIMELINE.used_bytes("DRAM") == 0


def test_the_peak_is_the_step_with_most_bytes_in_use_and_names_what_they_hold():
    step, live = TIMELINE.peak("SRAM")
    assert TIMELINE.steps[step] == "conv2"
    assert [buffer.name for buffer in live] == ["map1", "map2"]
    assert TIMELINE.live_bytes("SRAM", step) == 320
    assert TIMELINE.live_bytes("SRAM", 2) == 120


def test_the_peak_of_a_pool_that_holds_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing lies in the pool 'DRAM'"):
        TIMELINE.peak("DRAM")


def test_buffers_that_share_addresses_while_both_are_in_use_are_found():
    assert TIMELINE.overlaps() == ()
    late = MemoryBuffer("late", "logits", "SRAM", 119, 10, 2, 2)
    wrong = MemoryTimeline(TIMELINE.steps, (*TIMELINE.buffers, late))
    assert wrong.overlaps() == ((TIMELINE.buffers[2], late),)
