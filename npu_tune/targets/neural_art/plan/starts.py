"""Planned configurations along the trade-off between time and memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from npu_tune.space import NETWORK_SCOPE, Configuration, Value
from npu_tune.targets.neural_art.compiler.choice import Choice
from npu_tune.targets.neural_art.compiler.placement import BY_SIZE, PING_PONG
from npu_tune.targets.neural_art.compiler.rows import HALOS
from npu_tune.targets.neural_art.compiler.rule import cost_rule
from npu_tune.targets.neural_art.core import NetworkCompiler
from npu_tune.targets.neural_art.knobs import PLACEMENT
from npu_tune.targets.neural_art.plan.estimate import Estimator
from npu_tune.targets.neural_art.plan.layers import LayerChoices
from npu_tune.targets.neural_art.plan.paths import cheapest_path, with_preloading
from npu_tune.targets.neural_art.plan.pieces import Pieces
from npu_tune.targets.problem import Start

_LIMITS = 8
"""Limits on memory between the least and what the fastest plan needs."""

PRICES = (inf, 1.0, 0.25, 0.0)
"""Of a byte of resident weights, relative to cycles / bytes of RAM of the default: that of an
objective that weighs both alike is 1."""


@dataclass(frozen=True)
class PlannedChoices:
    """A planned configuration.

    Args:
        label: for people.
        configuration: with every map placed as by default.
        cycles: estimated.
        ram_bytes: estimated: bytes in use at one time, resident weights included.
    """

    label: str
    configuration: Configuration
    cycles: float
    ram_bytes: float


def plans(compiler: NetworkCompiler) -> list[PlannedChoices]:
    """Plans from little memory to little time, each configuration once."""
    default = compiler.space.default
    scheduler = compiler.scheduler(default)
    estimator = Estimator(scheduler.hardware, cost_rule(compiler.rule, scheduler.hardware))
    layers = LayerChoices(scheduler, compiler.space, estimator)
    run = compiler.run(default)
    cycles = sum(step.cycles for step in run.steps) + sum(run.waits)
    ram = sum(map(max, zip(run.beginning.marks, *(step.marks for step in run.steps), strict=True)))
    found: dict[Configuration, PlannedChoices] = {}
    for relative in PRICES:
        price = relative * cycles / ram
        pieces = Pieces(scheduler, layers, estimator, price=price, halos=HALOS[:1])
        for limit in _limits(pieces):
            path = cheapest_path(pieces.at, limit)
            if path is None:
                continue
            path = with_preloading(path, limit)
            choices = [choice for piece in path for choice in piece.choices]
            configuration = _configuration(compiler, choices)
            residents = sum(
                option.demand.resident
                for option in (scheduler.option(i, c) for i, c in enumerate(choices))
            )
            spent = sum(piece.cost for piece in path) - (price * residents if residents else 0.0)
            needs = max(piece.needs for piece in path)
            found.setdefault(
                configuration,
                PlannedChoices(
                    f"planned, {needs / 1024:.0f} KiB", configuration, spent, needs + residents
                ),
            )
    return list(found.values())


def planned_starts(compiler: NetworkCompiler) -> Iterator[Start]:
    """The default, then plans in the order of a cost that weighs time and memory alike."""
    default = compiler.space.default
    yield Start("default", default)
    made = plans(compiler)
    if not made:
        return
    fastest = min(plan.cycles for plan in made)
    least = min(plan.ram_bytes for plan in made)
    made.sort(key=lambda plan: plan.cycles / fastest + plan.ram_bytes / least)
    for number, plan in enumerate(made, start=1):
        for policy in (BY_SIZE, PING_PONG):
            placed = plan.configuration.replace({f"{NETWORK_SCOPE}/{PLACEMENT}": policy})
            yield Start(f"{plan.label} ({number}), {policy}", compiler.space.effective(placed))


def _limits(pieces: Pieces) -> Sequence[float]:
    """Limits on memory, from the least that some plan needs to what the fastest one does."""
    unlimited = cheapest_path(pieces.at, inf)
    most = max(piece.needs for piece in unlimited) if unlimited else 0
    levels = [level for level in pieces.needs() if level <= most]
    low, high = 0, len(levels) - 1
    while low < high:
        middle = (low + high) // 2
        if cheapest_path(pieces.at, levels[middle]) is None:
            low = middle + 1
        else:
            high = middle
    if not levels:
        return ()
    return (*np.geomspace(levels[low], most, _LIMITS)[:-1], inf)


def _configuration(compiler: NetworkCompiler, choices: Sequence[Choice]) -> Configuration:
    values: dict[str, Value] = {}
    for operation, choice in zip(compiler.graph.operations, choices, strict=True):
        for name, value in choice._asdict().items():
            full = f"{operation.name}/{name}"
            knob = compiler.space.by_name.get(full)
            if knob is not None and value in knob.values:
                values[full] = value
    return compiler.space.configuration(values)
