"""A network on an Ethos-U, compiled again and again by one of Vela's two cores."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from npu_tune.errors import EvaluationError
from npu_tune.network import Network
from npu_tune.space import Configuration, SearchSpace, Value
from npu_tune.targets.ethos_u.arena import memory_needs
from npu_tune.targets.ethos_u.command import PYTHON_CORE, vela_remarks
from npu_tune.targets.ethos_u.compiler.metrics import bytes_name, network_metrics
from npu_tune.targets.ethos_u.compiler.operators import OperatorChoices, operator_choices
from npu_tune.targets.ethos_u.compiler.session import Session
from npu_tune.targets.ethos_u.compiler.settings import make_architecture, memories
from npu_tune.targets.ethos_u.cpp_core import CppCore, cpu_notes
from npu_tune.targets.ethos_u.knobs import arena_levels, network_knobs, plan_of, search_space
from npu_tune.targets.ethos_u.plan import UNBUFFERED, VENDOR, NetworkPlan
from npu_tune.targets.ethos_u.planner import Frame
from npu_tune.targets.ethos_u.starts import network_starts, python_core_starts
from npu_tune.targets.ethos_u.system import System
from npu_tune.targets.ethos_u.translation import translate
from npu_tune.targets.memory import MemoryTimeline
from npu_tune.targets.metrics import Evaluation
from npu_tune.targets.oracle import Bound
from npu_tune.targets.problem import Artifact, Problem, Start, Target

_HOLDS_FOR = "It holds for everything that can be chosen, for the whole network too."
_SLOW_MAPS = "Feature maps may all be in slow memory here, so that none of the SRAM is needed."

CPP_LABEL = "Vela C++ core, default (its own estimate)"


class EthosUProblem(Problem):
    """What both of Vela's cores have in common.

    Args:
        target: what is compiled for.
        network: what is compiled.
        system: the same target in Vela's words.
    """

    core: str
    """Vela's option for the core that compiles; "" for the one that it takes by itself."""

    def __init__(self, target: Target, network: Network, system: System) -> None:
        super().__init__(target, network)
        self.system = system
        self._cpp_core = CppCore(network, system)

    @abstractmethod
    def operators(self) -> tuple[int, tuple[str, ...]]:
        """How many operators run on the NPU, and those that stay on the CPU."""

    @abstractmethod
    def write(
        self, configuration: Configuration, path: Path
    ) -> tuple[Evaluation, Mapping[str, Path]]:
        """Compiles a configuration and writes the compiled network, and Vela's tables beside.

        Returns:
            the evaluation, and paths of the tables by role.
        """

    def plan(self, configuration: Mapping[str, Value], layers: Sequence[str] = ()) -> NetworkPlan:
        """What a configuration asks of Vela.

        Only another mapping is checked against the space, which takes two compilations: the first
        evaluation of every worker would wait for it.
        """
        is_made = isinstance(configuration, Configuration)
        return plan_of(configuration if is_made else self.space.complete(configuration), layers)

    def build(self, configuration: Mapping[str, Value], folder: Path) -> Artifact:
        """Writes the compiled network, Vela's tables, the configuration and its metrics."""
        folder.mkdir(parents=True, exist_ok=True)
        whole = self.space.complete(configuration)
        model = folder / f"{self.network.name}_{self.target.name}.tflite"
        evaluation, tables = self.write(whole, model)
        about = self.write_about(folder, whole, evaluation)
        memory, fast = memories(make_architecture(self.system))
        return Artifact(
            {"model": model, "configuration": about, **tables},
            evaluation,
            memory_needs(model.read_bytes(), memory=memory, fast=fast),
            vela_remarks(self.system, whole, self.space.default, core=self.core),
        )

    def notes(self) -> tuple[str, ...]:
        """The operators that stay on the CPU, with Vela's reason."""
        return cpu_notes(self.operators()[1])

    def references(self) -> Mapping[str, Mapping[str, float]]:
        """The default of the C++ core by its own estimate, which counts differently."""
        return {CPP_LABEL: self._cpp_core.default}


class CppCoreProblem(EthosUProblem):
    """Vela's C++ core, which has network-wide choices only."""

    core = ""

    @cached_property
    def space(self) -> SearchSpace:
        """Strategy, arena limit and tensor allocator."""
        limits = (plan.arena_limit for plan in self._cpp_core.front.values())
        return SearchSpace(network_knobs([limit for limit in limits if limit is not None]))

    def operators(self) -> tuple[int, tuple[str, ...]]:
        """As the core prints them. Raises ModelError."""
        return self._cpp_core.operators()

    def evaluate(self, configuration: Mapping[str, Value]) -> Evaluation:
        """Compiles into a temporary folder."""
        return self._cpp_core.evaluate(self.plan(configuration))

    def write(
        self, configuration: Configuration, path: Path
    ) -> tuple[Evaluation, Mapping[str, Path]]:
        """Compiles and keeps the result."""
        return self._cpp_core.write(self.plan(configuration), path)

    def starts(self) -> tuple[Start, ...]:
        """Every arena limit under Performance, and Size."""
        return network_starts(self.space)


