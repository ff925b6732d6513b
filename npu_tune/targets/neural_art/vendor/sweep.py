"""The best network-wide setting of the vendor's compiler, found by trying every one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from npu_tune.errors import CompilerError
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler, Settings
from npu_tune.targets.neural_art.evaluation import evaluation_of
from npu_tune.targets.neural_art.graph import OperationGraph
from npu_tune.targets.neural_art.orders import MEMORY_ORDER, in_order
from npu_tune.targets.neural_art.vendor.options import (
    VendorOptions,
    every_setting,
    vendor_choices,
)

SchedulerOf = Callable[[OperationGraph, Settings], Scheduler]
"""Makes a compiler of a graph with settings."""


class VendorSetting(NamedTuple):
    """A setting with what it comes to.

    Args:
        options: of the compiler.
        metrics: all that the target reports.
    """

    options: VendorOptions
    metrics: Mapping[str, float]


def vendor_settings(
    graph: OperationGraph, scheduler_of: SchedulerOf, *, external_ram: bool
) -> list[VendorSetting]:
    """Simulates every setting; what cannot be compiled is left out.

    Args:
        graph: that is compiled, in the file's order.
        scheduler_of: makes compilers.
        external_ram: whether RAM outside the chip may be used.
    """
    schedulers: dict[tuple[str, str, bool], Scheduler] = {}
    found: list[VendorSetting] = []
    seen: set[tuple[object, ...]] = set()
    base = scheduler_of(graph, settings_of(VendorOptions(), external_ram=external_ram))
    one_order = in_order(graph, MEMORY_ORDER).operations == graph.operations
    for options in every_setting(base.hardware):
        if options.constants == "external" and not external_ram:
            continue
        if one_order and options.epoch_order == MEMORY_ORDER:
            continue
        key = (options.epoch_order, options.placement, options.virtual_pools)
        if key not in schedulers:
            schedulers[key] = scheduler_of(
                in_order(graph, options.epoch_order),
                settings_of(options, external_ram=external_ram),
            )
        scheduler = schedulers[key]
        choices = vendor_choices(scheduler.graph, scheduler.hardware, options)
        resolved = scheduler.resolve(choices)
        same = (key, *(option.choice for option in resolved))
        if same in seen:
            continue
        seen.add(same)
        try:
            run = scheduler.run(resolved)
        except CompilerError:
            continue
        found.append(VendorSetting(options, evaluation_of(run, scheduler.hardware).metrics))
    return found


def settings_of(options: VendorOptions, *, external_ram: bool) -> Settings:
    """The model's settings of the whole network under options of the vendor's compiler."""
    return Settings(
        placement=options.placement,
        virtual_pools=options.virtual_pools,
        split_threshold=0.0,
        external_ram=external_ram,
    )


def best_setting(
    settings: Sequence[VendorSetting], cost: Callable[[Mapping[str, float]], float]
) -> VendorSetting | None:
    """The setting of least cost, of equal ones the first; None where all miss the limits."""
    best = min(settings, key=lambda each: cost(each.metrics), default=None)
    return None if best is None or math.isinf(cost(best.metrics)) else best
