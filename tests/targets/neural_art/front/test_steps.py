import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.targets.neural_art.front.steps import EpochStep, Steps

CANDIDATES = np.array([2, 3, 5, 8, 9, 12])

some_steps = st.builds(
    EpochStep,
    last=st.integers(4, 6),
    state=st.integers(0, 2),
    in_use=st.just(0),
    values=st.tuples(st.integers(0, 3).map(float), st.integers(0, 3).map(float)),
)


def taken(steps, candidates):
    """(Position of the last operation, candidate) of every step that counts."""
    return {
        (to_end.last, candidate)
        for to_end in steps.by_end(candidates)
        for candidate in to_end.candidates.tolist()
    }


@given(st.lists(st.none() | some_steps, min_size=6, max_size=6), st.data())
def test_a_step_counts_unless_one_to_the_same_state_is_nowhere_worse(found, data):
    steps = Steps(CANDIDATES, 2)
    parts = data.draw(st.lists(st.booleans(), min_size=6, max_size=6).map(np.array))
    for part in (parts, ~parts):
        here = np.flatnonzero(part)
        steps.add(CANDIDATES[here], [found[place] for place in here])
    expected = set()
    for place, step in enumerate(found):
        rivals = [
            (other.values, number)
            for number, other in enumerate(found)
            if step and other and (other.last, other.state) == (step.last, step.state)
        ]
        beaten = any(
            all(map(float.__le__, values, step.values))
            and (values != step.values or number < place)
            for values, number in rivals
        )
        if step and not beaten:
            expected.add((step.last, int(CANDIDATES[place])))
    assert taken(steps, CANDIDATES) == expected
    some = CANDIDATES[1:4]
    assert taken(steps, some) == {each for each in expected if each[1] in some}


def test_a_step_has_what_its_epoch_leaves():
    steps = Steps(CANDIDATES, 2)
    steps.add(np.array([5]), [EpochStep(last=4, state=7, in_use=640, values=(1.5, 2.5))])
    (found,) = steps.by_end(CANDIDATES)
    assert found.last == 4
    assert found.candidates.tolist() == [5]
    assert found.states.tolist() == [7]
    assert found.in_use.tolist() == [640.0]
    assert found.values.tolist() == [[1.5, 2.5]]


def test_candidates_whose_epochs_had_no_room_are_not_tried_again():
    steps = Steps(CANDIDATES, 2)
    assert steps.untried(np.array([3, 9])).tolist() == [3, 9]
    steps.add(np.array([3]), [None])
    assert steps.untried(np.array([3, 9])).tolist() == [9]
    assert not list(steps.by_end(CANDIDATES))
