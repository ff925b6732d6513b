"""The knobs of a graph on a hardware, per layer and for the whole network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from npu_tune.space import NETWORK_SCOPE, Knob, Value
from npu_tune.targets.neural_art.compiler.accelerator import Shape, convolution_cycles
from npu_tune.targets.neural_art.compiler.choice import (
    ACCELERATOR,
    DIMC,
    FEWEST_STRIPES,
    INPUT_CHANNELS,
    KERNELS,
    PRELOAD,
    RELOAD,
    RESIDENT,
    SPLITS,
    STREAM,
    shares_of,
)
from npu_tune.targets.neural_art.compiler.epoch import joinable
from npu_tune.targets.neural_art.compiler.placement import AUTO, PING_PONG, POLICIES
from npu_tune.targets.neural_art.compiler.rows import HALOS, KEEP, segment_ends
from npu_tune.targets.neural_art.compiler.work import shape_of
from npu_tune.targets.neural_art.graph import Operation, OperationGraph, OperationKind
from npu_tune.targets.neural_art.hardware import Hardware
from npu_tune.targets.neural_art.orders import FILE_ORDER, MEMORY_ORDER, in_order

PARTS = (1, 2, 4, 8)
COPIES = (1, 2, 4, 8)
NUMBERS_OF_STRIPES = (FEWEST_STRIPES, 4, 8, 16, 32)
THRESHOLDS = (0.0, 0.005, 0.01, 0.02, 0.05)

EPOCH_ORDER = "epoch_order"
PLACEMENT = "placement"
VIRTUAL_POOLS = "virtual_pools"
SPLIT_THRESHOLD = "split_threshold"

NETWORK_KNOBS = {
    EPOCH_ORDER: "order of the epochs: the file's, or one that needs little memory",
    PLACEMENT: "how memory is given out: to and fro between pools, at the lowest address, or for "
    "all maps together by size",
    VIRTUAL_POOLS: "a map may span pools that touch",
    SPLIT_THRESHOLD: "share of all multiply-accumulates below which a convolution is not split",
}
"""What the knobs of the whole network mean."""


def network_knobs(graph: OperationGraph) -> tuple[Knob, ...]:
    """Knobs of the whole network, those of the hardware left out."""
    orders: tuple[Value, ...] = (FILE_ORDER,)
    if in_order(graph, MEMORY_ORDER).operations != graph.operations:
        orders = (FILE_ORDER, MEMORY_ORDER)
    described: tuple[tuple[str, tuple[Value, ...], Value, bool], ...] = (
        (EPOCH_ORDER, orders, FILE_ORDER, False),
        (PLACEMENT, POLICIES, PING_PONG, False),
        (VIRTUAL_POOLS, (True, False), True, False),
        (SPLIT_THRESHOLD, THRESHOLDS, 0.0, True),
    )
    return tuple(
        Knob(NETWORK_SCOPE, name, values, default, ordered, NETWORK_KNOBS[name])
        for name, values, default, ordered in described
        if len(values) > 1
    )


def layer_knobs(
    graph: OperationGraph,
    hardware: Sequence[Hardware],
    *,
    four_bit_weights: bool,
    external_ram: bool,
    chained: Sequence[bool],
    reported_chains: bool = False,
) -> tuple[tuple[Knob, ...], ...]:
    """The knobs of each operation, in the graph's order.

    Args:
        graph: what is compiled.
        hardware: the base first, then every variant that may be chosen.
        four_bit_weights: whether to offer 4 bits.
        external_ram: whether RAM outside the chip may be used.
        chained: per operation, whether it is joined with the next one by default.
        reported_chains: whether only such chains are offered as the vendor's reports show.
    """
    depth_first = depth_first_knobs(graph)
    found = []
    for position, operation in enumerate(graph.operations):
        own: list[Knob] = []
        if operation.kind is OperationKind.CONVOLUTION:
            own += _convolution_knobs(
                operation, graph, hardware, four_bit_weights, external_ram=external_ram
            )
        if joinable(graph, position) and (not reported_chains or _is_reported(graph, position)):
            following = graph.operations[position + 1].name
            own.append(
                Knob(
                    operation.name,
                    "chain",
                    (False, True),
                    chained[position],
                    description=f"runs in one epoch with {following}",
                )
            )
        own += depth_first[position]
        if operation.kind is not OperationKind.SOFTWARE:
            own += _pool_knobs(operation, hardware[0])
        found.append(tuple(own))
    return tuple(found)


def _is_reported(graph: OperationGraph, position: int) -> bool:
    """Tells whether the vendor's reports show an operation in one epoch with the next one.

    Beside what is joined by default that is a depthwise convolution with the 1 x 1 convolution
    behind it.
    """
    if joined_by_default(graph, position):
        return True
    before, after = (shape_of(graph.operations[i], graph) for i in (position, position + 1))
    both = before.kind is after.kind is OperationKind.CONVOLUTION
    return both and before.is_depthwise and after.taps == (1, 1)


def joined_by_default(graph: OperationGraph, position: int) -> bool:
    """What the vendor's compiler joins: a convolution with what follows on other units.

    ST's reports show residual additions in the convolution's epoch, and the RAM published for
    SqueezeNet leaves no room for the map between the first convolution and its pool. Global
    pools and a second convolution have epochs of their own.
    """
    if not joinable(graph, position):
        return False
    after = graph.operations[position + 1]
    before = graph.operations[position]
    if shape_of(before, graph).rounds > 1:
        # The RAM published for networks with a first window of 7 x 7 has room for its output.
        return False
    return after.kind in (OperationKind.ARITHMETIC, OperationKind.ACTIVATION) or (
        after.kind is OperationKind.POOL and not after.global_pool
    )


def default_accelerators(shape: Shape, hardware: Hardware, *, most: int | None = None) -> int:
    """How many accelerators the vendor's compiler chains over the input channels.

    For 1 x 1 convolutions as many as give the fewest cycles, of equal numbers the smallest, out
    of 1, 2 and 4 (and so on), the only ones that ST's reports of MobileNetV2 show. One for
    windows: the reports show no other, and the latencies published for SqueezeNet and
    EfficientNet leave no room for more.

    Args:
        shape: of the convolution.
        hardware: gives the accelerators.
        most: that may be chained; all of them if None.
    """
    if shape.taps != (1, 1):
        return 1
    rate = hardware.units.macs_per_cycle
    offered = hardware.units.accelerators if most is None else most
    chained = min(offered, hardware.units.accelerators, shares_of(shape)[INPUT_CHANNELS])
    best = 1
    for count in (2**i for i in range(1, chained.bit_length())):
        fewer = convolution_cycles(shape, count, INPUT_CHANNELS, rate)
        if fewer < convolution_cycles(shape, best, INPUT_CHANNELS, rate):
            best = count
    return best


def depth_first_knobs(graph: OperationGraph) -> tuple[tuple[Knob, ...], ...]:
    """The knobs of each operation that make depth-first segments."""
    ends = [tuple(segment_ends(graph, first)) for first in range(len(graph.operations))]
    inside = {
        position for first, own in enumerate(ends) if own for position in range(first, max(own))
    }
    return tuple(
        tuple(_segment_knobs(graph, position, starts=bool(ends[position])))
        if position in inside
        else ()
        for position in range(len(graph.operations))
    )


def _segment_knobs(graph: OperationGraph, position: int, *, starts: bool) -> Iterator[Knob]:
    """Knobs of an operation in a depth-first segment; of one that starts it, how it is cut too."""
    operation = graph.operations[position]
    layer = operation.name
    following = graph.operations[position + 1].name
    yield Knob(
        layer, "depth_first", (False, True), False,
        description=f"goes on into {following} stripe by stripe",
    )  # fmt: skip
    if not starts:
        return
    most = graph.maps[operation.output].height
    numbers = tuple(number for number in NUMBERS_OF_STRIPES if number <= most)
    yield Knob(
        layer, "stripes", numbers, FEWEST_STRIPES, ordered=True,
        description="number of stripes of a depth-first segment that starts here",
    )  # fmt: skip
    yield Knob(
        layer, "halo", HALOS, KEEP,
        description="whether such a segment keeps the rows around a stripe or computes them again",
    )  # fmt: skip


def _pool_knobs(operation: Operation, hardware: Hardware) -> Iterator[Knob]:
    kinds = tuple(dict.fromkeys(str(pool.kind) for pool in hardware.internal))
    if len(kinds) > 1:
        yield Knob(
            operation.name, "output_pool", (AUTO, *kinds), AUTO,
            description="kind of the memory pool that is tried first for the output",
        )  # fmt: skip


def _convolution_knobs(
    operation: Operation,
    graph: OperationGraph,
    hardware: Sequence[Hardware],
    four_bit_weights: bool,
    *,
    external_ram: bool,
) -> Iterator[Knob]:
    layer, base = operation.name, hardware[0]
    shape = shape_of(operation, graph)
    shares = shares_of(shape)
    units = max(each.units.accelerators for each in hardware)
    counts = tuple(range(1, min(units, max(shares.values())) + 1))
    parts = tuple(p for p in PARTS if p <= max(shares.values()))
    overs = tuple(over for over in SPLITS if shares[over] > 1)
    shared, cut = (overs if len(each) > 1 else () for each in (counts, parts))
    default = default_accelerators(shape, base)
    unpacks = any(each.units.decompressors for each in hardware)
    described: list[tuple[str, tuple[Value, ...], Value, bool, str]] = [
        ("accelerators", counts, default, True, "accelerators that compute it together"),
        ("parallel_over", (INPUT_CHANNELS, *(o for o in shared if o != INPUT_CHANNELS)),
         INPUT_CHANNELS, False, "what the accelerators share"),
        ("parts", parts, 1, True, "epochs it is cut into"),
        ("parts_over", (KERNELS, *(o for o in cut if o != KERNELS)), KERNELS, False,
         "along what it is cut"),
        ("stationarity", ("kernel", "feature"), "kernel", False,
         "what stays in the accelerators while the other streams past"),
        ("weight_compression", (False, True)[: 2 if unpacks else 1], False, False,
         "weights are stored compressed"),
        ("weights", (STREAM, PRELOAD, RESIDENT), STREAM, False,
         "from flash while it computes, into RAM during the epoch before, or in RAM for good"),
        ("weights_pool", _weight_pools(hardware, external_ram=external_ram), AUTO, False,
         "kind of the memory pool for weights that are in RAM for good"),
    ]  # fmt: skip
    if four_bit_weights and 4 in base.weight_bits and shape.weight_bits == 8:
        described.append(("weight_bits", (8, 4), 8, True, "bits of a weight"))
    if operation.groups == 1 and any(each.dimc is not None for each in hardware):
        described += [
            ("unit", (ACCELERATOR, DIMC), ACCELERATOR, False, "what computes it"),
            ("dimc_residency", (RESIDENT, RELOAD), RESIDENT, False,
             "weights stay in the tiles for good, or are written for every inference"),
            ("dimc_copies", COPIES, 1, True, "tiles that hold the same weights and share pixels"),
        ]  # fmt: skip
    for name, values, value, ordered, text in described:
        if len(values) > 1:
            yield Knob(layer, name, values, value, ordered, text)


def _weight_pools(hardware: Sequence[Hardware], *, external_ram: bool) -> tuple[str, ...]:
    """Kinds of RAM that may hold weights for good, ``auto`` for any on the chip first."""
    pools = [pool for each in hardware for pool in each.internal]
    if external_ram:
        pools += [pool for each in hardware for pool in each.external]
    kinds = dict.fromkeys(str(pool.kind) for pool in pools)
    return (AUTO, *kinds) if len(kinds) > 1 else (AUTO,)
