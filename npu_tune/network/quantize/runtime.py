"""Runs graphs in onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from npu_tune.errors import MissingExtraError, ModelError
from npu_tune.network.onnx.graph import OnnxGraph
from npu_tune.network.onnx.proto import graph_to_onnx

Feed = Mapping[str, NDArray[Any]]


def runner(graph: OnnxGraph, names: list[str]) -> Callable[[Feed], dict[str, NDArray[Any]]]:
    """Makes a function that runs a graph.

    Args:
        graph: in real numbers.
        names: of the tensors whose values the function gives.

    Returns:
        A function of the values of the inputs. It raises ModelError if onnxruntime refuses the
        values, or if a tensor has another shape there than the graph says.

    Raises:
        MissingExtraError: if onnxruntime is not installed.
        ModelError: if onnxruntime refuses the graph.
    """
    session = _session(graph, names)

    def run(feed: Feed) -> dict[str, NDArray[Any]]:
        try:
            values = session.run(names, dict(feed))
        except Exception as error:
            raise _refusal(error) from error
        results = dict(zip(names, values, strict=True))
        for name, value in results.items():
            if value.shape != graph.shapes[name]:
                raise ModelError(
                    f"The tensor {name!r} has the shape {graph.shapes[name]} by ONNX's rules and "
                    f"{value.shape} in onnxruntime.",
                    remedy="Change the attributes that decide the sizes of the node it is from.",
                    tensor=name,
                )
        return results

    return run


def _session(graph: OnnxGraph, names: list[str]) -> Any:
    try:
        import onnxruntime  # noqa: PLC0415 - an optional dependency, slow to import
    except ImportError as error:
        raise MissingExtraError(
            "Calibration needs onnxruntime, which is not installed.",
            remedy="Install it with: pip install 'npu-tune[ethos-u]'",
        ) from error
    model = graph_to_onnx(graph, outputs=names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # One thread sums in one order, so that the same data gives the same file.
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise _refusal(error) from error


def _refusal(error: Exception) -> ModelError:
    return ModelError(
        f"onnxruntime refuses the network: {str(error).strip().splitlines()[0]}",
        remedy="Check it with onnx.checker and export it again.",
    )
