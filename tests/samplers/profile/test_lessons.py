from __future__ import annotations

import numpy as np
import pytest

from npu_tune.samplers.profile.lessons import Lessons


def test_a_change_is_expected_to_do_what_it_did_relative_to_the_present_choice():
    lessons = Lessons(np.ones(1), {0: {(0, 1): -0.3, (0, 2): 0.1, (1, 1): -0.05}})
    candidates = np.array([[0, 0], [1, 0], [2, 1], [1, 1]])
    assert lessons.expect(0, candidates, (0, 0)) == pytest.approx([0.0, -0.3, 0.05, -0.35])
    assert lessons.expect(0, candidates, (1, 0)) == pytest.approx([0.3, 0.0, 0.35, -0.05])


def test_nothing_is_expected_of_a_layer_that_was_never_changed():
    lessons = Lessons(np.ones(2), {0: {(0, 1): -0.3}})
    assert lessons.expect(1, np.array([[0], [1]]), (0,)).tolist() == [0.0, 0.0]
