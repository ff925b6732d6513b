from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.targets import ProfileSchema, bounding_cause
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


PARTS = ProfileSchema(causes={"compute_cycles": "compute", "flash_cycles": "flash"})


def test_the_largest_part_bounds_a_layer_and_of_equal_ones_the_first():
    row = {"cycles": 30.0, "compute_cycles": 10.0, "flash_cycles": 29.0}
    assert bounding_cause(PARTS, row) == "flash"
    assert bounding_cause(PARTS, {**row, "compute_cycles": 29.0}) == "compute"
    assert bounding_cause(PARTS, {**row, "compute_cycles": 29.1}) == "compute"


@pytest.mark.parametrize(
    "row",
    [
        {"cycles": 30.0},
        {"cycles": 30.0, "flash_cycles": 29.0},
        {"cycles": 0.0, "compute_cycles": 0.0, "flash_cycles": 0.0},
    ],
)
def test_nothing_is_said_where_a_column_is_missing_or_a_layer_costs_nothing(row):
    assert bounding_cause(PARTS, row) == ""


def test_nothing_bounds_a_layer_where_a_profile_has_no_such_columns():
    assert bounding_cause(ProfileSchema(), {"cycles": 30.0}) == ""
