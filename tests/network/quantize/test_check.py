from __future__ import annotations

import numpy as np
import pytest
from chained_convolutions import INPUT, chain, chain_with_outliers, weights
from two_runtimes import Array, onnx_model, onnx_network, run_onnx, run_tflite, uniform_inputs

from npu_tune.errors import ConversionError, ModelError, NpuTuneWarning
from npu_tune.network import Network, quantize_to_tflite, to_int8, zoo_network
from npu_tune.network.quantize import ConversionCheck, check_conversion, convert
from npu_tune.network.zoo import ZOO
from npu_tune.network.zoo.catalogue import typical_inputs


def _check(network: Network, **options: object) -> ConversionCheck:
    calibration = uniform_inputs(network, samples=8, seed=0)
    conversion = convert(network, calibration=calibration, check=False)
    return check_conversion(network, conversion, **options)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_as_it_is_made_int8_keeps_enough(name):
    network = zoo_network(name)
    conversion = convert(network, calibration=typical_inputs(network, seed=0), check=False)
    check = check_conversion(network, conversion)
    assert check.worst.decibels >= 20.0
    assert check.worst_layer is None


def test_what_is_compared_of_the_zoo_is_what_its_users_get():
    network = zoo_network("ds-cnn")
    conversion = convert(network, calibration=typical_inputs(network, seed=0), check=False)
    assert conversion.model_bytes == zoo_network("ds-cnn", format="tflite").model_bytes


def test_decibels_are_those_of_the_outputs_that_both_runtimes_give():
    network = chain(2)
    calibration = uniform_inputs(network, samples=4, seed=0)
    conversion = convert(network, calibration=calibration, check=False)
    (given,) = check_conversion(network, conversion, calibration=calibration).deciding

    signal = error = 0.0
    for sample in calibration["x"]:
        feed = {"x": sample[None]}
        (wanted,), (have,) = run_onnx(network, feed), run_tflite(conversion, feed)
        signal += float(np.sum(np.square(wanted.astype(np.float64))))
        error += float(np.sum(np.square(wanted.astype(np.float64) - have)))
    assert given.samples == 4
    assert given.decibels == pytest.approx(10.0 * np.log10(signal / error))


def test_seeded_inputs_are_the_same_every_time_and_others_for_another_seed():
    assert _check(chain(2), seed=3) == _check(chain(2), seed=3)
    assert _check(chain(2), seed=3) != _check(chain(2), seed=4)


def test_without_calibration_other_random_values_are_checked_than_set_the_ranges():
    network = chain(1)
    with pytest.warns(NpuTuneWarning):
        check = convert(network, samples=1, seed=5).check
    assert check is not None
    assert {each.inputs for each in check.outputs} == {"seeded"}
    # The one sample that set the ranges would leave nothing out of range.
    with pytest.warns(NpuTuneWarning):
        more = convert(network, samples=64, seed=5).check
    assert more is not None
    assert more.worst.decibels > check.worst.decibels


def test_given_inputs_decide_and_seeded_ones_are_reported_beside():
    network = chain(2)
    calibration = {"x": np.full((3, 8, 12, 12), 0.5, np.float32)}
    calibration["x"][0, 0, 0, 0] = -0.5
    check = convert(network, calibration=calibration).check
    assert check is not None
    assert [each.inputs for each in check.outputs] == ["given", "seeded"]
    assert [each.inputs for each in check.deciding] == ["given"]
    assert check.passed
    assert check.deciding[0].samples == 3
    assert "on 3 given inputs" in str(check)
    assert "on random inputs" in str(check)


def test_given_inputs_are_spread_over_all_samples():
    network = onnx_network(onnx_model("(float[1,4] x) => (float y) { y = Relu(x) }"))
    values = np.linspace(0.1, 1.0, 100, dtype=np.float32)[:, None] * np.ones((1, 4), np.float32)
    values[-1] = 40.0  # most of the signal, and of what sets the steps
    check = convert(network, calibration={"x": values}).check
    assert check is not None
    assert check.deciding[0].samples == 16
    assert check.deciding[0].decibels > 40.0


@pytest.mark.parametrize("batch", [1, 2])
def test_several_inputs_and_batches_are_run_together(batch):
    inputs = f"{INPUT}, float[1,8] v".replace("[1,", f"[{batch},")
    body = "a = Conv(x, w0) b = Relu(a) c = GlobalAveragePool(b) d = Flatten(c) y = Add(d, v)"
    network = onnx_network(onnx_model(f"({inputs}) => (float y) {{ {body} }}", weights(1)))
    generator = np.random.default_rng(0)
    calibration = {
        name: generator.uniform(-1.0, 1.0, (6, *network.tensors[name].shape[1:]))
        for name in network.inputs
    }
    check = convert(network, calibration=calibration).check
    assert check is not None
    assert check.deciding[0].samples == 6 // batch
    assert check.worst.decibels > 30.0


