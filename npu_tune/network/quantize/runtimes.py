"""Runs float ONNX in onnxruntime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from npu_tune.errors import MissingExtraError, ModelError
from npu_tune.network.onnx.graph import Array

if TYPE_CHECKING:
    import onnx

Feed = Mapping[str, Array]
"""A value per input, in real numbers and ONNX's order of dimensions."""


def onnx_session(model: onnx.ModelProto) -> Any:
    """Opens a model in onnxruntime.

    Raises:
        MissingExtraError: if onnxruntime is not installed.
        ModelError: if it refuses the model.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - an optional dependency, slow to import
    except ImportError as error:
        raise MissingExtraError(
            "Calibration needs onnxruntime, which is not installed.",
            remedy="Install it with: pip install 'npu-tune[ethos-u]'",
        ) from error
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
        raise _onnxruntime_error("refuses", error) from error


def run_session(session: Any, outputs: Iterable[str], feed: Feed) -> list[Array]:
    """Runs a session of :func:`onnx_session`.

    Raises:
        ModelError: if onnxruntime cannot.
    """
    try:
        return [np.asarray(result) for result in session.run(list(outputs), dict(feed))]
    except Exception as error:
        raise _onnxruntime_error("cannot run", error) from error


def _onnxruntime_error(verb: str, error: Exception) -> ModelError:
    return ModelError(
        f"onnxruntime {verb} the network: {str(error).strip().splitlines()[0]}",
        remedy="Check it with onnx.checker and export it again.",
    )
