"""One network on one system, compiled again and again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from ethosu.vela import scheduler
from ethosu.vela.debug_database import DebugDatabase
from ethosu.vela.errors import VelaError
from ethosu.vela.nn_graph import PassPlacement
from ethosu.vela.tensor import TensorAddressMap

from npu_tune.errors import CompilerError, IllegalConfigurationError
from npu_tune.network import Network, printable_names
from npu_tune.targets.ethos_u.bound import least_cycles, least_memory
from npu_tune.targets.ethos_u.compiler.back_end import (
    estimate,
    generate,
    write_model,
    write_tables,
)
from npu_tune.targets.ethos_u.compiler.front_end import run_front_end, silence, words_of
from npu_tune.targets.ethos_u.compiler.least import LeastCosts
from npu_tune.targets.ethos_u.compiler.lives import host_bytes, map_lives, map_ways
from npu_tune.targets.ethos_u.compiler.metrics import (
    OperatorRows,
    placed_operators,
    profile_schema,
)
from npu_tune.targets.ethos_u.compiler.reasons import Reasons
from npu_tune.targets.ethos_u.compiler.scheduling import PlannedScheduler
from npu_tune.targets.ethos_u.compiler.settings import (
    compiler_options,
    make_architecture,
    scheduler_options,
)
from npu_tune.targets.ethos_u.compiler.shortcuts import Shortcuts
from npu_tune.targets.ethos_u.compiler.snapshot import Snapshot
from npu_tune.targets.ethos_u.compiler.stream_rules import StreamRules
from npu_tune.targets.ethos_u.compiler.timeline import Allocations, memory_timeline
from npu_tune.targets.ethos_u.compiler.vendor import VendorSchedule, VendorScheduler
from npu_tune.targets.ethos_u.compiler.weights import WeightEncoder
from npu_tune.targets.ethos_u.plan import UNBUFFERED, VENDOR, NetworkPlan, OperatorPlan
from npu_tune.targets.ethos_u.system import STOPPED, System
from npu_tune.targets.garbage import Frozen, no_collection
from npu_tune.targets.memory import MemoryTimeline

RECURSION_LIMIT = 10_000
"""Vela walks its graph recursively; its own limit of 1,000 is too low for long networks."""

_VELA_STOPS = (
    VelaError,
    AssertionError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""Vela checks most of its rules with assertions; anything it trips over is its own error."""


