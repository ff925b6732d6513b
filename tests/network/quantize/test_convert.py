from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from two_runtimes import (
    Array,
    onnx_model,
    onnx_network,
    run_onnx,
    run_tflite,
    signal_to_noise_db,
    uniform_inputs,
)

from npu_tune.errors import ModelError, NpuTuneWarning, UnsupportedOperatorError
from npu_tune.network import (
    Network,
    network_from_bytes,
    quantize_to_tflite,
    read_network,
    to_int8,
    zoo_network,
)
from npu_tune.network.quantize import convert


def _small_network() -> Network:
    weights = np.random.default_rng(5).normal(0.0, 0.3, (4, 3, 3, 3)).astype(np.float32)
    return onnx_network(
        onnx_model(
            "(float[1,3,8,8] x) => (float y) { a = Conv(x, w) y = Relu(a) }", {"w": weights}
        )
    )


def _pixels(network: Network, *, samples: int, seed: int) -> dict[str, Array]:
    """Images with values from 0 to 255, as this network was trained on."""
    inputs = uniform_inputs(network, samples=samples, seed=seed)
    return {name: (value + 1.0) * 127.5 for name, value in inputs.items()}


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("match_resnet8_fp16", _pixels),
        ("match_kws_dscnn_fp16", uniform_inputs),
        ("ultraface_slim_320_simplified", uniform_inputs),
    ],
)
def test_real_networks_keep_30_db(shared_models: Path, name: str, inputs: object) -> None:
    network = read_network(shared_models / "onnx" / f"{name}.onnx")
    ratios = signal_to_noise_db(network, inputs=inputs, samples=32)  # type: ignore[arg-type]
    assert min(ratios) >= 30.0


def test_the_same_input_gives_the_same_bytes() -> None:
    network = _small_network()
    calibration = uniform_inputs(network, samples=4, seed=0)
    first = quantize_to_tflite(network, calibration=calibration)
    assert quantize_to_tflite(network, calibration=calibration) == first


def test_without_calibration_random_data_serve_with_a_warning() -> None:
    network = _small_network()
    with pytest.warns(NpuTuneWarning, match=r"\.npz"):
        first = quantize_to_tflite(network, seed=1)
    with pytest.warns(NpuTuneWarning):
        assert quantize_to_tflite(network, seed=1) == first
    with pytest.warns(NpuTuneWarning):
        assert quantize_to_tflite(network, seed=2) != first


def test_the_result_is_int8_throughout_and_keeps_its_name() -> None:
    network = _small_network()
    quantized = to_int8(network, calibration=uniform_inputs(network, samples=4, seed=0))

    assert quantized.name == network.name
    assert quantized.format == "tflite"
    assert not quantized.is_float
    assert [layer.op for layer in quantized.layers] == ["CONV_2D"]
    assert quantized.layers[0].name == "y"
    assert quantized.tensors[quantized.inputs[0]].shape == (1, 8, 8, 3)
    assert {tensor.dtype for tensor in quantized.tensors.values()} == {"int8", "int32"}


def test_a_tflite_network_is_int8_already() -> None:
    network = zoo_network("ds-cnn", format="tflite")
    assert to_int8(network) is network
    with pytest.raises(ModelError, match="not ONNX"):
        convert(network)


def test_an_unknown_operator_is_named_with_its_node() -> None:
    network = onnx_network(onnx_model("(float[1,8] x) => (float y) { a = Relu(x) y = Erf(a) }"))
    with pytest.raises(UnsupportedOperatorError, match=r"'y' \(Erf\)") as caught:
        quantize_to_tflite(network)
    assert caught.value.data["op"] == "Erf"
    assert caught.value.remedy


def test_a_network_that_overflows_is_refused_by_the_tensor() -> None:
    network = onnx_network(
        onnx_model(
            "(float[1,8] x) => (float y) { a = Mul(x, big) y = Mul(a, big) }",
            {"big": np.asarray(1e30, np.float32)},
        )
    )
    calibration = {"x": np.full((2, 8), 1e10, np.float32)}
    with pytest.raises(ModelError, match="not finite"):
        quantize_to_tflite(network, calibration=calibration)


def test_integer_inputs_are_refused_by_name() -> None:
    network = onnx_network(onnx_model("(uint8[1,8] x) => (float y) { y = Cast<to=1>(x) }"))
    with pytest.raises(ModelError, match=r"'x' .* is uint8"):
        quantize_to_tflite(network)


