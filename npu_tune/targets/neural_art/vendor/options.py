"""Network-wide options of the vendor's compiler, and what each layer makes of them in the model.

What an option does inside the closed compiler is not public beyond one line each, so the mapping is
this model's own choice; the shipped profile is what the model was validated with.

===========================  ======================================================================
option                       in the model
===========================  ======================================================================
``-O0``                      every operation has an epoch and one accelerator of its own
``-O1``                      operations are joined as by default; no accelerators are shared
``-O2``, ``-O3``             the same, and accelerators are shared up to ``--Omax-ca-pipe``
``--Omax-ca-pipe N``         1 x 1 convolutions are chained over the fewest of at most N
                             accelerators that take the fewest cycles
``--Oconv-split-cw``,        convolutions are cut into two epochs over input channels,
``-kw``, ``-stripe``         kernels or stripes
``--Oconv-split-stripe-full``  they are cut into eight stripes
``--Oconv-split-th X``       convolutions below this share of all products are not cut
``--Oalt-sched``             the file's order; without it the order that needs little memory
``--Os``                     with ``--Ocache-opt``: to and fro between pools; alone: all maps
                             together by size; without both: the lowest address
``--enable-virtual-mem-pools``  a map may span pools that touch
``constants_preferred``      of the pools of one kind, in the memory-pool file: weights are there for
                             good, layer by layer as long as there is room
===========================  ======================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from npu_tune.targets.neural_art.compiler.accelerator import Shape
from npu_tune.targets.neural_art.compiler.choice import (
    INPUT_CHANNELS,
    KERNELS,
    RESIDENT,
    STREAM,
    STRIPES,
    Choice,
)
from npu_tune.targets.neural_art.compiler.placement import BY_SIZE, FIRST_FIT, PING_PONG
from npu_tune.targets.neural_art.compiler.work import shape_of
from npu_tune.targets.neural_art.graph import OperationGraph, OperationKind
from npu_tune.targets.neural_art.hardware import Hardware
from npu_tune.targets.neural_art.knobs import default_accelerators, joined_by_default
from npu_tune.targets.neural_art.orders import FILE_ORDER, MEMORY_ORDER

FLASH = "flash"
CONSTANTS = (FLASH, "npu", "cpu", "external")
"""Kinds of pools that may be preferred for constants."""

NO_SPLIT = "none"
SPLITS = (NO_SPLIT, "kw", "cw", "stripe", "stripe-full")
THRESHOLDS = (0.0, 0.01, 0.05)
LEVELS = (0, 1, 3)
"""``-O2`` is as ``-O3`` in the model."""
PIPES = (1, 2, 4)
PLACEMENTS = {PING_PONG: "--Os --Ocache-opt", BY_SIZE: "--Os", FIRST_FIT: ""}

_SPLIT: dict[str, tuple[int, str]] = {
    NO_SPLIT: (1, KERNELS),
    "kw": (2, KERNELS),
    "cw": (2, INPUT_CHANNELS),
    "stripe": (2, STRIPES),
    "stripe-full": (8, STRIPES),
}


@dataclass(frozen=True, slots=True)
class VendorOptions:
    """One setting of the vendor's compiler; the defaults are its shipped profile.

    Args:
        level: of optimisation, 0 to 3.
        ca_pipe: accelerators chained at most.
        split: how convolutions are cut, one of :data:`SPLITS`.
        threshold: share of all products below which they are not.
        epoch_order: ``file`` (``--Oalt-sched``) or ``memory``.
        placement: one of the keys of :data:`PLACEMENTS`.
        virtual_pools: whether a map may span pools that touch.
        constants: kind of pool that is preferred for weights.
    """

    level: int = 3
    ca_pipe: int = 4
    split: str = NO_SPLIT
    threshold: float = 0.0
    epoch_order: str = FILE_ORDER
    placement: str = PING_PONG
    virtual_pools: bool = True
    constants: str = FLASH

    @property
    def command_line(self) -> str:
        """As the vendor's compiler takes them, without what the pool file says."""
        parts = [f"-O{self.level}"]
        if self.epoch_order == FILE_ORDER:
            parts.append("--Oalt-sched")
        if self.virtual_pools:
            parts.append("--enable-virtual-mem-pools")
        parts.append(f"--Omax-ca-pipe {self.ca_pipe}")
        if self.split != NO_SPLIT:
            parts.append(f"--Oconv-split-{self.split}")
            parts += [f"--Oconv-split-th {self.threshold:g}"] if self.threshold else []
        if PLACEMENTS[self.placement]:
            parts.append(PLACEMENTS[self.placement])
        return " ".join(parts)

    def __str__(self) -> str:
        where = "" if self.constants == FLASH else f", constants in {self.constants} pools"
        return self.command_line + where


def every_setting(hardware: Hardware) -> Iterator[VendorOptions]:
    """All settings that may differ, the shipped profile first.

    Args:
        hardware: gives the kinds of pools.
    """
    yield VendorOptions()
    kinds = {str(pool.kind) for pool in hardware.pools}
    levels = [(level, 1) for level in LEVELS[:-1]] + [(LEVELS[-1], pipe) for pipe in PIPES]
    splits = [(NO_SPLIT, 0.0), *product(SPLITS[1:], THRESHOLDS)]
    for (level, pipe), (split, threshold), order, placement, virtual, constants in product(
        levels,
        splits,
        (FILE_ORDER, MEMORY_ORDER),
        PLACEMENTS,
        (True, False),
        [kind for kind in CONSTANTS if kind in kinds],
    ):
        options = VendorOptions(
            level, pipe, split, threshold, order, placement, virtual, constants
        )
        if options != VendorOptions():
            yield options


def vendor_choices(
    graph: OperationGraph, hardware: Hardware, options: VendorOptions
) -> tuple[Choice, ...]:
    """What each operation does under network-wide options.

    Args:
        graph: that is compiled.
        hardware: gives the accelerators.
        options: of the whole network.
    """
    total = sum(operation.macs for operation in graph.operations) or 1
    return tuple(
        _choice(
            graph, position, hardware, options, small=operation.macs / total < options.threshold
        )
        for position, operation in enumerate(graph.operations)
    )


def _choice(
    graph: OperationGraph,
    position: int,
    hardware: Hardware,
    options: VendorOptions,
    *,
    small: bool,
) -> Choice:
    chain = options.level > 0 and joined_by_default(graph, position)
    operation = graph.operations[position]
    if operation.kind is not OperationKind.CONVOLUTION:
        return Choice(chain=chain)
    parts, over = (1, KERNELS) if small else _SPLIT[options.split]
    in_flash = options.constants == FLASH
    return Choice(
        accelerators=_accelerators(shape_of(operation, graph), hardware, options),
        parts=parts,
        parts_over=over,
        chain=chain,
        weights=STREAM if in_flash else RESIDENT,
        weights_pool="auto" if in_flash else options.constants,
    )


def _accelerators(shape: Shape, hardware: Hardware, options: VendorOptions) -> int:
    most = max(1, options.ca_pipe) if options.level > 1 else 1
    return default_accelerators(shape, hardware, most=most)
