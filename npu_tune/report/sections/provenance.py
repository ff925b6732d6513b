"""How to get what was found, what it depends on, and the commands that make it again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from npu_tune.errors import NpuTuneError
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
    """

    folder: Path
    file: Path
    listing: str

    @classmethod
    def of(cls, folder: Path) -> Whereabouts:
        """Of a study's own folder."""
        try:
            listing = _listing(read_study_folder(folder))
        except NpuTuneError:
            listing = ""
        return cls(folder, folder / STUDY_FILE, listing)


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
        **{name: version for name, version in installed_versions().items() if version},
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
