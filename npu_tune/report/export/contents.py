"""Writes everything that stands beside what a target has built."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from npu_tune.errors import CompilerError, MissingExtraError
from npu_tune.network import Network
from npu_tune.report.explain import Explanation, explain_trial
from npu_tune.report.export.document import export_document
from npu_tune.report.export.layers import layers_csv
from npu_tune.report.export.place import CHECKSUMS, DOCUMENT, write_checksums
from npu_tune.report.export.readme import readme_text
from npu_tune.report.export.study import FOLDER, PortableStudy, portable_study
from npu_tune.report.export.trials import TRIALS, write_trials
from npu_tune.report.html import report_html
from npu_tune.report.markdown import report_markdown
from npu_tune.report.netron import netron_names, write_netron_files
from npu_tune.report.origin import FileOrigin
from npu_tune.report.sections import Whereabouts
from npu_tune.targets import Artifact, Problem
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.reading import StudyContent
from npu_tune.tuning.records import StudyResult, TrialRecord
from npu_tune.tuning.study_file import study_file_to_toml

LAYERS, README, REPORTS = "layers.csv", "README.md", ("report.html", "report.md")


def write_contents(
    folder: Path,
    *,
    study: StudyFile,
    content: StudyContent,
    result: StudyResult,
    trial: TrialRecord,
    problem: Problem,
    artifact: Artifact,
    versions: Mapping[str, str | None],
) -> dict[str, Path]:
    """Completes the folder that a target has built into.

    Args:
        folder: with the files of ``artifact``, to write into.
        study: as its folder has it.
        content: what the study's ledger held.
        result: made of it.
        trial: that was built.
        problem: of the study.
        artifact: what the target built.
        versions: of npu-tune and of what decides its figures, by name, as the files state them.

    Returns:
        every file of the folder by role.

    Raises:
        CompilerError: if the target has written a file of a name that is taken.
        OSError: if the folder cannot be written.
    """
    _require_free(folder, problem.network)
    again = portable_study(study, problem.network)
    origin = again.origin(trial)
    files = {**artifact.files, **again.write(folder / FOLDER, origin)}
    files["trials"] = folder / FOLDER / TRIALS
    write_trials(content, files["trials"], directions=result.objective.study_directions)
    files["layers"] = folder / LAYERS
    files["layers"].write_text(layers_csv(result, trial), encoding="utf-8")
    files |= write_netron_files(result, trial, problem.network, folder, origin)
    explanation = explain_trial(result, trial, problem=problem)
    files["report"] = _write_report(
        folder, result, explanation, again=again, origin=origin, versions=versions
    )
    files |= {
        "readme": folder / README,
        "export": folder / DOCUMENT,
        "checksums": folder / CHECKSUMS,
    }
    named = {role: path.relative_to(folder).as_posix() for role, path in files.items()}
    document = export_document(
        result, trial, artifact, named, origin=origin, again=again, versions=versions
    )
    files["export"].write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    page = readme_text(result, trial, artifact, named, again=again, versions=versions)
    files["readme"].write_text(page, encoding="utf-8")
    write_checksums(folder)
    return files


def _write_report(
    folder: Path,
    result: StudyResult,
    explanation: Explanation,
    *,
    again: PortableStudy,
    origin: FileOrigin,
    versions: Mapping[str, str | None],
) -> Path:
    """Writes the report, as Markdown where what draws its plots is not installed."""
    where = Whereabouts(
        Path(FOLDER, again.file.name),
        Path(FOLDER, "study.toml"),
        study_file_to_toml(again.file),
        origin,
        versions,
    )
    try:
        path, text = folder / REPORTS[0], report_html(result, explanation, where=where)
    except MissingExtraError:
        path, text = folder / REPORTS[1], report_markdown(result, explanation, where=where)
    path.write_text(text, encoding="utf-8")
    return path


def _require_free(folder: Path, network: Network) -> None:
    """Refuses a target's files that would be overwritten."""
    own = (FOLDER, LAYERS, README, *REPORTS, DOCUMENT, CHECKSUMS, *netron_names(network).values())
    taken = next((name for name in own if (folder / name).exists()), None)
    if taken is not None:
        raise CompilerError(
            f"The target has written a file {taken!r}, a name that every export needs itself.",
            remedy="Let it write that under another name.",
        )
