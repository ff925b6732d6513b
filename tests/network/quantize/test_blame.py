from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from chained_convolutions import INPUT, chain, chain_with_outliers, layers_of, weights
from two_runtimes import onnx_model, onnx_network, uniform_inputs

from npu_tune.errors import ConversionError
from npu_tune.network import Network
from npu_tune.network.quantize import check_conversion, convert, ops_conv
from npu_tune.network.quantize.accuracy import WorstLayer
from npu_tune.network.quantize.ops_conv import Window
from npu_tune.network.quantize.write import WrittenTensor

LAYERS = 7


def _worst(network: Network) -> WorstLayer:
    """The layer that a conversion which keeps too little is refused with."""
    calibration = uniform_inputs(network, samples=8, seed=0)
    conversion = convert(network, calibration=calibration, check=False)
    check = check_conversion(network, conversion, calibration=calibration)
    assert not check.passed
    assert check.worst_layer is not None
    return check.worst_layer


@pytest.fixture
def miswrite(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the writer turn the weights of a tensor around."""
    # The package has a function of the module's name.
    module = importlib.import_module("npu_tune.network.quantize.convert")

    def install(name: str) -> None:
        written = module.write_tflite

        def write(tensors: list[WrittenTensor], *rest: object) -> bytes:
            wrong = [
                replace(tensor, data=np.ascontiguousarray(tensor.data[..., ::-1]))
                if tensor.name == name
                else tensor
                for tensor in tensors
            ]
            assert any(a is not b for a, b in zip(tensors, wrong, strict=True))
            return written(wrong, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(module, "write_tflite", write)

    return install


@pytest.mark.parametrize("number", range(LAYERS - 1))
def test_a_layer_with_rare_large_values_is_named_and_said_not_to_suit_int8(number):
    worst = _worst(chain_with_outliers(LAYERS, number))
    assert worst.layers == layers_of(number)
    assert worst.cause == "activations"
    assert worst.before.decibels > 20.0 > worst.after.decibels
    assert worst.rounded.decibels < 20.0
    assert worst.typical_steps < 3.0


@pytest.mark.parametrize("number", range(LAYERS))
def test_a_layer_that_is_written_wrong_is_named_though_its_values_suit_int8(miswrite, number):
    miswrite(f"c{number}/weights")
    worst = _worst(chain(LAYERS))
    assert worst.layers == layers_of(number)
    assert worst.cause == "weights"
    assert worst.before.decibels > 20.0 > worst.after.decibels
    assert worst.rounded.decibels > 30.0


@pytest.mark.parametrize("number", [0, 3, LAYERS - 1])
def test_a_layer_that_is_padded_wrong_is_named(monkeypatch, number):
    right = ops_conv.window_of

    def wrong(lowering, node, kernel) -> Window:
        window = right(lowering, node, kernel)
        if node.output != f"c{number}":
            return window
        return replace(window, before=window.after, after=window.before)

    monkeypatch.setattr(ops_conv, "window_of", wrong)
    worst = _worst(chain(LAYERS))
    assert worst.layers == layers_of(number)
    assert worst.cause == "weights"


BODIES = {
    "a shortcut": (
        (
            "a = Conv<pads=[1,1,1,1]>(x, w0) b = Relu(a) c = Conv<pads=[1,1,1,1]>(b, w1)"
            " d = Add(c, b) e = Relu(d) y = Conv<pads=[1,1,1,1]>(e, w2)"
        ),
        "c/weights",
        (("c", "Conv"),),
    ),
    "parts that are read at different depths": (
        (
            "a, b = Split<axis=1>(x) c = Concat<axis=1>(b, b) d = Conv<pads=[1,1,1,1]>(c, w0)"
            " e = Relu(d) f = Conv<pads=[1,1,1,1]>(e, w1) p = Concat<axis=1>(a, a)"
            " h = Add(f, p) y = Conv<pads=[1,1,1,1]>(h, w2)"
        ),
        "f/weights",
        (("f", "Conv"),),
    ),
    "an order of dimensions that moves": (
        (
            "a = Conv<pads=[1,1,1,1]>(x, w0) b = Transpose<perm=[0,2,3,1]>(a) c = Sigmoid(b)"
            " d = Transpose<perm=[0,3,1,2]>(c) e = Conv<pads=[1,1,1,1]>(d, w1) f = Relu(e)"
            " y = Conv<pads=[1,1,1,1]>(f, w2)"
        ),
        "e/weights",
        (("e", "Conv"), ("f", "Relu")),
    ),
    "a normalization that is folded away": (
        (
            "a = Conv<pads=[1,1,1,1]>(x, w0) b = Relu(a) c = Conv<pads=[1,1,1,1]>(b, w1)"
            " d = BatchNormalization(c, g, o, o, g) e = Relu(d) y = Conv<pads=[1,1,1,1]>(e, w2)"
        ),
        "d/weights",
        (("c", "Conv"), ("d", "BatchNormalization"), ("e", "Relu")),
    ),
    "shapes that are computed": (
        (
            "a = Conv<pads=[1,1,1,1]>(x, w0) s = Shape(a) b = Reshape(a, flat) c = Reshape(b, s)"
            " d = Relu(c) e = Conv<pads=[1,1,1,1]>(d, w1) y = Conv<pads=[1,1,1,1]>(e, w2)"
        ),
        "e/weights",
        (("e", "Conv"),),
    ),
    "quantizers": (
        (
            "a = Conv<pads=[1,1,1,1]>(x, w0) b = Relu(a) c = QuantizeLinear(b, q, z)"
            " d = DequantizeLinear(c, q, z) e = Conv<pads=[1,1,1,1]>(d, w1) f = Relu(e)"
            " y = Conv<pads=[1,1,1,1]>(f, w2)"
        ),
        "e/weights",
        (("e", "Conv"), ("f", "Relu")),
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_layer_that_is_written_wrong_is_named_in_a_network_with(miswrite, name):
    body, tensor, layers = BODIES[name]
    values = weights(3) | {
        "g": np.linspace(0.5, 2.0, 8, dtype=np.float32),
        "o": np.zeros(8, np.float32),
        "q": np.asarray(0.03, np.float32),
        "z": np.asarray(0, np.uint8),
        "flat": np.asarray([1, -1]),
    }
    miswrite(tensor)
    worst = _worst(onnx_network(onnx_model(f"({INPUT}) => (float y) {{ {body} }}", values)))
    assert worst.layers == layers
    assert worst.cause == "weights"


def test_the_output_that_keeps_least_is_the_one_that_is_looked_into(miswrite):
    body = (
        "a = Conv(x, w0) b = Relu(a) y = Conv(b, w1) c = Conv(b, w2) d = Relu(c) z = Conv(d, w3)"
    )
    network = onnx_network(onnx_model(f"({INPUT}) => (float y, float z) {{ {body} }}", weights(4)))
    miswrite("c/weights")
    with pytest.raises(ConversionError, match=r"output 'z' .*'c' \(Conv\) and 'd' \(Relu\)"):
        convert(network, calibration=uniform_inputs(network, samples=8, seed=0))


def test_a_layer_is_named_where_onnxruntime_lacks_the_precision_of_the_source(miswrite):
    body = "a = Conv(x, w0) b = Relu(a) c = Conv(b, w1) d = Relu(c) y = Conv(d, w2)"
    values = {name: value.astype(np.float64) for name, value in weights(3).items()}
    inputs = INPUT.replace("float", "double")
    miswrite("c/weights")
    network = onnx_network(onnx_model(f"({inputs}) => (double y) {{ {body} }}", values))
    assert _worst(network).layers == (("c", "Conv"), ("d", "Relu"))


def test_an_input_that_is_not_cut_yet_stays_as_it_is(miswrite):
    body = "a = Conv(x, w0) b = Relu(a) c = Conv(v, w1) d = Mul(b, c) y = Relu(d)"
    inputs = f"{INPUT}, {INPUT.replace(' x', ' v')}"
    network = onnx_network(onnx_model(f"({inputs}) => (float y) {{ {body} }}", weights(2)))
    miswrite("c/weights")
    assert _worst(network).layers == (("c", "Conv"),)


def test_inputs_with_rare_large_values_are_named():
    network = chain(2)
    calibration = uniform_inputs(network, samples=4, seed=0)
    calibration["x"][:, 0] *= 1e5
    values = weights(2)
    values["w0"][:, 0] = 0.0
    network = chain(2, values)
    with pytest.raises(ConversionError, match=r"in the input 'x'.* do not suit int8") as caught:
        convert(network, calibration=calibration)
    assert caught.value.data["layer"]["layers"] == []
