"""Fuses operations that the units compute in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from npu_tune.targets.neural_art.graph.model import FeatureMap, Operation, OperationKind
from npu_tune.targets.neural_art.graph.unfused import Trait, UnfusedOperation

_NORMALIZATION_BYTES = 4 * 4
"""Of a channel: its factor, offset, mean and variance as floats."""

_COMPUTING = (OperationKind.CONVOLUTION, OperationKind.ARITHMETIC, OperationKind.POOL)


def fuse_operations(
    unfused: Sequence[UnfusedOperation], outputs: Sequence[str], maps: Mapping[str, FeatureMap]
) -> list[Operation]:
    """Fuses operations, removes unread ones and orders followers behind their convolutions.

    Args:
        unfused: in execution order.
        outputs: maps that are outputs of the network; they stay.
        maps: all feature maps, by name.
    """
    kept = _fold_pads(_remove_unread(unfused, outputs), outputs)
    kept = _fuse_functions(kept, outputs, maps)
    kept = _merge_followers(kept, outputs, maps)
    return _order_followers([_settled(item.operation) for item in kept])


def _settled(operation: Operation) -> Operation:
    """Gives a batch normalization that no convolution took up to the CPU.

    Quantizers such as onnxruntime's leave its mean and variance in float, and ST's list of operators
    says that float and mixed ones run on the CPU. The latency published for ResNet50 v2, which has
    17 of them, agrees with that.
    """
    if operation.op != "BatchNormalization" or operation.kind is not OperationKind.ARITHMETIC:
        return operation
    channels = operation.weights.elements if operation.weights else 0
    return replace(
        operation,
        kind=OperationKind.SOFTWARE,
        weights=None,
        software_reason="no convolution before it takes it up, and quantizers leave it in float",
        in_float=True,
        constant_bytes=channels * _NORMALIZATION_BYTES,
    )


def _remove_unread(
    unfused: Sequence[UnfusedOperation], outputs: Sequence[str]
) -> list[UnfusedOperation]:
    needed = set(outputs)
    kept = []
    for item in reversed(unfused):
        read = tuple(name for name in item.operation.outputs if name in needed)
        if read:
            kept.append(_change_operation(item, output=read[0], further_outputs=read[1:]))
            needed.update(item.operation.inputs)
    return kept[::-1]


def _fold_pads(unfused: list[UnfusedOperation], outputs: Sequence[str]) -> list[UnfusedOperation]:
    """Removes zero padding that only convolutions and pools read, which pad by themselves."""
    windows = (OperationKind.CONVOLUTION, OperationKind.POOL)
    others = {
        name
        for item in unfused
        if item.operation.kind not in windows
        for name in item.operation.inputs
    }
    folded = {
        item.operation.output: item.operation.inputs[0]
        for item in unfused
        if Trait.ZERO_PAD in item.traits and item.operation.output not in {*others, *outputs}
    }
    return [
        _change_operation(
            item, inputs=tuple(folded.get(name, name) for name in item.operation.inputs)
        )
        for item in unfused
        if item.operation.output not in folded
    ]


def _change_operation(item: UnfusedOperation, **changes: object) -> UnfusedOperation:
    return replace(item, operation=replace(item.operation, **changes))  # type: ignore[arg-type]


def _is_function(item: UnfusedOperation) -> bool:
    """Tells whether each element of the output is a function of one element of one input."""
    is_activation = item.operation.kind is OperationKind.ACTIVATION
    return (is_activation and item.operation.weights is None) or Trait.SCALAR in item.traits


def _fuse_functions(
    unfused: list[UnfusedOperation], outputs: Sequence[str], maps: Mapping[str, FeatureMap]
) -> list[UnfusedOperation]:
    """Fuses element-wise subgraphs of one map, such as ``x * sigmoid(x)``, into one function.

    What joins every element with every other one, as an outer product, is none.

    That covers swish, hard-swish, Mish and GELU, whichever operators an exporter wrote them in.
    """
    readers = Counter(name for item in unfused for name in set(item.operation.inputs))
    writers: dict[str, UnfusedOperation] = {}
    fused: set[str] = set()
    for item in unfused:
        operation = item.operation
        root, between = _function_region(operation, writers)
        inside = [operation, *(writers[name].operation for name in between)]
        internal = Counter(name for within in inside for name in set(within.inputs))
        alone = all(internal[name] == readers[name] for name in between)
        keeps_size = root and maps[root].elements == maps[operation.output].elements
        if keeps_size and alone and not between.intersection(outputs):
            fused |= between
            readers[root] += 1 - internal[root]
            function = replace(
                operation, kind=OperationKind.ACTIVATION, inputs=(root,), activation="lut"
            )
            writers[operation.output] = UnfusedOperation(function)
        else:
            writers[operation.output] = item
    return [item for name, item in writers.items() if name not in fused]


def _function_region(
    operation: Operation, writers: dict[str, UnfusedOperation]
) -> tuple[str, set[str]]:
    """The nearest map that both inputs are functions of ("" if none), and the maps between."""
    if operation.kind is OperationKind.ARITHMETIC and len(operation.inputs) == 2:
        first, second = (_origins(name, writers) for name in operation.inputs)
        for root in first:
            if root in second:
                return root, {*first[: first.index(root)], *second[: second.index(root)]}
    return "", set()


def _origins(name: str, writers: dict[str, UnfusedOperation]) -> list[str]:
    """A map and all maps that it is a function of, nearest first."""
    found = [name]
    while name in writers and _is_function(writers[name]):
        name = writers[name].operation.inputs[0]
        found.append(name)
    return found


def _merge_followers(
    unfused: list[UnfusedOperation], outputs: Sequence[str], maps: Mapping[str, FeatureMap]
) -> list[UnfusedOperation]:
    """Fuses affine arithmetic, activations and means into the producer of their only input."""
    readers = Counter(name for item in unfused for name in item.operation.inputs)
    result: list[UnfusedOperation] = []
    position: dict[str, int] = {}
    for item in unfused:
        operation = item.operation
        source = operation.inputs[0] if len(operation.inputs) == 1 else None
        joined = None
        if source in position and readers[source] == 1 and source not in outputs:
            joined = _join(result[position[source]], item, maps[source].channels)
        if joined is None or source is None:
            position[operation.output] = len(result)
            result.append(item)
        else:
            place = position.pop(source)
            result[place] = joined
            position[operation.output] = place
    return result


def _join(
    before: UnfusedOperation, after: UnfusedOperation, channels: int
) -> UnfusedOperation | None:
    """Fuses two operations into one named after the main one; None where they cannot be fused.

    Args:
        before: computes the only input of ``after``, which nothing else reads.
        after: reads the output of ``before``.
        channels: of the map between them.
    """
    first, second = before.operation, after.operation
    per_channel = second.weights is None or second.weights.elements == channels
    if Trait.AFFINE in after.traits and per_channel and first.activation == "":
        if first.kind is OperationKind.CONVOLUTION:
            return _fold_affine(before, after, channels)
        if Trait.AFFINE in before.traits:
            return _join_affine(before, after, channels)
    if Trait.SCALAR in after.traits and first.activation != "":
        # Multiplying what is clipped only changes the scale of the integers.
        function = "lut" if Trait.OFFSET in after.traits else first.activation
        return _change_operation(
            before, output=second.output, activation=_compose(function, second.activation)
        )
    if second.kind is OperationKind.ACTIVATION and second.weights is None:
        if Trait.SCALAR in before.traits and first.activation == "":
            return _change_operation(after, inputs=first.inputs, activation="lut")
        if first.kind in _COMPUTING or first.kind is OperationKind.ACTIVATION:
            function = _compose(first.activation, second.activation)
            return replace(
                _change_operation(before, output=second.output, activation=function),
                traits=frozenset(),
            )
    if Trait.MEAN in before.traits and Trait.MEAN in after.traits and first.activation == "":
        kernel = (first.kernel[0] * second.kernel[0], first.kernel[1] * second.kernel[1])
        return _change_operation(
            before,
            output=second.output,
            kernel=kernel,
            stride=kernel,
            global_pool=second.global_pool,
            activation=second.activation,
        )
    return None


def _compose(first: str, second: str) -> str:
    """The activation of two after one another: a table, unless both only clip."""
    return "lut" if "lut" in (first, second) else first or second


def _fold_affine(
    before: UnfusedOperation, affine: UnfusedOperation, channels: int
) -> UnfusedOperation:
    """Folds factors into a convolution's weights (int8 codes stay) and offsets into its bias."""
    weights, other = before.operation.weights, affine.operation
    if weights is not None and Trait.OFFSET in affine.traits:
        weights = replace(weights, bias_channels=channels)
    return _change_operation(
        before, output=other.output, weights=weights, activation=other.activation
    )


