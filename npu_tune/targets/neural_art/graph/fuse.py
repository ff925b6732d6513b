"""Joins operations that one pass through the units computes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from npu_tune.targets.neural_art.graph.model import FeatureMap, Operation, OperationKind
from npu_tune.targets.neural_art.graph.unfused import Trait, UnfusedOperation

_COMPUTING = (OperationKind.CONVOLUTION, OperationKind.ARITHMETIC, OperationKind.POOL)


def fuse_operations(
    unfused: Sequence[UnfusedOperation], outputs: Sequence[str], maps: Mapping[str, FeatureMap]
) -> list[Operation]:
    """Fuses, drops what nobody reads and puts followers behind their convolutions.

    Args:
        unfused: in execution order.
        outputs: maps the network hands out; they stay.
        maps: all feature maps, by name.
    """
    kept = _fold_pads(_remove_unread(unfused, outputs), outputs)
    kept = _fuse_functions(kept, outputs)
    kept = _merge_followers(kept, outputs, maps)
    return _order_followers([one.operation for one in kept])


def _remove_unread(
    unfused: Sequence[UnfusedOperation], outputs: Sequence[str]
) -> list[UnfusedOperation]:
    needed = set(outputs)
    kept = []
    for one in reversed(unfused):
        if one.operation.output in needed:
            kept.append(one)
            needed.update(one.operation.inputs)
    return kept[::-1]


def _fold_pads(unfused: list[UnfusedOperation], outputs: Sequence[str]) -> list[UnfusedOperation]:
    """Convolutions and pools add rows and columns of zeros themselves."""
    windows = (OperationKind.CONVOLUTION, OperationKind.POOL)
    others = {
        name
        for one in unfused
        if one.operation.kind not in windows
        for name in one.operation.inputs
    }
    folded = {
        one.operation.output: one.operation.inputs[0]
        for one in unfused
        if Trait.ZERO_PAD in one.traits and one.operation.output not in {*others, *outputs}
    }
    return [
        _change_operation(
            one, inputs=tuple(folded.get(name, name) for name in one.operation.inputs)
        )
        for one in unfused
        if one.operation.output not in folded
    ]


def _change_operation(one: UnfusedOperation, **changes: object) -> UnfusedOperation:
    return replace(one, operation=replace(one.operation, **changes))  # type: ignore[arg-type]


def _is_function(one: UnfusedOperation) -> bool:
    """Whether it computes every element from one element."""
    return one.operation.kind is OperationKind.ACTIVATION or Trait.SCALAR in one.traits


def _fuse_functions(
    unfused: list[UnfusedOperation], outputs: Sequence[str]
) -> list[UnfusedOperation]:
    """Arithmetic on several functions of one map is itself a function: ``x * sigmoid(x)``.

    That covers swish, hard-swish, Mish and GELU however an exporter spells them out.
    """
    readers = Counter(name for one in unfused for name in set(one.operation.inputs))
    writers: dict[str, UnfusedOperation] = {}
    gone: set[str] = set()
    for one in unfused:
        operation = one.operation
        root, between = _function_region(operation, writers)
        inside = [operation, *(writers[name].operation for name in between)]
        internal = Counter(name for one in inside for name in set(one.inputs))
        alone = all(internal[name] == readers[name] for name in between)
        if root and alone and not between.intersection(outputs):
            gone |= between
            readers[root] += 1 - internal[root]
            function = replace(
                operation, kind=OperationKind.ACTIVATION, inputs=(root,), activation="lut"
            )
            writers[operation.output] = UnfusedOperation(function)
        else:
            writers[operation.output] = one
    return [one for name, one in writers.items() if name not in gone]


def _function_region(
    operation: Operation, writers: dict[str, UnfusedOperation]
) -> tuple[str, set[str]]:
    """The map that both inputs are functions of, and the maps between; "" where there is none."""
    if operation.kind is OperationKind.ARITHMETIC and len(operation.inputs) == 2:
        one, other = (_origins(name, writers) for name in operation.inputs)
        for root in one:
            if root in other:
                return root, {*one[: one.index(root)], *other[: other.index(root)]}
    return "", set()


def _origins(name: str, writers: dict[str, UnfusedOperation]) -> list[str]:
    """The map and those it is a function of, nearest first."""
    found = [name]
    while name in writers and _is_function(writers[name]):
        name = writers[name].operation.inputs[0]
        found.append(name)
    return found


def _merge_followers(
    unfused: list[UnfusedOperation], outputs: Sequence[str], maps: Mapping[str, FeatureMap]
) -> list[UnfusedOperation]:
    """Folds arithmetic with constants and activations into what computes their only input."""
    readers = Counter(name for one in unfused for name in one.operation.inputs)
    result: list[UnfusedOperation] = []
    position: dict[str, int] = {}
    for one in unfused:
        operation = one.operation
        source = operation.inputs[0] if len(operation.inputs) == 1 else None
        joined = None
        if source in position and readers[source] == 1 and source not in outputs:
            joined = _join(result[position[source]], one, maps[source].channels)
        if joined is None or source is None:
            position[operation.output] = len(result)
            result.append(one)
        else:
            place = position.pop(source)
            result[place] = joined
            position[operation.output] = place
    return result


def _join(
    before: UnfusedOperation, after: UnfusedOperation, channels: int
) -> UnfusedOperation | None:
    """Both as one, named after the one that computes; None where that cannot be.

    Args:
        before: computes the only input of ``after``, which nothing else reads.
        after: what follows.
        channels: of the map between them.
    """
    one, other = before.operation, after.operation
    per_channel = other.weights is None or other.weights.elements == channels
    if Trait.AFFINE in after.traits and per_channel and one.activation == "":
        if one.kind is OperationKind.CONVOLUTION:
            return _fold_affine(before, after, channels)
        if Trait.AFFINE in before.traits:
            return _join_affine(before, after, channels)
    if Trait.SCALAR in after.traits and one.activation != "":
        # Multiplying what is clipped only changes the scale of the integers.
        function = "lut" if Trait.OFFSET in after.traits else one.activation
        return _change_operation(
            before, output=other.output, activation=_compose(function, other.activation)
        )
    if other.kind is OperationKind.ACTIVATION:
        if Trait.SCALAR in before.traits and one.activation == "":
            return _change_operation(after, inputs=one.inputs, activation="lut")
        if one.kind in _COMPUTING or one.kind is OperationKind.ACTIVATION:
            function = _compose(one.activation, other.activation)
            return replace(
                _change_operation(before, output=other.output, activation=function),
                traits=frozenset(),
            )
    if Trait.MEAN in before.traits and Trait.MEAN in after.traits and one.activation == "":
        kernel = (one.kernel[0] * other.kernel[0], one.kernel[1] * other.kernel[1])
        return _change_operation(
            before,
            output=other.output,
            kernel=kernel,
            stride=kernel,
            global_pool=other.global_pool,
            activation=other.activation,
        )
    return None


def _compose(one: str, other: str) -> str:
    """Two functions after one another; only clipping stays free."""
    return "lut" if "lut" in (one, other) else one or other


def _fold_affine(
    before: UnfusedOperation, affine: UnfusedOperation, channels: int
) -> UnfusedOperation:
    """Factors go into the weights, which changes no int8 code; offsets into the bias."""
    weights, other = before.operation.weights, affine.operation
    if weights is not None and Trait.OFFSET in affine.traits:
        weights = replace(weights, bias_channels=channels)
    return _change_operation(
        before, output=other.output, weights=weights, activation=other.activation
    )


def _join_affine(
    before: UnfusedOperation, after: UnfusedOperation, channels: int
) -> UnfusedOperation:
    traits = (before.traits | after.traits) - {Trait.SCALAR}
    if Trait.SCALAR in before.traits & after.traits:
        traits |= {Trait.SCALAR}
    given = [s.operation.weights for s in (before, after) if s.operation.weights is not None]
    weights = None
    if given:
        largest = max(given, key=lambda one: one.elements)
        weights = replace(largest, bias_channels=channels * (Trait.OFFSET in traits))
    changed = _change_operation(
        before,
        output=after.operation.output,
        weights=weights,
        activation=after.operation.activation,
    )
    return replace(changed, traits=traits)


def _order_followers(operations: Sequence[Operation]) -> list[Operation]:
    """Puts arithmetic, pools and activations right behind the convolution they wait for.

    That is the convolution that computes the last of their inputs; the order of the file stays
    otherwise. Chaining looks at neighbours only.
    """
    position = {operation.output: place for place, operation in enumerate(operations)}
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
