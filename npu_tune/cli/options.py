"""Arguments and options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from npu_tune.cli.completion import (
    complete_folder,
    complete_from,
    complete_metrics,
    complete_model,
)
from npu_tune.cli.target_command import TARGET, given_flags, toml_value
from npu_tune.cli.words import MODES, TARGETS
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

_ASSIGNMENTS = click.option(
    "-O",
    "--option",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any option of the target; a point in the key leads into a table; repeatable.",
)

_OBJECTIVE_OPTIONS = (
    click.option(
        "--objective",
        metavar="WEIGHTS",
        shell_complete=complete_metrics,
        help="Such as latency_ms=0.7,ram_bytes=0.3. [default: what the target proposes, equally]",
    ),
    click.option(
        "--mode",
        shell_complete=complete_from(MODES),
        help="weighted: the sampler sees the weighted sum; pareto: it sees every metric by itself, as "
        "nsga2 and nsga3 are made for. [default: weighted]",
    ),
    click.option(
        "--maximize",
        multiple=True,
        metavar="METRIC",
        shell_complete=complete_metrics,
        help="Of a metric whose goal the target does not say, more is better; repeatable.",
    ),
    click.option(
        "--limit",
        "limits",
        multiple=True,
        metavar="BOUND",
        shell_complete=complete_metrics,
        help="An upper or a lower bound, such as 'ram_bytes<=256 KiB', 'latency_ms<=300 us' or "
        "'accuracy>=0.88'; repeatable.",
    ),
)


_PACE_OPTIONS = (
    click.option(
        "--workers", type=int, help="Evaluations at a time. [default: one per processor]"
    ),
    click.option("--timeout", metavar="TIME", help="What one evaluation may take. [default: 5m]"),
)


def _target_option(*, required: bool) -> Callable[[F], F]:
    return click.option(
        TARGET,
        required=required,
        metavar="NAME",
        shell_complete=complete_from(TARGETS),
        help="What to compile for; see `npu-tune targets`. Together with --help, shows the flags "
        "of that target too.",
    )


def target_options(command: F, *, required: bool = True) -> F:
    """Adds ``--target`` and ``-O`` to a :class:`TargetCommand`."""
    return _with((_target_option(required=required), _ASSIGNMENTS), command)


def objective_options(command: F) -> F:
    """Adds what is optimised and what limits it."""
    return _with(_OBJECTIVE_OPTIONS, command)


def pace_options(command: F) -> F:
    """Adds how many evaluations run at a time, and how long one may take."""
    return _with(_PACE_OPTIONS, command)


def objective_tables(
    objective: str | None, *, mode: str | None, maximize: Iterable[str], limits: Iterable[str]
) -> dict[str, Any]:
    """The tables of a study file that say the same as the objective's options.

    Raises:
        UsageError: if ``objective`` is of wrong form.
    """
    metrics, weights = split_weights(objective)
    return {
        "objective": {
            "metrics": metrics,
            "weights": weights,
            "mode": mode,
            "directions": dict.fromkeys(maximize, "maximize"),
        },
        "limits": list(limits),
    }


def _with(options: Sequence[Callable[[F], F]], command: F) -> F:
    for option in reversed(options):
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
