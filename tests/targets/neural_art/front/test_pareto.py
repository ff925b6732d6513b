from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from npu_tune.targets.neural_art.front.pareto import nondominated

tables = st.tuples(st.integers(0, 700), st.integers(1, 4), st.integers(1, 30)).flatmap(
    lambda shape: arrays(np.float64, shape[:2], elements=st.integers(0, shape[2]).map(float))
)


@given(tables)
def test_the_first_of_equal_rows_is_kept_and_every_other_row_is_dominated_by_one_kept(rows):
    kept = nondominated(rows)
    best = rows[kept]
    assert sorted(kept.tolist()) == kept.tolist()
    assert len(np.unique(best, axis=0)) == len(best)
    for index, row in enumerate(rows):
        below = (best <= row).all(axis=1)
        assert below.any()
        if index in kept:
            assert below.sum() == 1
