"""What of a network lies outside what the model was validated on.

The study ``studies/neural-art`` holds the model against published figures. What those networks
consist of is validated here by kind and size; a network counts as validated while the rest of it
takes so little time that even three times its cost would change the total by no more than 30 %.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from npu_tune.targets.confidence import Confidence, ExpectedError
from npu_tune.targets.neural_art.compiler.epoch import SCATTERED
from npu_tune.targets.neural_art.compiler.placement import is_external
from npu_tune.targets.neural_art.compiler.rule import CALIBRATED
from npu_tune.targets.neural_art.compiler.scheduler import Run
from npu_tune.targets.neural_art.compiler.work import shape_of
from npu_tune.targets.neural_art.graph import Operation, OperationGraph, OperationKind
from npu_tune.targets.neural_art.hardware import Hardware, load_hardware

HARDWARE = "stm32n6"
"""The only hardware for which anything is published."""

MOST_CLASSES = 1000
"""Elements of the largest softmax of a network that was validated."""

MOST_COLORS = 3
"""Input channels of the dense windows of 7 x 7 that were validated, all of them first ones."""

WEIGHT_BITS = (4, 8)
"""Widths of weights that are published."""

MOST_OUTSIDE = 0.15
"""Share of the time: three times its cost changes the total by 30 %."""

MOST_IN_FLOAT = 0.5
"""Share of the time that the CPU may compute in float: that of EfficientNet v2 at Core 3.0."""

LEAST_MS = 0.9
"""Latency of the fastest network that was validated."""
MOST_FLASH_BYTES = 26 << 20
MOST_MAP_BYTES = 1764 << 10
"""The most weights, and the largest feature map (MobileNet v2 1.4)."""

_SOFTMAX = frozenset({"Softmax", "SOFTMAX"})

_BASIS = "published networks on the STM32N6570-DK board, compiled by default"

USUAL: Mapping[str, ExpectedError] = {
    "latency_ms": ExpectedError(0.03, 0.09),
    "ram_bytes": ExpectedError(0.05, 0.13),
}
"""Of networks without any of the below; tests hold both against the study."""

WITH_FEW_ROWS: Mapping[str, ExpectedError] = {
    "latency_ms": ExpectedError(0.06, 0.20),
    "ram_bytes": ExpectedError(0.12, 0.20),
}
"""Of networks with windows in several rounds or operations on the CPU in float, few of which are
published, and of those that are faster than any of them."""


def confidence_of(run: Run, hardware: Iterable[Hardware], rule: str) -> Confidence:
    """How far a network's default configuration can be trusted.

    Args:
        run: of the default configuration.
        hardware: that it ran on, then what else may be chosen.
        rule: how cycles were counted.
    """
    every = list(hardware)
    total = sum(step.cycles for step in run.steps) or 1.0
    decisive = list(_decisive(run, every, rule, total))
    shares = _outside_shares(run, total)
    phrases = [f"{what} ({share:.0%} of the time)" for what, share in shares.items()]
    if decisive or sum(shares.values()) > MOST_OUTSIDE:
        return Confidence(False, _BASIS, (*decisive, *phrases))
    graph = run.machine.graph
    rare = any(shape_of(o, graph).rounds > 1 or o.in_float for o in graph.operations)
    milliseconds = total / (every[0].clock_mhz * 1e3)
    if milliseconds < LEAST_MS:
        phrases.insert(0, f"networks faster than {LEAST_MS} ms, where fixed costs matter most")
        rare = True
    return Confidence(True, _BASIS, tuple(phrases), WITH_FEW_ROWS if rare else USUAL)


def _decisive(run: Run, hardware: list[Hardware], rule: str, total: float) -> Iterator[str]:
    """What puts a whole network outside."""
    if hardware[0].name != HARDWARE:
        yield f"nothing is published for the hardware {hardware[0].name!r}"
    elif not all(map(_is_published, hardware)):
        yield f"nothing is published for {HARDWARE!r} with other units, clocks or memories"
    if rule != CALIBRATED:
        yield "the vendor's rule counts cycles as its compiler does, not as a board needs them"
    stored = sum(step.epoch.total.stored for step in run.steps)
    if stored > MOST_FLASH_BYTES:
        yield f"more than {MOST_FLASH_BYTES >> 20} MiB of weights"
    in_float = _float_share(run, total)
    if in_float > MOST_IN_FLOAT:
        yield f"the CPU computes in float for {in_float:.0%} of the time"
    machine = run.machine
    if machine.graph.batch > 1:
        yield f"{machine.graph.batch} samples at a time"
    maps = [step.placement.placed[0] for step in run.steps] + list(
        machine.live(run.beginning.state)
    )
    if any(is_external(machine.memory.pool_at(block.start)) for block in maps):
        yield "feature maps in external RAM"


def _is_published(hardware: Hardware) -> bool:
    """Tells whether figures are published for a hardware but for the sizes of its memories."""
    known = load_hardware(HARDWARE)
    ours, theirs = (
        replace(each, name="", description="", pools=(), energy=known.energy)
        for each in (hardware, known)
    )
    speeds, known_speeds = (
        {(pool.kind, pool.cycles_per_byte) for pool in each.pools} for each in (hardware, known)
    )
    return ours == theirs and speeds <= known_speeds


def _float_share(run: Run, total: float) -> float:
    """Share of the time in operations that the CPU computes in float."""
    operations = run.machine.graph.operations
    in_float = sum(step.cycles for step in run.steps if operations[step.epoch.first].in_float)
    return in_float / total


def _outside_shares(run: Run, total: float) -> dict[str, float]:
    """By phrase, the share of the time that operations outside take, largest first."""
    graph = run.machine.graph
    operations = {operation.name: operation for operation in graph.operations}
    shares: defaultdict[str, float] = defaultdict(float)
    for step in run.steps:
        for name, row in step.rows:
            what = _outside(operations[name], graph)
            if what:
                shares[what] += row["cycles"] / total
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _outside(operation: Operation, graph: OperationGraph) -> str:
    """A phrase for an operation that is outside; "" for one that was validated."""
    maps = [graph.maps[name] for name in (*operation.inputs, *operation.outputs)]
    if any(each.size_bytes > MOST_MAP_BYTES for each in maps):
        return f"feature maps above {MOST_MAP_BYTES >> 10} KiB"
    if any(each.bits != 8 for each in maps):
        return "elements of other than 8 bits"
    if operation.weights is not None and operation.weights.bits not in WEIGHT_BITS:
        return f"weights of {operation.weights.bits} bits"
    if operation.kind is OperationKind.CONVOLUTION:
        return _outside_convolution(operation, graph)
    if operation.kind is OperationKind.POOL:
        large = max(operation.kernel) > 3 and not operation.global_pool
        return "pools of more than 3 x 3" if large else ""
    if operation.kind is OperationKind.COPY:
        usual = operation.op in SCATTERED - {"Transpose", "TRANSPOSE"}
        return "" if usual else f"{operation.op}, which moves data"
    if operation.kind is OperationKind.SOFTWARE and not operation.in_float:
        is_usual = operation.op in _SOFTMAX and maps[-1].elements <= MOST_CLASSES
        return "" if is_usual else f"{operation.op} on the CPU"
    return ""


def _outside_convolution(operation: Operation, graph: OperationGraph) -> str:
    shape = shape_of(operation, graph)
    if "TRANSPOSE" in operation.op.upper():
        return "transposed convolutions"
    if max(operation.dilation) > 1:
        return "dilated convolutions"
    if shape.groups > 1 and not shape.is_depthwise:
        return "grouped convolutions"
    rows, columns = operation.kernel
    if shape.is_depthwise:
        return "depthwise windows of more than 7 x 7" if max(rows, columns) > 7 else ""
    if max(rows, columns) <= 3:
        return ""
    if (rows, columns) == (7, 7) and shape.channels_in <= MOST_COLORS:
        return ""
    return f"windows of {rows} x {columns}"
