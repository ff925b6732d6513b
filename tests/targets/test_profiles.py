from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.targets.profiles import pack_profile, unpack_profile

numbers = st.floats(allow_nan=False, allow_infinity=False)
rows = st.dictionaries(st.sampled_from(["cycles", "sram_bytes", "dram_bytes"]), numbers)
profiles = st.dictionaries(st.text(min_size=1, max_size=8), rows, max_size=6)


@given(profiles)
def test_a_profile_comes_back_from_its_table_the_same(profile):
    packed = json.loads(json.dumps(pack_profile(profile)))

    assert unpack_profile(packed) == profile


def test_column_names_are_kept_once():
    packed = pack_profile({"a": {"cycles": 3.0}, "b": {"cycles": 4.5}})

    assert packed == {"columns": ["cycles"], "rows": {"a": [3], "b": [4.5]}}


def test_numbers_may_be_integers():
    packed = pack_profile({"a": {"cycles": 3, "bytes": np.int64(4)}, "b": {"cycles": 2**60}})

    assert json.loads(json.dumps(packed))["rows"] == {"a": [3, 4], "b": [2**60, None]}
