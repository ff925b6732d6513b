"""The knobs of a network on Ethos-U, and what a configuration of them means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from npu_tune.space import NETWORK_SCOPE, Configuration, Knob, SearchSpace, Value
from npu_tune.targets.ethos_u.plan import (
    UNBUFFERED,
    WHOLE,
    Block,
    NetworkPlan,
    OperatorPlan,
    settle,
)

if TYPE_CHECKING:
    from npu_tune.targets.ethos_u.compiler.operators import OperatorChoices

AUTO = "auto"
"""The value that leaves a choice to Vela's own rule; the default of every knob."""

STRATEGIES = ("Performance", "Size")
ALLOCATORS = ("HillClimb", "Greedy", "LinearAlloc")
TRAVERSALS = {"depth-first": False, "part-kernel-first": True}

ARENA_LEVELS = 8
"""Arena limits offered between what Vela needs at least and what it takes by default."""


def arena_levels(least_bytes: float, most_bytes: float) -> tuple[int, ...]:
    """Arena limits to offer, in bytes, ascending.

    Args:
        least_bytes: SRAM of the schedule that Vela's strategy Size makes.
        most_bytes: SRAM of the one that Performance makes.
    """
    step = (most_bytes - least_bytes) / (ARENA_LEVELS + 1)
    if step < 1:
        return ()
    levels = (least_bytes + step * level for level in range(1, ARENA_LEVELS + 1))
    return tuple(sorted({int(level) // 16 * 16 for level in levels}))


def network_knobs(arena_limits: Sequence[int]) -> tuple[Knob, ...]:
    """The knobs of Vela's command line.

    Args:
        arena_limits: limits to offer, in bytes, ascending.
    """
    return (
        Knob(
            NETWORK_SCOPE,
            "strategy",
            STRATEGIES,
            "Performance",
            description="what Vela's own schedule favours (--optimise)",
        ),
        Knob(
            NETWORK_SCOPE,
            "arena_limit",
            (*arena_limits, AUTO),
            AUTO,
            ordered=True,
            description="SRAM Vela's own schedule may use, in bytes (--arena-cache-size)",
        ),
        Knob(
            NETWORK_SCOPE,
            "tensor_allocator",
            ALLOCATORS,
            "HillClimb",
            description="how tensors get their addresses (--tensor-allocator)",
        ),
    )


def operator_knobs(operator: OperatorChoices) -> Iterator[Knob]:
    """The knobs of one operator; only those with something to choose."""
    blocks = list(dict.fromkeys(block_text(cost.block) for cost in operator.blocks))
    if blocks:
        yield _knob(operator, "ofm_block", blocks, "OFM block, height x width x depth", True)
    if operator.traversals:
        yield _knob(operator, "traversal", TRAVERSALS, "order in which the kernel is walked")
    if operator.joins_next:
        yield _knob(
            operator, "cascade", ("join", "split"), "run with the next operator, in stripes"
        )
    if operator.stripe_heights:
        yield _knob(
            operator,
            "stripe_height",
            operator.stripe_heights,
            "rows of the OFM per stripe, where this operator is in a cascade",
            True,
        )
    if operator.buffers_weights:
        slices = [f"double-{depth}" for depth in operator.slice_depths]
        yield _knob(
            operator,
            "weight_buffer",
            ("none", "single", *slices),
            "weights read in place, copied whole, or in slices of n channels to two buffers",
        )
    if operator.formats:
        yield _knob(operator, "ofm_format", operator.formats, "layout of the OFM in memory")
    if operator.spills:
        yield _knob(operator, "ofm_storage", ("slow",), "where the OFM is kept")


def _knob(
    operator: OperatorChoices,
    name: str,
    values: Sequence[Value] | Mapping[str, bool],
    description: str,
    ordered: bool = False,
) -> Knob:
    return Knob(operator.name, name, (AUTO, *values), AUTO, ordered, description)


def block_text(block: Block) -> str:
    """A block as people write it."""
    return "x".join(map(str, block))


def parse_block(text: str) -> Block:
    """The block behind its text."""
    height, width, depth = map(int, text.split("x"))
    return height, width, depth


def plan_of(configuration: Mapping[str, Value], layers: Sequence[str]) -> NetworkPlan:
    """What a configuration asks of Vela.

    Args:
        configuration: value by full knob name; absent knobs stand at their defaults.
        layers: names of all operators, in order.
    """
    index = {name: position for position, name in enumerate(layers)}
    network: dict[str, Value] = {}
    chosen: dict[int, dict[str, Value]] = {}
    for full_name, value in configuration.items():
        layer, _, knob = full_name.rpartition("/")
        if layer == NETWORK_SCOPE:
            network[knob] = value
        elif value != AUTO:
            chosen.setdefault(index[layer], {})[knob] = value
    limit = network.get("arena_limit", AUTO)
    return NetworkPlan(
        strategy=str(network.get("strategy", "Performance")),
        arena_limit=None if limit == AUTO else int(limit),
        allocator=str(network.get("tensor_allocator", "HillClimb")),
        operators={position: plan_of_operator(values) for position, values in chosen.items()},
    )


def plan_of_operator(values: Mapping[str, Value]) -> OperatorPlan:
    """What the knobs of one operator ask, by knob; ``auto`` is left out."""
    plan = OperatorPlan()
    for knob, value in values.items():
        plan = replace(plan, **_FIELDS[knob](str(value)))
    return plan


def _weight_slices(value: str) -> int:
    kind, _, depth = value.partition("-")
    return {"none": UNBUFFERED, "single": WHOLE}.get(kind, int(depth or 0))


_FIELDS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "ofm_block": lambda value: {"block": parse_block(value)},
    "traversal": lambda value: {"part_kernel": TRAVERSALS[value]},
    "cascade": lambda value: {"cascade": value == "join"},
    "stripe_height": lambda value: {"stripe_height": int(value)},
    "weight_buffer": lambda value: {"weight_slices": _weight_slices(value)},
    "ofm_format": lambda value: {"linear_format": value == "NHWC"},
    "ofm_storage": lambda value: {"slow_storage": value == "slow"},
}

_BLOCK_KNOBS = frozenset({"ofm_block", "traversal"})


@dataclass(frozen=True)
class EffectiveRule:
    """Sets what makes no difference in its company back to ``auto``.

    Args:
        operators: every operator, in order.
    """

    operators: Sequence[OperatorChoices]

    def __call__(self, configuration: Configuration) -> Configuration:
        """The configuration that Vela really compiles."""
        while changes := self._resets(configuration):
            configuration = configuration.replace(changes)
        return configuration

    def _resets(self, configuration: Configuration) -> dict[str, Value]:
        changes: dict[str, Value] = {}
        vendor_cascades = (
            configuration.get(f"{NETWORK_SCOPE}/strategy") == "Size"
            or configuration.get(f"{NETWORK_SCOPE}/arena_limit", AUTO) != AUTO
        )
        for before, operator in zip((None, *self.operators), self.operators, strict=False):
            chosen = {
                knob: configuration[name]
                for knob in _FIELDS
                if configuration.get(name := f"{operator.name}/{knob}", AUTO) != AUTO
            }
            if chosen:
                reset = self._without_effect(
                    operator, before, chosen, configuration, vendor_cascades
                )
                changes.update({f"{operator.name}/{knob}": AUTO for knob in reset})
        return changes

    def _without_effect(
        self,
        operator: OperatorChoices,
        before: OperatorChoices | None,
        chosen: Mapping[str, Value],
        configuration: Configuration,
        vendor_cascades: bool,
    ) -> Iterator[str]:
        if "cascade" in chosen:
            split = chosen["cascade"] == "split" and not vendor_cascades
            if split or chosen.get("ofm_format") == "NHWC":
                yield "cascade"
        if "stripe_height" in chosen:
            joins = [configuration.get(f"{o.name}/cascade", AUTO) for o in (before, operator) if o]
            if "join" not in joins and not (vendor_cascades and AUTO in joins):
                yield "stripe_height"
        if not _BLOCK_KNOBS.isdisjoint(chosen):
            yield from _giving_way(operator, chosen)


def _giving_way(operator: OperatorChoices, chosen: Mapping[str, Value]) -> Iterator[str]:
    """Which of block and traversal has no effect."""
    wanted = plan_of_operator({k: v for k, v in chosen.items() if k in _BLOCK_KNOBS})
    block, part_kernel = settle(
        wanted.block,
        wanted.part_kernel,
        vendor_block=operator.vendor_block,
        vendor_part_kernel=operator.vendor_part_kernel,
        fits=lambda block, traversal: block in operator.legal[traversal],
    )
    if wanted.block is not None and block is None:
        yield "ofm_block"
    if wanted.part_kernel is not None and part_kernel is None:
        yield "traversal"


def search_space(operators: Sequence[OperatorChoices], arena_limits: Sequence[int]) -> SearchSpace:
    """The search space of a network."""
    knobs = [knob for operator in operators for knob in operator_knobs(operator)]
    return SearchSpace(
        (*network_knobs(arena_limits), *knobs), effective=EffectiveRule(tuple(operators))
    )
