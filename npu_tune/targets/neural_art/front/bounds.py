"""Lower bounds over all choices of all layers, for any network."""

from __future__ import annotations

from npu_tune.space import Configuration
from npu_tune.targets.neural_art.compiler.rule import cost_rule
from npu_tune.targets.neural_art.core import Core
from npu_tune.targets.neural_art.front.exact import CYCLES, LATENCY, LIVE, RAM, restrictions
from npu_tune.targets.neural_art.front.reduce import reduce_epochs
from npu_tune.targets.neural_art.front.relaxed import Relaxed
from npu_tune.targets.oracle import Bound

_HOLDS_FOR = "It holds for every placement of maps, with the epochs in the order of the base."


def lower_bound(core: Core, *, rule: str, base: Configuration | None = None) -> Bound:
    """What no configuration with these network-wide knobs falls below, metric by metric.

    Latency: :mod:`.relaxed` proves it. RAM: the bytes that must be in use at one time on the way
    through the network that needs the fewest, all ways of joining tried.

    Args:
        core: the network on the target.
        rule: how cycles are counted.
        base: gives the network-wide knobs; the default configuration by default.
    """
    relaxed, notes = _relaxed(core, rule, base)
    cycles = relaxed.least_cycles()
    metrics = {
        LATENCY: cycles / (core.hardware(base or core.space.default).clock_mhz * 1e3),
        CYCLES: cycles,
        RAM: relaxed.least_memory(on_chip=True),
        LIVE: relaxed.least_memory(on_chip=False),
    }
    return Bound(metrics, (*notes, _HOLDS_FOR))


def _relaxed(core: Core, rule: str, base: Configuration | None) -> tuple[Relaxed, tuple[str, ...]]:
    scheduler = core.scheduler(base or core.space.default)
    reduced = reduce_epochs(scheduler, core.space)
    relaxed = Relaxed(scheduler, cost_rule(rule, scheduler.hardware), reduced.candidates)
    return relaxed, restrictions(reduced)
