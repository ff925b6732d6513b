"""Runs float ONNX in onnxruntime and int8 TFLite in LiteRT, on real values in ONNX's order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from npu_tune.errors import ConversionError, MissingExtraError, ModelError
from npu_tune.network.onnx.graph import Array
from npu_tune.network.onnx.runtime import import_onnxruntime
from npu_tune.network.quantize.accuracy import NO_CHECK
from npu_tune.network.quantize.conversion import Conversion, StoredTensor

if TYPE_CHECKING:
    import onnx

Feed = Mapping[str, Array]
"""A value per input, in real numbers and ONNX's order of dimensions."""

_INSTALL = "Install it with: pip install 'npu-tune[ethos-u]'"
_ONNX_TYPES = {
    "tensor(float16)": np.float16,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
}


def onnx_session(
    model: onnx.ModelProto,
    *,
    purpose: str = "Calibration",
    extra: str = "ethos-u",
    optimized: bool = False,
) -> Any:
    """Opens a model in onnxruntime.

    Args:
        model: what is run.
        purpose: what needs it, as the subject of a sentence.
        extra: of this package, that brings onnxruntime.
        optimized: whether operators are joined, so that those between quantizers compute in
            integers; else each is computed as the file has it.

    Raises:
        MissingExtraError: if onnxruntime is not installed.
        ModelError: if it refuses the model.
    """
    onnxruntime = import_onnxruntime(purpose, extra=extra)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # One thread sums in one order, so that the same data gives the same file.
    options.intra_op_num_threads = 1
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_ENABLE_EXTENDED if optimized else levels.ORT_DISABLE_ALL
    )
    # Otherwise int8 beside int8 is joined on some processors only.
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise _onnxruntime_error("refuses", error) from error


def _onnxruntime_error(verb: str, error: Exception) -> ModelError:
    reason = str(error).strip().splitlines()
    return ModelError(
        f"onnxruntime {verb} the network: {reason[0] if reason else type(error).__name__}",
        remedy="Check it with onnx.checker and export it again.",
    )


def run_session(session: Any, outputs: Iterable[str], feed: Feed) -> list[Array]:
    """Runs a session of :func:`onnx_session` on what it reads of a feed.

    Real numbers are brought to the precision of the input; integers and truth values stay.

    Raises:
        ModelError: if onnxruntime cannot.
    """
    given = {value.name: _as_input(feed[value.name], value.type) for value in session.get_inputs()}
    try:
        return [np.asarray(result) for result in session.run(list(outputs), given)]
    except Exception as error:
        raise _onnxruntime_error("cannot run", error) from error


def _as_input(value: Array, kind: str) -> Array:
    if value.dtype.kind in "iub" and kind not in _ONNX_TYPES:
        return value
    return value.astype(_ONNX_TYPES.get(kind, np.float32), copy=False)