class PythonCoreProblem(EthosUProblem):
    """Vela's Python core, which has choices for each operator.

    It holds Vela's graph of the network, which each compilation starts from.
    """

    core = PYTHON_CORE

    def __init__(self, target: Target, network: Network, system: System) -> None:
        super().__init__(target, network, system)
        self._session = Session(network, system)
        self.profile = self._session.profile
        self._operator_names = self._session.operator_names()

    def operators(self) -> tuple[int, tuple[str, ...]]:
        """Counts as Vela's summary does."""
        return self._session.operators

    @cached_property
    def choices(self) -> tuple[OperatorChoices, ...]:
        """Every operator with what may be chosen for it."""
        return operator_choices(self._session)

    @cached_property
    def arena_limits(self) -> tuple[int, ...]:
        """Limits between the SRAM of Vela's Size and of its Performance schedule, in bytes."""
        session = self._session
        least, most = (
            network_metrics(session.compile(NetworkPlan(strategy)), session.arch)["sram_bytes"]
            for strategy in ("Size", "Performance")
        )
        return arena_levels(least, most)

    @cached_property
    def space(self) -> SearchSpace:
        """Network-wide knobs first, then each operator's."""
        return search_space(self.choices, self.arena_limits)

    def evaluate(self, configuration: Mapping[str, Value]) -> Evaluation:
        """Everything a build does but for writing files."""
        return self._evaluate(configuration, stream=True)

    def evaluate_some(
        self, configuration: Mapping[str, Value], metrics: Collection[str]
    ) -> Evaluation:
        """The same without the command stream where no metric depends on it."""
        return self._evaluate(
            configuration, stream=bytes_name(self._session.stream_area) in metrics
        )

    def memory_timeline(self, configuration: Mapping[str, Value]) -> MemoryTimeline:
        """Where Vela's allocator placed feature maps and buffers of weights, and for how long."""
        self._session.compile(self.plan(configuration, self._operator_names), stream=False)
        return self._session.memory_timeline()

    def _evaluate(self, configuration: Mapping[str, Value], *, stream: bool) -> Evaluation:
        session = self._session
        plan = self.plan(configuration, self._operator_names)
        graph = session.compile(plan, stream=stream)
        rows = session.operator_rows()
        return Evaluation(
            network_metrics(graph, session.arch, has_stream=session.has_stream),
            dict(zip(self._operator_names, rows, strict=True)),
            cpu_notes(session.operators[1]),
        )

    def write(
        self, configuration: Configuration, path: Path
    ) -> tuple[Evaluation, Mapping[str, Path]]:
        """Compiles in memory and writes the result."""
        evaluation = self.evaluate(configuration)
        return evaluation, self._session.write_last(
            self.plan(configuration, self._operator_names), path, name=self.network.name
        )

    def starts(self) -> Iterator[Start]:
        """The vendor's own front, plans, and the C++ core's schedules."""
        return python_core_starts(self.space, self.choices, self.frames, self._cpp_core)

    def rivals(
        self, cost: Callable[[Mapping[str, float]], float]
    ) -> Mapping[str, Mapping[str, float]]:
        """The least cost on the C++ core's front, by its own estimate and by this core's."""
        point = min(self._cpp_core.points(), key=lambda p: cost(p.metrics), default=None)
        if point is None or math.isinf(cost(point.metrics)):
            return {}
        label = f"Vela C++ core, {point.name}"
        found = translate(point.schedule, self.space, self.choices)
        same = {
            f"{label} (same estimate, {found.coverage})": self.evaluate(
                found.configuration
            ).metrics
        }
        own = {} if point.name == "default" else {f"{label} (its own estimate)": point.metrics}
        return own | same

    def bound(self, *, base: Configuration | None = None) -> Bound:
        """What no configuration falls below, whatever the whole network chooses; see :mod:`.bound`."""
        del base
        cycles, sram = self._session.bounds([choices.traversals for choices in self.choices])
        spills = self._session.arch.is_spilling_enabled()
        notes = (_HOLDS_FOR, *([_SLOW_MAPS] if spills else []))
        return Bound({"full_cycles": cycles, "sram_bytes": sram}, notes)

    def frames(self, configuration: Configuration) -> tuple[Frame, ...] | None:
        """The cascades of a configuration, and what feature maps take in them.

        None where it cannot be compiled: where fast storage has a size, cascades may exceed it.
        """
        session, names = self._session, self._operator_names
        plan = plan_of(configuration, names)
        unbuffered = {
            index: replace(plan.operators.get(index, VENDOR), weight_slices=UNBUFFERED)
            for index in range(len(names))
        }
        try:
            session.compile(replace(plan, operators=unbuffered))
        except EvaluationError:
            return None
        return tuple(
            Frame(cost.stripe.height, cost.cascade != 0, row["sram_bytes"], *ends)
            for cost, row, ends in zip(
                session.operator_costs(),
                session.operator_rows(),
                session.operator_ends(),
                strict=True,
            )
        )

    def close(self) -> None:
        """Releases Vela's graph and all that the session remembers."""
        self._session.close()
