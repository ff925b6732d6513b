"""Graphs of a few operations for the Neural-ART compiler: layers by hand, any by hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from npu_tune.targets.neural_art.compiler.choice import Choice
from npu_tune.targets.neural_art.compiler.placement import PING_PONG, POLICIES
from npu_tune.targets.neural_art.compiler.rule import CALIBRATED, CostRule, cost_rule
from npu_tune.targets.neural_art.compiler.scheduler import Run, Scheduler, Settings
from npu_tune.targets.neural_art.evaluation import evaluation_of
from npu_tune.targets.neural_art.graph import (
    FeatureMap,
    Operation,
    OperationGraph,
    OperationKind,
    Weights,
)
from npu_tune.targets.neural_art.hardware import (
    Dimc,
    Hardware,
    MemoryPool,
    PoolKind,
    load_hardware,
)

STM32N6 = load_hardware("stm32n6")
DIMC = load_hardware("dimc")
SETTINGS = Settings(PING_PONG, virtual_pools=True, split_threshold=0.0, external_ram=True)


def conv(
    name: str,
    source: FeatureMap,
    kernels: int,
    *,
    taps: int = 1,
    stride: int = 1,
    depthwise: bool = False,
    entropy_bits: float = 8.0,
) -> tuple[Operation, FeatureMap]:
    """A convolution that keeps the size of its input, divided by the stride."""
    channels = source.channels
    groups = channels if depthwise else 1
    rows, columns = -(-source.height // stride), -(-source.width // stride)
    written = FeatureMap(f"{name}.out", channels if depthwise else kernels, rows, columns)
    weights = written.channels * (channels // groups) * taps * taps
    operation = Operation(
        name,
        "Conv",
        OperationKind.CONVOLUTION,
        (source.name,),
        written.name,
        macs=weights * rows * columns,
        groups=groups,
        kernel=(taps, taps),
        stride=(stride, stride),
        weights=Weights(weights, written.channels, entropy_bits),
    )
    return operation, written


def chain(source: FeatureMap, *layers: dict) -> OperationGraph:
    """Convolutions one behind the other, named ``a``, ``b`` and so on; each by its arguments."""
    operations, maps = [], [source]
    for name, layer in zip("abcdefghijkl", layers, strict=False):
        operation, written = conv(name, maps[-1], **layer)
        operations.append(operation)
        maps.append(written)
    return OperationGraph(
        "chain", tuple(operations), {m.name: m for m in maps}, (source.name,), (maps[-1].name,)
    )


def image(channels: int, rows: int, columns: int | None = None) -> FeatureMap:
    """The map that a chain starts from."""
    return FeatureMap("in", channels, rows, columns or rows)


def run(
    graph: OperationGraph,
    choices: Sequence[Choice] | Choice | None = None,
    *,
    hardware: Hardware = STM32N6,
    rule: str | CostRule = CALIBRATED,
    settings: Settings = SETTINGS,
) -> Run:
    """A graph compiled and simulated; one choice for all layers or one for each."""
    if choices is None or isinstance(choices, Choice):
        choices = [choices or Choice()] * len(graph.operations)
    rule = cost_rule(rule, hardware) if isinstance(rule, str) else rule
    scheduler = Scheduler(graph, hardware, rule, settings)
    return scheduler.run(scheduler.resolve(choices))


def metrics_of(
    graph: OperationGraph, choices=None, *, hardware: Hardware = STM32N6, **how
) -> dict:
    """Metrics of a graph, compiled and simulated as by :func:`run`."""
    return dict(evaluation_of(run(graph, choices, hardware=hardware, **how), hardware).metrics)


def with_units(hardware: Hardware, **units: int) -> Hardware:
    """The hardware with other numbers of units."""
    return replace(hardware, units=replace(hardware.units, **units))


def with_pools(*sizes: int, external: int = 0, base: int = 1 << 20, gap: int = 0) -> Hardware:
    """An STM32N6 whose RAM is so many pools of NPU RAM, touching unless a gap is asked for."""
    first = STM32N6.internal[0]
    pools: list[MemoryPool] = []
    for number, size in enumerate(sizes):
        pools.append(replace(first, name=f"npu{number}", base=base, size_bytes=size))
        base += size + gap
    if external:
        outside = STM32N6.external[0]
        pools.append(replace(outside, size_bytes=external))
    return replace(STM32N6, pools=(*pools, STM32N6.flash))


# Anything at all -------------------------------------------------------------------------


@st.composite
def graphs(draw, most: int = 10) -> OperationGraph:
    """Operations of every kind, each of which reads what is there already; state among it."""
    maps = [
        FeatureMap(f"in{i}", draw(st.integers(1, 40)), draw(_SIDES), draw(_SIDES))
        for i in range(draw(st.integers(1, 2)))
    ]
    given = len(maps)
    operations: list[Operation] = []
    for number in range(draw(st.integers(1, most))):
        # Chains are what there is most to choose for.
        source = maps[-1] if draw(st.booleans()) else draw(st.sampled_from(maps))
        operation, written = draw(_operations(f"op{number}", source, maps))
        operations.append(operation)
        maps.append(written)
        if operation.kind is OperationKind.SOFTWARE and draw(st.booleans()):
            further = replace(written, name=f"op{number}.more", channels=draw(st.integers(1, 9)))
            operations[-1] = replace(operation, further_outputs=(further.name,))
            maps.append(further)
    read = {name for operation in operations for name in operation.inputs}
    kept = [m.name for m in maps[given:] if m.name not in read or draw(st.integers(0, 5)) == 0]
    kept += [m.name for m in maps[:given] if m.name in read and draw(st.integers(0, 3)) == 0]
    return OperationGraph(
        "random",
        tuple(operations),
        {m.name: m for m in maps},
        tuple(m.name for m in maps[:given] if m.name in read),
        tuple(kept),
    )


_SIDES = st.integers(1, 12)


@st.composite
def _operations(draw, name: str, source: FeatureMap, maps: list[FeatureMap]):
    kind = draw(
        st.sampled_from([OperationKind.CONVOLUTION, OperationKind.CONVOLUTION, *OperationKind])
    )
    if kind is OperationKind.CONVOLUTION:
        operation, written = conv(
            name,
            source,
            draw(st.integers(1, 80)),
            taps=draw(st.sampled_from((1, 3, 5))),
            stride=draw(st.sampled_from((1, 2))),
            depthwise=draw(st.booleans()),
            entropy_bits=draw(st.floats(0.0, 8.0)),
        )
        return replace(operation, activation=draw(st.sampled_from(("", "relu", "lut")))), written
    written = replace(source, name=f"{name}.out")
    inputs: tuple[str, ...] = (source.name,)
    fields = {}
    if kind is OperationKind.POOL:
        stride = draw(st.sampled_from((1, 2)))
        fields = {"kernel": (2, 2), "stride": (stride, stride)}
        written = replace(
            written, height=-(-source.height // stride), width=-(-source.width // stride)
        )
    if kind in (OperationKind.ARITHMETIC, OperationKind.COPY, OperationKind.SOFTWARE) and draw(
        st.booleans()
    ):
        inputs = (source.name, draw(st.sampled_from(maps)).name)
    if kind is OperationKind.SOFTWARE and draw(st.booleans()):
        fields = {"macs": draw(st.integers(0, 9999)), "constant_bytes": draw(st.integers(0, 9999))}
    op = draw(st.sampled_from(("Concat", "Slice"))) if kind is OperationKind.COPY else kind.value
    return Operation(name, op, kind, inputs, written.name, **fields), written


choices = st.builds(
    Choice,
    accelerators=st.integers(1, 4),
    parallel_over=st.sampled_from(("input_channels", "kernels", "stripes")),
    parts=st.sampled_from((1, 1, 2, 4, 8)),
    parts_over=st.sampled_from(("input_channels", "kernels", "stripes")),
    chain=st.booleans(),
    stationarity=st.sampled_from(("kernel", "feature")),
    weight_bits=st.sampled_from((8, 4)),
    weight_compression=st.booleans(),
    weights=st.sampled_from(("stream", "preload", "resident")),
    weights_pool=st.sampled_from(("auto", "auto", "npu", "cpu", "external")),
    depth_first=st.booleans(),
    stripes=st.sampled_from((2, 4, 8)),
    halo=st.sampled_from(("keep", "recompute")),
    output_pool=st.sampled_from(("auto", "npu", "cpu")),
    unit=st.sampled_from(("accelerator", "accelerator", "dimc")),
    dimc_residency=st.sampled_from(("resident", "reload")),
    dimc_copies=st.sampled_from((1, 2, 4)),
)
"""Any choice, effective or not."""


@st.composite
def memories(draw) -> Hardware:
    """Hardware with pools of odd sizes at odd addresses, some of which touch."""
    pools, base = [], draw(st.integers(0, 10_000))
    gaps = draw(st.sampled_from(((0,), (0,), (0, 0, 8, 100))))
    kinds = draw(st.lists(st.sampled_from((PoolKind.NPU, PoolKind.CPU)), min_size=1, max_size=5))
    for number, kind in enumerate(kinds):
        size = draw(st.integers(64, 40_000))
        like = STM32N6.internal[0 if kind is PoolKind.NPU else -1]
        pools.append(replace(like, name=f"pool{number}", base=base, size_bytes=size))
        base += size + draw(st.sampled_from(gaps))
    pools = draw(st.permutations(pools))
    if draw(st.booleans()):
        pools = [*pools, replace(STM32N6.external[0], size_bytes=1 << 24)]
    tiles = draw(st.sampled_from((None, DIMC.dimc, Dimc(1, 16, 16, 8, 8.0, 0.15))))
    return replace(STM32N6, pools=(*pools, STM32N6.flash), dimc=tiles)


settings_of_networks = st.builds(
    Settings,
    placement=st.sampled_from(POLICIES),
    virtual_pools=st.booleans(),
    split_threshold=st.sampled_from((0.0, 0.05)),
    external_ram=st.booleans(),
)
