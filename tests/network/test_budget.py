from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.errors import ModelError
from npu_tune.network.budget import ReadingBudget


@given(st.lists(st.integers(0, 400), max_size=20))
def test_everything_taken_fits_in_what_there_was(sizes: list[int]) -> None:
    budget, taken = ReadingBudget("net", most_bytes=1000), 0
    for size in sizes:
        if taken + size > 1000:
            with pytest.raises(ModelError, match=r"'net'.*the tensor 'w'"):
                budget.take(size, "the tensor 'w'")
        else:
            budget.take(size, "the tensor 'w'")
            taken += size
        assert budget.bytes_left == 1000 - taken


def test_a_size_below_zero_is_damage() -> None:
    with pytest.raises(ModelError, match=r"'net' is damaged.*-4 bytes") as caught:
        ReadingBudget("net").take(-4, "the tensor 'w'")
    assert caught.value.remedy


def test_time_that_is_up_is_said_at_the_next_step() -> None:
    now = [100.0]
    budget = ReadingBudget("net", most_seconds=10, clock=lambda: now[0])
    now[0] = 110.0
    budget.take(1, "the tensor 'w'")
    now[0] = 110.5
    with pytest.raises(ModelError, match="'net' takes more than 10 s"):
        budget.take(1, "the tensor 'w'")
    with pytest.raises(ModelError, match="'net' takes more than 10 s"):
        budget.check_time()
