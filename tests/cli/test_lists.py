from __future__ import annotations


def test_targets_lists_every_family_with_its_options(npu_tune, here):
    document = npu_tune("targets", "--json").document
    fake = next(family for family in document["families"] if family["family"] == "fake")
    assert {"name": "fake-npu", "description": "adds up made-up cycles"} in fake["targets"]
    assert fake["options"]["version"] == "text; of the made-up compiler"


def test_targets_is_a_table_for_people(npu_tune, here):
    ended = npu_tune("targets")
    assert ended.code == 0, ended.err
    assert "fake-npu" in ended.out
    assert "ethos-u55-128" in ended.out


def test_space_lists_the_knobs_with_the_default_in_brackets(npu_tune, here):
    ended = npu_tune("space", "ds-cnn", "--target", "fake-npu")
    assert ended.code == 0, ended.err
    assert "[size] speed" in ended.out


def test_space_answers_in_the_schema(npu_tune, here):
    document = npu_tune("space", "ds-cnn", "--target", "fake-npu", "--json").document
    assert document["model"]["name"] == "ds-cnn"
    assert document["space"]["layers"][0]["knobs"][0]["default"] == "size"
    assert document["target"]["fingerprint"]["version"] == "1"


def test_space_of_an_unknown_target_names_the_known_ones(npu_tune, here):
    ended = npu_tune("space", "ds-cnn", "--target", "fake")
    assert ended.code == 4
    assert "fake-npu" in ended.err
