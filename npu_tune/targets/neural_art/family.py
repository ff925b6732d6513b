"""The Neural-ART targets by name, with the options of a study's ``[target]`` table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from npu_tune.errors import TargetError
from npu_tune.targets.base import Target, TargetOptions
from npu_tune.targets.neural_art.hardware import (
    VARIABLE_PARAMETERS,
    Hardware,
    HardwareVariants,
    hardware_names,
    load_hardware,
)
from npu_tune.validation import known_remedy

PREFIX = "neural-art-"
CUSTOM = f"{PREFIX}custom"
"""The target whose hardware the user describes."""

RULES: Mapping[str, str] = {
    "calibrated": "rates and fixed costs fitted to published measurements",
    "vendor": "the estimate of the vendor's own compiler",
}
"""How cycles are counted."""

OPTIONS: Mapping[str, str] = {
    "hardware_file": f"path of a hardware file of your own; {CUSTOM} needs it, and it alone takes it",
    "hardware": "a table of figures of the hardware: a value fixes one, a list explores it "
    f"together with the compilation; {', '.join(VARIABLE_PARAMETERS)}",
    "rule": "; ".join(f"{name} for {what}" for name, what in RULES.items())
    + "; calibrated by default",
    "four_bit_weights": "true to offer weights of 4 bits as a choice of each layer; what that does "
    "to the accuracy is not modelled",
    "external_ram": "false to do without RAM outside the chip",
}


class NeuralArtFamily:
    """A model of ST's Neural-ART: its compiler, its simulator and several pieces of hardware."""

    def names(self) -> tuple[str, ...]:
        """One target per built-in hardware description, and one for the user's own."""
        return (*(PREFIX + name for name in hardware_names()), CUSTOM)

    def describe(self, name: str) -> str:
        """One line on one target."""
        if name == CUSTOM:
            return "the hardware that the file of the option hardware_file describes"
        return load_hardware(name.removeprefix(PREFIX)).description

    def options(self) -> Mapping[str, str]:
        """The options and what each takes."""
        return OPTIONS

    def make(self, name: str, options: TargetOptions) -> Target:
        """Makes a target.

        Raises:
            TargetError: for an unknown name, option or option value, and for hardware that cannot
                be; names the key.
        """
        for option in options:
            if option not in OPTIONS:
                raise TargetError(
                    f"The target {name!r} has no option {option!r}.",
                    remedy=known_remedy(option, OPTIONS),
                    option=option,
                )
        if name not in self.names():
            raise TargetError(
                f"There is no target {name!r}.", remedy=known_remedy(name, self.names())
            )
        hardware = _hardware(name, options)
        variants = HardwareVariants.of(hardware, _overrides(options))
        rule = _rule(options)
        four_bit_weights = _four_bit_weights(hardware, options)
        external_ram = _switch(options, "external_ram", default=True)
        # The compiler is imported once everything is known to be in order.
        from npu_tune.targets.neural_art.target import NeuralArtTarget  # noqa: PLC0415

        return NeuralArtTarget(
            name,
            variants,
            rule=rule,
            four_bit_weights=four_bit_weights,
            external_ram=external_ram,
        )


def _hardware(name: str, options: TargetOptions) -> Hardware:
    path = options.get("hardware_file")
    if name != CUSTOM:
        if path is not None:
            raise TargetError(
                f"The option hardware_file is {path!r}, but {name!r} brings its own hardware.",
                remedy=f"Leave it out, or take the target {CUSTOM}.",
                option="hardware_file",
            )
        return load_hardware(name.removeprefix(PREFIX))
    if not isinstance(path, str | Path) or Path(path).suffix != ".toml":
        raise TargetError(
            f"The target {CUSTOM!r} needs the option hardware_file."
            if path is None
            else f"The option hardware_file is {path!r}, which names no TOML file.",
            remedy="Give it the path of a hardware file, whose name ends in .toml.",
            option="hardware_file",
        )
    return load_hardware(path)


def _overrides(options: TargetOptions) -> Mapping[str, Any]:
    table = options.get("hardware", {})
    if not isinstance(table, Mapping):
        raise TargetError(
            f"The option hardware is {table!r}.",
            remedy="It takes a table, such as { accelerators = [1, 2, 4] }.",
            option="hardware",
        )
    return table


def _rule(options: TargetOptions) -> str:
    rule = options.get("rule", "calibrated")
    if rule not in tuple(RULES):
        raise TargetError(
            f"The option rule is {rule!r}.",
            remedy=known_remedy(str(rule), RULES),
            option="rule",
        )
    return str(rule)


def _four_bit_weights(hardware: Hardware, options: TargetOptions) -> bool:
    asked = _switch(options, "four_bit_weights", default=False)
    if asked and 4 not in hardware.weight_bits:
        raise TargetError(
            f"The option four_bit_weights is true, but {hardware.name!r} has no weights of 4 bits.",
            remedy="Leave it out.",
            option="four_bit_weights",
        )
    return asked


def _switch(options: TargetOptions, option: str, *, default: bool) -> bool:
    value = options.get(option, default)
    if not isinstance(value, bool):
        raise TargetError(
            f"The option {option} is {value!r}.", remedy="It takes true or false.", option=option
        )
    return value