class Session:
    """Vela's front end run once, its back half as often as wanted.

    Several sessions may be open at a time: each brings Vela's global tables into its own state
    before it compiles.

    Args:
        network: an int8, uint8 or int16 TFLite network.
        system: what to compile for.

    Raises:
        ModelError: where Vela cannot read the network.
    """

    def __init__(self, network: Network, system: System) -> None:
        self.arch = make_architecture(system)
        self.profile = profile_schema(self.arch)
        self._own_arena_limit = self.arch.arena_cache_size
        self._encoder = WeightEncoder()
        self._shortcuts = Shortcuts()
        self._stream_rules = StreamRules()
        self.has_stream = False
        self._vendor: dict[tuple[str, int], list[VendorSchedule]] = {}
        sys.setrecursionlimit(max(RECURSION_LIMIT, sys.getrecursionlimit()))
        _empty_tables()
        reasons = Reasons()
        self.graph, self.kind = run_front_end(network, self.arch, reasons)
        npu, cpu = placed_operators(self.graph)
        self.operators = len(npu), tuple(reasons.describe(op) for op in cpu)
        self._snapshot = Snapshot(self.graph, DebugDatabase, TensorAddressMap)
        # The graph and its snapshot live as long as the session; looking through them for
        # garbage in every compilation would cost a tenth of its time.
        self._frozen = Frozen()

    def close(self) -> None:
        """Releases the graph and all that is remembered; the session is not used afterwards."""
        frozen: Frozen | None = vars(self).pop("_frozen", None)
        if frozen is None:
            return
        self._encoder.begin()
        self._snapshot.clear()
        vars(self).clear()
        _empty_tables()
        frozen.release()

    @property
    def npu_subgraphs(self) -> list[Any]:
        """The parts of the graph that run on the NPU."""
        return [sg for sg in self.graph.subgraphs if sg.placement == PassPlacement.Npu]

    def operator_names(self) -> tuple[str, ...]:
        """Printable names of the operators on the NPU, in execution order."""
        passes = (ps for sg in self.npu_subgraphs for ps in sg.passes)
        return printable_names(ps.primary_op.name for ps in passes if ps.primary_op)

    def operator_rows(self) -> list[dict[str, float]]:
        """A row of the profile for each operator of the last compilation."""
        return [
            self._rows.row(op, subgraph.schedule)
            for subgraph in self.npu_subgraphs
            for op in subgraph.sched_ops
        ]

    def operator_costs(self) -> list[Any]:
        """Vela's ``SchedulerOpInfo`` of each operator of the last compilation."""
        return [sg.schedule.cost_map[op] for sg in self.npu_subgraphs for op in sg.sched_ops]

    def operator_ends(self) -> list[tuple[float, float, int]]:
        """Of each operator of the last compilation: bytes of all IFMs, of the OFM, its first writer.

        The writer is the index of the operator that writes the tensor of the OFM first.
        """
        operators = [op for sg in self.npu_subgraphs for op in sg.sched_ops]
        first: dict[Any, int] = {}
        return [
            (
                float(op.ifm_size_in_bytes() + op.ifm2_size_in_bytes()),
                float(op.ofm_size_in_bytes()),
                first.setdefault(op.ofm.connection.parent_tens.equivalence_id, index),
            )
            for index, op in enumerate(operators)
        ]

    def memory_timeline(self) -> MemoryTimeline:
        """What the last compilation has in SRAM, and in DRAM where feature maps are there."""
        arch = self.arch
        limited = arch.is_spilling_enabled() and arch.arena_cache_size < arch.max_address_offset
        sizes = {arch.fast_storage_mem_area.display_name(): int(arch.arena_cache_size)}
        return memory_timeline(
            self._allocations, self.npu_subgraphs, self.operator_names(), sizes if limited else {}
        )

    @property
    def stream_area(self) -> Any:
        """The memory that constants and command streams are in."""
        return self.arch.permanent_storage_mem_area

    def compile(self, plan: NetworkPlan, *, stream: bool = True) -> Any:
        """Compiles the network as planned and returns Vela's graph with everything in it.

        The graph is valid until the next call.

        Args:
            plan: what to compile.
            stream: False to leave out what is in ``stream_area``, provided that Vela would make
                it without complaint; ``has_stream`` tells. Nothing else is any different.

        Raises:
            IllegalConfigurationError: where the plan breaks a rule of the hardware.
            CompilerError: where Vela stops.
        """
        self.schedule(plan)
        self._rows = OperatorRows(self.profile)
        with self._vela(plan), self._rows.recording():
            rules, subgraphs = self._stream_rules, self.npu_subgraphs
            self.has_stream = stream or not rules.hold(self.graph, subgraphs, self.arch)
            if self.has_stream:
                generate(self.graph, self.arch, self.kind, compiler_options(plan))
            else:
                estimate(self.graph, self.arch, self.kind)
        return self.graph

    def write_last(self, plan: NetworkPlan, path: Path, *, name: str) -> dict[str, Path]:
        """Writes the result of the last compilation, and Vela's own tables of it beside.

        Args:
            plan: that was compiled, with its command stream.
            path: of the compiled network.
            name: of the network, for the tables.

        Returns:
            paths of the tables by role.
        """
        with self._vela(plan):
            tables = write_tables(self.graph, self.arch, self.kind, path.parent, name)
            write_model(self.graph, path)
        return tables

    def schedule(self, plan: NetworkPlan) -> list[Any]:
        """Schedules as planned, without code generation; returns a scheduler per subgraph."""
        if not plan.operators:
            return self._run_scheduler(plan, VendorScheduler)
        vendor = iter(self.vendor_schedule(plan))
        positions = count()

        def make(*arguments: Any) -> PlannedScheduler:
            decided = next(vendor)
            plans = [plan.operators.get(next(positions), VENDOR) for _ in decided.choices]
            return PlannedScheduler(*arguments, plans=plans, vendor=decided, encoder=self._encoder)

        return self._run_scheduler(plan, make)

    def bounds(self, traversals: Sequence[bool]) -> tuple[float, float]:
        """Lower bounds of ``full_cycles`` and of the peak of SRAM over all plans.

        Args:
            traversals: by operator, whether the traversal of its weights can be chosen.
        """
        alone = OperatorPlan(cascade=False, weight_slices=UNBUFFERED)
        plan = NetworkPlan(operators=dict.fromkeys(range(len(traversals)), alone))
        schedulers, chosen = self.schedule(plan), iter(traversals)
        needs_sram = not self.arch.is_spilling_enabled()
        cycles, sram = 0.0, host_bytes(self.graph, self.arch.fast_storage_mem_area)
        with self._vela(plan):
            for made in schedulers:
                ways = map_ways(made)
                least = LeastCosts(made, ways, self._encoder)
                cycles += least_cycles(
                    [least.costs(op, traversals=next(chosen)) for op in made.sched_ops]
                )
                if needs_sram:
                    sram = max(sram, least_memory(*map_lives(made, ways)))
        return float(cycles), float(sram)

    def vendor_schedule(self, plan: NetworkPlan) -> list[VendorSchedule]:
        """What Vela decides by itself under the plan's network-wide options, per subgraph."""
        key = (plan.strategy, self._arena_limit(plan))
        if key not in self._vendor:
            schedulers = self.schedule(
                NetworkPlan(plan.strategy, plan.arena_limit, plan.allocator)
            )
            self._vendor[key] = [found.decisions() for found in schedulers]
        return self._vendor[key]

    def _arena_limit(self, plan: NetworkPlan) -> int:
        return self._own_arena_limit if plan.arena_limit is None else plan.arena_limit

    def _run_scheduler(self, plan: NetworkPlan, make: Callable[..., Any]) -> list[Any]:
        made = []

        def recorded(*arguments: Any) -> Any:
            made.append(make(*arguments))
            return made[-1]

        self._snapshot.restore()
        self._encoder.begin()
        self._allocations = Allocations()
        original = scheduler.Scheduler
        with self._vela(plan), self._allocations.recording():
            scheduler.Scheduler = recorded
            try:
                scheduler.schedule_passes(
                    self.graph,
                    self.arch,
                    compiler_options(plan),
                    scheduler_options(plan, self.arch.arena_cache_size),
                )
            finally:
                scheduler.Scheduler = original
        return made

    @contextmanager
    def _vela(self, plan: NetworkPlan) -> Iterator[None]:
        """Runs Vela quietly, with what npu-tune puts in place of its slow parts."""
        self.arch.arena_cache_size = self._arena_limit(plan)
        with self._encoder.installed(), self._shortcuts.installed(), silence(), no_collection():
            try:
                yield
            except IllegalConfigurationError:
                raise
            except _VELA_STOPS as error:
                raise CompilerError(f"Vela stopped: {words_of(error)}", remedy=STOPPED) from error


def _empty_tables() -> None:
    """Empties the tables of Vela's modules, which hold on to the last graph."""
    TensorAddressMap.address_map.clear()
    for name, value in vars(DebugDatabase).items():
        if isinstance(value, dict) or (isinstance(value, list) and name.endswith("Table")):
            value.clear()
