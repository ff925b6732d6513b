from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from npu_tune.errors import ModelError
from npu_tune.targets.measured.data import (
    CHECKED_SAMPLES,
    SEEDED_SAMPLES,
    LabelledData,
    MeasuringData,
    arrays_digest,
)

SHAPES = {"x": (1, 2)}


def numbered(count: int) -> dict[str, np.ndarray]:
    """Samples that say which they are."""
    return {"x": np.arange(count, dtype=np.float32)[:, None] * np.ones((1, 2), np.float32)}


def split(count: int, shapes=SHAPES) -> tuple[list[int], list[int]]:
    ranged, compared = MeasuringData(numbered(count)).feeds(shapes)
    return [int(f["x"][0, 0]) for f in ranged], [int(f["x"][0, 0]) for f in compared]


@pytest.mark.parametrize(
    ("count", "ranged", "compared"),
    [
        (1, [0], [0]),
        (2, [0], [1]),
        (3, [0, 1], [2]),
        (4, [0, 1, 2], [3]),
        (9, [0, 1, 2, 4, 5, 6, 8], [3, 7]),
    ],
)
def test_every_fourth_sample_is_kept_for_comparing(count, ranged, compared):
    assert split(count) == (ranged, compared)


def test_no_more_samples_are_compared_than_are_checked():
    ranged, compared = split(100)
    assert compared == [3, 7, 11, 15][:CHECKED_SAMPLES]
    assert len(ranged) == 75
    assert not set(ranged) & set(compared)


def test_samples_are_taken_by_the_batch():
    ranged, compared = split(8, {"x": (2, 2)})
    assert (ranged, compared) == ([0, 2, 4], [6])


def test_seeded_samples_are_the_same_every_time_and_differ_between_uses():
    ranged, compared = MeasuringData().feeds(SHAPES)
    again, _ = MeasuringData().feeds(SHAPES)
    assert (len(ranged), len(compared)) == (SEEDED_SAMPLES, CHECKED_SAMPLES)
    assert all(np.array_equal(a["x"], b["x"]) for a, b in zip(ranged, again, strict=True))
    assert not any(np.array_equal(a["x"], b["x"]) for a in ranged for b in compared)
    assert {feed["x"].dtype for feed in ranged} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"x": np.zeros((3, 5), np.float32)}, "shape"),
        ({"y": np.zeros((3, 2), np.float32)}, "'x'"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(3)}, "'y'"),
        ({"x": np.full((3, 2), np.nan)}, "finite"),
        ({"x": np.zeros((0, 2))}, "shape"),
    ],
)
def test_data_that_do_not_fit_are_refused(data, said):
    with pytest.raises(ModelError, match=said):
        MeasuringData(data).feeds(SHAPES)


def test_the_digest_tells_names_types_shapes_and_values_apart():
    value = np.arange(4, dtype=np.float32)
    other = value.copy()
    other[3] = 7
    every = [
        {"x": value},
        {"y": value},
        {"x": value.reshape(2, 2)},
        {"x": value.astype(np.float64)},
        {"x": other},
        {"x": value, "y": value},
    ]
    assert len({arrays_digest(each) for each in every}) == len(every)


def test_the_digest_is_of_the_values_and_not_of_their_place():
    value = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert arrays_digest({"x": value, "y": value}) == arrays_digest(
        {"y": value.T.copy().T, "x": np.asfortranarray(value)}
    )


def test_the_fingerprint_changes_with_calibration_and_labels():
    inputs = numbered(2)
    labelled = LabelledData(inputs, np.array([0, 1]))
    others = [
        MeasuringData(),
        MeasuringData(inputs),
        MeasuringData(numbered(3)),
        MeasuringData(inputs, labelled),
        MeasuringData(inputs, replace(labelled, labels=np.array([1, 0]))),
        MeasuringData(inputs, replace(labelled, score_name="mine:iou")),
    ]
    assert len({tuple(each.fingerprint().items()) for each in others}) == len(others)


def test_the_fingerprint_follows_data_that_are_given_later():
    before = MeasuringData()
    assert before.fingerprint()["calibration"] == "seeded"
    after = replace(before, calibration=numbered(2))
    assert after.fingerprint() == MeasuringData(numbered(2)).fingerprint()
    assert before.fingerprint()["calibration"] == "seeded"


def test_data_are_equal_where_all_of_them_are():
    one, same, other = (MeasuringData(numbered(count)) for count in (2, 2, 3))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - made here


def test_accuracy_is_the_share_of_greatest_outputs_at_the_label():
    data = LabelledData({}, np.array([1, 0, 1]))
    outputs = np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
    assert data.accuracy(outputs) == pytest.approx(2 / 3)
    assert data.accuracy(outputs[:, :, None, None]) == pytest.approx(2 / 3)


def test_an_accuracy_of_ones_own_gets_outputs_and_labels():
    data = LabelledData({}, np.array([1.0, 2.0]), lambda outputs, labels: outputs @ labels)
    assert data.accuracy(np.array([3.0, 4.0])) == 11.0
