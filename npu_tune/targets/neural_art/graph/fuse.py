"""Joins operations that one pass through the units computes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from npu_tune.targets.neural_art.graph.model import FeatureMap, Operation, OperationKind
from npu_tune.targets.neural_art.graph.unfused import Trait, UnfusedOperation

_COMPUTING = (OperationKind.CONVOLUTION, OperationKind.ARITHMETIC, OperationKind.POOL)


def fused(
    steps: Sequence[UnfusedOperation], outputs: Sequence[str], maps: Mapping[str, FeatureMap]
) -> list[Operation]:
    """Fuses, drops what nobody reads and puts followers behind their convolutions.

    Args:
        steps: in execution order.
        outputs: maps the network hands out; they stay.
        maps: all feature maps, by name.
    """
    kept = _without_pads(_live(steps, outputs), outputs)
    kept = _with_functions(kept, outputs)
    kept = _merged(kept, outputs, maps)
    return _followed([step.operation for step in kept])


def _live(steps: Sequence[UnfusedOperation], outputs: Sequence[str]) -> list[UnfusedOperation]:
    needed = set(outputs)
    kept = []
    for step in reversed(steps):
        if step.operation.output in needed:
            kept.append(step)
            needed.update(step.operation.inputs)
    return kept[::-1]


def _without_pads(steps: list[UnfusedOperation], outputs: Sequence[str]) -> list[UnfusedOperation]:
    """Convolutions and pools add rows and columns of zeros themselves."""
    windows = (OperationKind.CONVOLUTION, OperationKind.POOL)
    others = {
        name
        for step in steps
        if step.operation.kind not in windows
        for name in step.operation.inputs
    }
    folded = {
        step.operation.output: step.operation.inputs[0]
        for step in steps
        if Trait.ZERO_PAD in step.traits and step.operation.output not in {*others, *outputs}
    }
    return [
        _with(step, inputs=tuple(folded.get(name, name) for name in step.operation.inputs))
        for step in steps
        if step.operation.output not in folded
    ]


def _with(step: UnfusedOperation, **changes: object) -> UnfusedOperation:
    return replace(step, operation=replace(step.operation, **changes))  # type: ignore[arg-type]


def _is_function(step: UnfusedOperation) -> bool:
    """Whether it computes every element from one element."""
    return step.operation.kind is OperationKind.ACTIVATION or Trait.SCALAR in step.traits


def _with_functions(
    steps: list[UnfusedOperation], outputs: Sequence[str]
) -> list[UnfusedOperation]:
    """Arithmetic on several functions of one map is itself a function: ``x * sigmoid(x)``.

    That covers swish, hard-swish, Mish and GELU however an exporter spells them out.
    """
    readers = Counter(name for step in steps for name in set(step.operation.inputs))
    writers: dict[str, UnfusedOperation] = {}
    gone: set[str] = set()
    for step in steps:
        operation = step.operation
        root, between = _region(operation, writers)
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
            writers[operation.output] = step
    return [step for name, step in writers.items() if name not in gone]


def _region(operation: Operation, writers: dict[str, UnfusedOperation]) -> tuple[str, set[str]]:
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


def _merged(
    steps: list[UnfusedOperation], outputs: Sequence[str], maps: Mapping[str, FeatureMap]
) -> list[UnfusedOperation]:
    """Folds arithmetic with constants and activations into what computes their only input."""
    readers = Counter(name for step in steps for name in step.operation.inputs)
    result: list[UnfusedOperation] = []
    position: dict[str, int] = {}
    for step in steps:
        operation = step.operation
        source = operation.inputs[0] if len(operation.inputs) == 1 else None
        joined = None
        if source in position and readers[source] == 1 and source not in outputs:
            joined = _joined(result[position[source]], step, maps[source].channels)
        if joined is None or source is None:
            position[operation.output] = len(result)
            result.append(step)
        else:
            place = position.pop(source)
            result[place] = joined
            position[operation.output] = place
    return result


def _joined(
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
            return _convolution_with(before, after, channels)
        if Trait.AFFINE in before.traits:
            return _one_affine(before, after, channels)
    if Trait.SCALAR in after.traits and one.activation != "":
        # Multiplying what is clipped only changes the scale of the integers.
        function = "lut" if Trait.OFFSET in after.traits else one.activation
        return _with(before, output=other.output, activation=_both(function, other.activation))
    if other.kind is OperationKind.ACTIVATION:
        if Trait.SCALAR in before.traits and one.activation == "":
            return _with(after, inputs=one.inputs, activation="lut")
        if one.kind in _COMPUTING or one.kind is OperationKind.ACTIVATION:
            function = _both(one.activation, other.activation)
            return replace(
                _with(before, output=other.output, activation=function), traits=frozenset()
            )
    if Trait.MEAN in before.traits and Trait.MEAN in after.traits and one.activation == "":
        kernel = (one.kernel[0] * other.kernel[0], one.kernel[1] * other.kernel[1])
        return _with(
            before,
            output=other.output,
            kernel=kernel,
            stride=kernel,
            global_pool=other.global_pool,
            activation=other.activation,
        )
    return None


def _both(one: str, other: str) -> str:
    """Two functions after one another; only clipping stays free."""
    return "lut" if "lut" in (one, other) else one or other


def _convolution_with(
    before: UnfusedOperation, affine: UnfusedOperation, channels: int
) -> UnfusedOperation:
    """Factors go into the weights, which changes no int8 code; offsets into the bias."""
    weights, other = before.operation.weights, affine.operation
    if weights is not None and Trait.OFFSET in affine.traits:
        weights = replace(weights, bias_channels=channels)
    return _with(before, output=other.output, weights=weights, activation=other.activation)


def _one_affine(
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
    changed = _with(
        before,
        output=after.operation.output,
        weights=weights,
        activation=after.operation.activation,
    )
    return replace(changed, traits=traits)


def _followed(operations: Sequence[Operation]) -> list[Operation]:
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
