"""``npu-tune space``: what may be chosen for each layer of a network on a target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from npu_tune.cli.options import (
    calibration_option,
    model_argument,
    no_check_option,
    target_options,
    target_table,
)
from npu_tune.cli.output import CommandResult, print_result, problem_document
from npu_tune.cli.target_command import TargetCommand


@click.command(cls=TargetCommand, short_help="Lists the knobs of a model on a target.")
@model_argument
@target_options
@calibration_option
@no_check_option
@print_result
def space(
    model: str, *, calibration: Path | None, no_check: bool, **options: Any
) -> CommandResult:
    """Lists the knobs of MODEL: their values, the default in brackets."""
    from npu_tune import api  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.report.tables import filled  # noqa: PLC0415
    from npu_tune.space import format_space, space_as_dict  # noqa: PLC0415

    table = target_table(**options)
    name = table.pop("name")
    with api.bind(
        model, name, options=table, calibration=calibration, check=not no_check
    ) as problem:
        notes = problem.notes()
        return CommandResult(
            {
                **problem_document(problem),
                "space": space_as_dict(problem.space),
                "notes": list(notes),
            },
            "\n".join([format_space(problem.space), *map(filled, notes)]),
        )
