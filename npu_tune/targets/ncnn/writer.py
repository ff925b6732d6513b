"""Writes a network as ncnn's two files: layers as text, weights behind one another.

The format is that of ncnn's developer guide, ``param-and-model-file-structure.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from npu_tune.targets.ncnn.plan import BF16, CHAINED, FLOAT, IN_INT8, NO_BF16, LayerPlan
from npu_tune.targets.ncnn.program import NcnnLayer, NcnnProgram, Parameter
from npu_tune.targets.ncnn.quantizing import CodedWeights, code_factor, code_weights

_MAGIC = "7767517"
_ARRAY = -23300
"""Ids of lists count down from here."""

_MASK = 31
_INT8_TERM = 8
_PER_CHANNEL, _PER_GROUP, _RESULT_TOO = 2, 1, 100

_FLOAT_ENDING, _SPLIT_ENDING = ":float", ":split"

ENDINGS = (_SPLIT_ENDING, _FLOAT_ENDING)
"""That the names of layers have which the writer adds, behind the blob that they are about. No name
of a tensor that was made printable has a colon."""

_STORED_FLOAT = (0).to_bytes(4, "little")
_STORED_INT8 = (0x000D4B38).to_bytes(4, "little")

Limits = Callable[[str], float]
"""How far from zero a tensor reaches, by its name."""


@dataclass(eq=False)
class NcnnWriter:
    """Writes configurations of one network; what they share is made once.

    Args:
        program: the network.
    """

    program: NcnnProgram
    _coded: dict[str, CodedWeights] = field(default_factory=dict)

    def text(self, plan: LayerPlan) -> str:
        """The layers, one a line."""
        layers = _split(list(_cast(self.program, list(self._masked(plan)), plan)), self.program)
        blobs = {blob for layer in layers for blob in layer.outputs}
        head = [_MAGIC, f"{len(layers)} {len(blobs)}"]
        return "\n".join([*head, *map(str, layers)]) + "\n"

    def weights(self, plan: LayerPlan, limits: Limits) -> Iterator[bytes]:
        """The weights of all layers, in parts.

        Args:
            plan: the configuration.
            limits: of the tensors that are rounded to int8.
        """
        for layer in self.program.layers:
            product = layer.product
            precision = FLOAT if product is None else plan.precisions[product.layer]
            if product is not None and precision in IN_INT8:
                yield from self._int8(layer, product.layer, precision, limits)
                continue
            if layer.tagged:
                yield _STORED_FLOAT
            yield from (value.astype("<f4").tobytes() for value in layer.weights)

    def coded(self, layer: str) -> CodedWeights:
        """The weights of a layer in int8."""
        if layer not in self._coded:
            self._coded[layer] = code_weights(self.program.products[layer])
        return self._coded[layer]

    def _int8(
        self, layer: NcnnLayer, name: str, precision: str, limits: Limits
    ) -> Iterator[bytes]:
        coded = self.coded(name)
        yield _STORED_INT8
        yield coded.codes.tobytes() + bytes(-coded.codes.size % 4)
        yield from (value.astype("<f4").tobytes() for value in layer.weights[1:])
        yield coded.factors.astype("<f4").tobytes()
        blobs = [layer.inputs[0], *([layer.output] if precision == CHAINED else [])]
        for blob in blobs:
            yield code_factor(limits(self.program.tensors[blob])).astype("<f4").tobytes()

    def _masked(self, plan: LayerPlan) -> Iterator[_ParamLine]:
        """The layers with what the configuration says of them."""
        for layer in self.program.layers:
            parameters = dict(layer.parameters)
            product = layer.product
            precision, mask = FLOAT, 0
            if product is not None:
                precision = plan.precisions[product.layer]
                mask = plan.masks.get(product.layer, 0)
            if precision in IN_INT8:
                term = _PER_GROUP if product and product.is_depthwise else _PER_CHANNEL
                parameters[_INT8_TERM] = term + (_RESULT_TOO if precision == CHAINED else 0)
            if plan.has_bf16 and precision != BF16:
                mask |= NO_BF16
            if mask:
                parameters[_MASK] = mask
            yield _ParamLine(layer.kind, layer.output, layer.inputs, (layer.output,), parameters)


@dataclass(frozen=True)
class _ParamLine:
    """A line of the text."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: Mapping[int, Parameter]

    def __str__(self) -> str:
        counts = f"{len(self.inputs)} {len(self.outputs)}"
        blobs = (*self.inputs, *self.outputs)
        values = (_parameter(key, value) for key, value in self.parameters.items())
        return " ".join([f"{self.kind:<24} {self.name:<24} {counts}", *blobs, *values])


def _parameter(key: int, value: Parameter) -> str:
    if isinstance(value, tuple):
        return f"{_ARRAY - key}={len(value)}," + ",".join(map(_number, value))
    return f"{key}={_number(value)}"


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    # ncnn tells a real number from a whole one by its point or exponent.
    return format(np.float32(value), ".9e")


def _cast(program: NcnnProgram, lines: list[_ParamLine], plan: LayerPlan) -> Iterator[_ParamLine]:
    """Puts a cast behind what is computed in bf16 and read in float.

    A layer that is masked from bf16 takes its input as it is, and would read the bits of bf16 as
    those of float32; a cast, which is not masked, has ncnn convert what it is given.
    """
    if not plan.has_bf16:
        yield from lines
        return
    short = {
        layer.output for name, layer in program.products.items() if plan.precisions[name] == BF16
    }
    floats: dict[str, str] = {}
    for line in lines:
        inputs = line.inputs
        if line.name not in short:
            for blob in inputs:
                if blob in short and blob not in floats:
                    floats[blob] = f"{blob}{_FLOAT_ENDING}"
                    yield _ParamLine("Cast", floats[blob], (blob,), (floats[blob],), {0: 1, 1: 1})
            inputs = tuple(floats.get(blob, blob) for blob in inputs)
        yield replace(line, inputs=inputs)


def _split(lines: list[_ParamLine], program: NcnnProgram) -> list[_ParamLine]:
    """Hands a blob that has several readers to each of them under a name of its own.

    An output of the network keeps its name, and readers of it get others: while ncnn saves memory
    it forgets what has been read.
    """
    counts: dict[str, int] = {}
    for line in lines:
        for blob in line.inputs:
            counts[blob] = counts.get(blob, 0) + 1
    shared = {
        blob: count for blob, count in counts.items() if count + (blob in program.output_blobs) > 1
    }
    masked = any(_MASK in line.parameters for line in lines)
    handed: dict[str, int] = {}
    result: list[_ParamLine] = []
    for line in lines:
        inputs = []
        for blob in line.inputs:
            if blob in shared:
                handed[blob] = handed.get(blob, 0) + 1
                inputs.append(f"{blob}:{handed[blob]}")
            else:
                inputs.append(blob)
        (output,) = line.outputs
        if output not in shared:
            result.append(replace(line, inputs=tuple(inputs)))
            continue
        kept = output in program.output_blobs
        before = f"{output}:all" if kept else output
        names = [f"{output}:{index + 1}" for index in range(shared[output])]
        result.append(replace(line, inputs=tuple(inputs), outputs=(before,)))
        outputs = (*names, *([output] if kept else []))
        mask: dict[int, Parameter] = {_MASK: NO_BF16} if masked else {}
        result.append(_ParamLine("Split", f"{output}{_SPLIT_ENDING}", (before,), outputs, mask))
    return result
