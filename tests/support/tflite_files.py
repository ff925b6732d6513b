"""Writes small TFLite files by the object API of LiteRT's schema, valid ones and others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from npu_tune.network import Network, network_from_bytes

_QUANTIZED = ("int2", "int4", "int8", "uint8", "int16")
_OPTIONS = {
    name.removesuffix("Options").lower(): (kind, code, name)
    for kind in ("builtinOptions", "builtinOptions2")
    for name, code in vars(
        schema.BuiltinOptions if kind == "builtinOptions" else schema.BuiltinOptions2
    ).items()
    if name.endswith("Options")
}
_OTHER_OPTIONS = {
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), "pool2d"),
    **dict.fromkeys(
        (
            "MEAN",
            "SUM",
            "REDUCE_ALL",
            "REDUCE_ANY",
            "REDUCE_MAX",
            "REDUCE_MIN",
            "REDUCE_PROD",
        ),
        "reducer",
    ),
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), "maximumminimum"),
    **dict.fromkeys(("RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM", "MULTINOMIAL"), "random"),
    "UNIDIRECTIONAL_SEQUENCE_RNN": "sequencernn",
    "L2_NORMALIZATION": "l2norm",
    "CONV_3D_TRANSPOSE": "conv3d",
}
"""Where the name of an operator's options is not its own."""


class TfliteFile:
    """A TFLite file in the making; tensors are named, operators name them."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.model.subgraphs = []
        self._codes: dict[tuple[str, bytes | None], int] = {}
        self.start_graph("main")

    def start_graph(self, name: str) -> None:
        """Goes on with a new graph."""
        graph = schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = name, [], []
        graph.inputs, graph.outputs = [], []
        self.model.subgraphs.append(graph)
        self._graph, self._places = graph, {}

    def tensor(
        self,
        name: str,
        shape: Sequence[int] = (),
        dtype: str = "int8",
        *,
        data: Any = None,
        scales: Sequence[float] = (0.05,),
        axis: int = 0,
        is_variable: bool = False,
        signature: Sequence[int] | None = None,
    ) -> str:
        """Adds a tensor, a constant if there are data, and returns its name.

        Args:
            name: of the tensor.
            shape: that of the data where there are any.
            dtype: the schema's name of the element type, in small letters.
            data: its values, or its bytes.
            scales: of the types that are quantized; none for no quantization.
            axis: the quantized dimension.
            is_variable: whether it keeps its values.
            signature: the shape with -1 for open sizes.
        """
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, list(shape)
        tensor.type = getattr(schema.TensorType, dtype.upper())
        tensor.buffer, tensor.isVariable = 0, is_variable
        if signature is not None:
            tensor.shapeSignature = list(signature)
        if data is not None:
            raw = data
            if not isinstance(data, bytes):
                values = np.asarray(data, dtype)
                tensor.shape, raw = list(values.shape), values.tobytes()
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(raw, np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if scales and dtype in _QUANTIZED:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = list(scales)
            tensor.quantization.zeroPoint = [0] * len(scales)
            tensor.quantization.quantizedDimension = axis
        self._places[name] = len(self._graph.tensors)
        self._graph.tensors.append(tensor)
        return name

    def operator(
        self,
        op: str,
        inputs: Sequence[str | None],
        outputs: Sequence[str],
        *,
        custom: bytes | None = None,
        **options: Any,
    ) -> None:
        """Adds an operator with the options of its kind, by the schema's names (``strideW``)."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(op, custom)
        operator.inputs = [-1 if name is None else self._places[name] for name in inputs]
        operator.outputs = [self._places[name] for name in outputs]
        found = _OPTIONS.get(_OTHER_OPTIONS.get(op, op.replace("_", "").lower()))
        if found is not None:
            kind, code, name = found
            values = getattr(schema, f"{name}T")()
            for field, value in options.items():
                assert hasattr(values, field), (op, field)
                setattr(values, field, value)
            setattr(operator, f"{kind}Type", code)
            setattr(operator, kind, values)
        self._graph.operators.append(operator)

    def _code(self, op: str, custom: bytes | None) -> int:
        if (op, custom) not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, op)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version, code.customCode = 1, custom
            self._codes[op, custom] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        return self._codes[op, custom]

    def ends(self, inputs: Sequence[str], outputs: Sequence[str]) -> TfliteFile:
        """Names the inputs and outputs of the present graph."""
        self._graph.inputs = [self._places[name] for name in inputs]
        self._graph.outputs = [self._places[name] for name in outputs]
        return self

    def content(self) -> bytes:
        """What the file holds."""
        return packed(self.model)

    def network(self, name: str = "test") -> Network:
        """The file as it is read."""
        return network_from_bytes(self.content(), "tflite", name)


def packed(model: Any) -> bytes:
    """The content of a file, from the schema's objects."""
    builder = flatbuffers.Builder(1 << 12)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def unpacked(content: bytes) -> Any:
    """The schema's objects of a file, which may be changed and packed again."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
