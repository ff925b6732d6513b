from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, shape_inference
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import ModelError


def _stated(shape: list[int | str], batch: str = "1") -> dict[str, tuple[int, ...]]:
    """The shapes behind a NonZero, whose own shape the file states."""
    model = onnx_model(
        f"(float[{batch},8] x) => (float y) {{ i = NonZero(x) f = Cast<to=1>(i) y = Relu(f) }}"
    )
    model.graph.value_info.append(helper.make_tensor_value_info("i", TensorProto.INT64, shape))
    return {name: each.shape for name, each in onnx_network(model).tensors.items()}


def test_a_stated_shape_is_believed_where_nothing_else_is_known() -> None:
    assert _stated([2, 5]) == {"x": (1, 8), "i": (2, 5), "f": (2, 5), "y": (2, 5)}


def test_the_open_batch_in_a_stated_shape_is_one() -> None:
    assert _stated([2, "N"], batch="N")["y"] == (2, 1)


def test_a_stated_shape_that_stays_open_is_refused() -> None:
    with pytest.raises(ModelError, match="not known before run time"):
        _stated([2, "M"])


def test_what_follows_from_the_operators_counts_for_more() -> None:
    assert _stated([3, 5])["i"] == (2, 5)


def test_integers_that_a_network_computes_in_many_steps_are_known() -> None:
    model = onnx_model(
        "(float[1,6] x) => (float y) { s = Shape(x) n = Gather(s, one) r = Range(zero, n, one)"
        " c = Unsqueeze(r, axes) m = Less(r, c) w = Where(m, big, small) y = Add(x, w) }",
        {
            "zero": np.asarray(0), "one": np.asarray(1), "axes": np.asarray([1]),
            "big": np.asarray(-1e9, np.float32), "small": np.asarray(0.0, np.float32),
        },
    )  # fmt: skip
    assert onnx_network(model).tensors["y"].shape == (6, 6)


@pytest.mark.parametrize(
    ("length", "nodes"),
    [
        (40_000_000, "f = Cast<to=1>(z)"),
        (1, "w = ConstantOfShape(many) f = Cast<to=1>(w)"),
        (1, "w = ConstantOfShape(many) v = CumSum(w, zero) f = Slice(v, first, last)"),
        (1, "n = Concat<axis=0>(many) w = ConstantOfShape(n) f = Mul(w, w)"),
    ],
)
def test_the_values_of_long_lists_are_not_followed(
    monkeypatch: pytest.MonkeyPatch, length: int, nodes: str
) -> None:
    infer, followed = shape_inference.infer_shapes, []

    def record(*args: Any, data_prop: bool = False, **options: Any) -> ModelProto:
        followed.append(data_prop)
        return infer(*args, data_prop=data_prop, **options)

    monkeypatch.setattr(shape_inference, "infer_shapes", record)
    model = onnx_model(
        f"(float[{length}] z) => (float f) {{ {nodes} }}",
        {"many": np.asarray([40_000_000]), "zero": np.asarray(0), "first": np.asarray([0]),
         "last": np.asarray([3])},
        opset=14,
    )  # fmt: skip
    assert onnx_network(model).tensors["f"].shape in {(40_000_000,), (3,)}
    assert followed
    assert not any(followed)


def test_the_shapes_of_a_network_with_short_lists_follow_from_values() -> None:
    model = onnx_model(
        "(float[1,6] x) => (float y) { s = Shape(x) t = Slice(s, first, last) u = Add(t, t)"
        " w = ConstantOfShape(u) y = Add(x, w) }",
        {"first": np.asarray([1]), "last": np.asarray([2])},
        opset=14,
    )
    model.graph.output[0].type.tensor_type.shape.dim.add(dim_value=1)
    model.graph.output[0].type.tensor_type.shape.dim.add(dim_value=9)
    with pytest.raises(ModelError, match="contradicts itself"):
        onnx_network(model)
