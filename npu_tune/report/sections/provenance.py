"""How to get what was found, what it depends on, and the commands that make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from npu_tune.errors import NpuTuneError
from npu_tune.report.origin import FileOrigin, file_command
from npu_tune.report.sections.model import Cell, Passage, ReportTable
from npu_tune.report.stretches import stretch_lines
from npu_tune.report.verdict import export_command
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.folder import STUDY_FILE, read_study_folder
from npu_tune.tuning.records import StudyResult, TrialRecord
from npu_tune.tuning.settings import SearchSettings
from npu_tune.tuning.study_file import study_file_to_toml
from npu_tune.versions import installed_versions


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a study is, for the commands that a report names.

    Args:
        folder: of the study.
        file: its study file.
        listing: what that says; "" where it cannot be read.
        origin: of the report.
        versions: of npu-tune and of what decides its figures.
    """

    folder: Path
    file: Path
    listing: str
    origin: FileOrigin
    versions: Mapping[str, str | None] = field(default_factory=installed_versions)

    @classmethod
    def of(cls, folder: Path, result: StudyResult) -> Whereabouts:
        """Of a study's own folder, for a report on the best trial."""
        try:
            listing = _listing(read_study_folder(folder))
        except NpuTuneError:
            listing = ""
        number = None if result.best is None else result.best.number
        origin = FileOrigin(result.name, number, file_command("report", folder))
        return cls(folder, folder / STUDY_FILE, listing, origin)


def file_section(result: StudyResult, trial: TrialRecord, where: Whereabouts) -> Passage:
    """How to get what was found."""
    sentence = f"Trial {trial.number} is built, with everything that belongs to it, by:"
    command = export_command(result, trial, where.folder)
    return Passage("file", "Get the file", (sentence,), commands=(command,))


def provenance_section(result: StudyResult, where: Whereabouts) -> Passage:
    """What everything depends on, and the commands that make it again."""
    facts = {
        "study": result.name,
        "model": f"{result.model}, SHA-256 {result.identity.model_sha256}",
        "target": result.target,
        **{f"target: {name}": str(value) for name, value in result.identity.fingerprint.items()},
        **{f"sampler from trial {each.first_trial}": _sampler(each) for each in result.searches},
        **dict(stretch_lines(result)),
        "ended by": result.stopped or "nothing yet",
        **{name: version for name, version in where.versions.items() if version},
    }
    rows = tuple((Cell(name), Cell(value)) for name, value in facts.items())
    commands = (
        f"npu-tune run {shlex.quote(str(where.file))}",
        f"npu-tune report {shlex.quote(str(where.folder))}",
    )
    return Passage(
        "provenance",
        "Where this comes from",
        ("With the study file below and the model beside it the study is made again:",),
        ReportTable(("what", "value"), rows),
        commands,
        where.listing,
    )


def _listing(study: StudyFile) -> str:
    """The study file, without the storage, which may hold a password."""
    section = study.study.model_copy(update={"storage": None})
    return study_file_to_toml(study.model_copy(update={"study": section}))


def _sampler(search: SearchSettings) -> str:
    more = "".join(f", {name} = {value!r}" for name, value in search.options.items())
    return f"{search.sampler}, seed {search.seed}{more}"
