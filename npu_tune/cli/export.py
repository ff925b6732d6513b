"""``npu-tune export``: one trial of a study, built for deployment."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from npu_tune.cli.answer import Answer, answers
from npu_tune.cli.options import study_argument
from npu_tune.errors import NpuTuneWarning, StudyMismatchError

if TYPE_CHECKING:
    from npu_tune.network import Network
    from npu_tune.targets import Target
    from npu_tune.tuning import StudyResult


@click.command(short_help="Builds one trial of a study for deployment.")
@study_argument
@click.option(
    "--pick",
    default="best",
    show_default=True,
    metavar="best|knee|METRIC|TRIAL",
    help="The lowest cost, the knee of the front, the best in a metric, or a trial's number.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The folder to write into."
)
@answers
def export(study: Path, pick: str, out: Path) -> Answer:
    """Builds one trial of STUDY: the file to deploy, its configuration and its exact metrics."""
    from npu_tune.report import pick_trial  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.report.documents import trial_document  # noqa: PLC0415
    from npu_tune.report.tables import metrics_text  # noqa: PLC0415
    from npu_tune.tuning import read_study  # noqa: PLC0415
    from npu_tune.tuning.objective import relative_difference  # noqa: PLC0415

    result = read_study(study)
    trial = pick_trial(result, pick)
    target, network = _open(study, result)
    out.mkdir(parents=True, exist_ok=True)
    artifact = target.build(network, trial.configuration, out)
    exact = artifact.evaluation.metrics
    if differing := relative_difference(exact, trial.metrics):
        warnings.warn(
            f"The build differs from what trial {trial.number} reported in "
            f"{', '.join(sorted(differing))}.",
            NpuTuneWarning,
            stacklevel=1,
        )
    written = "\n".join(f"  {role}: {path}" for role, path in artifact.files.items())
    return Answer(
        {
            "study": {"name": result.name, "folder": str(study)},
            "picked": trial_document(result, trial),
            "files": {role: str(path) for role, path in artifact.files.items()},
            "metrics": dict(exact),
        },
        f"Built trial {trial.number}:\n{written}\n\n{metrics_text(exact, result.metrics)}",
    )


def _open(folder: Path, result: StudyResult) -> tuple[Target, Network]:
    """The study's target and network, provided that they are still what they were."""
    from npu_tune.targets import load_target  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.tuning import load_study_network  # noqa: PLC0415
    from npu_tune.tuning.folder import read_study_folder  # noqa: PLC0415

    study = read_study_folder(folder)
    target = load_target(study.target.name, study.target.options)
    network = load_study_network(study.model, target)
    now = {"model": network.digest, **target.fingerprint()}
    then = {"model": result.model_sha256, **result.target_fingerprint}
    changed = sorted(key for key in now.keys() | then.keys() if now.get(key) != then.get(key))
    if changed:
        listed = ", ".join(f"{key} (was {then.get(key)}, is {now.get(key)})" for key in changed)
        raise StudyMismatchError(
            f"The study in {folder} cannot be exported, because something changed: {listed}.",
            remedy="Restore what it was, or run the study anew.",
            changed=changed,
        )
    # The copy in the folder is called model; what is deployed carries the network's own name.
    return target, replace(network, name=result.model)
