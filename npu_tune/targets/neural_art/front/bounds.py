"""Lower bounds over all per-layer choices, for networks of any size."""

from __future__ import annotations

from npu_tune.space import Configuration
from npu_tune.targets.neural_art.compiler.rule import cost_rule
from npu_tune.targets.neural_art.core import NetworkCompiler
from npu_tune.targets.neural_art.front.exact import CYCLES, LATENCY, LIVE, RAM, restrictions
from npu_tune.targets.neural_art.front.reduce import reduce_epochs
from npu_tune.targets.neural_art.front.relaxed import Relaxed
from npu_tune.targets.oracle import Bound

_HOLDS_FOR = "It holds for every placement of maps, with the epochs in the order of the base."


def lower_bound(core: NetworkCompiler, *, rule: str, base: Configuration | None = None) -> Bound:
    """Lower bounds of each metric over all configurations with the network-wide knobs of a base.

    Latency: proved in :mod:`.relaxed`. RAM: the smallest peak of bytes in use over all ways of
    joining operations into epochs.

    Args:
        core: the network on the target.
        rule: name of the cost rule.
        base: gives the network-wide knobs; the default configuration if None.
    """
    relaxed, notes = _relax(core, rule, base)
    cycles = relaxed.least_cycles()
    metrics = {
        LATENCY: cycles / (core.hardware(base or core.space.default).clock_mhz * 1e3),
        CYCLES: cycles,
        RAM: relaxed.least_memory(on_chip=True),
        LIVE: relaxed.least_memory(on_chip=False),
    }
    return Bound(metrics, (*notes, _HOLDS_FOR))


def _relax(
    core: NetworkCompiler, rule: str, base: Configuration | None
) -> tuple[Relaxed, tuple[str, ...]]:
    scheduler = core.scheduler(base or core.space.default)
    reduced = reduce_epochs(scheduler, core.space)
    relaxed = Relaxed(scheduler, cost_rule(rule, scheduler.hardware), reduced.candidates)
    return relaxed, restrictions(reduced)
