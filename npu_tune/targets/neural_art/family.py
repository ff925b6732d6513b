"""The Neural-ART targets by name, with the options of a study's ``[target]`` table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from npu_tune.errors import TargetError
from npu_tune.targets.base import TargetOptions
from npu_tune.targets.neural_art.hardware import (
    VARIABLE_PARAMETERS,
    Hardware,
    HardwareVariants,
    hardware_names,
    load_hardware,
)
from npu_tune.targets.options import OptionInfo, read_options
from npu_tune.targets.problem import Target
from npu_tune.validation import Table, known_remedy, option_name, sentence

PREFIX = "neural-art-"
DEPLOYABLE = "stm32n6"
"""The hardware that the vendor's tools compile for."""
CUSTOM = f"{PREFIX}custom"
"""The target whose hardware the user describes."""

RULES: Mapping[str, str] = {
    "calibrated": "rates and fixed costs fitted to published measurements",
    "vendor": "the estimate of the vendor's own compiler",
}
"""How cycles are counted."""


def _version(value: object) -> object:
    """A version as it is called; 3.0 without quotes is a number in TOML."""
    return str(value) if isinstance(value, float) else value


class NeuralArtOptions(Table):
    """A study's ``[target]`` table without the name."""

    hardware_file: Annotated[
        Path | None,
        Field(strict=False),
        OptionInfo(takes="the path of a hardware file, whose name ends in .toml"),
    ] = Field(
        default=None,
        description=f"path of a hardware file of your own; {CUSTOM} needs it, and it alone takes it",
    )
    hardware: Annotated[
        dict[str, Any], OptionInfo(takes="a table, such as { accelerators = [1, 2, 4] }")
    ] = Field(
        default_factory=dict,
        description="a table of parameters of the hardware: a value fixes one, a list explores it "
        f"together with the compilation; {', '.join(VARIABLE_PARAMETERS)}",
    )
    rule: Literal["calibrated", "vendor"] = Field(
        default="calibrated",
        description="; ".join(f"{name} for {what}" for name, what in RULES.items())
        + "; calibrated by default",
    )
    four_bit_weights: bool = Field(
        default=False,
        description="true to offer weights of 4 bits as a choice of each layer; what that does "
        "to the accuracy is not modelled",
    )
    external_ram: bool = Field(
        default=True, description="false to do without RAM outside the chip"
    )
    chains: Literal["any", "reported"] = Field(
        default="any",
        description="which layers may share an epoch: any that units allow, or such only as the "
        "vendor's reports show; any by default",
    )
    deployable: bool = Field(
        default=False,
        description="true to offer only what the vendor's real tools take: options of the whole "
        "network, pools, and stripes that an exported ONNX file holds",
    )
    core: Annotated[Literal["3.0", "4.0"], BeforeValidator(_version), OptionInfo(flag=True)] = (
        Field(
            default="4.0",
            description="version of the vendor's compiler: 3.0, which takes longer for "
            "squeeze-and-excite, or 4.0; 4.0 by default",
        )
    )


class NeuralArtFamily:
    """A model of ST's Neural-ART: its compiler, its simulator and several pieces of hardware."""

    @property
    def options(self) -> type[NeuralArtOptions]:
        """The hardware, what of it is explored, and how cycles are counted."""
        return NeuralArtOptions

    def names(self) -> tuple[str, ...]:
        """One target per built-in hardware description, and one for the user's own."""
        return (*(PREFIX + name for name in hardware_names()), CUSTOM)

    def describe(self, name: str) -> str:
        """One line on one target."""
        if name == CUSTOM:
            return "the hardware that the file of the option hardware_file describes"
        return load_hardware(name.removeprefix(PREFIX)).description

    def make(self, name: str, options: TargetOptions) -> Target:
        """Makes a target.

        Raises:
            TargetError: for an unknown name, option or option value, and for hardware that cannot
                be; names the key.
        """
        if name not in self.names():
            raise TargetError(
                f"There is no target {name!r}.", remedy=known_remedy(name, self.names())
            )
        read = read_options(NeuralArtOptions, options, target=name)
        hardware = _hardware(name, read.hardware_file)
        variants = HardwareVariants.of(hardware, read.hardware)
        _require_four_bits(hardware, asked=read.four_bit_weights)
        if read.deployable:
            _require_real_hardware(hardware, variants)
        # The compiler is imported once everything is known to be in order.
        from npu_tune.targets.neural_art.target import NeuralArtTarget  # noqa: PLC0415

        return NeuralArtTarget(
            name,
            variants,
            rule=read.rule,
            four_bit_weights=read.four_bit_weights,
            external_ram=read.external_ram,
            reported_chains=read.chains == "reported",
            deployable=read.deployable,
            core=read.core,
        )


def _hardware(name: str, path: Path | None) -> Hardware:
    if name != CUSTOM:
        if path is not None:
            raise TargetError(
                f"{sentence(option_name('hardware_file'))} is {str(path)!r}, but {name!r} brings its own hardware.",
                remedy=f"Leave it out, or take the target {CUSTOM}.",
                option="hardware_file",
            )
        return load_hardware(name.removeprefix(PREFIX))
    if path is None or path.suffix != ".toml":
        raise TargetError(
            f"The target {CUSTOM!r} needs {option_name('hardware_file')}."
            if path is None
            else f"{sentence(option_name('hardware_file'))} is {str(path)!r}, which names no TOML file.",
            remedy="Give it the path of a hardware file, whose name ends in .toml.",
            option="hardware_file",
        )
    return load_hardware(path)


def _require_four_bits(hardware: Hardware, *, asked: bool) -> None:
    if asked and 4 not in hardware.weight_bits:
        raise TargetError(
            f"{sentence(option_name('four_bit_weights'))} is true, but {hardware.name!r} has no weights of 4 bits.",
            remedy="Leave it out.",
            option="four_bit_weights",
        )


def _require_real_hardware(hardware: Hardware, variants: HardwareVariants) -> None:
    if hardware.name != DEPLOYABLE or variants.variants:
        raise TargetError(
            f"{sentence(option_name('deployable'))} is true, and the vendor's tools know no such hardware as "
            f"{hardware.name!r} with parameters of your own."
            if variants.variants
            else f"{sentence(option_name('deployable'))} is true, and nothing can be deployed to {hardware.name!r}.",
            remedy=f"Take the target {PREFIX}{DEPLOYABLE} as it is, or leave the option out.",
            option="deployable",
        )
