"""The architecture and the options of one series of compilations."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from ethosu.vela.architecture_features import ArchitectureFeatures
from ethosu.vela.compiler_driver import CompilerOptions
from ethosu.vela.errors import VelaError
from ethosu.vela.hillclimb_allocation import HillClimbAllocator
from ethosu.vela.nn_graph import TensorAllocator
from ethosu.vela.scheduler import OptimizationStrategy, SchedulerOptions

from npu_tune.errors import TargetError
from npu_tune.targets.ethos_u.plan import NetworkPlan
from npu_tune.targets.ethos_u.system import System


def make_architecture(system: System) -> Any:
    """Vela's description of the system.

    Raises:
        TargetError: where Vela finds the ini file inconsistent, with Vela's own words.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return ArchitectureFeatures(
                vela_config_files=[system.ini],
                accelerator_config=system.accelerator,
                system_config=system.system_config,
                memory_mode=system.memory_mode,
                max_blockdep=ArchitectureFeatures.MAX_BLOCKDEP,
                verbose_config=False,
                arena_cache_size=None,
            )
    except (VelaError, KeyError, ValueError) as error:
        words = str(getattr(error, "data", error)).strip()
        raise TargetError(
            f"Vela cannot use {system.system_config} with {system.memory_mode} on "
            f"{system.accelerator}: {words}",
            remedy="Choose another system config or memory mode, or mend the ini file.",
        ) from error


def memories(arch: Any) -> tuple[str, str | None]:
    """The memory that feature maps are in, and the faster one before it; None without such a one."""
    fast = arch.fast_storage_mem_area.display_name() if arch.is_spilling_enabled() else None
    return arch.feature_map_storage_mem_area.display_name(), fast


def compiler_options(plan: NetworkPlan) -> CompilerOptions:
    """Vela's command-line defaults, with the plan's tensor allocator."""
    return CompilerOptions(
        tensor_allocator=TensorAllocator[plan.allocator],
        hillclimb_max_iterations=HillClimbAllocator.MAX_ITERATIONS,
    )


def scheduler_options(plan: NetworkPlan, arena_limit: int) -> SchedulerOptions:
    """Vela's scheduler options for a plan."""
    return SchedulerOptions(
        optimization_strategy=OptimizationStrategy[plan.strategy],
        sram_target=arena_limit,
        verbose_schedule=False,
    )
