from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError
from npu_tune.network import Network, load_calibration
from npu_tune.network.quantize import convert
from npu_tune.network.quantize.calibrate import check_calibration, random_calibration, runs

UNLIKE = {"a": (2, 3), "b": (5, 3), "c": ()}


@pytest.fixture(scope="module")
def network() -> Network:
    return onnx_network(
        onnx_model("(float[1,3,4,4] image, float[1,5] extra) => (float y, float z)"
                   "{ y = Relu(image) z = Relu(extra) }")
    )  # fmt: skip


def _save(folder: Path, **arrays: np.ndarray) -> Path:
    file = folder / "calibration.npz"
    np.savez(file, **arrays)
    return file


def test_good_data_are_returned_as_they_are(tmp_path: Path, network: Network) -> None:
    image, extra = np.ones((6, 3, 4, 4), np.float32), np.zeros((6, 5), np.float32)
    data = load_calibration(_save(tmp_path, image=image, extra=extra), network)
    assert np.array_equal(data["image"], image)
    assert np.array_equal(data["extra"], extra)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"image": (6, 3, 4, 4)}, "nothing for the input 'extra'"),
        ({"image": (6, 3, 4, 4), "extra": (6, 5), "other": (6, 1)}, "'other'"),
        ({"image": (6, 4, 4, 3), "extra": (6, 5)}, r"\(6, 4, 4, 3\); \(samples, 3, 4, 4\)"),
        ({"image": (3, 4, 4), "extra": (6, 5)}, "'image'"),
        ({"image": (0, 3, 4, 4), "extra": (0, 5)}, "'image'"),
        ({"image": (6, 3, 4, 4), "extra": (5, 5)}, "more samples"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, network: Network, arrays: dict[str, tuple[int, ...]], words: str
) -> None:
    file = _save(tmp_path, **{name: np.zeros(shape) for name, shape in arrays.items()})
    with pytest.raises(ModelError, match=words) as caught:
        load_calibration(file, network)
    assert caught.value.remedy


def test_values_that_are_not_finite_are_refused(tmp_path: Path, network: Network) -> None:
    image = np.full((2, 3, 4, 4), np.nan)
    with pytest.raises(ModelError, match="finite"):
        load_calibration(_save(tmp_path, image=image, extra=np.zeros((2, 5))), network)


def test_text_is_refused(tmp_path: Path, network: Network) -> None:
    file = tmp_path / "calibration.npz"
    file.write_text("not an archive")
    with pytest.raises(ModelError, match="cannot be read"):
        load_calibration(file, network)


def test_a_truncated_archive_is_refused(tmp_path: Path, network: Network) -> None:
    file = _save(tmp_path, image=np.zeros((2, 3, 4, 4)), extra=np.zeros((2, 5)))
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ModelError, match="cannot be read"):
        load_calibration(file, network)


def test_a_single_array_is_refused(tmp_path: Path, network: Network) -> None:
    file = tmp_path / "calibration.npy"
    np.save(file, np.zeros((2, 3, 4, 4)))
    with pytest.raises(ModelError, match=r"not an \.npz"):
        load_calibration(file, network)


def test_a_missing_file_is_named(tmp_path: Path, network: Network) -> None:
    with pytest.raises(ModelError, match="no file"):
        load_calibration(tmp_path / "nowhere.npz", network)


def test_inputs_may_have_unlike_first_sizes_or_no_dimensions() -> None:
    data = {"a": np.zeros((8, 3)), "b": np.zeros((20, 3)), "c": np.arange(4.0)}
    assert check_calibration(data, UNLIKE) == 4
    fed = list(runs(data, UNLIKE))
    assert [{name: value.shape for name, value in each.items()} for each in fed] == [UNLIKE] * 4
    assert [float(each["c"]) for each in fed] == [0.0, 1.0, 2.0, 3.0]


def test_unlike_numbers_of_runs_are_refused() -> None:
    data = {"a": np.zeros((8, 3)), "b": np.zeros((15, 3)), "c": np.arange(4.0)}
    with pytest.raises(ModelError, match="more samples"):
        check_calibration(data, UNLIKE)


@pytest.mark.filterwarnings("ignore")
def test_random_samples_are_drawn_in_the_order_of_one_draw() -> None:
    generator = np.random.default_rng(7)
    whole = {
        n: generator.uniform(-1, 1, (6 * (s[0] if s else 1), *s[1:])) for n, s in UNLIKE.items()
    }
    drawn = random_calibration(UNLIKE, samples=6, seed=7)
    for name, values in whole.items():
        assert np.array_equal(drawn[name], values.astype(np.float32))


@pytest.mark.filterwarnings("ignore")
def test_random_samples_of_more_than_the_budget_are_refused() -> None:
    with pytest.raises(ModelError, match=r"more than 1\.5 GB") as caught:
        random_calibration({"x": (1, 3, 40_000, 40_000)}, samples=1, seed=0)
    assert "calibration data" in caught.value.remedy


@pytest.mark.filterwarnings("ignore")
def test_a_network_of_inputs_of_unlike_first_sizes_is_converted() -> None:
    model = onnx_model(
        "(float[1,8] x, float[6,8] z) => (float y, float w) { y = Relu(x) w = Relu(z) }"
    )
    assert convert(onnx_network(model), samples=3).model_bytes


@pytest.mark.filterwarnings("ignore")
def test_layers_of_more_than_the_budget_are_refused_before_they_run() -> None:
    model = onnx_model(
        '(float[1,1,8,8] x) => (float y) { r = Resize<mode="nearest",'
        ' coordinate_transformation_mode="asymmetric", nearest_mode="floor">(x, , s) y = Relu(r) }',
        {"s": np.asarray([1, 1, 2200, 2200], np.float32)},
    )
    with pytest.raises(ModelError, match="one run of all layers"):
        convert(onnx_network(model), samples=1)


@pytest.mark.filterwarnings("ignore::npu_tune.errors.NpuTuneWarning")
def test_sizes_that_onnxruntime_computes_otherwise_are_refused_by_the_tensor() -> None:
    model = onnx_model(
        "(float[1,4,7,6] x) => (float y)"
        " { y = MaxPool<kernel_shape=[2,3], strides=[2,2], pads=[1,1,1,1], ceil_mode=1>(x) }"
    )
    with pytest.raises(ModelError, match=r"'y' has the shape"):
        convert(onnx_network(model))


@pytest.mark.filterwarnings("ignore::npu_tune.errors.NpuTuneWarning")
def test_values_that_onnxruntime_refuses_at_run_time_are_no_internal_error() -> None:
    model = onnx_model(
        "(float[1,4,6,6] x) => (float y)"
        ' { y = Conv<auto_pad="SAME_UPPER", dilations=[2,2]>(x, w) }',
        {"w": np.ones((4, 4, 3, 3), np.float32)},
    )
    with pytest.raises(ModelError, match="onnxruntime"):
        convert(onnx_network(model))
