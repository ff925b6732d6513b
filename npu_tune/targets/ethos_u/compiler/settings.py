"""The hardware and the options of one series of compilations."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

from ethosu.vela.architecture_features import ArchitectureFeatures
from ethosu.vela.compiler_driver import CompilerOptions
from ethosu.vela.errors import VelaError
from ethosu.vela.hillclimb_allocation import HillClimbAllocator
from ethosu.vela.nn_graph import TensorAllocator
from ethosu.vela.scheduler import OptimizationStrategy, SchedulerOptions

from npu_tune.errors import TargetError
from npu_tune.targets.ethos_u.plan import Plan


@dataclass(frozen=True, slots=True)
class Hardware:
    """An accelerator in a system.

    Args:
        accelerator: as Vela's ``--accelerator-config``.
        system_config: a section ``System_Config.<name>`` of the ini file.
        memory_mode: a section ``Memory_Mode.<name>`` of the ini file.
        ini: path of the ini file.
    """

    accelerator: str
    system_config: str
    memory_mode: str
    ini: str


def make_architecture(hardware: Hardware) -> Any:
    """Vela's description of the hardware.

    Raises:
        TargetError: where Vela finds the ini file inconsistent, with Vela's own words.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return ArchitectureFeatures(
                vela_config_files=[hardware.ini],
                accelerator_config=hardware.accelerator,
                system_config=hardware.system_config,
                memory_mode=hardware.memory_mode,
                max_blockdep=ArchitectureFeatures.MAX_BLOCKDEP,
                verbose_config=False,
                arena_cache_size=None,
            )
    except (VelaError, KeyError, ValueError) as error:
        words = str(getattr(error, "data", error)).strip()
        raise TargetError(
            f"Vela cannot use {hardware.system_config} with {hardware.memory_mode} on "
            f"{hardware.accelerator}: {words}",
            remedy="Choose another system config or memory mode, or mend the ini file.",
        ) from error


def compiler_options(plan: Plan) -> CompilerOptions:
    """Vela's command-line defaults, with the plan's tensor allocator."""
    return CompilerOptions(
        tensor_allocator=TensorAllocator[plan.allocator],
        hillclimb_max_iterations=HillClimbAllocator.MAX_ITERATIONS,
    )


def scheduler_options(plan: Plan, arena_limit: int) -> SchedulerOptions:
    """Vela's scheduler options for a plan."""
    return SchedulerOptions(
        optimization_strategy=OptimizationStrategy[plan.strategy],
        sram_target=arena_limit,
        verbose_schedule=False,
    )
