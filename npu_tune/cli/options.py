"""Arguments and options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from npu_tune.cli.completion import complete_folder, complete_from, complete_model
from npu_tune.cli.target_command import TARGET, given_flags, toml_value
from npu_tune.cli.words import TARGETS
from npu_tune.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

model_argument = click.argument("model", shell_complete=complete_model)
"""A file, or the name of a built-in network."""

study_argument = click.argument(
    "study", type=click.Path(path_type=Path), shell_complete=complete_folder
)
"""A study's folder."""

calibration_option = click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="An .npz with typical inputs, by which a float ONNX model is made int8.",
)

no_check_option = click.option(
    "--no-check",
    is_flag=True,
    help="Do not compare a float ONNX model with its int8 form, nor stop where that is far off.",
)

_TARGET_OPTIONS = (
    click.option(
        TARGET,
        required=True,
        metavar="NAME",
        shell_complete=complete_from(TARGETS),
        help="What to compile for; see `npu-tune targets`. Together with --help, shows the flags "
        "of that target too.",
    ),
    click.option(
        "-O",
        "--option",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any option of the target; a point in the key leads into a table; repeatable.",
    ),
)


def target_options(command: F) -> F:
    """Adds ``--target`` and ``-O`` to a :class:`TargetCommand`."""
    for option in reversed(_TARGET_OPTIONS):
        command = option(command)
    return command


def target_table(*, target: str, assignments: Iterable[str], **flags: Any) -> dict[str, Any]:
    """The ``[target]`` table of a study file that says the same as the command line.

    A point in the key of an assignment leads into a table, as in TOML.

    Args:
        target: its name.
        assignments: of the form ``KEY=VALUE``.
        flags: those of a :class:`TargetCommand`.

    Raises:
        UsageError: if an assignment is no ``KEY=VALUE``, or contradicts another one.
    """
    table: dict[str, Any] = {"name": target, **given_flags(flags)}
    for text in assignments:
        _assign(table, text)
    return table


def split_weights(text: str | None) -> tuple[list[str] | None, list[float] | None]:
    """Reads ``cycles=0.7,sram_bytes=0.3`` or ``cycles,sram_bytes`` as metrics and weights.

    The weights are scaled to a sum of 1, so that the baseline costs 1; None where none is given.

    Raises:
        UsageError: if a weight is no positive number, or only some metrics have one, or a metric
            is named twice or not at all.
    """
    if text is None:
        return None, None
    parts = [part.partition("=") for part in text.split(",")]
    names = [name.strip() for name, _, _ in parts]
    if not all(names) or len(set(names)) < len(names):
        raise UsageError(
            f"--objective {text!r} names "
            f"{'a metric twice' if all(names) else 'nothing where a metric should stand'}.",
            remedy="Write such as --objective cycles,sram_bytes.",
            value=text,
        )
    if not any(equals for _, equals, _ in parts):
        return names, None
    try:
        weights = [float(weight) for _, _, weight in parts]
    except ValueError:
        weights = []
    total = sum(weights)
    if not weights or min(weights) <= 0 or not math.isfinite(total):
        raise UsageError(
            f"--objective {text!r} does not give every metric a positive weight.",
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
                f"-O {text!r} goes into {part!r}, which another option gives a value.",
                remedy="Leave one of them out.",
            )
    table[last] = value


def _assignment(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not all(part.strip() for part in key.split(".")):
        raise UsageError(
            f"-O {text!r} is no KEY=VALUE.",
            remedy="Write such as -O speed=2 or -O memory.size=4096.",
        )
    return key.strip(), toml_value(value)
