"""``npu-tune export``: one trial of a study, built for deployment."""

from __future__ import annotations

from pathlib import Path

import click

from npu_tune.cli.completion import complete_pick
from npu_tune.cli.options import study_argument
from npu_tune.cli.output import CommandResult, print_result


@click.command(short_help="Builds one trial of a study for deployment.")
@study_argument
@click.option(
    "--pick",
    default="best",
    show_default=True,
    metavar="best|knee|METRIC|TRIAL",
    shell_complete=complete_pick,
    help="The lowest cost, the knee of the front, the best in a metric, or a trial's number.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The folder to write into."
)
@click.option("--force", is_flag=True, help="Overwrite what another export has put there.")
@print_result
def export(study: Path, pick: str, out: Path, *, force: bool) -> CommandResult:
    """Builds one trial of STUDY: the file to deploy, and all one has to know of it."""
    from npu_tune.report.build import build_trial  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.report.documents import trial_document  # noqa: PLC0415
    from npu_tune.report.tables import filled, metrics_text  # noqa: PLC0415
    from npu_tune.validation import keys_called  # noqa: PLC0415

    with keys_called({"export.out": "--out", "export.force": "--force"}):
        built = build_trial(study, pick, out, force=force)
    result, trial, artifact = built.result, built.trial, built.artifact
    exact = artifact.evaluation.metrics
    written = "\n".join(f"  {role}: {path}" for role, path in artifact.files.items())
    return CommandResult(
        {
            "study": {"name": result.name, "folder": str(study)},
            "picked": trial_document(result, trial),
            "files": {role: str(path) for role, path in artifact.files.items()},
            "metrics": dict(exact),
            "memory": [dict(need.to_dict()) for need in artifact.needs],
            "confidence": None if result.confidence is None else result.confidence.to_dict(),
        },
        "\n".join(
            [
                f"Built trial {trial.number}:\n{written}\n",
                metrics_text(exact, result.metrics),
                *(
                    f"It needs {need.size_bytes:,} bytes of {need.memory}: {need.name}."
                    for need in artifact.needs
                ),
                *map(filled, result.notes),
            ]
        ),
    )
