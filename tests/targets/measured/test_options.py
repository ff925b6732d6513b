from __future__ import annotations

import sys

import numpy as np
import pytest

from npu_tune.errors import ModelError, TargetError
from npu_tune.targets.measured.options import MeasuredOptions, read_labelled
from npu_tune.targets.options import read_options

INPUTS = np.zeros((3, 4), np.float32)


@pytest.fixture
def write(tmp_path):
    def save(**arrays) -> MeasuredOptions:
        np.savez(tmp_path / "data.npz", **arrays)
        return MeasuredOptions(data=tmp_path / "data.npz")

    return save


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of the user's into the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def save(text: str) -> None:
        (tmp_path / "scores_of_mine.py").write_text(text)

    yield save
    sys.modules.pop("scores_of_mine", None)


@pytest.mark.parametrize(("given", "read"), [({}, (1,)), ({"threads": 2}, (2,))])
def test_a_number_of_threads_is_a_list_of_one(given, read):
    assert read_options(MeasuredOptions, given, target="t").threads == read


def test_a_list_of_threads_is_kept_in_order():
    assert read_options(MeasuredOptions, {"threads": [1, 2]}, target="t").threads == (1, 2)


@pytest.mark.parametrize("threads", [0, -1, True, "2", [], [1, 0], 1.5, [1, 1], 10_000])
def test_no_number_of_threads_is_refused(threads):
    with pytest.raises(TargetError, match="threads"):
        read_options(MeasuredOptions, {"threads": threads}, target="t")


def test_without_data_there_are_no_labels():
    assert read_labelled(MeasuredOptions()) is None


def test_labels_are_taken_apart_from_the_inputs(write):
    labelled = read_labelled(write(x=INPUTS, labels=[0, 1, 2]))
    assert set(labelled.inputs) == {"x"}
    assert labelled.labels.tolist() == [0, 1, 2]
    assert labelled.accuracy(np.eye(3)) == 1.0
    assert labelled.score_name == "top-1"


def test_labels_may_be_whole_numbers_of_any_type(write):
    labelled = read_labelled(write(x=INPUTS, labels=np.array([0.0, 1.0, 2.0])))
    assert labelled.accuracy(np.eye(3)) == 1.0


@pytest.mark.parametrize(
    "labels", [[0.5, 1, 2], [-1, 0, 1], [[0], [1], [2]], 3, [np.nan, 0, 1], [np.inf, 0, 1], []]
)
def test_labels_that_are_no_classes_are_refused(write, labels):
    with pytest.raises(ModelError, match="labels"):
        read_labelled(write(x=INPUTS, labels=np.array(labels, np.float64)))


def test_a_file_without_labels_is_refused(write):
    with pytest.raises(ModelError, match="no array 'labels'"):
        read_labelled(write(x=INPUTS))


def test_one_label_is_needed_per_sample(write):
    with pytest.raises(ModelError, match="3 samples for 'x' and 2 labels"):
        read_labelled(write(x=INPUTS, labels=[0, 1]))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no file"):
        read_labelled(MeasuredOptions(data=tmp_path / "none.npz"))


def test_an_accuracy_of_ones_own_is_found_in_the_working_folder(write, module):
    module("def half(outputs, labels):\n    return 0.5\n")
    options = write(x=INPUTS, labels=[[0.5], [1.5], [2.5]])
    labelled = read_labelled(options.model_copy(update={"accuracy": "scores_of_mine:half"}))
    assert labelled.accuracy(np.eye(3)) == 0.5
    assert labelled.score_name == "scores_of_mine:half"


def test_an_accuracy_needs_data():
    with pytest.raises(TargetError, match="labelled samples"):
        read_labelled(MeasuredOptions(accuracy="a:b"))


@pytest.mark.parametrize("accuracy", ["", "no_such_module:f", "math:no_such", "math", ":f", "a:"])
def test_an_accuracy_that_cannot_be_had_is_refused(write, accuracy):
    options = write(x=INPUTS, labels=[0, 1, 2])
    with pytest.raises(TargetError, match="accuracy"):
        read_labelled(options.model_copy(update={"accuracy": accuracy}))


def test_an_accuracy_that_is_no_function_is_refused(write):
    options = write(x=INPUTS, labels=[0, 1, 2])
    with pytest.raises(TargetError, match="no function"):
        read_labelled(options.model_copy(update={"accuracy": "math:pi"}))


def test_a_module_that_raises_is_refused_with_what_it_says(write, module):
    module("raise RuntimeError('half of it is missing')\n")
    options = write(x=INPUTS, labels=[0, 1, 2])
    with pytest.raises(TargetError, match="half of it is missing"):
        read_labelled(options.model_copy(update={"accuracy": "scores_of_mine:f"}))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('of my own')", "of my own"),
        ("return 'x'", "number"),
        ("return float('nan')", "number"),
        ("return [0.5, 0.5]", "number"),
    ],
)
def test_an_accuracy_that_gives_no_number_is_the_users_mistake(write, module, body, said):
    module(f"def f(outputs, labels):\n    {body}\n")
    options = write(x=INPUTS, labels=[0, 1, 2])
    labelled = read_labelled(options.model_copy(update={"accuracy": "scores_of_mine:f"}))
    with pytest.raises(TargetError, match=said):
        labelled.accuracy(np.eye(3))
