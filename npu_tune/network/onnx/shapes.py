"""The static shape of every tensor of an ONNX model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from npu_tune.errors import ModelError
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.onnx.bodies import inline_known_branches
from npu_tune.network.onnx.elements import require_tensor
from npu_tune.network.onnx.fold import compute_constants, fold_constants
from npu_tune.network.onnx.graph import Array, OnnxGraph
from npu_tune.network.onnx.parts import hide_open_slices, show_slices
from npu_tune.network.onnx.propagation import (
    MOST_DIMENSIONS,
    infer_without_values,
    propagated_values,
)
from npu_tune.network.onnx.proto import graph_from_onnx, known_shape

if TYPE_CHECKING:
    import onnx

_SHAPES_REMEDY = "Export the network with a fixed shape for every input."
_SHORT = 1 << 20
"""Elements of the longest constant that counts as one of the arithmetic of shapes, and of all
values together that shape inference follows."""

# Where operators state a whole shape, or dimensions to add, as values of an input.
_SHAPE_INPUTS = {
    "Reshape": 1,
    "Expand": 1,
    "ConstantOfShape": 0,
    "Tile": 1,
    "Unsqueeze": 1,
    "Col2Im": 1,
    "MaxUnpool": 2,
}


def infer_shapes(
    model: onnx.ModelProto, *, name: str, budget: ReadingBudget | None = None
) -> onnx.ModelProto:
    """Sets an open batch size to one, and infers the shape of every tensor.

    Sizes that the network computes are computed beforehand, and an If that one of these decides
    is replaced by the branch that runs. The shapes that the file states are believed where
    nothing else is known.

    Args:
        model: is changed in place.
        name: of the network, for errors.
        budget: that sizes are computed under; one of its own if None.

    Raises:
        ModelError: if the shape of an input is open, or the file contradicts itself.
    """
    budget = budget or ReadingBudget(name)
    constants = {tensor.name for tensor in model.graph.initializer}
    symbols: dict[str, int] = {}
    for value in model.graph.input:
        if value.name not in constants:
            symbols |= _fix_shape(value, name)
    stated = _stated_shapes([*model.graph.value_info, *model.graph.output], symbols)
    # Shapes that the file states for other tensors may contain the open batch size.
    del model.graph.value_info[:]
    for value in model.graph.output:
        if value.type.HasField("tensor_type") and known_shape(value) is None:
            value.type.tensor_type.ClearField("shape")
    inferred = _run_shape_inference(model, name, budget)
    while (unknown := _unknown_shapes(inferred)) or _decides(inferred):
        budget.check_time()
        folded = _fold_shape_arithmetic(inferred, budget, fold_constants)
        if not folded and not _fold_shape_arithmetic(inferred, budget, compute_constants):
            believed = [stated.pop(label) for label in unknown if label in stated]
            if not believed:
                break
            _state_shapes(inferred, believed)
        inferred = _run_shape_inference(inferred, name, budget)
    return inferred


def _unknown_shapes(model: onnx.ModelProto) -> list[str]:
    """Computed tensors whose shape is not wholly known."""
    values = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
    produced = (name for node in model.graph.node for name in node.output if name)
    return [name for name in produced if name not in values or known_shape(values[name]) is None]


def _decides(model: onnx.ModelProto) -> bool:
    """Tells whether the network has branches, of which a size may decide."""
    return any(node.op_type == "If" for node in model.graph.node)


def _fold_shape_arithmetic(
    model: onnx.ModelProto, budget: ReadingBudget, fold: Callable[[OnnxGraph], None]
) -> bool:
    """Replaces nodes that compute sizes by constants; returns whether there were any.

    Exporters compute the sizes of a Reshape from the shapes of tensors, in several nodes, and
    shape inference does not follow all of these.

    Args:
        model: is changed in place.
        budget: that the constants are computed under.
        fold: computes constants: those that the rest reads, or all.
    """
    from onnx import numpy_helper  # noqa: PLC0415 - heavy

    graph = graph_from_onnx(model, budget=budget.scratch(), largest=_SHORT)
    # The branch of an If is taken as soon as its condition is known, so that it is not computed.
    open_ones = [node for node in graph.nodes if node.op == "If"]
    graph.nodes = [node for node in graph.nodes if node.op != "If"]
    graph.outputs += [name for node in open_ones for name in node.inputs]
    fold(graph)
    computed = {name for node in model.graph.node for name in node.output}
    folded: Mapping[str, Array] = {
        label: value
        for label, value in graph.constants.items()
        if label in computed and value.dtype.kind in "ib" and value.size <= _SHORT
    }
    kept = [node for node in model.graph.node if not folded.keys() & set(node.output)]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    # What inference found of these without their values would count for more than the values.
    described = [value for value in model.graph.value_info if value.name not in folded]
    del model.graph.value_info[:]
    model.graph.value_info.extend(described)
    model.graph.initializer.extend(
        numpy_helper.from_array(value, label) for label, value in folded.items()
    )
    return inline_known_branches(model, folded) or bool(folded)


def _run_shape_inference(
    model: onnx.ModelProto, name: str, budget: ReadingBudget
) -> onnx.ModelProto:
    _require_few_dimensions(model, name)
    hidden_before = len(model.graph.node)
    while True:
        try:
            model, hidden = _infer_once(model, budget)
        except ModelError:
            raise
        except Exception as error:
            lines = str(error).strip().splitlines() or ["no reason given"]
            raise ModelError(
                f"The ONNX file of {name!r} contradicts itself: {lines[-1]}",
                remedy="Check it with onnx.checker and export it again.",
            ) from error
        if hidden in (0, hidden_before):
            return model
        hidden_before = hidden


def _infer_once(model: onnx.ModelProto, budget: ReadingBudget) -> tuple[onnx.ModelProto, int]:
    """Infers shapes, but not behind the Slice of a tensor whose sizes are not known before.

    Returns:
        The model with what was found, and the number of these Slices.
    """
    from onnx import shape_inference  # noqa: PLC0415 - heavy, and needed here only

    alone = infer_without_values(model, budget)
    hidden = hide_open_slices(model, alone)
    follows = propagated_values(model, alone) <= _SHORT
    del alone
    inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=follows)
    for each in (model, inferred):
        show_slices(each, hidden)
    return inferred, len(hidden)


def _require_few_dimensions(model: onnx.ModelProto, name: str) -> None:
    """Refuses shapes of more dimensions than there can be, before inference writes them out.

    Raises:
        ModelError: names the operator.
    """
    lengths = {t.name: t.dims[0] for t in model.graph.initializer if len(t.dims) == 1}
    lengths |= {
        node.output[0]: max([len(a.ints), *a.t.dims[:1]])
        for node in model.graph.node
        if node.op_type == "Constant" and node.output
        for a in node.attribute
    }
    for node in model.graph.node:
        place = _SHAPE_INPUTS.get(node.op_type, len(node.input))
        length = lengths.get(node.input[place], 0) if place < len(node.input) else 0
        length = max([length, *(len(a.ints) for a in node.attribute if a.name == "shape")])
        if length > MOST_DIMENSIONS:
            label = node.name or next(iter(node.output), "")
            raise ModelError(
                f"The node {label!r} ({node.op_type}) of {name!r} asks for {length:,} dimensions; "
                f"{MOST_DIMENSIONS} is the most.",
                remedy="Check where the file is from.",
                node=label,
            )


def _stated_shapes(
    values: Iterable[onnx.ValueInfoProto], symbols: Mapping[str, int]
) -> dict[str, onnx.ValueInfoProto]:
    """What a file states of tensors, with the size of each symbol that is known."""
    stated = {}
    for value in values:
        if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
            stated[value.name] = copy = type(value)()
            copy.CopyFrom(value)
            for size in copy.type.tensor_type.shape.dim:
                if size.dim_param in symbols:
                    size.dim_value = symbols[size.dim_param]
    return stated


def _state_shapes(model: onnx.ModelProto, stated: Iterable[onnx.ValueInfoProto]) -> None:
    """Writes stated shapes into a model, for the sizes that inference left open."""
    values = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
    for value in stated:
        known = values.get(value.name)
        if known is None:
            model.graph.value_info.append(value)
        elif not known.type.tensor_type.HasField("shape"):
            known.type.tensor_type.shape.CopyFrom(value.type.tensor_type.shape)
        else:
            # Sizes that follow from the operators count for more than what is stated.
            sizes = zip(
                known.type.tensor_type.shape.dim, value.type.tensor_type.shape.dim, strict=False
            )
            for size, new in sizes:
                if not size.HasField("dim_value") and new.HasField("dim_value"):
                    size.dim_value = new.dim_value


def _fix_shape(value: onnx.ValueInfoProto, name: str) -> dict[str, int]:
    """Sets an unknown batch size to one; returns its symbol with that size.

    Raises:
        ModelError: if any other size is unknown, or the input is no tensor.
    """
    require_tensor(value, name=name)
    tensor_type = value.type.tensor_type
    if not tensor_type.HasField("shape"):
        raise ModelError(
            f"The input {value.name!r} of {name!r} has no shape.", remedy=_SHAPES_REMEDY
        )
    sizes = list(tensor_type.shape.dim)
    if any(size.dim_value < 0 for size in sizes):
        raise ModelError(
            f"The input {value.name!r} of {name!r} has a negative size: "
            f"{tuple(size.dim_value for size in sizes)}.",
            remedy=_SHAPES_REMEDY,
            input=value.name,
        )
    unknown = [index for index, size in enumerate(sizes) if not size.HasField("dim_value")]
    if unknown and unknown != [0]:
        symbols = ", ".join(sizes[index].dim_param or "?" for index in unknown)
        raise ModelError(
            f"The input {value.name!r} of {name!r} has sizes that are not fixed ({symbols}).",
            remedy=_SHAPES_REMEDY,
            input=value.name,
        )
    if not unknown:
        return {}
    symbol = sizes[0].dim_param
    sizes[0].dim_value = 1
    return {symbol: 1} if symbol else {}
