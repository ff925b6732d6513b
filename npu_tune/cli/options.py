"""Arguments and options that several commands share."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from npu_tune.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

model_argument = click.argument("model")
"""A file, or the name of a built-in network."""

study_argument = click.argument("study", type=click.Path(path_type=Path))
"""A study's folder."""

calibration_option = click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="An .npz with typical inputs, by which a float ONNX model is made int8.",
)

_TARGET_OPTIONS = (
    click.option("--target", required=True, help="What to compile for; see `npu-tune targets`."),
    click.option("--system-config", help="Speeds and memories of the system, by name."),
    click.option("--memory-mode", help="Which memory holds what, by name."),
    click.option("--config", help="The compiler's own ini file with further system configs."),
    click.option("--allow-cpu", is_flag=True, help="Accept operators that stay on the CPU."),
    click.option(
        "-O",
        "--option",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any option of the target, such as hardware.accelerators=[2,4]; repeatable.",
    ),
)


def target_options(command: F) -> F:
    """Adds ``--target`` and the options of targets."""
    for option in reversed(_TARGET_OPTIONS):
        command = option(command)
    return command


def target_table(
    *,
    target: str,
    system_config: str | None,
    memory_mode: str | None,
    config: str | None,
    allow_cpu: bool,
    assignments: Iterable[str],
) -> dict[str, Any]:
    """The ``[target]`` table of a study file that says the same as the command line.

    A point in the key of an assignment leads into a table, as in TOML.

    Raises:
        UsageError: if an assignment is no ``KEY=VALUE``, or contradicts another one.
    """
    named = {
        "system_config": system_config,
        "memory_mode": memory_mode,
        "config": config,
        "allow_cpu": allow_cpu or None,
    }
    given = {key: value for key, value in named.items() if value is not None}
    table: dict[str, Any] = {"name": target, **given}
    for text in assignments:
        _assign(table, text)
    return table


def split_weights(text: str | None) -> tuple[list[str] | None, list[float] | None]:
    """Reads ``cycles=0.7,sram_bytes=0.3`` or ``cycles,sram_bytes`` as metrics and weights.

    The weights are scaled to a sum of 1, so that the baseline costs 1; None where none is given.

    Raises:
        UsageError: if a weight is no positive number, or only some metrics have one.
    """
    if text is None:
        return None, None
    parts = [part.partition("=") for part in text.split(",")]
    names = [name.strip() for name, _, _ in parts]
    if not any(equals for _, equals, _ in parts):
        return names, None
    try:
        weights = [float(weight) for _, _, weight in parts]
    except ValueError:
        weights = []
    total = sum(weights)
    if not weights or min(weights) <= 0 or not math.isfinite(total):
        raise UsageError(
            f"The objective {text!r} does not give every metric a positive weight.",
            remedy="Write such as --objective cycles=0.7,sram_bytes=0.3.",
            value=text,
        )
    return names, [weight / total for weight in weights]


def _assign(table: dict[str, Any], text: str) -> None:
    key, value = _assignment(text)
    *path, last = (part.strip() for part in key.split("."))
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise UsageError(
                f"The option {text!r} goes into {part!r}, which another option gives a value.",
                remedy="Leave one of them out.",
            )
    table[last] = value


def _assignment(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not all(part.strip() for part in key.split(".")):
        raise UsageError(
            f"The option {text!r} is no KEY=VALUE.", remedy="Write such as -O allow_cpu=true."
        )
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:  # a plain word needs no quotes on a command line
        return key.strip(), value.strip()