@pytest.mark.parametrize("dtype", ["float16", "double"])
def test_other_precisions_of_the_source_are_compared_too(dtype):
    kind = {"float16": np.float16, "double": np.float64}[dtype]
    values = {name: value.astype(kind) for name, value in weights(1).items()}
    model = onnx_model(
        f"({dtype}[1,8,12,12] x) => ({dtype} y) {{ a = Conv(x, w0) y = Relu(a) }}", values
    )
    network = onnx_network(model)
    check = convert(network, calibration=uniform_inputs(network, samples=4, seed=0)).check
    assert check is not None
    assert check.worst.decibels > 30.0


def test_an_output_that_stays_zero_is_equal():
    network = onnx_network(
        onnx_model("(float[1,8] x) => (float y, float z) { a = Abs(x) y = Relu(x) z = Clip(x, o, o) }",
                   {"o": np.asarray(0.0, np.float32)})
    )  # fmt: skip
    calibration = {"x": -np.ones((2, 8), np.float32)}
    check = convert(network, calibration=calibration).check
    assert check is not None
    assert [each.decibels for each in check.deciding] == [200.0, 200.0]


def test_values_that_are_not_finite_cannot_be_compared():
    network = onnx_network(
        onnx_model(
            "(float[1,8] x) => (float y) { a = Mul(x, big) y = Mul(a, big) }",
            {"big": np.asarray(1e15, np.float32)},
        )
    )
    conversion = convert(network, calibration={"x": np.ones((1, 8), np.float32)}, check=False)
    huge = {"x": np.full((1, 8), 1e15, np.float32)}
    with pytest.raises(ModelError, match="'y' of 'test' is not finite on given inputs"):
        check_conversion(network, conversion, calibration=huge)


def test_too_little_is_refused_with_output_decibels_layer_and_remedy():
    network = chain_with_outliers(3, 1)
    with (
        pytest.warns(NpuTuneWarning),
        pytest.raises(ConversionError, match=r"keeps its output 'y' to -?\d+\.\d dB") as caught,
    ):
        convert(network)
    error = caught.value
    assert "the layers 'c1' (Conv) and 'r1' (Relu)" in error.message
    assert "do not suit int8" in error.message
    assert "--calibration" in error.remedy
    assert "--no-check" in error.remedy
    assert error.exit_code == 3
    assert error.data["layer"]["cause"] == "activations"
    assert error.data["check"]["outputs"][0]["decibels"] < 20.0


def test_the_layer_is_sought_on_the_inputs_that_lose_most():
    network = onnx_network(onnx_model("(float[1,4] x) => (float y) { y = Relu(x) }"))
    values = np.random.default_rng(0).uniform(0.5, 1.0, (16, 4)).astype(np.float32)
    conversion = convert(network, calibration={"x": values}, check=False)
    values[12:] *= 100.0  # beyond what the codes can state
    check = check_conversion(network, conversion, calibration={"x": values})
    assert check.deciding[0].samples == 16
    assert check.worst_layer is not None
    assert check.worst_layer.tensor == "x"
    assert check.worst_layer.after.decibels < 20.0


def test_who_gave_inputs_is_not_told_to_give_some():
    network = chain_with_outliers(3, 1)
    calibration: dict[str, Array] = uniform_inputs(network, samples=4, seed=0)
    with pytest.raises(ConversionError) as caught:
        convert(network, calibration=calibration)
    assert "--calibration" not in caught.value.remedy


def test_without_the_check_the_bytes_are_the_same_and_nothing_is_refused():
    calibration = uniform_inputs(chain(2), samples=4, seed=0)
    checked = convert(chain(2), calibration=calibration)
    unchecked = convert(chain(2), calibration=calibration, check=False)
    assert checked.model_bytes == unchecked.model_bytes
    assert unchecked.check is None
    unfit = chain_with_outliers(3, 1)
    assert not to_int8(unfit, calibration=calibration, check=False).is_float
    assert quantize_to_tflite(unfit, calibration=calibration, check=False)


def test_to_int8_logs_what_is_kept(caplog):
    caplog.set_level("INFO", logger="npu_tune")
    to_int8(chain(2), calibration=uniform_inputs(chain(2), samples=4, seed=0))
    (record,) = caplog.records
    assert "The int8 form of 'test' keeps" in record.getMessage()
    assert "dB in 'y' on 4 given inputs" in record.getMessage()
