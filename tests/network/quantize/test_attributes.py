"""Every attribute and input that the table of operators calls honoured, against onnxruntime."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from onnx import defs, helper
from operator_cases import OperatorCase, on_map
from two_runtimes import onnx_network, signal_to_noise_db

from npu_tune.errors import ModelError
from npu_tune.network.onnx.operators import OPERATORS, Treatment

LEAST_DB = 30.0
PROPERTY_DB = 26.0
"""Of maps of some elements, one of which may leave the calibrated range."""
F32 = np.float32
CONV, VECTORS = {"w": (6, 8, 3, 3), "b": (6,)}, {"g": (8,), "h": (8,), "m": (8,)}
VARIANCE = {"v": np.linspace(0.5, 2.0, 8, dtype=F32)}
SAME = ("SAME_UPPER", "SAME_LOWER")


def _floats(*values: float) -> np.ndarray:
    return np.asarray(values, F32)


def _convolutions() -> dict[str, OperatorCase]:
    cases = {}
    for mode, strides in itertools.product((*SAME, "VALID", "NOTSET"), ("[1,1]", "[2,3]")):
        # onnxruntime dilates with stated pads alone.
        dilations = "[1,1]" if mode in SAME else "[1,2]"
        cases[f"conv {mode}, strides {strides}"] = OperatorCase(
            on_map(
                f'y = Conv<auto_pad="{mode}", strides={strides}, dilations={dilations},'
                " kernel_shape=[3,3]>(x, w, b)"
            ),
            CONV,
        )
        cases[f"conv transposed {mode}, strides {strides}"] = OperatorCase(
            on_map(
                f'y = ConvTranspose<auto_pad="{mode}", strides={strides}, kernel_shape=[3,4],'
                " dilations=[1,1], group=1>(x, w, b)"
            ),
            {"w": (8, 3, 3, 4), "b": (3,)},
        )
    cases["conv grouped"] = OperatorCase(
        on_map("y = Conv<group=2, pads=[0,1,2,1]>(x, w)"), {"w": (6, 4, 2, 3)}
    )
    transposed = {
        "output_shape=[23,20]": "stated size",
        'output_shape=[23,20], auto_pad="SAME_UPPER"': "stated size, upper",
        "output_shape=[25,21], output_padding=[1,1]": "stated size and padding",
        "pads=[1,2,0,1], output_padding=[0,1]": "lopsided pads and output padding",
    }
    for attributes, name in transposed.items():
        cases[f"conv transposed, {name}"] = OperatorCase(
            on_map(f"y = ConvTranspose<strides=[2,2], {attributes}>(x, w, b)"),
            {"w": (8, 3, 4, 4), "b": (3,)},
        )
    for attributes in ("pads=[1,1]", "output_shape=[41]", "output_padding=[1], pads=[1,1]"):
        cases[f"conv transposed, one dimension, {attributes}"] = OperatorCase(
            on_map(f"y = ConvTranspose<strides=[2], {attributes}>(x, w)", "1,8,20"),
            {"w": (8, 3, 3)},
        )
    return cases


def _pools() -> dict[str, OperatorCase]:
    cases = {}
    for op, mode, ceil in itertools.product(
        ("MaxPool", "AveragePool"), (*SAME, "VALID", "NOTSET"), (0, 1)
    ):
        more = "storage_order=1" if op == "MaxPool" else "count_include_pad=1"
        pads = ", pads=[1,0,1,0]" if mode == "NOTSET" else ""
        cases[f"{op} {mode}, rounded up {ceil}"] = OperatorCase(
            on_map(
                f'y = {op}<kernel_shape=[3,2], strides=[2,2], auto_pad="{mode}", dilations=[1,1],'
                f" ceil_mode={ceil}, {more}{pads}>(x)"
            ),
            opset=19,
        )
    cases["max pool of a map smaller than its pads"] = OperatorCase(
        on_map("y = MaxPool<kernel_shape=[5,5], strides=[2,2], pads=[2,2,2,2]>(x)", "1,8,1,3")
    )
    return cases


def _reductions() -> dict[str, OperatorCase]:
    cases = {
        "mean of old, negative axes": OperatorCase(
            on_map("a = Relu(x) y = ReduceMean<axes=[-1,-2], keepdims=0>(a)"), opset=11
        ),
        "mean of old over everything": OperatorCase(
            on_map("a = Relu(x) y = ReduceMean<keepdims=1>(a)"), opset=11
        ),
        "mean over everything, no axes": OperatorCase(
            on_map("a = Relu(x) y = ReduceMean<noop_with_empty_axes=0>(a)"), opset=18
        ),
        "mean over nothing, no axes": OperatorCase(
            on_map("a = Relu(x) y = ReduceMean<noop_with_empty_axes=1>(a)"), opset=18
        ),
    }
    for op in ("ReduceMax", "ReduceMin", "ReduceSum"):
        cases[f"{op} of old"] = OperatorCase(
            on_map(f"a = Conv(x, w) b = Sigmoid(a) y = {op}<axes=[-1,1], keepdims=0>(b)"),
            {"w": (6, 8, 3, 3)},
            opset=11,
        )
        for noop, axes in itertools.product((0, 1), ([], [-1], [2, 3], [0, 1, 2, 3])):
            cases[f"{op} over {axes}, {noop}"] = OperatorCase(
                on_map(f"a = Conv(x, w) y = {op}<noop_with_empty_axes={noop}>(a, e)"),
                {"w": (6, 8, 3, 3)},
                {"e": np.asarray(axes, np.int64)},
                opset=18,
            )
    for noop in (0, 1):
        cases[f"mean, empty axes, {noop}"] = OperatorCase(
            on_map(
                f"a = Conv(x, w) b = Relu(a) y = ReduceMean<noop_with_empty_axes={noop}>(b, e)"
            ),
            {"w": (6, 8, 3, 3)},
            {"e": np.zeros(0, np.int64)},
            opset=18,
        )
    return cases


def _resizes() -> dict[str, OperatorCase]:
    def of(attributes: str, inputs: str, given: object, opset: int = 18) -> OperatorCase:
        return OperatorCase(
            on_map(f"y = Resize<{attributes}>({inputs})"), constants={"s": given}, opset=opset
        )

    nearest, linear = 'mode="nearest"', 'mode="linear"'
    coordinates, rounding = "coordinate_transformation_mode", "nearest_mode"
    cases = {
        "resize axes": of(f"{linear}, axes=[2,3]", "x, , s", _floats(2, 2)),
        "resize axes turned": of(f"{linear}, axes=[3,2]", "x, , s", _floats(3, 2)),
        "resize axes from the end": of(f"{nearest}, axes=[-1]", "x, , s", _floats(2)),
        "resize, not larger": of(
            f'{linear}, axes=[2,3], keep_aspect_ratio_policy="not_larger"', "x, , , s", [24, 24]
        ),
        "resize, not smaller": of(
            f'{nearest}, axes=[2,3], keep_aspect_ratio_policy="not_smaller"', "x, , , s", [24, 19]
        ),
        "resize, stretched": of(
            f'{linear}, axes=[2,3], keep_aspect_ratio_policy="stretch"', "x, , , s", [24, 30]
        ),
        "resize, what has no effect": of(
            f"{linear}, antialias=0, exclude_outside=0, extrapolation_value=5.0,"
            " cubic_coeff_a=-0.5",
            "x, r, s",
            _floats(1, 1, 2, 2),
        ),
        "resize of old": OperatorCase(
            on_map('y = Resize<mode="nearest">(x, s)'),
            constants={"s": _floats(1, 1, 0.5, 2)},
            opset=10,
        ),
        "upsample of old": OperatorCase(
            on_map('y = Upsample<mode="linear", scales=[1.0, 1.0, 2.0, 2.0]>(x)'), opset=7
        ),
        "upsample, scales as input": OperatorCase(
            on_map('y = Upsample<mode="nearest">(x, s)'),
            constants={"s": _floats(1, 1, 2, 3)},
            opset=9,
        ),
        "resize by a scale that is rounded": of(
            f"{linear}, axes=[2,3]", "x, , s", _floats(1.3, 1.6)
        ),
        "resize by one scale for both": of(
            f'{linear}, axes=[2,3], keep_aspect_ratio_policy="not_smaller"', "x, , , s", [15, 15]
        ),
        "resize of the channels": of(f"{linear}, axes=[1]", "x, , s", _floats(1.5)),
        "resize that keeps the sizes": of(nearest, "x, , s", _floats(1, 1.1, 1, 1.05)),
        "resize of five dimensions": OperatorCase(
            on_map('y = Resize<mode="linear">(x, , s)', "1,2,3,4,5"),
            constants={"s": _floats(1, 1, 2, 1.5, 1)},
        ),
        "resize channels last": of(linear, "x, , s", _floats(1, 2, 2, 1)),
        "resize of one dimension": OperatorCase(
            on_map('y = Resize<mode="linear">(x, , s)', "1,8,20"),
            constants={"s": _floats(1, 1, 2)},
        ),
    }
    cases["resize, what has no effect"].constants["r"] = np.zeros(0, F32)
    for kind in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                 "asymmetric"):  # fmt: skip
        cases[f"resize {kind}"] = of(
            f'{linear}, {coordinates}="{kind}"', "x, , s", _floats(1, 1, 2, 2), opset=19
        )
    cases["resize tf_half_pixel_for_nn"] = of(
        f'{nearest}, {coordinates}="tf_half_pixel_for_nn", {rounding}="floor"',
        "x, r, s", _floats(1, 1, 2, 2), opset=11,
    )  # fmt: skip
    cases["resize tf_half_pixel_for_nn"].constants["r"] = np.zeros(0, F32)
    for mode in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        cases[f"resize {mode}"] = of(f'{nearest}, {rounding}="{mode}"', "x, , , s", [1, 8, 18, 7])
    return cases


def _products() -> dict[str, OperatorCase]:
    cases = {}
    for shape in ((), (1,), (7,), (1, 1), (1, 7), (6, 1), (6, 7)):
        cases[f"gemm, addend {shape}"] = OperatorCase(
            on_map("y = Gemm<alpha=0.5, beta=2.0, transB=1>(x, w, c)", "6,30"),
            {"w": (7, 30), "c": shape},
        )
    cases["gemm, both transposed, then normalized"] = OperatorCase(
        on_map(
            "a = Gemm<transA=1, transB=1, alpha=-2.0>(x, w, c)"
            " y = BatchNormalization<epsilon=0.1>(a, g, h, m, v)",
            "30,8",
        ),
        {"w": (8, 30), "c": (8, 1)} | VECTORS,
        VARIANCE,
    )
    cases["gemm, addend computed at run time"] = OperatorCase(
        "(float[6,30] x, float[6,7] c) => (float y) { y = Gemm<beta=0.5>(x, w, c) }",
        {"w": (30, 7)},
    )
    return cases


def _pads() -> dict[str, OperatorCase]:
    amounts = [0, 0, 1, 2, 0, 0, 3, 0]
    cases = {
        "pad of old with a value": OperatorCase(
            on_map(f'y = Pad<mode="constant", pads={amounts}, value=0.7>(x)'), opset=7
        ),
        "pad with a value": OperatorCase(
            on_map("y = Pad(x, p, c)"), constants={"p": amounts, "c": F32(-1.5)}
        ),
        "pad, then convolution": OperatorCase(
            on_map("a = Pad(x, p, c) y = Conv(a, w, b)"),
            CONV,
            {"p": [0, 0, 1, 1, 0, 0, 1, 1], "c": F32(0.5)},
        ),
        "pad that cuts": OperatorCase(
            on_map("y = Pad(x, p)"), constants={"p": [0, 0, -1, 2, 0, 0, 2, -1]}
        ),
    }
    cases["pad edge, farther than the map is large"] = OperatorCase(
        on_map('a = Conv(x, w) y = Pad<mode="edge">(a, p)', "1,8,6,5"),
        {"w": (6, 8, 3, 3)},
        {"p": [0, 1, 9, 0, 1, 0, 2, 30]},
    )
    for mode in ("constant", "reflect", "edge"):
        cases[f"pad {mode}, axes"] = OperatorCase(
            on_map(f'a = Conv(x, w) y = Pad<mode="{mode}">(a, p, , e)'),
            {"w": (6, 8, 3, 3)},
            {"p": [1, 3, 2, 0], "e": [-1, 2]},
            opset=18,
        )
    return cases


def _shapes() -> dict[str, OperatorCase]:
    old = {
        "split of old": "a, b = Split<axis=1, split=[3,5]>(x) y = Concat<axis=-3>(b, a)",
        "squeeze of old": "a = Squeeze<axes=[0]>(x) y = Relu(a)",
        "unsqueeze of old": "a = Unsqueeze<axes=[0,-1]>(x) y = Relu(a)",
        "flatten": "a = Conv(x, w) y = Flatten<axis=2>(a)",
        "flatten from the end": "a = Conv(x, w) y = Flatten<axis=-1>(a)",
    }
    cases = {
        name: OperatorCase(on_map(nodes), {"w": (6, 8, 3, 3)}, opset=11)
        for name, nodes in old.items()
    }
    return cases | {
        "slice of old": OperatorCase(
            on_map("a = Slice<starts=[1,-3], ends=[4,9999], axes=[2,3]>(x) y = Relu(a)"), opset=9
        ),
        "slice from behind the end": OperatorCase(
            on_map("y = Slice(x, s, e, a, p)"),
            constants={"s": [-999, 1], "e": [2**62, -1], "a": [3, -2], "p": [3, 2]},
        ),
        "split into a number of parts": OperatorCase(
            on_map("a, b, c = Split<axis=2, num_outputs=3>(x) y = Concat<axis=2>(c, b, a)"),
            opset=18,
        ),
        "split into uneven parts": OperatorCase(
            on_map("a, b = Split<axis=2, num_outputs=2>(x) y = Concat<axis=2>(b, a)", "1,8,7,10"),
            opset=18,
        ),
        "reshape with copied and open sizes": OperatorCase(
            on_map("a = Conv(x, w) y = Reshape<allowzero=0>(a, s)"),
            {"w": (6, 8, 3, 3)},
            {"s": [0, 0, -1]},
            opset=14,
        ),
        "transpose": OperatorCase(
            on_map("a = Conv(x, w) y = Transpose<perm=[3,1,0,2]>(a)"), {"w": (6, 8, 3, 3)}
        ),
        "part of a shape": OperatorCase(
            on_map("s = Shape<start=1, end=-1>(x) t = Concat<axis=0>(s, r) y = Reshape(x, t)"),
            constants={"r": [-1]},
            opset=15,
        ),
    }


def _functions() -> dict[str, OperatorCase]:
    cases = {
        f"clip to {low:g} and {high:g}": OperatorCase(
            on_map("a = Conv(x, w) y = Clip(a, l, h)"),
            {"w": (6, 8, 3, 3)},
            {"l": F32(low), "h": F32(high)},
        )
        for low, high in ((0.2, 0.6), (-0.6, -0.2), (0.5, -0.5), (-3.4e38, 0.5), (0.0, 3.4e38))
    }
    constants = {
        "value_float": "0.5",
        "value_floats": "[0.5, 1.0, -0.5, 0.25, 0.1, 0.7, 0.2, 0.9, 0.3, 0.4]",
        "value": "float[1] {0.5}",
    }
    for name, value in constants.items():
        cases[f"constant {name}"] = OperatorCase(
            on_map(f"c = Constant<{name} = {value}>() y = Mul(x, c)")
        )
    for name, value in (("value_int", "1"), ("value_ints", "[8, 120]")):
        cases[f"constant {name}"] = OperatorCase(
            on_map(f"c = Constant<{name} = {value}>() s = Reshape(c, n) t = Concat<axis=0>(s, r)"
                   " y = Reshape(x, t)"),
            constants={"n": [-1], "r": np.asarray([-1] if name == "value_int" else [], np.int64)},
        )  # fmt: skip
    return cases | {
        "constant of a shape": OperatorCase(
            on_map("c = ConstantOfShape<value = float[1] {2.5}>(s) y = Mul(x, c)"),
            constants={"s": [1, 8, 1, 1]},
        ),
        "batch normalization": OperatorCase(
            on_map(
                "y = BatchNormalization<epsilon=0.5, momentum=0.3, training_mode=0>(x, g, h, m, v)"
            ),
            VECTORS,
            VARIANCE,
            opset=14,
        ),
        "batch normalization of old": OperatorCase(
            on_map("y = BatchNormalization<epsilon=0.5, momentum=0.3>(x, g, h, m, v)"),
            VECTORS,
            VARIANCE,
            opset=9,
        ),
        "batch normalization of each channel": OperatorCase(
            on_map("y = BatchNormalization<spatial=1>(x, g, h, m, v)"), VECTORS, VARIANCE, opset=7
        ),
        "functions without attributes": OperatorCase(
            on_map(
                "a = Identity(x) b = Sigmoid(a) c = Tanh(a) d = Elu<alpha=1.0>(a) e = HardSwish(a)"
                " f = Add(b, c) g = Sub(d, e) h = Max(f, g, a) i = Min(h, c) j = Div(i, k)"
                " y = Sum(j, a, b)"
            ),
            constants={"k": F32(1.5)},
            opset=14,
        ),
        "pools of whole maps": OperatorCase(
            on_map("a = GlobalAveragePool(x) b = GlobalMaxPool(x) y = Concat<axis=1>(a, b)")
        ),
        "leaky relu, steep": OperatorCase(on_map("y = LeakyRelu<alpha=2.0>(x)")),
        "leaky relu, turned": OperatorCase(on_map("y = LeakyRelu<alpha=-0.5>(x)")),
        "hard sigmoid": OperatorCase(on_map("y = HardSigmoid<alpha=0.5, beta=-0.3>(x)")),
        "prelu of full size": OperatorCase(on_map("y = PRelu(x, s)"), {"s": (8, 12, 10)}),
        "softmax of old over two dimensions": OperatorCase(
            on_map("a = Mul(x, k) y = Softmax<axis=-2>(a)", "2,3,4"),
            constants={"k": F32(3.0)},
            opset=11,
        ),
        "softmax over rows": OperatorCase(
            on_map("a = Mul(x, k) y = Softmax<axis=-2>(a)", "2,3,4,5"), constants={"k": F32(3.0)}
        ),
        "dropout of old": OperatorCase(on_map("a = Dropout<ratio=0.5>(x) y = Relu(a)"), opset=7),
        "dropout that does not train": OperatorCase(
            on_map("a = Dropout<seed=3>(x, r, t) y = Relu(a)"),
            constants={"r": F32(0.5), "t": np.asarray(False)},
        ),
        "casts among real numbers": OperatorCase(
            on_map(
                "a = Cast<to=10>(x) b = Cast<to=11>(a) c = Cast<to=16>(b) d = Cast<to=1>(c)"
                " y = Relu(d)"
            )
        ),
        "quantizers with a zero point": OperatorCase(
            on_map("a = QuantizeLinear(x, s, z) b = DequantizeLinear(a, s, z) y = Relu(b)"),
            constants={"s": F32(1 / 100), "z": np.uint8(100)},
        ),
        "quantizers of a stated type": OperatorCase(
            on_map(
                "a = QuantizeLinear<output_dtype=3, axis=1, block_size=0, saturate=1>(x, s)"
                " b = DequantizeLinear<axis=1, block_size=0>(a, s)"
                " w = DequantizeLinear<axis=1, block_size=3>(q, t, z) y = MatMul(b, w)",
                "5,4",
            ),
            constants={
                "s": F32(1 / 127),
                "q": np.arange(-12, 12, dtype=np.int8).reshape(4, 6),
                "t": np.linspace(0.01, 0.05, 8, dtype=F32).reshape(4, 2),
                "z": np.arange(8, dtype=np.int8).reshape(4, 2),
            },
            opset=21,
        ),
    }


CASES = (
    _convolutions() | _pools() | _reductions() | _resizes() | _products() | _pads() | _shapes()
    | _functions()
)  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_int8_tflite_honours_what_onnxruntime_does(name: str) -> None:
    network = onnx_network(CASES[name].model())

    assert min(signal_to_noise_db(network)) >= LEAST_DB


def _is_right_or_refused(nodes: str, shape: str, opset: int, **constants: object) -> None:
    case = OperatorCase(on_map(nodes, shape), constants=constants, opset=opset)
    try:
        found = signal_to_noise_db(onnx_network(case.model()), samples=200)
    except ModelError as error:
        event(f"refused: {type(error).__name__}")
    else:
        assert min(found) >= PROPERTY_DB


few = settings(max_examples=30, deadline=None, derandomize=True)


@few
@given(
    mode=st.sampled_from(["nearest", "linear"]),
    coordinates=st.sampled_from(
        ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"]
    ),
    rounding=st.sampled_from(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]),
    scales=st.lists(st.floats(0.4, 2.7), min_size=2, max_size=2),
    sizes=st.lists(st.integers(3, 9), min_size=2, max_size=2),
)
def test_any_resize_is_right(
    mode: str, coordinates: str, rounding: str, scales: list[float], sizes: list[int]
) -> None:
    _is_right_or_refused(
        f'y = Resize<mode="{mode}", coordinate_transformation_mode="{coordinates}",'
        f' nearest_mode="{rounding}", axes=[2,3]>(x, , s)',
        f"1,2,{sizes[0]},{sizes[1]}",
        opset=19,
        s=_floats(*scales),
    )


@few
@given(
    op=st.sampled_from(["MaxPool", "AveragePool"]),
    kernel=st.lists(st.integers(1, 4), min_size=2, max_size=2),
    strides=st.lists(st.integers(1, 3), min_size=2, max_size=2),
    pads=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    ceil=st.booleans(),
    counted=st.booleans(),
    sizes=st.lists(st.integers(4, 9), min_size=2, max_size=2),
)
def test_any_pool_is_right(
    *,
    op: str,
    kernel: list[int],
    strides: list[int],
    pads: list[int],
    ceil: bool,
    counted: bool,
    sizes: list[int],
) -> None:
    more = f", count_include_pad={int(counted)}" if op == "AveragePool" else ""
    _is_right_or_refused(
        f"y = {op}<kernel_shape={kernel}, strides={strides}, ceil_mode={int(ceil)},"
        f" pads={[min(p, k - 1) for p, k in zip(pads, kernel * 2, strict=True)]}{more}>(x)",
        f"1,2,{sizes[0]},{sizes[1]}",
        opset=19,
    )


def _uses() -> dict[str, dict[str, set[object]]]:
    """Per operator, the values of the attributes, and the inputs, that the cases give."""
    uses: dict[str, dict[str, set[object]]] = defaultdict(lambda: defaultdict(set))
    for case in CASES.values():
        for node in case.model().graph.node:
            formals = defs.get_schema(node.op_type, case.opset, "").inputs
            for place, name in enumerate(node.input):
                if name:
                    uses[node.op_type][formals[min(place, len(formals) - 1)].name].add("given")
            for attribute in node.attribute:
                value = helper.get_attribute_value(attribute)
                plain = value.decode() if isinstance(value, bytes) else value
                uses[node.op_type][attribute.name].add(
                    tuple(plain) if isinstance(plain, list) else str(plain)
                )
    return uses


@pytest.mark.parametrize("op", [op for op, operator in OPERATORS.items() if operator.converted])
def test_every_parameter_that_the_table_calls_honoured_has_a_case(op: str) -> None:
    uses = _uses()[op]
    for name, parameter in OPERATORS[op].parameters.items():
        if parameter.values in (Treatment.HONOURED, Treatment.CONSTANT):
            assert uses[name], name
        elif parameter.values is Treatment.LIMITED and "given" not in uses[name]:
            missing = {str(value) for value in parameter.allowed} - uses[name]
            assert not missing, name
