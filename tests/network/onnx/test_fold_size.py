from __future__ import annotations

import numpy as np
import pytest

from npu_tune.errors import ModelError, UnsupportedOperatorError
from npu_tune.network.budget import MOST_BYTES, ReadingBudget
from npu_tune.network.onnx.fold_size import check_foldable
from npu_tune.network.onnx.graph import Array, OnnxGraph, OnnxNode


def _graph(**constants: Array) -> OnnxGraph:
    shapes = {name: value.shape for name, value in constants.items()}
    return OnnxGraph([], dict(constants), shapes, [], [], 13, budget=ReadingBudget("net"))


def _view(*shape: int) -> Array:
    return np.broadcast_to(np.zeros((), np.float32), shape)


def test_results_are_counted_before_they_are_computed() -> None:
    graph = _graph(a=_view(1000, 1), b=_view(1, 1000))
    check_foldable(graph, OnnxNode("Add", "n", ["a", "b"], ["y"]))
    assert graph.budget.bytes_left == MOST_BYTES - 8 * 1000 * 1000
    huge = OnnxNode("Expand", "n", ["a", "s"], ["y"])
    graph.constants["s"] = np.asarray([10**6, 1000, 1])
    with pytest.raises(ModelError, match=r"'n' \(Expand\) takes 24 GB"):
        check_foldable(graph, huge)


def test_products_are_bounded_by_their_multiplications() -> None:
    graph = _graph(a=_view(4000, 4000), b=_view(4000, 4000), c=_view(4000, 50))
    check_foldable(graph, OnnxNode("MatMul", "n", ["a", "c"], ["y"]))
    with pytest.raises(UnsupportedOperatorError, match="64,000,000,000 multiplications"):
        check_foldable(graph, OnnxNode("MatMul", "n", ["a", "b"], ["y"]))


def test_what_python_computes_element_by_element_is_bounded_by_these() -> None:
    node = OnnxNode("GlobalMaxPool", "n", ["a"], ["y"])
    check_foldable(_graph(a=_view(1, 3, 8, 8)), node)
    with pytest.raises(UnsupportedOperatorError, match="elements"):
        check_foldable(_graph(a=_view(1, 3, 800, 800)), node)


def test_bodies_and_results_of_unknown_size_are_not_computed() -> None:
    with pytest.raises(UnsupportedOperatorError, match="body"):
        check_foldable(_graph(a=_view(1)), OnnxNode("Loop", "n", ["a"], ["y"]))
    with pytest.raises(UnsupportedOperatorError, match="not known beforehand"):
        check_foldable(_graph(a=_view(1)), OnnxNode("Unheard", "n", ["a"], ["y"]))
    check_foldable(_graph(a=_view(4, 4)), OnnxNode("NonZero", "n", ["a"], ["y"]))