def test_outputs_that_are_constant_are_refused_by_name() -> None:
    network = onnx_network(
        onnx_model(
            "(float[1,8] x) => (float y, float z) { y = Relu(x) z = Relu(c) }",
            {"c": np.ones(3, np.float32)},
        )
    )
    with pytest.raises(ModelError, match=r"'z' .* any input"):
        quantize_to_tflite(network)


def test_an_input_that_nothing_reads_stays_an_input() -> None:
    network = onnx_network(
        onnx_model("(float[1,8] x, float[1,3] unread) => (float y) { y = Relu(x) }")
    )
    assert min(signal_to_noise_db(network)) >= 30.0


@pytest.mark.parametrize("amount", [5, 5000])
def test_padding_by_the_border_takes_as_many_operators_for_any_amount(amount: int) -> None:
    network = onnx_network(
        onnx_model(
            '(float[1,2,3,4] x) => (float y) { y = Pad<mode="edge">(x, p) }',
            {"p": np.asarray([0, 0, 1, amount, 0, 0, 0, amount])},
        )
    )
    conversion = convert(
        network, calibration=uniform_inputs(network, samples=2, seed=0), check=False
    )
    layers = network_from_bytes(conversion.model_bytes, "tflite", "pads").layers
    assert [layer.op for layer in layers] == ["GATHER", "GATHER"]


@pytest.mark.parametrize(
    "limits",
    [(0.0, 0.0), (0.5, 0.5), (-0.5, -0.5), (0.5, -0.5), (0.0, -0.5), (0.5, 0.0), (0.0, 1e-12)],
)
@pytest.mark.parametrize("before", ["a = Identity(x)", "a = Conv(x, w)"])
def test_clipping_to_limits_with_nothing_between_gives_the_upper_one(
    limits: tuple[float, float], before: str
) -> None:
    constants = {"low": np.float32(limits[0]), "high": np.float32(limits[1])}
    network = onnx_network(
        onnx_model(
            f"(float[1,4,6,5] x) => (float y) {{ {before} y = Clip(a, low, high) }}",
            {name: np.asarray(value) for name, value in constants.items()}
            | {"w": np.eye(4, dtype=np.float32)[:, :, None, None]},
        )
    )
    calibration = uniform_inputs(network, samples=4, seed=0)
    conversion = convert(network, calibration=calibration, check=False)
    for factor in (1.0, 5.0):
        feed = {"x": calibration["x"][:1] * np.float32(factor)}
        assert run_tflite(conversion, feed)[0] == pytest.approx(limits[1], abs=0.005)


@pytest.mark.parametrize("sizes", [[4, 4], [3, 5], [0, 8], [2, 3, 3]])
def test_parts_of_a_split_that_nothing_reads_are_left_alone(sizes: list[int]) -> None:
    parts = ["unread", "a", "b"][: len(sizes)]
    network = onnx_network(
        onnx_model(
            f"(float[1,8,6,5] x) => (float y) {{ {', '.join(parts)} = Split<axis=1>(x, s)"
            " y = Relu(a) }",
            {"s": np.asarray(sizes)},
        )
    )
    assert min(signal_to_noise_db(network)) >= 30.0


def test_stated_ranges_of_quantizers_are_kept() -> None:
    network = onnx_network(
        onnx_model(
            "(float[1,8] x) => (float y)"
            "{ a = QuantizeLinear(x, s, z) b = DequantizeLinear(a, s, z) y = Relu(b) }",
            {"s": np.asarray(0.125, np.float32), "z": np.asarray(3, np.int8)},
        )
    )
    quantized = to_int8(network, calibration=uniform_inputs(network, samples=2, seed=0))
    stated = quantized.tensors["x"].quantization
    assert stated is not None
    assert (stated.scales, stated.zero_points) == ((0.125,), (3,))


