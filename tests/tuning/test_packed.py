from __future__ import annotations

import copy
import gc
import json
import pickle
import tracemalloc

import pytest
from fake_studies import fake_study
from fake_targets import fake_network
from hypothesis import given, settings
from hypothesis import strategies as st
from wide_target import WideTarget

from npu_tune.errors import StorageError
from npu_tune.space import Configuration
from npu_tune.targets.profiles import pack_profile
from npu_tune.tuning import run_study
from npu_tune.tuning.packed import LazyProfile, PackedTable, SharedPairs, pack_attributes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), JSON, max_size=3))
@settings(max_examples=50)
def test_packed_attributes_are_what_they_were(attributes):
    packed = pack_attributes(attributes)
    assert packed == attributes
    assert json.dumps(packed, default=dict) == json.dumps(attributes)


@given(st.dictionaries(st.text(), JSON, max_size=3))
@settings(max_examples=50)
def test_a_packed_table_is_a_mapping_that_can_be_copied_and_sent(table):
    packed = PackedTable.of(table)
    assert packed == table
    assert list(packed) == list(table)
    assert len(packed) == len(table)
    assert copy.deepcopy(packed) == pickle.loads(pickle.dumps(packed)) == table  # noqa: S301


@given(st.dictionaries(st.text(), JSON, max_size=3), st.booleans())
@settings(max_examples=50)
def test_a_table_is_that_of_its_text(table, is_compressed):
    text = json.dumps(table).encode()
    packed = PackedTable(text, len(table), is_compressed=is_compressed)
    assert packed == table
    assert len(packed) == len(table)
    assert pickle.loads(pickle.dumps(packed)) == table  # noqa: S301


@pytest.mark.parametrize("text", [b"{", b"{}}", b'{"columns":["a"],"rows":{"b":[1,2]}}'])
def test_a_profile_that_is_no_profile_is_told(text):
    profile = LazyProfile(PackedTable(text, 2))
    for look in (dict, repr, lambda found: found["b"]):
        with pytest.raises(StorageError, match="profile"):
            look(profile)


def test_a_lazy_profile_is_the_profile():
    profile = {"conv": {"cycles": 1.5, "macs": 3.0}, "dense": {"cycles": 2.0}}
    lazy = LazyProfile(PackedTable.of(pack_profile(profile)))
    assert dict(lazy.items()) == {layer: lazy[layer] for layer in lazy}
    assert lazy == profile
    assert (list(lazy), len(lazy), lazy["conv"]["macs"]) == (["conv", "dense"], 2, 3.0)
    assert lazy.get("no") is None


def test_configurations_share_their_pairs():
    shared = SharedPairs()
    first, second = (
        shared.share(Configuration.of({f"conv{n}/block": size for n in range(3)}))
        for size in (1, 1)
    )
    assert first == second
    assert all(a is b for a, b in zip(first.items_, second.items_, strict=True))


KNOBS = [f"conv{number}/block" for number in range(4)]
VALUES = st.integers(0, 3) | st.booleans() | st.text(max_size=1)


@given(
    st.fixed_dictionaries(dict.fromkeys(KNOBS, VALUES)),
    st.lists(st.dictionaries(st.sampled_from(KNOBS), VALUES), max_size=5),
)
def test_changed_configurations_are_what_they_are_and_share_their_pairs(values, changes):
    default, shared = Configuration.of(values), SharedPairs()
    made = [shared.changed(default, each) for each in changes]
    assert made == [default.replace(each) for each in changes]
    pairs = {id(pair) for each in made for pair in each.items_}
    assert len(pairs) == len({pair for each in made for pair in each.items_})


def test_a_change_of_what_is_not_there_is_an_error():
    with pytest.raises(KeyError, match="no"):
        SharedPairs().changed(Configuration.of({"conv/block": 1}), {"no": 2})


def test_a_finished_trial_takes_little_memory(tmp_path):
    def memory_of(trials):
        taken = []

        def measure():
            gc.collect()
            taken.append(tracemalloc.get_traced_memory()[0])

        def run(evaluations, act=None):
            folder = tmp_path / f"of-{trials}"
            study = fake_study(folder, evaluations, sampler={"name": "layerwise"})
            run_study(study, network=fake_network(), target=WideTarget(94, on_evaluation=act))

        # What is made once per process is there before anything is measured.
        run(trials)
        tracemalloc.start()
        try:
            run(trials + 1, measure)
        finally:
            tracemalloc.stop()
        return taken[0]

    # What is made once per study is in both.
    assert 5_000 < (memory_of(400) - memory_of(100)) / 300 <= 15_000
