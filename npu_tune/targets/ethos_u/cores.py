"""Vela's two cores behind one small interface, one per network and target in a process."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from npu_tune.errors import ModelFormatError
from npu_tune.network import Network
from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets.base import Evaluation, Start
from npu_tune.targets.ethos_u.compiler.back_end import write_model
from npu_tune.targets.ethos_u.compiler.figures import network_figures
from npu_tune.targets.ethos_u.compiler.operators import OperatorChoices, operator_choices
from npu_tune.targets.ethos_u.compiler.session import Session
from npu_tune.targets.ethos_u.compiler.settings import Hardware, make_architecture
from npu_tune.targets.ethos_u.cpp_core import CppCore, cpu_notes
from npu_tune.targets.ethos_u.knobs import arena_levels, plan_of, search_space
from npu_tune.targets.ethos_u.plan import UNBUFFERED, VENDOR, Plan
from npu_tune.targets.ethos_u.planner import Frame
from npu_tune.targets.ethos_u.starts import python_core_starts
from npu_tune.targets.ethos_u.target import EthosUTarget

CORES_KEPT = 2
"""Networks kept ready in a process: the one being tuned and one to compare it with."""


class Core(Protocol):
    """One network on one target."""

    def operators(self) -> tuple[int, tuple[str, ...]]:
        """How many operators run on the NPU, and those that stay on the CPU."""

    def space(self) -> SearchSpace: ...
    def evaluate(self, configuration: Configuration) -> Evaluation: ...
    def build(self, configuration: Configuration, path: Path) -> Evaluation: ...
    def starts(self) -> tuple[Start, ...]: ...
    def references(self) -> Mapping[str, Mapping[str, float]]: ...


_cores: OrderedDict[tuple[EthosUTarget, str], Core] = OrderedDict()


def core_for(target: EthosUTarget, network: Network) -> Core:
    """The core that compiles a network for a target, kept ready in this process."""
    key = (target, network.digest)
    if key not in _cores:
        if len(_cores) == CORES_KEPT:
            _cores.popitem(last=False)
            # A session keeps its graph out of the garbage collector's sight; what is left behind
            # can only be collected once it is back in sight. The next session hides all again.
            gc.unfreeze()
            gc.collect()
        _cores[key] = _make_core(target, network)
    _cores.move_to_end(key)
    return _cores[key]


def _make_core(target: EthosUTarget, network: Network) -> Core:
    hardware = Hardware(target.accelerator, target.system_config, target.memory_mode, target.ini)
    if network.format == "onnx":
        raise ModelFormatError(
            f"{network.name!r} is an ONNX network; Vela reads TFLite and TOSA.",
            remedy="`npu-tune tune` quantises it by itself, `npu-tune convert` writes the file.",
        )
    if network.format == "tosa" or target.accelerator.startswith("ethos-u85"):
        make_architecture(hardware)  # says what does not fit in better words than the command
        return CppCore(network, hardware)
    return PythonCore(network, hardware)


class PythonCore:
    """Vela's Python core, with per-operator choices."""

    def __init__(self, network: Network, hardware: Hardware) -> None:
        self._session = Session(network, hardware)
        self._cpp_core = CppCore(network, hardware)
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
            network_figures(session.compile(Plan(strategy)), session.arch)["sram_bytes"]
            for strategy in ("Size", "Performance")
        )
        return arena_levels(least, most)

    @cached_property
    def _space(self) -> SearchSpace:
        return search_space(self.choices, self.arena_limits)

    def space(self) -> SearchSpace:
        """Network-wide knobs first, then each operator's."""
        return self._space

    def evaluate(self, configuration: Configuration) -> Evaluation:
        """Compiles in memory."""
        session = self._session
        graph = session.compile(plan_of(configuration, self._operator_names))
        rows = session.operator_figures()
        return Evaluation(
            network_figures(graph, session.arch),
            dict(zip(self._operator_names, rows, strict=True)),
            cpu_notes(session.operators[1]),
        )

    def build(self, configuration: Configuration, path: Path) -> Evaluation:
        """Compiles in memory and writes the result."""
        evaluation = self.evaluate(configuration)
        write_model(self._session.graph, path)
        return evaluation

    def starts(self) -> tuple[Start, ...]:
        """See :mod:`npu_tune.targets.ethos_u.starts`."""
        return python_core_starts(
            self.space(),
            self.choices,
            self._frames,
            self._cpp_core,
        )

    def _frames(self, configuration: Configuration) -> tuple[Frame, ...]:
        """The cascades of a configuration, and what feature maps take in them."""
        session, names = self._session, self._operator_names
        plan = plan_of(configuration, names)
        unbuffered = {
            index: replace(plan.operators.get(index, VENDOR), weight_slices=UNBUFFERED)
            for index in range(len(names))
        }
        session.compile(replace(plan, operators=unbuffered))
        return tuple(
            Frame(cost.stripe.height, cost.cascade != 0, row["sram_bytes"])
            for cost, row in zip(session.operator_costs(), session.operator_figures(), strict=True)
        )

    def references(self) -> Mapping[str, Mapping[str, float]]:
        """The C++ core's default."""
        return self._cpp_core.references()
