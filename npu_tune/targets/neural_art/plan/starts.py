"""Planned configurations along the trade-off between time and memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf

import numpy as np

from npu_tune.space import NETWORK_SCOPE, Configuration, SearchSpace, Value
from npu_tune.targets.neural_art.compiler.choice import Choice
from npu_tune.targets.neural_art.compiler.placement import BY_SIZE, PING_PONG
from npu_tune.targets.neural_art.compiler.rows import HALOS
from npu_tune.targets.neural_art.compiler.rule import cost_rule
from npu_tune.targets.neural_art.core import NetworkCompiler
from npu_tune.targets.neural_art.deploy.space import CONSTANTS_POOL
from npu_tune.targets.neural_art.evaluation import evaluation_of
from npu_tune.targets.neural_art.graph import OperationGraph
from npu_tune.targets.neural_art.knobs import PLACEMENT
from npu_tune.targets.neural_art.plan.estimate import Estimator
from npu_tune.targets.neural_art.plan.layers import LayerChoices
from npu_tune.targets.neural_art.plan.paths import cheapest_path, with_preloading
from npu_tune.targets.neural_art.plan.pieces import Pieces
from npu_tune.targets.neural_art.plan.residents import with_room
from npu_tune.targets.problem import Start

_CONSTANTS = f"{NETWORK_SCOPE}/{CONSTANTS_POOL}"

_LIMITS = 10
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
    found: dict[Configuration, PlannedChoices] = {}
    for base in _bases(compiler.space):
        for plan in _plans_upon(compiler, base):
            found.setdefault(plan.configuration, plan)
    return list(found.values())


def _bases(space: SearchSpace) -> list[Configuration]:
    """The default, and where the whole network says where weights are, each of these."""
    knob = space.by_name.get(_CONSTANTS)
    return (
        [space.default.replace({_CONSTANTS: v}) for v in knob.values] if knob else [space.default]
    )


def _plans_upon(compiler: NetworkCompiler, base: Configuration) -> Iterator[PlannedChoices]:
    space, scheduler = compiler.space, compiler.scheduler(base)
    estimator = Estimator(scheduler.hardware, cost_rule(compiler.rule, scheduler.hardware))
    usual = compiler.choices(base)
    layers = LayerChoices(scheduler, space, usual, estimator)
    default = evaluation_of(compiler.run(space.default), compiler.hardware(space.default)).metrics
    offered = {knob.name: knob.values for knob in space.knobs}
    halos = tuple(halo for halo in HALOS[:1] if halo in offered.get("halo", ())) or HALOS[1:]
    for relative in PRICES if "weights" in offered else (0.0,):
        price = relative * default["cycles"] / default["ram_bytes"]
        pieces = Pieces(scheduler, layers, estimator, price=price, halos=halos)
        for limit in _limits(pieces):
            path = cheapest_path(pieces.at, limit)
            if path is None:
                continue
            if "weights" in offered:
                path = with_preloading(path, limit)
            choices = [choice for piece in path for choice in piece.choices]
            needs = max(piece.needs for piece in path)
            residents = sum(
                scheduler.option(i, choice).demand.resident for i, choice in enumerate(choices)
            )
            spent = sum(piece.cost for piece in path) - (price * residents if residents else 0.0)
            if "weights" in offered:
                choices = with_room(choices, scheduler, layers, needs=needs)
            yield PlannedChoices(
                f"maps of {needs / 1024:.0f} KiB, weights of {residents / 1024:.0f} KiB",
                _configuration(scheduler.graph, space, base, choices),
                spent,
                needs + residents,
            )


def planned_starts(compiler: NetworkCompiler) -> Iterator[Start]:
    """The default, then plans: in turn the best of time and memory alike, of each alone, and so on."""
    yield Start("default", compiler.space.default)
    made = plans(compiler)
    for number, plan in enumerate(_in_turn(made), start=1):
        for policy in (BY_SIZE, PING_PONG):
            placed = plan.configuration.replace({f"{NETWORK_SCOPE}/{PLACEMENT}": policy})
            label = f"plan {number} ({plan.label}), {policy}"
            yield Start(label, compiler.space.effective(placed))


def _in_turn(made: Sequence[PlannedChoices]) -> list[PlannedChoices]:
    """Each plan once: whoever weighs time and memory otherwise than alike finds theirs early too."""
    if not made:
        return []
    fastest = min(plan.cycles for plan in made)
    least = min(plan.ram_bytes for plan in made)
    orders = (
        sorted(made, key=lambda plan: plan.cycles / fastest + plan.ram_bytes / least),
        sorted(made, key=lambda plan: plan.cycles),
        sorted(made, key=lambda plan: plan.ram_bytes),
    )
    return list(dict.fromkeys(chain.from_iterable(zip(*orders, strict=True))))


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


def _configuration(
    graph: OperationGraph, space: SearchSpace, base: Configuration, choices: Sequence[Choice]
) -> Configuration:
    values: dict[str, Value] = {}
    for operation, choice in zip(graph.operations, choices, strict=True):
        for name, value in choice._asdict().items():
            full = f"{operation.name}/{name}"
            knob = space.by_name.get(full)
            if knob is not None and value in knob.values:
                values[full] = value
    return space.effective(base.replace(values))