def require_litert() -> Any:
    """LiteRT's interpreter.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        from ai_edge_litert import interpreter  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise MissingExtraError(
            "The check of a conversion needs ai-edge-litert, which is not installed.",
            remedy=f"{_INSTALL}, or {NO_CHECK}.",
        ) from error
    return interpreter


class ConvertedNetwork:
    """The result of a conversion, opened in LiteRT.

    LiteRT's own kernels run it on one thread, without delegates: these calculate int8 in integers
    alone, and leave every tensor between the layers where it can be read.

    Args:
        conversion: what is run.

    Raises:
        ConversionError: if LiteRT cannot run it.
        MissingExtraError: if LiteRT is not installed.
    """

    def __init__(self, conversion: Conversion) -> None:
        litert = require_litert()
        self._inputs = conversion.inputs
        self._tensors = {each.source: each for each in (*conversion.tensors, *conversion.outputs)}
        try:
            self._interpreter = litert.Interpreter(
                model_content=conversion.model_bytes,
                num_threads=1,
                experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                experimental_preserve_all_tensors=True,
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise _refusal(error) from error
        self._details = {each["name"]: each for each in self._interpreter.get_tensor_details()}

    def has(self, name: str) -> bool:
        """Whether the result has a tensor of the source."""
        return name in self._tensors

    def run(self, feed: Feed, names: Iterable[str]) -> list[Array]:
        """Runs the network on one value per input; returns tensors by their names in ONNX.

        Raises:
            ConversionError: if LiteRT cannot run it.
        """
        names = list(names)
        return [
            self.real(name, codes)
            for name, codes in zip(names, self.codes(feed, names), strict=True)
        ]

    def codes(self, feed: Feed, names: Iterable[str]) -> list[Array]:
        """The same as they are stored, which takes an eighth of the memory."""
        values = [
            (self._details[each.stored]["index"], self._stored(each, feed[each.source]))
            for each in self._inputs
        ]
        try:
            for index, codes in values:
                self._interpreter.set_tensor(index, codes)
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise _refusal(error) from error
        return [
            self._interpreter.get_tensor(self._details[self._tensors[name].stored]["index"])
            for name in names
        ]

    def real(self, name: str, codes: Array) -> Array:
        """The real values of a tensor, in ONNX's order, of what is stored."""
        tensor = self._tensors[name]
        scale, zero_point = self._details[tensor.stored]["quantization"]
        value = codes.transpose(np.argsort(tensor.permutation))
        if scale:
            value = (value.astype(np.float64) - zero_point) * scale
        if tensor.factors is not None:
            value = value / _along_channels(tensor, value.ndim)
        return value

    def round(self, name: str, value: Array) -> Array:
        """The values of a tensor as its codes can state them."""
        return self.real(name, self._stored(self._tensors[name], value))

    def steps(self, name: str, value: Array) -> Array:
        """Values of a tensor in steps of its codes, from zero."""
        tensor = self._tensors[name]
        scale, _ = self._details[tensor.stored]["quantization"]
        return _stored_form(tensor, value) / (scale or 1.0)

    def reach(self, name: str) -> tuple[float, float]:
        """The lowest and the highest value that the codes of a tensor can state."""
        detail = self._details[self._tensors[name].stored]
        scale, zero_point = detail["quantization"]
        lowest, highest = _limits(detail["dtype"])
        return (lowest - zero_point) * (scale or 1.0), (highest - zero_point) * (scale or 1.0)

    def _stored(self, tensor: StoredTensor, value: Array) -> Array:
        detail = self._details[tensor.stored]
        scale, zero_point = detail["quantization"]
        stored = _stored_form(tensor, value)
        if not scale:
            return stored.astype(detail["dtype"])
        codes: Array = np.clip(np.rint(stored / scale) + zero_point, *_limits(detail["dtype"]))
        return codes.astype(detail["dtype"])


def _limits(dtype: type) -> tuple[float, float]:
    """The lowest and the highest code of a type; 0 and 1 of truth values and real numbers."""
    if np.dtype(dtype).kind not in "iu":
        return 0.0, 1.0
    limits = np.iinfo(dtype)
    return float(limits.min), float(limits.max)


def _stored_form(tensor: StoredTensor, value: Array) -> Array:
    """Real values as the TFLite file has them: channels scaled, dimensions permuted."""
    real = value.astype(np.float64)
    if tensor.factors is not None:
        real *= _along_channels(tensor, real.ndim)
    return real.transpose(tensor.permutation)


def _along_channels(tensor: StoredTensor, rank: int) -> Array:
    factors = np.ones(1) if tensor.factors is None else tensor.factors
    return factors.reshape(1, -1, *[1] * (rank - 2))


def _refusal(error: Exception) -> ConversionError:
    reason = str(error).strip().splitlines()
    return ConversionError(
        "LiteRT does not run the int8 network, so that it cannot be compared with its source: "
        f"{reason[0].rstrip('.') if reason else type(error).__name__}.",
        remedy=f"Try another version of ai-edge-litert, or {NO_CHECK}.",
    )
