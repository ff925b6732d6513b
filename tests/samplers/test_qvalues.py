from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npu_tune.samplers import qvalues
from npu_tune.samplers.qvalues import TableEntries, Values

_RATE, _DISCOUNT = 0.5, 0.9


def _tables(sizes, walks, weights):
    """The same by tables of all cells, which is what little memory must not change."""
    shapes = list(zip([1, *sizes[:-1]], sizes, strict=True))
    counts = [np.zeros(shape) for shape in shapes]
    sums = [np.zeros((len(weights), *shape)) for shape in shapes]
    for actions, reward in walks:
        for n, (before, action) in enumerate(zip([0, *actions], actions, strict=False)):
            counts[n][before, action] += 1
            sums[n][:, before, action] += reward
    tables, after = [], 0.0
    for count, total in zip(reversed(counts), reversed(sums), strict=True):
        learned = (1.0 - (1.0 - _RATE) ** count) / np.maximum(count, 1.0)
        table = np.round(np.tensordot(weights, total, axes=1) * learned + _DISCOUNT * after, 12)
        tables.append(table)
        after = table.max(axis=1)
    return tables[::-1]


def _decide(random, row, usual):
    if row[usual] == row.max():
        return usual
    return int(random.choice(np.flatnonzero(row == row.max())))


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    whole=st.sampled_from([0, 3, 100]),
    cells=st.sampled_from([0, 100]),
    data=st.data(),
)
def test_few_entries_say_what_a_table_of_all_would_say(sizes, whole, cells, data):
    weights = np.array([1.0, 0.25])
    rewards = st.lists(st.sampled_from([-1.5, -1.0, 0.0, 0.5, 1.0]), min_size=2, max_size=2)
    walk = st.tuples(st.tuples(*[st.integers(0, size - 1) for size in sizes]), rewards)
    walks = data.draw(st.lists(walk, max_size=12))
    entries = [TableEntries(s, a, 2) for s, a in zip([1, *sizes[:-1]], sizes, strict=True)]
    for actions, reward in walks:
        for each, before, action in zip(entries, [0, *actions], actions, strict=False):
            each.add(before, action, reward)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qvalues, "_WHOLE", whole)
        patch.setattr(qvalues, "_CELLS", cells)
        found = []
        after = Values.of(sizes[-1], np.zeros(0, dtype=np.int64), np.zeros(0), 0.0)
        for each in reversed(entries):
            found.append(each.worth(weights, after, discount=_DISCOUNT, learning_rate=_RATE))
            after = found[-1].best
        for values, table in zip(reversed(found), _tables(sizes, walks, weights), strict=True):
            states, actions = table.shape
            np.testing.assert_array_equal(values.best.at(np.arange(states)), table.max(axis=1))
            for state in range(states):
                for usual in range(actions):
                    ours, theirs = (np.random.default_rng(usual) for _ in range(2))
                    chosen = values.decide(ours, state, usual)
                    assert chosen == _decide(theirs, table[state], usual)
                    assert ours.bit_generator.state == theirs.bit_generator.state


def test_an_entry_of_a_huge_table_is_found_again():
    size = 10**9
    entries = TableEntries(size, size, 1)
    entries.add(size - 1, size - 2, [3.0])
    nothing = Values.of(size, np.zeros(0, dtype=np.int64), np.zeros(0), 0.0)
    values = entries.worth(np.ones(1), nothing, discount=0.0, learning_rate=1.0)
    random = np.random.default_rng(0)
    assert values.best.one(size - 1) == 3.0
    assert values.best.one(0) == 0.0
    assert values.decide(random, size - 1, 0) == size - 2
    assert values.decide(random, 0, 7) == 7
