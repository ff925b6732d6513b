from __future__ import annotations

import pytest

from npu_tune.errors import StorageError
from npu_tune.tuning.identity import STUDY, about_study


def test_a_study_that_has_just_begun_does_not_say_what_it_is_yet():
    assert about_study("s", {}) is None
    assert about_study("s", {STUDY: {"target": "t"}}) == {"target": "t"}


@pytest.mark.parametrize("spoilt", [3, "text", ["list"], True])
def test_what_a_study_says_of_itself_is_a_table(spoilt):
    with pytest.raises(StorageError, match="does not say what it is"):
        about_study("s", {STUDY: spoilt})
