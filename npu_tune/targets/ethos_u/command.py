"""Vela's own command line, as it is run and as a person may run it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from npu_tune.space import NETWORK_SCOPE, Configuration
from npu_tune.targets.ethos_u.knobs import plan_of
from npu_tune.targets.ethos_u.plan import NetworkPlan
from npu_tune.targets.ethos_u.system import System, vendor_ini

PYTHON_CORE = "--debug-force-legacy-core"
"""Vela's option for its Python core."""

VENDOR_INI = "Arm/vela.ini"
"""How the command calls the ini file that comes with it."""


def vela_options(system: System, plan: NetworkPlan, *, ini: str) -> list[str]:
    """The command's options for what a plan chooses for the whole network.

    Args:
        system: what is compiled for.
        plan: of the compilation.
        ini: the value of ``--config``.
    """
    options = [
        "--config", ini,
        "--accelerator-config", system.accelerator,
        "--system-config", system.system_config,
        "--memory-mode", system.memory_mode,
        "--optimise", plan.strategy,
        "--tensor-allocator", plan.allocator,
    ]  # fmt: skip
    if plan.arena_limit is not None:
        options += ["--arena-cache-size", str(plan.arena_limit)]
    return options


def vela_remarks(
    system: System, configuration: Configuration, default: Configuration, *, core: str
) -> tuple[str, ...]:
    """How a compilation differs from what the command can do, in Markdown.

    Args:
        system: what is compiled for.
        configuration: what was compiled.
        default: what Vela does by itself.
        core: the option for the core that compiled; "" for the C++ core.
    """
    ini = VENDOR_INI if Path(system.ini) == vendor_ini().resolve() else Path(system.ini).name
    shared = {name: value for name, value in configuration.items() if _is_network_wide(name)}
    plan, changes = plan_of(shared, ()), configuration.difference(default)
    words = ["vela", "MODEL.tflite", *vela_options(system, plan, ini=ini)]
    line = " ".join([*words, *([core] if core else []), "--verbose-performance"])
    command = f"```sh\n{line}\n```"
    own = {name: value for name, value in changes.items() if not _is_network_wide(name)}
    if not own:
        return (
            "Everything that was chosen is an option of Vela's own command, which compiles the same:",
            command,
        )
    without = (
        f"{len(own)} of {len(changes)} changes are choices for single operators, for which Vela's own "
        f"command has no options ({_by_knob(own)}). Without them it compiles another file:"
    )
    made = (
        "The file in this folder was made by the same Vela, whose scheduler was told these choices. "
        "Nothing of npu-tune is needed to run it."
    )
    return without, command, made


def _is_network_wide(name: str) -> bool:
    return name.startswith(f"{NETWORK_SCOPE}/")


def _by_knob(names: Iterable[str]) -> str:
    counts = Counter(name.rpartition("/")[2] for name in names)
    return ", ".join(f"`{knob}` of {count}" for knob, count in counts.items())