class _Samples:
    """Calibration data as onnxruntime's own quantizer wants them."""

    def __init__(self, feeds: list[dict[str, Array]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, Array] | None:
        return next(self._feeds, None)


@pytest.mark.parametrize("activations", ["QInt8", "QUInt8"])
def test_a_file_that_onnxruntime_quantized_keeps_its_values(
    tmp_path: Path, activations: str
) -> None:
    from onnxruntime import quantization

    network = zoo_network("ds-cnn")
    source, target = tmp_path / "float.onnx", tmp_path / "qdq.onnx"
    source.write_bytes(network.model_bytes)
    samples = uniform_inputs(network, samples=8, seed=3)["features"]
    quantization.quantize_static(
        source,
        target,
        _Samples([{"features": sample[None]} for sample in samples]),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType[activations],
        weight_type=quantization.QuantType.QInt8,
    )
    assert min(signal_to_noise_db(read_network(target), samples=8)) >= 30.0


def test_softmax_and_sigmoid_have_the_codes_the_specification_fixes() -> None:
    network = onnx_network(
        onnx_model("(float[1,8] x) => (float p, float q) { p = Softmax(x) q = Sigmoid(x) }")
    )
    quantized = to_int8(network, calibration=uniform_inputs(network, samples=2, seed=0))
    for name in quantized.outputs:
        quantization = quantized.tensors[name].quantization
        assert quantization is not None
        assert (quantization.scales, quantization.zero_points) == ((1 / 256,), (-128,))


def test_joined_sigmoids_do_not_limit_what_they_are_joined_with() -> None:
    network = onnx_network(
        onnx_model(
            "(float[1,4] x) => (float y) { a = Mul(x, five) p = Sigmoid(a) q = Sigmoid(x)"
            " k = Concat<axis=1>(p, q) y = Concat<axis=1>(k, a) }",
            {"five": np.asarray(5.0, np.float32)},
        )
    )
    assert min(signal_to_noise_db(network)) >= 30.0


MOVES = {"CONCATENATION", "MAX_POOL_2D", "PAD", "RESHAPE", "RESIZE_NEAREST_NEIGHBOR"}


@pytest.mark.parametrize("name", ["squeezenet", "yolo-tiny"])
def test_operators_that_move_codes_share_one_scale(name: str) -> None:
    network = zoo_network(name, format="tflite")
    moves = [layer for layer in network.layers if layer.op in MOVES]
    assert moves
    for layer in moves:
        tensors = [network.tensors[label] for label in (*layer.inputs, *layer.outputs)]
        scales = {tensor.quantization for tensor in tensors if tensor.dtype == "int8"}
        assert len(scales) == 1


def test_a_constant_input_and_zero_weights_do_no_harm() -> None:
    network = onnx_network(
        onnx_model(
            "(float[1,3,4,4] x) => (float y) { y = Conv(x, w, b) }",
            {"w": np.zeros((2, 3, 1, 1), np.float32), "b": np.asarray([1.0, -2.0], np.float32)},
        )
    )
    feed = {"x": np.zeros((1, 3, 4, 4), np.float32)}
    conversion = convert(network, calibration=feed)
    (got,) = run_tflite(conversion, feed)
    assert np.allclose(got, run_onnx(network, feed)[0], atol=0.02)


def test_shuffled_channels_never_need_five_dimensions() -> None:
    weights = np.random.default_rng(5).normal(0.0, 0.3, (6, 4, 1, 1)).astype(np.float32)
    network = onnx_network(
        onnx_model(
            "(float[1,4,5,5] x) => (float y) { a = Conv(x, w) b = Reshape(a, s1)"
            " c = Transpose<perm=[0,2,1,3,4]>(b) d = Reshape(c, s2) y = Relu(d) }",
            {"w": weights, "s1": np.asarray([1, 2, 3, 5, 5]), "s2": np.asarray([1, 6, 5, 5])},
        )
    )
    quantized = to_int8(network, calibration=uniform_inputs(network, samples=2, seed=0))
    assert max(len(tensor.shape) for tensor in quantized.tensors.values()) == 4


def test_a_written_file_is_read_back_with_the_same_operators() -> None:
    network = zoo_network("mobilenet-v2-0.35-96", format="tflite")
    again = network_from_bytes(network.model_bytes, "tflite", network.name)
    assert [layer.op for layer in again.layers] == [layer.op for layer in network.layers]
    assert {layer.op for layer in again.layers} == {
        "ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MEAN", "RESHAPE", "SOFTMAX",
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore::npu_tune.errors.NpuTuneWarning")
def test_nodes_without_names_that_are_split_get_names_of_their_own() -> None:
    model = onnx_model(
        "(float[1,4] x) => (float y) { a = Relu(x) b = Sum(x, a, x) y = Sum(b, a, x) }"
    )
    assert convert(onnx_network(model)).model_bytes