def _join_affine(
    before: UnfusedOperation, after: UnfusedOperation, channels: int
) -> UnfusedOperation:
    """Fuses two affine operations into one, which stays scalar only if both are."""
    traits = (before.traits | after.traits) - {Trait.SCALAR}
    if Trait.SCALAR in before.traits & after.traits:
        traits |= {Trait.SCALAR}
    given = [s.operation.weights for s in (before, after) if s.operation.weights is not None]
    weights = None
    if given:
        largest = max(given, key=lambda constants: constants.elements)
        weights = replace(largest, bias_channels=channels * (Trait.OFFSET in traits))
    changed = _change_operation(
        before,
        output=after.operation.output,
        weights=weights,
        activation=after.operation.activation,
    )
    return replace(changed, traits=traits)


def _order_followers(operations: Sequence[Operation]) -> list[Operation]:
    """Moves arithmetic, pools and activations right behind the convolution they wait for.

    That is the convolution that computes the last of their inputs. Otherwise the file's order
    stays. It matters because only neighbours can share an epoch.
    """
    position = {
        name: place for place, operation in enumerate(operations) for name in operation.outputs
    }
    followers: dict[int, list[Operation]] = {}
    leaders: list[int] = []
    for place, operation in enumerate(operations):
        last = max((position.get(name, -1) for name in operation.inputs), default=-1)
        follows = operation.kind in (
            OperationKind.ARITHMETIC,
            OperationKind.POOL,
            OperationKind.ACTIVATION,
        )
        if follows and last >= 0 and operations[last].kind is OperationKind.CONVOLUTION:
            followers.setdefault(last, []).append(operation)
        else:
            leaders.append(place)
    return [
        operation
        for place in leaders
        for operation in (operations[place], *followers.get(place, ()))
    ]
