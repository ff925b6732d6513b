"""``npu-tune space``: what may be chosen for each layer of a network on a target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from npu_tune.cli.answer import Answer, answers
from npu_tune.cli.options import (
    calibration_option,
    model_argument,
    target_options,
    target_table,
)


@click.command(short_help="Lists the knobs of a model on a target.")
@model_argument
@target_options
@calibration_option
@answers
def space(model: str, calibration: Path | None, **options: Any) -> Answer:
    """Lists the knobs of MODEL: their values, the default in brackets."""
    from npu_tune.space import format_space, space_as_dict  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.targets import load_target  # noqa: PLC0415
    from npu_tune.tuning import load_study_network  # noqa: PLC0415
    from npu_tune.tuning.sections import ModelSection  # noqa: PLC0415

    table = target_table(**options)
    target = load_target(table.pop("name"), table)
    network = load_study_network(ModelSection(path=model, calibration=calibration), target)
    target.check(network)
    offered = target.space(network)
    return Answer(
        {
            "model": {"name": network.name, "sha256": network.digest},
            "target": {"name": target.name, "fingerprint": dict(target.fingerprint())},
            "space": space_as_dict(offered),
        },
        format_space(offered),
    )
